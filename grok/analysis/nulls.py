"""The null model of a structure that relates the number of a token to its row: permuted rows."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from grok.analysis.matrix_rows import token_matrix


def null_distribution(
    score: Callable[[np.ndarray], float | np.ndarray], W, draws: int = 200, seed: int = 0
) -> np.ndarray:
    """`score` of `W` with its rows permuted at random, [draws, ...]."""
    W = token_matrix(W)
    rng = np.random.default_rng(seed)
    return np.array([score(W[rng.permutation(len(W))]) for _ in range(draws)])


ROUNDING = 1e-6  # relative: numbers that differ by less are equal, for networks are of float32


def equal(observed: float, null: np.ndarray) -> np.ndarray:
    """Which null scores [R] are the observed one but for rounding."""
    return np.isclose(null, observed, rtol=ROUNDING, atol=0)


def p_value(observed: float, null: np.ndarray) -> float:
    """Share of null scores at least as large as `observed`; the observation counts as one of them.

    So it is never 0.
    """
    null = np.asarray(null, float)
    at_least = (null >= observed) | equal(observed, null)
    return float((1 + np.count_nonzero(at_least)) / (1 + len(null)))


class NullSummary(NamedTuple):
    """Mean and central 95% of a null distribution, and the p-value of the observed score."""

    mean: float
    low: float
    high: float
    p_value: float


def null_summary(observed: float, null: np.ndarray) -> NullSummary:
    """An `observed` score beside its null [R], NaN draws left out; all NaN without a null.

    A null that gives nothing but the observed number is none: what it permutes cannot change the
    score. Only a count may well be the same in every draw.
    """
    null = np.asarray(null, float)
    null = null[~np.isnan(null)]
    if not len(null) or np.isnan(observed) or compares_with_itself(observed, null):
        return NullSummary(np.nan, np.nan, np.nan, np.nan)
    with np.errstate(invalid="ignore"):  # between infinite draws there is no quantile
        low, high = map(float, np.quantile(null, [0.025, 0.975]))
    return NullSummary(float(null.mean()), low, high, p_value(observed, null))


def compares_with_itself(observed: float, null: np.ndarray) -> bool:
    """Whether every null score [R] is the observed one, and that is no count."""
    return not float(observed).is_integer() and bool(equal(observed, null).all())


def gaps(found: Iterable[tuple[str, float, np.ndarray, float]]) -> list[str]:
    """What is wrong with scores that have no value, or whose null is none, a line each.

    found: of each score its name, its value, its null [R] and the p-value in `null_summary`.
    """
    valueless: dict[str, None] = {}
    alone: dict[str, None] = {}
    for name, value, null, p in found:
        if np.isnan(value):
            valueless[name] = None
        elif len(null) and np.isnan(p):
            alone[name] = None
    lines = []
    if valueless:
        lines.append(f"{', '.join(valueless)}: what is measured does not vary, so it has no value")
    if alone:
        lines.append(f"{', '.join(alone)}: the null is left out, since it cannot vary")
    return lines
