"""Times to 99% when some runs never get there: medians, growth laws and all intervals.

A time is a number of updates, NaN where a run never crossed. `censored_at` is the last update at
which a run was still followed: one number for all runs, or one for each. A budget is never taken
for a time: medians come from the Kaplan-Meier estimate, slopes from a censored normal likelihood.
All intervals are 95%.
"""

import warnings
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats
from scipy.special import log_ndtr

from grok.experiment import GrokError

LEVEL = 0.95
DRAWS = 500
PAIR_DRAWS = 5000  # of rank correlations: so many cost little, and the seed no longer matters
LEAST_FOR_INTERVAL = 7  # runs; fewer show their range
SWAPS = 9999
ROUNDING = 1e-9
LEAST_SCATTER = 1e-3  # of log time: evaluations are further apart than 0.1%, no fit is sharper


class Estimate(NamedTuple):
    """A number with its 95% interval: NaN where the data do not say, infinite where it is open."""

    value: float
    low: float
    high: float


class SurvivalCurve(NamedTuple):
    """Share of runs that have not crossed from each of `times` on, with its 95% band, [n_times].

    A step function.
    """

    times: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray


class TimeLaw(NamedTuple):
    """A fitted law log(time) = intercept + slope x + N(0, scatter^2), with its headline number.

    value, low, high: that number and its 95% interval, in the unit that the fitting function names.
    """

    value: float
    low: float
    high: float
    intercept: float
    slope: float
    scatter: float


class Durations(NamedTuple):
    """When each run [n] crossed or was last followed, and whether it crossed (`observed`)."""

    updates: np.ndarray
    observed: np.ndarray


UNKNOWN = Estimate(np.nan, np.nan, np.nan)


def durations(times, censored_at) -> Durations:
    """The durations of runs from their times [n], NaN for "never"."""
    times = np.asarray(times, float)
    last = np.broadcast_to(np.asarray(censored_at, float), times.shape)
    observed = np.isfinite(times)
    if not np.all(np.isfinite(last) | observed):
        raise GrokError(
            "a run without a crossing time has no last update: give censored_at for every such run"
        )
    if np.any(times[observed] > last[observed]):
        raise GrokError(
            "a run crosses after censored_at: give the last update at which it was followed"
        )
    return Durations(np.where(observed, times, last), observed)


def kaplan_meier(times, observed) -> SurvivalCurve:
    """Product-limit estimate of the share of runs that have not crossed (Kaplan and Meier 1958).

    times, observed [n]: those of `Durations`. The band is the log-log transform of Greenwood's
    variance. Where the estimate is 1 or 0 that variance is undefined, and the band is the estimate
    itself.
    """
    censored = ~np.asarray(observed, bool)
    curve = stats.ecdf(stats.CensoredData.right_censored(np.asarray(times, float), censored)).sf
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The confidence interval is undefined", RuntimeWarning)
        band = curve.confidence_interval(LEVEL, method="log-log")
    share = curve.probabilities
    certain = (share == 0) | (share == 1)
    low, high = (np.where(certain, share, side.probabilities) for side in (band.low, band.high))
    return SurvivalCurve(curve.quantiles, share, low, high)


def median_time(times, censored_at) -> Estimate:
    """Median time of runs [n], some censored, with the interval of Brookmeyer and Crowley (1982).

    Without censoring the median is the ordinary one. It is NaN when half of the runs never cross.
    The interval is where the (log-log) band of the survival curve holds one half: `low` is the last
    update followed if the band stays above it, `high` is infinite if the band never falls below it.
    With n < LEAST_FOR_INTERVAL uncensored runs it is the range of the runs, which covers the median
    with probability 1 - 2^(1-n): 75% for 3, 94% for 5.
    """
    if np.size(times) == 0:
        return UNKNOWN
    updates, observed = durations(times, censored_at)
    curve = kaplan_meier(updates, observed)
    low = first(curve.times, curve.low <= 0.5 + ROUNDING, otherwise=updates.max())
    high = first(curve.times, curve.high < 0.5 - ROUNDING, otherwise=np.inf)
    reached = first(curve.times, curve.share <= 0.5 + ROUNDING, otherwise=np.nan)
    passed = first(curve.times, curve.share < 0.5 - ROUNDING, otherwise=np.nan)
    return Estimate((reached + passed) / 2, low, high)


def first(times: np.ndarray, holds: np.ndarray, otherwise: float) -> float:
    """The first of `times` at which a condition holds, or `otherwise` if it never does."""
    return float(times[np.argmax(holds)]) if holds.any() else otherwise


def crossing_fraction(fractions, successes, seeds) -> Estimate:
    """Data fraction at which a run first succeeds (passes 99%): median and interval over seeds.

    One entry a run: its data fraction, whether it succeeded, its seed. The crossing of a seed is
    the smallest fraction at which it succeeded, so the grid limits the resolution. A seed that
    never succeeds is censored at the largest fraction it tried. Then as in `median_time`.
    """
    fractions, seeds = np.asarray(fractions, float), np.asarray(seeds)
    successes = np.asarray(successes, bool)
    crossings, largest = [], []
    for seed in np.unique(seeds):
        crossings.append(fractions[successes & (seeds == seed)].min(initial=np.inf))
        largest.append(fractions[seeds == seed].max())
    return median_time(np.where(np.isinf(crossings), np.nan, crossings), largest)


def censored_line(x: np.ndarray, log_times: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Maximum likelihood [intercept, slope, scatter] of intercept + slope x + N(0, scatter^2).

    A censored entry says only that its log time is larger (Tobit). In the parameters (intercept,
    slope, 1) / scatter the log-likelihood is concave (Olsen 1978), so there is one optimum. NaN
    when fewer than three runs crossed, or all that crossed share one x.
    """
    if observed.sum() < 3 or np.ptp(x[observed]) == 0:
        return np.full(3, np.nan)
    centre, deviation, level = x.mean(), x.std(), log_times.mean()
    design = np.stack([np.ones_like(x), (x - centre) / deviation], axis=1)
    heights = log_times - level
    start, *_ = np.linalg.lstsq(design, heights, rcond=None)
    scatter = max(np.std(heights - design @ start), LEAST_SCATTER)
    fit = optimize.minimize(
        olsen_likelihood,
        np.append(start, 1) / scatter,
        (design, heights, observed),
        jac=True,
        method="L-BFGS-B",
        bounds=[(None, None), (None, None), (1e-6, 1 / LEAST_SCATTER)],
    )
    a, b, precision = fit.x
    slope = b / precision / deviation
    return np.array([a / precision + level - slope * centre, slope, 1 / precision])


def olsen_likelihood(theta, design, heights, observed) -> tuple[float, np.ndarray]:
    """Mean negative log-likelihood of a censored normal line, and its gradient [3].

    theta: (intercept, slope, 1) / scatter.
    """
    residual = theta[2] * heights - design @ theta[:2]
    log_tail = log_ndtr(-residual)
    hazard = np.exp(-0.5 * residual**2 - 0.5 * np.log(2 * np.pi) - log_tail)
    value = np.where(observed, 0.5 * residual**2 - np.log(theta[2]), -log_tail)
    pull = np.where(observed, residual, hazard)
    gradient = np.append(-design.T @ pull, pull @ heights - observed.sum() / theta[2])
    return value.mean(), gradient / len(heights)


def bootstrap(statistic, arrays, seed: int, clusters=None, draws: int = DRAWS) -> np.ndarray:
    """`statistic(*arrays)` on resamples of the entries of `arrays` with replacement, [draws, ...].

    clusters [n]: entries with the same label depend on each other. Then whole clusters are drawn,
    as many as there are.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(len(arrays[0]))
    if clusters is not None:
        labels = np.unique(clusters, return_inverse=True)[1]
    members = [np.flatnonzero(labels == label) for label in range(labels.max() + 1)]
    values = []
    for _ in range(draws):
        drawn = rng.integers(len(members), size=len(members))
        entries = np.concatenate([members[i] for i in drawn])
        values.append(statistic(*(array[entries] for array in arrays)))
    return np.array(values)


def interval(sample: np.ndarray) -> tuple[float, float]:
    """Central 95% of a sample without its NaN entries; (NaN, NaN) if nothing is left."""
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return np.nan, np.nan
    low, high = np.quantile(sample, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def time_law(x, times, censored_at, headline, seed: int) -> TimeLaw:
    """Censored line of log(time) on x [n]; `headline` turns a slope into the reported number.

    The interval is the percentile bootstrap over runs. Resamples that determine no line are left
    out.
    """
    updates, observed = durations(times, censored_at)
    if np.any(updates <= 0):
        raise GrokError("the law of a time needs times above 0")
    runs = np.asarray(x, float), np.log(updates), observed
    intercept, slope, scatter = map(float, censored_line(*runs))
    if np.isnan(slope):
        return TimeLaw(*UNKNOWN, intercept, slope, scatter)
    slopes = bootstrap(censored_line, runs, seed)[:, 1]
    return TimeLaw(headline(slope), *interval(headline(slopes)), intercept, slope, scatter)


def fit_growth(fractions, times, censored_at, seed: int = 0) -> TimeLaw:
    """Per cent more updates for each 1% of the operation table less data.

    fractions [n]: training data in (0, 1). The line is that of log(time) on 100 x fraction. The
    paper reports 40-50% for S5 near 25-30% data (Fig 1, centre). The caller chooses which runs
    belong to that range.
    """
    percent = 100 * np.asarray(fractions, float)
    return time_law(percent, times, censored_at, lambda slope: 100 * np.expm1(-slope), seed)


def power_law(scales, times, censored_at, seed: int = 0) -> TimeLaw:
    """The exponent a of time ~ scale^-a, for instance over weight decays [n] > 0.

    The line is that of log(time) on log(scale).
    """
    scales = np.asarray(scales, float)
    if np.any(scales <= 0):
        raise GrokError(
            "a power law needs values above 0: "
            "leave out runs at 0, such as those without weight decay"
        )
    return time_law(np.log(scales), times, censored_at, np.negative, seed)


def mean_or_range(values, seed: int = 0) -> Estimate:
    """Mean of values [n] with its percentile bootstrap interval, or the range of few values.

    Neither leaves the values' own range, so a share stays in [0, 1] and a count is never below 0.
    Fewer than LEAST_FOR_INTERVAL values show their range; a single one has no interval. NaN entries
    are left out.
    """
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    if values.size == 0:
        return UNKNOWN
    mean = float(values.mean())
    if values.size == 1:
        return Estimate(mean, np.nan, np.nan)
    if values.size < LEAST_FOR_INTERVAL:
        return Estimate(mean, float(values.min()), float(values.max()))
    drawn = np.random.default_rng(seed).choice(values, (PAIR_DRAWS, values.size))
    return Estimate(mean, *interval(drawn.mean(axis=1)))


def spearman_interval(x, y, seed: int = 0, clusters=None) -> Estimate:
    """Spearman's rank correlation of x and y [n], with a percentile bootstrap over pairs.

    clusters [n]: pairs with the same label, such as seeds of one setting, are resampled together.
    NaN when x or y is constant.
    """
    pairs = np.asarray(x, float), np.asarray(y, float)
    if not len(pairs[0]):
        return UNKNOWN
    sample = bootstrap(spearman, pairs, seed, clusters, PAIR_DRAWS)
    return Estimate(float(spearman(*pairs)), *interval(sample))


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Rank correlation of x and y [n], NaN without a warning where undefined."""
    x, y = (stats.rankdata(values) - (len(values) + 1) / 2 for values in (x, y))
    with np.errstate(invalid="ignore"):
        return (x * y).sum() / np.sqrt((x**2).sum() * (y**2).sum())


def paired_ratio(times, others, seed: int = 0) -> Estimate:
    """Median of times / others, both [n], with a percentile bootstrap over pairs.

    Pairs with a NaN ("never") are left out.
    """
    ratios = np.asarray(times, float) / np.asarray(others, float)
    ratios = ratios[np.isfinite(ratios)]
    if not ratios.size:
        return UNKNOWN
    sample = bootstrap(np.median, (ratios,), seed)
    return Estimate(float(np.median(ratios)), *interval(sample))


def ratio_of_medians(times, others, seed: int = 0) -> Estimate:
    """Median of times over that of others, both [n] and paired; NaN is "never" and counts as such.

    Runs that never crossed were all followed to one budget, so that the Kaplan-Meier median is that
    with "never" as infinite. The interval is the percentile bootstrap over pairs, whose ends may be
    0 or infinite. NaN where half of both never got there, and for such resamples, left out.
    """
    pairs = [np.where(np.isnan(each), np.inf, each) for each in map(np.asarray, (times, others))]
    if not pairs[0].size:
        return UNKNOWN
    n = pairs[0].size
    drawn = np.random.default_rng(seed).integers(n, size=(PAIR_DRAWS, n))
    sample = median_over_median(*(each[drawn] for each in pairs))
    sample = sample[~np.isnan(sample)]
    if not sample.size:
        return UNKNOWN
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(sample, tails, method="inverted_cdf")  # between inf and inf none lies
    return Estimate(float(median_over_median(*pairs)), float(low), float(high))


def median_over_median(times: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Ratios of medians over the last axis of times, infinite for never; NaN where both are."""
    with np.errstate(invalid="ignore"):
        return np.median(times, axis=-1) / np.median(others, axis=-1)


def holm(p_values) -> np.ndarray:
    """P values [n] corrected for their number (Holm 1979); NaN stays, and is not counted."""
    p_values = np.asarray(p_values, float)
    corrected = np.full(p_values.shape, np.nan)
    order = np.argsort(p_values)[: np.isfinite(p_values).sum()]
    left = len(order) - np.arange(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(left * p_values[order]), 1)
    return corrected


def logrank_scores(updates: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Whether each run [n] crossed, less the cumulative hazard up to its last update.

    (Peto and Peto 1972.) The hazard is that of all runs. The sum of the scores over one arm is the
    log-rank statistic: its crossings less those expected if the arms were alike.
    """
    crossings, events = np.unique(updates[observed], return_counts=True)
    at_risk_CN = updates >= crossings[:, None]
    return observed - (events / at_risk_CN.sum(1)) @ at_risk_CN


def paired_logrank(arm: tuple, other: tuple, seed: int = 0) -> float:
    """Two-sided p of the log-rank statistic of two paired arms, by permutation.

    arm, other: each (times, censored_at), both [n]; entry i of one is paired with entry i of the
    other. Under the null hypothesis the two of a pair could be swapped. A swap changes the sign of
    their difference in score.
    """
    updates, observed = durations(*(np.concatenate(both) for both in zip(arm, other)))
    scores = logrank_scores(updates, observed).reshape(2, -1)
    differences = scores[0] - scores[1]
    swaps = np.random.default_rng(seed).choice([-1, 1], size=(SWAPS, len(differences)))
    extreme = np.abs(swaps @ differences) >= abs(differences.sum()) - ROUNDING
    return float((1 + extreme.sum()) / (1 + SWAPS))


def wilson_interval(successes: int, n: int) -> Estimate:
    """Share of successes among n, with Wilson's score interval; (NaN, 0, 1) for n = 0."""
    if n == 0:
        return Estimate(np.nan, 0.0, 1.0)
    test = stats.binomtest(int(successes), int(n))
    return Estimate(successes / n, *map(float, test.proportion_ci(LEVEL, method="wilson")))
