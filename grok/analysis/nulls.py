"""The null model of a structure that relates the number of a token to its row: permuted rows."""

from collections.abc import Callable
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


def p_value(observed: float, null: np.ndarray) -> float:
    """Share of null scores at least as large as `observed`; the observation counts as one of them.

    So it is never 0.
    """
    return float((1 + np.count_nonzero(np.asarray(null) >= observed)) / (1 + len(null)))


class NullSummary(NamedTuple):
    """Mean and central 95% of a null distribution, and the p-value of the observed score."""

    mean: float
    low: float
    high: float
    p_value: float


def null_summary(observed: float, null: np.ndarray) -> NullSummary:
    """An `observed` score beside its null [R], NaN draws left out; all NaN without a null."""
    null = np.asarray(null, float)
    null = null[~np.isnan(null)]
    if not len(null) or np.isnan(observed):
        return NullSummary(np.nan, np.nan, np.nan, np.nan)
    low, high = map(float, np.quantile(null, [0.025, 0.975]))
    return NullSummary(float(null.mean()), low, high, p_value(observed, null))
