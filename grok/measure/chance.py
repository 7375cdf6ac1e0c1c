"""A score of a matrix beside what it would be by chance."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from grok.analysis import nulls

PERMUTED, PARTITIONS = "tokens permuted", "tokens permuted, best of as many partitions"
DRAWS, SLOW_DRAWS, LARGE_DRAWS = 199, 39, 999
SIGNIFICANT = 0.05


class Score(NamedTuple):
    """A number, and what it would be by chance: `null` [R], draws of what `null_name` says.

    smaller: whether small values mean structure. None: both small and large ones do.
    """

    name: str
    value: float
    null: np.ndarray = np.empty(0)
    null_name: str = ""
    smaller: bool | None = False
    detail: str = ""


Scorer = Callable[[], Iterable[Score]]  # computes scores of one kind when it is called


def null_summary(score: Score) -> nulls.NullSummary:
    """`nulls.null_summary` of a score; the p-value is that of the side that means structure."""
    if not score.smaller:
        found = nulls.null_summary(score.value, score.null)
        if score.smaller is None and not np.isnan(found.p_value):
            distance_R = np.abs(score.null - found.mean)
            p = nulls.p_value(abs(score.value - found.mean), distance_R)
            return found._replace(p_value=p)
        return found
    found = nulls.null_summary(-score.value, -score.null)
    return nulls.NullSummary(-found.mean, -found.high, -found.low, found.p_value)


def null_draws(values: Callable[[np.ndarray], np.ndarray], W, draws: int, count: int) -> np.ndarray:
    """`nulls.null_distribution` of `count` values at once, [count, draws]; draws may be 0."""
    return nulls.null_distribution(values, W, draws).T if draws else np.empty((count, 0))


def gaps(scores: Iterable[Score]) -> list[str]:
    """`nulls.gaps` of scores."""
    return nulls.gaps(
        (score.name, score.value, score.null, null_summary(score).p_value) for score in scores
    )
