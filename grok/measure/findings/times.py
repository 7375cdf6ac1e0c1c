"""Updates to 99% by a number that varies: medians, and the power law where the delay is one."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from grok.analysis import survival
from grok.measure.findings import runs

SPLITS = ("train", "val")
# Of the time to generalise that may go into the training rows where a law of the delay is fitted.
LARGEST_SHARE = 0.5


def medians(known: pd.DataFrame, *fields: str) -> list[dict]:
    """Kaplan-Meier medians of the updates to 99%, a row a split and value of the fields.

    Without `fields` a row a split. censored: the runs that never got there. The interval is a range
    where fewer than survival.LEAST_FOR_INTERVAL runs all did (`survival.median_time`).
    """
    rows = []
    for split in SPLITS:
        begun, crossed, last = runs.crossings(known, split)
        begun = begun.assign(crossed=crossed, last=last)
        grouped = begun.groupby(list(fields), dropna=False) if fields else [((), begun)]
        for key, here in grouped:
            median = survival.median_time(here["crossed"], here["last"])
            never = int(here["crossed"].isna().sum())
            rows.append(
                {"split": split}
                | dict(zip(fields, key, strict=True))
                | {"median": median.value, "low": median.low, "high": median.high}
                | {"runs": len(here), "censored": never, "last": here["last"].max()}
            )
    return rows


class Fit(NamedTuple):
    """The power law of the validation crossings, the values it was fitted to and those left out."""

    law: survival.TimeLaw
    fitted: list[float]
    left_out: list[float]

    @property
    def row(self) -> dict:
        """What a figure needs to draw the line."""
        return {
            "intercept": self.law.intercept,
            "slope": self.law.slope,
            "fitted": self.fitted,
            "left_out": self.left_out,
        }


def is_delayed(known: pd.DataFrame) -> bool:
    """Whether generalisation comes well after training.

    That is: median updates to 99% training are at most LARGEST_SHARE of those to 99% validation. A
    validation median that was not reached lies above the last update seen; a training median that
    was not reached leaves no delay to speak of.
    """
    _, trained, last = runs.crossings(known, "train")
    _, validated, _ = runs.crossings(known, "val")
    train, val = (survival.median_time(times, last).value for times in (trained, validated))
    return bool(train <= LARGEST_SHARE * (last.max() if np.isnan(val) else val))


def fit_power_law(known: pd.DataFrame, field: str) -> Fit:
    """The law time ~ value^-a over the values above 0 at which generalisation `is_delayed`.

    At the others the time to generalise is mostly that of training, which follows a law of its own.
    """
    begun = runs.crossings(known[known[field] > 0], "val")[0]
    delayed = {value: is_delayed(here) for value, here in begun.groupby(field)}
    begun, crossed, last = runs.crossings(begun[begun[field].map(delayed).astype(bool)], "val")
    law = survival.power_law(begun[field], crossed, last)
    return Fit(
        law,
        [value for value in delayed if delayed[value]],
        [value for value in delayed if not delayed[value]],
    )
