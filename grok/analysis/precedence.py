"""What comes first in training? Crossing times of two curves of each run, compared across runs."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from grok.analysis.survival import LEVEL, Estimate

LEAST_POINTS = 4  # evaluations of a curve; fewer tell no order


class Precedence(NamedTuple):
    """In how many of the decided runs the first event came before the second.

    p_value: of a two-sided sign test. ratio: the median of the update of the second event over that
    of the first, with a 95% interval; infinite if the second event never came in most runs.
    """

    before: int
    decided: int
    p_value: float
    ratio: Estimate


def crossing(steps, values, level: float, rising: bool) -> float:
    """The update at which a curve first reaches `level`; NaN if never.

    steps [m] ascending, values [m]; entries with NaN are left out. Between two points the curve is
    a line in log(1 + update).
    """
    steps, values = np.asarray(steps, float), np.asarray(values, float)
    known = ~np.isnan(values)
    steps, height = np.log1p(steps[known]), values[known] - level
    if not rising:
        height = -height
    if not (height >= 0).any():
        return np.nan
    i = int(np.argmax(height >= 0))
    if i == 0:
        return float(np.expm1(steps[0]))
    return float(np.expm1(np.interp(0, height[i - 1 : i + 1], steps[i - 1 : i + 1])))


def followed(curves: pd.DataFrame) -> pd.DataFrame:
    """The rows of the curves that were evaluated often enough to tell an order.

    curves: columns run, step, operand, error, val_accuracy.
    """
    known = curves.groupby(["run", "operand"])["val_accuracy"].transform("count")
    return curves[known >= LEAST_POINTS]


def halfway_times(curves: pd.DataFrame) -> pd.DataFrame:
    """When the equivariance error has halved and when validation accuracy passes 50%.

    curves: run, step, operand, error, val_accuracy, with the untrained network at step 0. Both
    times are read from the same snapshots, so that neither is known more finely, and only from
    `followed` curves. A row for each run and operand: run, operand, untrained_error,
    error_halved_at, val_50_at; NaN where the snapshots never get there.
    """
    records = []
    for (run, operand), curve in followed(curves).sort_values("step").groupby(["run", "operand"]):
        untrained = curve.error.iloc[0]
        halved_at = crossing(curve.step, curve.error, untrained / 2, rising=False)
        passed_at = crossing(curve.step, curve.val_accuracy, 0.5, rising=True)
        records.append((run, operand, untrained, halved_at, passed_at))
    columns = ["run", "operand", "untrained_error", "error_halved_at", "val_50_at"]
    return pd.DataFrame(records, columns=columns)


def precedence(first, second) -> Precedence:
    """Does the first event precede the second? Times [n] of both in n runs, NaN for never.

    A run with only one of the events is decided. A run with neither, or with both at the same
    update, is not. The interval of the median ratio is that of the sign test (order statistics): it
    assumes no distribution and takes "never" as it is. Its ends are open (0, infinite) for fewer
    than 6 runs.
    """
    first = np.nan_to_num(np.asarray(first, float), nan=np.inf)
    second = np.nan_to_num(np.asarray(second, float), nan=np.inf)
    some = np.isfinite(first) | np.isfinite(second)
    with np.errstate(divide="ignore"):
        ratio = np.sort((1 + second[some]) / (1 + first[some]))
    before, decided = int((ratio > 1).sum()), int((ratio != 1).sum())
    if not len(ratio):
        return Precedence(0, 0, np.nan, Estimate(np.nan, np.nan, np.nan))
    p_value = float(stats.binomtest(before, decided).pvalue) if decided else np.nan
    # P(X < rank) <= 2.5%, so the interval runs from the rank-th lowest to the rank-th highest.
    rank = int(stats.binom.ppf((1 - LEVEL) / 2, len(ratio), 0.5))
    low, high = (float(ratio[rank - 1]), float(ratio[-rank])) if rank else (0.0, np.inf)
    middle = ratio[[(len(ratio) - 1) // 2, len(ratio) // 2]]
    return Precedence(before, decided, p_value, Estimate(float(middle.mean()), low, high))
