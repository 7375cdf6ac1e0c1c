"""Figure 2 right: how much data does each operation need?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from grok.analysis.survival import Estimate
from grok.measure.findings import finding, fractions, runs
from grok.measure.findings.finding import Finding, Table
from grok.measure.findings.words import pretty, span

SYMMETRIC = ("x+y", "x^2+y^2", "x^2+xy+y^2")
NEVER = "x^3+xy^2+y"
MIXED = "x/y if y odd else x-y"
LARGEST_OF_PAPER = 0.95
NEARLY_ALL = 0.9  # of the pairs of a symmetric operation and another one


def find(results) -> Iterator[Finding | Table]:
    known, until = fractions.finished(results, "structure"), fractions.horizon(results)
    best, needs = [], []
    for operation, name, here in runs.tasks(known):
        task = {"operation": operation, "structure": name}
        best += [row | task for row in fractions.best(here, "train_fraction")]
        mean = here["best_val_accuracy"].astype(float).mean()
        ring = name.startswith("Z")
        needs.append(fractions.need_row(here, **task, mean=mean, ring=ring))
    yield Table("best", best)
    yield Table("needs", sorted(needs, key=rank))
    for found in (
        symmetric_first(known, needs),
        alike(known, needs),
        never(known, until),
        others(known, needs),
        mixed(known, needs),
    ):
        yield fractions.so_far(found, until)


def rank(row: dict) -> tuple:
    """The order of a figure: those that need least first, those that never pass by their mean."""
    return np.isnan(row["need"]), row["need"], -row["mean"]


def symmetric_first(known: pd.DataFrame, needs: list[dict]) -> Finding:
    """Of the pairs of a symmetric operation of Z/n and another one: the first needs less data.

    A tie counts half, as do two that never pass.
    """
    rings = [row for row in needs if row["ring"]]
    needed = {row["operation"]: np.nan_to_num(row["need"], nan=np.inf) for row in rings}
    others = [name for name in needed if name not in SYMMETRIC]
    pairs = [(needed[a], needed[b]) for a in SYMMETRIC if a in needed for b in others]
    won = sum((a < b) + 0.5 * (a == b) for a, b in pairs)
    verdict, here, share = finding.NOT_TESTED, "–", np.nan
    if pairs:
        share = won / len(pairs)
        verdict = finding.IN_PART if share > 0.5 else finding.NOT_REPRODUCED
        verdict = finding.REPRODUCED if share >= NEARLY_ALL else verdict
        here = f"in {won:g} of {len(pairs)} pairs (a tie is a half)"
    return Finding(
        "symmetric_first",
        "symmetric operations need less data than others",
        "they do",
        here,
        finding.by_seeds(verdict, runs.size(known)["seeds"]),
        share,
        unit="share of pairs",
        **runs.size(known),
    )


def alike(known: pd.DataFrame, needs: list[dict]) -> Finding:
    """Whether the data that x−y and x/y need are within each other's intervals."""
    rows = [row for name in ("x-y", "x/y") for row in needs if row["operation"] == name]
    verdict, here = finding.NOT_TESTED, "–"
    if len(rows) == 2:
        minus, over = rows
        here = f"x−y {fractions.words(minus)}, x/y {fractions.words(over)}"
        if not np.isnan(minus["need"]) and not np.isnan(over["need"]):
            meet = minus["low"] <= over["high"] and over["low"] <= minus["high"]
            verdict = finding.REPRODUCED if meet else finding.NOT_REPRODUCED
    return Finding(
        "alike",
        "x−y and x/y need about the same data",
        "x−y ≈ x/y",
        here,
        finding.by_seeds(verdict, runs.size(known)["seeds"]),
        unit="",
        **runs.size(known),
    )


def never(known: pd.DataFrame, until: float) -> Finding:
    """Whether x³+xy²+y stays below 99% at every fraction, to the end of its budget."""
    here = known[known["operation"] == NEVER]
    accuracy = 100 * here["best_val_accuracy"].astype(float)
    words, verdict = "–", finding.NOT_TESTED
    if len(here):
        largest = here["train_fraction"].max()
        words = f"best {accuracy.max():.0f}%, up to {100 * largest:.3g}% data"
        verdict = finding.REPRODUCED if accuracy.max() < 99 else finding.NOT_REPRODUCED
        if verdict == finding.REPRODUCED and largest < LARGEST_OF_PAPER - 0.06:
            verdict = finding.IN_PART
        if verdict != finding.NOT_REPRODUCED and np.isfinite(until):
            verdict = finding.NOT_TESTED
    return Finding(
        "never",
        f"{pretty(NEVER)} does not generalise",
        "not up to 95% data",
        words,
        finding.by_seeds(verdict, runs.size(here)["seeds"]),
        *Estimate(accuracy.max() if len(here) else np.nan, np.nan, np.nan),
        unit="% validation accuracy at best",
        **runs.size(here),
    )


def others(known: pd.DataFrame, needs: list[dict]) -> Finding:
    """How many of the operations but x³+xy²+y pass 99% at some fraction, in the median seed."""
    rest = [row for row in needs if row["operation"] != NEVER]
    passed = [row for row in rest if not np.isnan(row["need"])]
    here = f"{len(passed)} of {len(rest)}"
    if passed:
        here += f", from {span([100 * row['need'] for row in passed])}% data"
    return Finding(
        "others",
        "the other operations generalise with enough data",
        "all eleven",
        here,
        finding.by_seeds(finding.by_count(len(passed), len(rest)), runs.size(known)["seeds"]),
        float(len(passed)),
        unit="operations",
        **runs.size(known),
        censored=len(rest) - len(passed),
    )


def mixed(known: pd.DataFrame, needs: list[dict]) -> Finding:
    """Whether 'x/y if y odd else x-y' passes 99%."""
    here = known[known["operation"] == MIXED]
    rows = [row for row in needs if row["operation"] == MIXED]
    verdict, words = finding.NOT_TESTED, "–"
    if rows:
        passes = not np.isnan(rows[0]["need"])
        verdict = finding.REPRODUCED if passes else finding.NOT_REPRODUCED
        best = 100 * float(here["best_val_accuracy"].max())
        words = f"from {fractions.words(rows[0])}" if passes else f"best {best:.0f}%"
    return Finding(
        "mixed",
        "x/y if y is odd, else x−y generalises",
        "it does",
        words,
        finding.by_seeds(verdict, runs.size(here)["seeds"]),
        unit="",
        **runs.size(here),
    )
