"""Best accuracy within the budget, and the least data at which runs pass 99%."""

import dataclasses

import numpy as np
import pandas as pd

from grok.analysis import survival
from grok.measure.findings import finding, runs
from grok.measure.findings.words import number
from grok.store.outcomes import ENDED, THRESHOLD

COLUMNS = ("train_fraction", "seed", "best_train_accuracy", "best_val_accuracy")


def horizon(results) -> float:
    """The update that the furthest of the unfinished runs has reached; inf where all have ended.

    Results that were cut short hold runs that ended, because they generalised, beside others of
    the same sweep that did not yet. To take the former alone would count successes only. Within
    these updates both are known.
    """
    known = runs.runs_with(results, "stopped_at")
    begun = known[~known["status"].isin(ENDED) & (known["stopped_at"].fillna(0) > 0)]
    return float(begun["stopped_at"].max()) if len(begun) else np.inf


def finished(results, *columns: str) -> pd.DataFrame:
    """The runs whose best accuracy is known, within their budget or the `horizon` of all."""
    known, until = runs.runs_with(results, "operation", *COLUMNS, *columns), horizon(results)
    if np.isinf(until):
        return runs.ended(known)
    known = known[known["status"].isin(ENDED) | (known["stopped_at"] >= until)]
    curves = results.curves[results.curves["step"] <= until].groupby("run")
    best = curves[["train_accuracy", "val_accuracy"]].max().reindex(known["run"]).to_numpy(float)
    return known.assign(best_train_accuracy=best[:, 0], best_val_accuracy=best[:, 1])


def so_far(found: finding.Finding, until: float) -> finding.Finding:
    """A finding that says how far unfinished runs went; its verdict is one that they cannot upset.

    What is seen by then may hold in part; what is not may still come.
    """
    if np.isinf(until):
        return found
    verdict = {finding.REPRODUCED: finding.IN_PART, finding.NOT_REPRODUCED: finding.NOT_TESTED}
    return dataclasses.replace(
        found,
        here=f"{found.here}, in {number(until)} updates",
        verdict=verdict.get(found.verdict, found.verdict),
    )


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
