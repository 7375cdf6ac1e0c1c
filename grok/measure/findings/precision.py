"""Beyond the paper: does the precision of matrix products change when networks grok?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from grok.analysis import survival
from grok.measure.findings import finding, runs
from grok.measure.findings.finding import Finding, Table
from grok.measure.findings.words import interval

REFERENCE = "float32"
PRECISIONS = (REFERENCE, "tf32", "bf16")
ALIKE = (0.8, 1.25)  # A ratio of times within these is no difference that matters.
LEAST_PAIRS = 2


def find(results) -> Iterator[Finding | Table]:
    known = runs.runs_with(results, "precision", *runs.TIMES)
    begun, crossed, last = runs.crossings(known, "val")
    begun = begun.assign(crossed=crossed, last=last)
    medians, reached = [], []
    for name in PRECISIONS:
        here = begun[begun["precision"] == name]
        if len(here):
            median = survival.median_time(here["crossed"], here["last"])
            medians.append(
                {"precision": name, "runs": len(here)}
                | {"median": median.value, "low": median.low, "high": median.high}
            )
            reached += share_over_time(here, name)
    yield Table("medians", medians)
    yield Table("reached", reached)
    pairs = by_seed(begun)
    for name in PRECISIONS[1:]:
        yield compared(pairs, name, known, is_its_own(results, name))


def is_its_own(results, name: str) -> bool:
    """Whether a precision was computed apart from float32 in any session, as far as is known."""
    computed = [session.get("precisions", {}) for session in results.description["sessions"]]
    return any(of.get(name, name) != of.get(REFERENCE, REFERENCE) for of in computed)


def share_over_time(here: pd.DataFrame, name: str) -> list[dict]:
    """The share of runs at 99% by update (Kaplan-Meier), with its band, a row a step."""
    curve = survival.kaplan_meier(*survival.durations(here["crossed"], here["last"]))
    steps = np.concatenate([[1], curve.times])
    share, low, high = (
        1 - np.concatenate([[1], values]) for values in (curve.share, curve.high, curve.low)
    )
    return [
        {"precision": name, "step": step, "share": s, "low": a, "high": b}
        for step, s, a, b in zip(steps, share, low, high)
    ]


def by_seed(begun: pd.DataFrame) -> pd.DataFrame:
    """A row a seed: of each precision the updates to 99% and the last update followed.

    Updates are NaN for never; both are NaN where the run did not begin.
    """
    return begun.pivot_table(
        index="seed", columns="precision", values=["crossed", "last"], dropna=False
    )


def compared(pairs: pd.DataFrame, name: str, known: pd.DataFrame, distinct: bool) -> Finding:
    """One precision against full float32, seed by seed.

    distinct: whether the device computed them differently; where not, nothing is compared.
    """
    both, ratio, p = pairs.head(0), survival.UNKNOWN, np.nan
    if len(pairs) and {name, REFERENCE} <= set(pairs["last"].columns):
        both = pairs[pairs["last"][[name, REFERENCE]].notna().all(axis=1)]
    if distinct and len(both) >= LEAST_PAIRS:
        mine, other = (
            (both["crossed", which].to_numpy(), both["last", which].to_numpy())
            for which in (name, REFERENCE)
        )
        ratio, p = survival.paired_ratio(mine[0], other[0]), survival.paired_logrank(mine, other)
    here = f"ratio {interval(ratio, '.2f')}, p = {p:.2g}" if len(both) >= LEAST_PAIRS else "–"
    return Finding(
        name,
        f"{name} groks when float32 does",
        "",
        here if distinct or not len(both) else "both were computed in float32",
        verdict_of(ratio),
        *ratio,
        unit="times the updates in float32, median over seeds",
        **runs.size(known[known["precision"].isin([name, REFERENCE])]),
        censored=int(both["crossed"].isna().any(axis=1).sum()) if len(both) else 0,
    )


def verdict_of(ratio: survival.Estimate) -> str:
    """Alike where the whole interval is near 1, different where it leaves 1 out."""
    if np.isnan(ratio.low):
        return finding.NOT_TESTED
    if ALIKE[0] <= ratio.low and ratio.high <= ALIKE[1]:
        return finding.REPRODUCED
    return finding.IN_PART if ratio.low <= 1 <= ratio.high else finding.NOT_REPRODUCED
