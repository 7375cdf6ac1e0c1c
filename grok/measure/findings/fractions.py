"""Best accuracy within the budget, and the least data at which runs pass 99%."""

import numpy as np
import pandas as pd

from grok.analysis import survival
from grok.measure.findings import runs
from grok.store.outcomes import THRESHOLD

COLUMNS = ("train_fraction", "seed", "best_train_accuracy", "best_val_accuracy")


def finished(results, *columns: str) -> pd.DataFrame:
    """The runs that came to an end: only of these is the best accuracy within the budget known."""
    return runs.ended(runs.runs_with(results, "operation", *COLUMNS, *columns))


def best(known: pd.DataFrame, by: str, **names) -> list[dict]:
    """Mean best accuracy in per cent with its interval or range, a row a split and value of `by`.

    names: further fields of every row.
    """
    rows = []
    for split in ("train", "val"):
        for value, here in known.groupby(by, sort=True):
            accuracy = 100 * here[f"best_{split}_accuracy"].astype(float)
            mean = survival.mean_or_range(accuracy)
            rows.append(
                names
                | {"split": split, "at": value, "runs": len(here)}
                | {"mean": mean.value, "low": mean.low, "high": mean.high}
            )
    return rows


def need(known: pd.DataFrame) -> survival.Estimate:
    """The least fraction tried at which runs pass 99%, a survival estimate over seeds."""
    if known.empty:
        return survival.UNKNOWN
    passed = known["best_val_accuracy"] >= THRESHOLD
    return survival.crossing_fraction(known["train_fraction"], passed, known["seed"])


def need_row(known: pd.DataFrame, **names) -> dict:
    """`need` as a row of a table, with the largest fraction tried."""
    found = need(known)
    return names | {
        "need": found.value,
        "low": found.low,
        "high": found.high,
        "largest": known["train_fraction"].max() if len(known) else np.nan,
        "runs": len(known),
        "seeds": known["seed"].nunique(),
    }


def words(row: dict) -> str:
    """The data that are needed, in per cent: '60%', or 'more than 95%'."""
    if np.isnan(row["need"]):
        return f"more than {100 * row['largest']:.3g}%"
    return f"{100 * row['need']:.3g}%"
