"""Nanda et al. (2023) at their own size: key frequencies, and when networks generalise."""

from collections.abc import Iterator

import numpy as np

from grok.analysis import survival
from grok.measure.findings import finding, networks, ranking, runs
from grok.measure.findings.finding import Finding, Table
from grok.measure.findings.words import interval, number, span

KEYS = 5
CLEAN_UP = (9_400, 14_000)  # the phase in which validation accuracy rises, in updates


def find(results) -> Iterator[Finding | Table]:
    rows = ranking.ranked(results)
    yield Table("networks", rows)
    yield keys([row for row in rows if row["generalised"]])
    yield generalises(runs.runs_with(results, *runs.TIMES))
    yield from networks.computes(results)


def keys(rows: list[dict]) -> Finding:
    """The number of key frequencies of the output layers that generalised."""
    counts = [row["n_keys"] for row in rows]
    verdict, here = finding.NOT_TESTED, "–"
    if counts:
        verdict = finding.IN_PART if min(counts) <= KEYS <= max(counts) else finding.NOT_REPRODUCED
        verdict = finding.REPRODUCED if np.median(counts) == KEYS else verdict
        here = f"{span(counts)} in {len(counts)} networks"
    return Finding(
        "keys",
        "key frequencies of x+y mod 113",
        "Nanda et al.: 5",
        here,
        finding.by_seeds(verdict, len(counts)),
        float(np.median(counts)) if counts else np.nan,
        unit="key frequencies, median",
        runs=len(counts),
        seeds=len(counts),
    )


def generalises(known) -> Finding:
    """Whether 99% validation is reached in the phase that they call clean-up."""
    begun, crossed, last = runs.crossings(known, "val")
    _, trained, _ = runs.crossings(known, "train")
    median = survival.median_time(crossed, last)
    here = "not reached"
    if not np.isnan(median.value):
        memorised = number(survival.median_time(trained, last).value)
        here = f"{interval(median)}, training at {memorised}"
    return Finding(
        "generalises",
        "99% validation comes in the clean-up, long after training",
        "Nanda et al.: 9,400 to 14,000 updates",
        here,
        finding.by_overlap(median, *CLEAN_UP, weaker=not np.isnan(median.value)),
        *median,
        unit="updates",
        **runs.size(begun),
        censored=int(np.isnan(crossed).sum()),
    )
