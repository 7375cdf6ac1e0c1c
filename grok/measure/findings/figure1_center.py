"""Figure 1 centre: how fast does the time to generalise grow as data shrink?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from grok.analysis import survival
from grok.analysis.survival import Estimate
from grok.measure.findings import finding, runs, times
from grok.measure.findings.finding import Finding, Table
from grok.measure.findings.words import interval, span
from grok.store.outcomes import ENDED

PAPER = (40, 50)  # per cent more updates for each 1% less data, S5 near 25 to 30% data
PAPERS_TRAINING = (1_000, 10_000)
STEEP_RANGE = 0.05  # The paper speaks of 25-30% data, where its curve is steepest.
LEAST_FRACTIONS = 3


def find(results) -> Iterator[Finding | Table]:
    known = runs.runs_with(results, "train_fraction", *runs.TIMES)
    rows = times.medians(known, "train_fraction")
    yield Table("times", rows)
    begun, crossed, last = runs.crossings(known, "val")
    fractions = begun["train_fraction"].to_numpy(float)
    chosen = steep_end(fractions, np.isfinite(crossed))
    law = fit(fractions[chosen], crossed[chosen], last[chosen])
    yield Table("law", [law_row(law, fractions[chosen])] if chosen.any() else [])
    yield growth(law, begun[chosen], crossed[chosen])
    yield training(known, [row for row in rows if row["split"] == "train"])


def fit(fractions, crossed, last) -> survival.TimeLaw:
    if not len(fractions):
        return survival.TimeLaw(*[np.nan] * 6)
    return survival.fit_growth(fractions, crossed, last)


def law_row(law: survival.TimeLaw, fractions: np.ndarray) -> dict:
    ends = {"from": fractions.min(), "to": fractions.max()}
    return {"intercept": law.intercept, "slope": law.slope} | ends


def growth(law: survival.TimeLaw, fitted: pd.DataFrame, crossed: np.ndarray) -> Finding:
    """Per cent more updates to 99% validation for each 1% of the table less.

    A run that had not got there when its training was cut short may make the slope steeper.
    """
    ours = Estimate(law.value, law.low, law.high)
    here = "no slope: too few runs got there"
    verdict = finding.by_overlap(ours, *PAPER, weaker=ours.low > 0)
    unfinished = int((np.isnan(crossed) & ~fitted["status"].isin(ENDED)).sum())
    if not np.isnan(ours.value):
        ends = 100 * fitted["train_fraction"]
        here = f"{interval(ours, '+.0f', '%')} each, from {ends.max():.3g} to {ends.min():.3g}%"
    if unfinished:
        verdict = finding.IN_PART if ours.low > 0 else finding.NOT_TESTED
        here += f", {unfinished} of {len(fitted)} runs open"
    return Finding(
        "growth",
        "more updates for each 1% less data",
        "+40 to +50% (S5, near 25 to 30%)",
        here,
        verdict,
        *ours,
        unit="% more updates for each 1% less data",
        **runs.size(fitted),
        censored=int(np.isnan(crossed).sum()),
    )


def training(known: pd.DataFrame, rows: list[dict]) -> Finding:
    """Whether updates to 99% training stay within a factor of ten at every fraction."""
    medians = np.array([row["median"] for row in rows])
    low, high = PAPERS_TRAINING
    verdict, here = finding.NOT_TESTED, "not reached"
    if len(medians) and np.isfinite(medians).all():
        inside = (low <= medians).all() and (medians <= high).all()
        narrow = medians.max() <= high / low * medians.min()
        verdict = finding.NOT_REPRODUCED if not narrow else finding.IN_PART
        verdict = finding.REPRODUCED if inside else verdict
        here = f"medians {span(medians)}"
    return Finding(
        "training",
        "updates to 99% training at every fraction",
        "within 10³ to 10⁴",
        here,
        finding.by_seeds(verdict, runs.size(known)["seeds"]),
        np.nan,
        medians.min(initial=np.inf),
        medians.max(initial=-np.inf),
        unit="updates",
        **runs.size(known),
        censored=sum(row["censored"] for row in rows),
    )


def steep_end(fractions: np.ndarray, crossed: np.ndarray) -> np.ndarray:
    """Which runs [n] the slope is fitted to.

    They reach from the least fraction at which any run crossed to 5 points above the least at which
    most runs did, or to the third such fraction where the grid is coarser.
    """
    reached = np.unique(fractions[crossed])
    if not reached.size:
        return np.zeros(len(fractions), bool)
    mostly = [at for at in reached if crossed[fractions == at].mean() > 0.5] or reached
    last = max(mostly[min(LEAST_FRACTIONS, len(mostly)) - 1], mostly[0] + STEEP_RANGE)
    return (fractions >= reached[0]) & (fractions <= last + 1e-9)
