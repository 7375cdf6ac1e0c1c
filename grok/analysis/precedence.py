"""What comes first in training? Crossing times of two curves of each run, compared across runs."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from grok.analysis.survival import LEVEL, Estimate

LEAST_POINTS = 4


class Precedence(NamedTuple):
    """Runs in which the first event came before the second, of those decided; p of a two-sided sign test; the median ratio.

    ratio: update of the second event over that of the first, with a 95% interval; infinite where the second
    event never came in most runs.
    """

    before: int
    decided: int
    p_value: float
    ratio: Estimate


def crossing(steps, values, level: float, rising: bool) -> float:
    """The update at which a curve first reaches `level`, between two points on a line in log(1 + update); NaN if never.

    steps [m] ascending, values [m]; entries with NaN are left out.
    """
    steps, values = np.asarray(steps, float), np.asarray(values, float)
    known = ~np.isnan(values)
    steps, height = np.log1p(steps[known]), (values[known] - level) * (1 if rising else -1)
    if not (height >= 0).any():
        return np.nan
    i = int(np.argmax(height >= 0))
    if i == 0:
        return float(np.expm1(steps[0]))
    return float(np.expm1(np.interp(0, height[i - 1 : i + 1], steps[i - 1 : i + 1])))


def followed(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of `table` (run, step, operand, error, val_accuracy) whose curve is known at 4 updates or more: fewer tell no order."""
    known = table.groupby(["run", "operand"])["val_accuracy"].transform("count")
    return table[known >= LEAST_POINTS]


def halfway_times(table: pd.DataFrame) -> pd.DataFrame:
    """For every run and operand, when the equivariance error has halved and when validation accuracy passes 50%.

    table: run, step, operand, error, val_accuracy, with the untrained network at step 0. Both times are read
    from the same snapshots, so that neither curve is known more finely than the other, and only of networks that
    were `followed`. Columns run, operand,
    untrained_error, error_halved_at, val_50_at; NaN where a run's snapshots never get there.
    """
    records = []
    for (run, operand), curve in followed(table).sort_values("step").groupby(["run", "operand"]):
        untrained = curve.error.iloc[0]
        fallen = crossing(curve.step, curve.error, untrained / 2, rising=False)
        records.append(
            (
                run,
                operand,
                untrained,
                fallen,
                crossing(curve.step, curve.val_accuracy, 0.5, rising=True),
            )
        )
    return pd.DataFrame(
        records, columns=["run", "operand", "untrained_error", "error_halved_at", "val_50_at"]
    )


def precedence(first, second) -> Precedence:
    """Does the first event precede the second? Times [n] of both in n runs, NaN for never.

    A run in which only one event came is decided by it; one with neither, or with both at the same update, is
    not. The interval of the median ratio is that of the sign test (order statistics), so it needs no
    distribution and takes "never" as it is; its ends are open (0, infinite) for fewer than 6 runs.
    """
    first, second = (
        np.nan_to_num(np.asarray(times, float), nan=np.inf) for times in (first, second)
    )
    some = np.isfinite(first) | np.isfinite(second)
    with np.errstate(divide="ignore"):
        ratio = np.sort((1 + second[some]) / (1 + first[some]))
    before, decided = int((ratio > 1).sum()), int((ratio != 1).sum())
    if not len(ratio):
        return Precedence(0, 0, np.nan, Estimate(np.nan, np.nan, np.nan))
    p_value = float(stats.binomtest(before, decided).pvalue) if decided else np.nan
    rank = int(
        stats.binom.ppf((1 - LEVEL) / 2, len(ratio), 0.5)
    )  # P(X < rank) <= 2.5%: the interval runs between order statistics
    low, high = (float(ratio[rank - 1]), float(ratio[-rank])) if rank else (0.0, np.inf)
    middle = ratio[[(len(ratio) - 1) // 2, len(ratio) // 2]]
    return Precedence(before, decided, p_value, Estimate(float(middle.mean()), low, high))
