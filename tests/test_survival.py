"""Survival estimates against a published worked example, closed forms and planted laws."""

import warnings

import numpy as np
import pytest
from scipy import stats

from grok.analysis import survival
from grok.experiment import GrokError

# Freireich et al. (1963), weeks of remission of 21 patients on 6-mercaptopurine; "+" is censored.
REMISSION = [
    "6",
    "6",
    "6",
    "6+",
    "7",
    "9+",
    "10",
    "10+",
    "11+",
    "13",
    "16",
    "17+",
    "19+",
    "20+",
    "22",
    "23",
    "25+",
    "32+",
    "32+",
    "34+",
    "35+",
]
WEEKS = np.array([float(word.rstrip("+")) for word in REMISSION])
RELAPSED = np.array(["+" not in word for word in REMISSION])


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_kaplan_meier_gives_the_published_remission_curve():
    curve = survival.kaplan_meier(WEEKS, RELAPSED)
    published = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    ours = {week: curve.share[list(curve.times).index(week)] for week in published}
    assert ours == pytest.approx(published, abs=5e-4)
    assert np.all((curve.low <= curve.share) & (curve.share <= curve.high))


def test_band_is_greenwoods_on_the_log_log_scale():
    curve = survival.kaplan_meier(WEEKS, RELAPSED)
    share = (1 - 3 / 21) * (1 - 1 / 17)
    greenwood = 3 / (21 * 18) + 1 / (17 * 16)
    half = 1.959964 * np.sqrt(greenwood) / np.log(share)
    at = list(curve.times).index(7)
    assert sorted([curve.low[at], curve.high[at]]) == pytest.approx(
        sorted([share ** np.exp(half), share ** np.exp(-half)]), rel=1e-5
    )


def test_median_of_the_remission_times_is_open_above():
    times = np.where(RELAPSED, WEEKS, np.nan)
    assert survival.median_time(times, WEEKS) == (23, 13, np.inf)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 6, 7, 10])
def test_without_censoring_the_median_is_the_ordinary_one(n):
    times = np.random.default_rng(n).permutation(np.arange(1, n + 1) ** 2.0)
    estimate = survival.median_time(times, 1000)
    assert estimate.value == pytest.approx(np.median(times))
    assert times.min() <= estimate.low <= estimate.value <= estimate.high <= times.max()


def test_interval_covers_the_median_as_often_as_it_says():
    rng = np.random.default_rng(0)
    inside = []
    for times in rng.exponential(size=(300, 30)):
        budget = 1.5
        estimate = survival.median_time(np.where(times < budget, times, np.nan), budget)
        inside.append(estimate.low <= np.log(2) <= estimate.high)
    assert 0.90 <= np.mean(inside) <= 0.99


def test_budget_is_never_taken_for_a_time():
    assert np.isnan(survival.median_time([np.nan] * 5, 1000).value)
    assert survival.median_time([np.nan] * 5, 1000)[1:] == (1000, np.inf)
    assert np.isnan(survival.median_time([10, 20, np.nan, np.nan], 1000).value)
    assert survival.median_time([10, 20, 30, np.nan, np.nan], 1000).value == 30
    assert all(np.isnan(survival.median_time([], 1000)))


def test_a_run_cut_short_counts_only_while_it_was_followed():
    # The run lost at 5 leaves three at risk: the share falls to 3/4, 3/4 x 2/3 = 1/2, then 1/4.
    assert survival.median_time([4, 6, np.nan, 8, 9], [100, 100, 5, 100, 100]).value == 8


def test_contradictory_times_are_refused():
    with pytest.raises(GrokError, match="censored_at"):
        survival.median_time([np.nan], np.nan)
    with pytest.raises(GrokError, match="crosses after"):
        survival.median_time([200], 100)


def test_crossing_fraction_is_the_median_over_seeds_of_the_first_success():
    grid = np.array([0.2, 0.3, 0.4, 0.5])
    passes = np.array([[0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1]], bool)
    seeds = np.repeat([0, 1, 2], 4)
    assert survival.crossing_fraction(np.tile(grid, 3), passes.ravel(), seeds) == (0.4, 0.3, 0.5)
    never = survival.crossing_fraction(np.tile(grid, 3), np.zeros(12, bool), seeds)
    assert np.isnan(never.value) and never.low == 0.5 and never.high == np.inf


def planted_times(rng, x, slope, scatter, budget):
    times = np.exp(9 + slope * x + scatter * rng.normal(size=x.size))
    return np.where(times < budget, times, np.nan)


def test_growth_recovers_a_planted_slope_that_budgets_would_hide():
    fractions = np.repeat(np.linspace(0.25, 0.34, 10), 7)
    times = planted_times(
        np.random.default_rng(1), 100 * (fractions - 0.30), np.log(1 / 1.45), 0.4, budget=20_000
    )
    assert 0.2 < np.isnan(times).mean() < 0.5
    law = survival.fit_growth(fractions, times, 20_000)
    assert law.low < 45 < law.high
    assert law.value == pytest.approx(45, abs=8)
    assert law.scatter == pytest.approx(0.4, abs=0.1)
    assert np.exp(law.intercept + law.slope * 30) == pytest.approx(np.exp(9), rel=0.2)
    naive = np.polyfit(100 * fractions, np.log(np.nan_to_num(times, nan=20_000)), 1)[0]
    assert 100 * np.expm1(-naive) < law.low


def test_growth_without_censoring_is_least_squares():
    rng = np.random.default_rng(2)
    fractions = rng.uniform(0.2, 0.6, 40)
    times = planted_times(rng, 100 * fractions, -0.1, 0.3, budget=np.inf)
    law = survival.fit_growth(fractions, times, 1e9)
    line = stats.linregress(100 * fractions, np.log(times))
    assert (law.slope, law.intercept) == pytest.approx((line.slope, line.intercept), rel=1e-3)
    half = stats.t.ppf(0.975, 38) * line.stderr
    assert law.high - law.low == pytest.approx(
        100 * (np.exp(-line.slope + half) - np.exp(-line.slope - half)), rel=0.25
    )


def test_likelihood_gradient_is_that_of_finite_differences():
    rng = np.random.default_rng(3)
    design, heights, observed = (
        np.stack([np.ones(9), rng.normal(size=9)], 1),
        rng.normal(size=9),
        np.arange(9) % 3 > 0,
    )
    theta = np.array([0.3, -0.7, 1.4])
    _, gradient = survival.olsen_likelihood(theta, design, heights, observed)
    value = lambda point: survival.olsen_likelihood(point, design, heights, observed)[0]
    numeric = [(value(theta + step) - value(theta - step)) / 2e-6 for step in 1e-6 * np.eye(3)]
    assert gradient == pytest.approx(numeric, rel=1e-6)


def test_power_law_recovers_one_over_decay():
    decays = np.repeat([0.1, 0.2, 0.5, 1.0, 2.0], 5)
    times = planted_times(np.random.default_rng(4), np.log(decays), -1.0, 0.2, budget=50_000)
    law = survival.power_law(decays, times, 50_000)
    assert np.isnan(times).any()
    assert law.value == pytest.approx(1, abs=0.15)
    assert law.low < 1 < law.high
    with pytest.raises(GrokError, match="above 0"):
        survival.power_law([0, 1, 2], [1, 2, 3], 10)


def test_a_law_that_the_runs_do_not_determine_is_nan():
    assert np.isnan(survival.fit_growth([0.3, 0.4, 0.5], [np.nan] * 3, 100)).all()
    assert np.isnan(survival.fit_growth([0.3, 0.3, 0.3, 0.4], [5, 6, 7, np.nan], 100)).all()
    assert np.isnan(survival.fit_growth([], [], 100)).all()


def test_law_survives_times_without_scatter():
    fractions = np.array([0.3, 0.4, 0.5, 0.6, 0.7])
    law = survival.fit_growth(fractions, np.exp(10 - 5 * fractions), 1e6)
    assert law.value == pytest.approx(100 * np.expm1(0.05), rel=1e-3)


def test_few_values_show_their_range_and_many_the_interval_of_their_mean():
    few = [0.0, 50.0, np.nan, 100.0, 90.0]
    assert survival.mean_or_range(few) == (60, 0, 100)
    many = np.arange(survival.LEAST_FOR_INTERVAL) ** 2.0
    reference = stats.bootstrap((many,), np.mean, method="percentile", rng=1).confidence_interval
    assert survival.mean_or_range(many) == pytest.approx(
        (many.mean(), reference.low, reference.high), rel=0.05
    )
    assert survival.mean_or_range(many[1:])[1:] == (1, 36)
    assert (
        survival.mean_or_range([2.0])[0] == 2 and np.isnan(survival.mean_or_range([2.0])[1:]).all()
    )
    assert np.isnan(survival.mean_or_range([])).all()


def test_the_interval_of_a_mean_stays_in_the_range_of_its_values():
    shares = [1.0] * 7 + [0.2]  # Student's interval of these reaches 1.14.
    mean, low, high = survival.mean_or_range(shares)
    assert mean == pytest.approx(0.9) and 0.2 <= low < 0.9 < high == 1


def test_rank_correlations_are_scipys():
    rng = np.random.default_rng(6)
    x, y = rng.integers(5, size=(2, 40, 12)).astype(float)  # with ties
    assert np.isnan(survival.spearman(np.full(12, 3.0), y[0]))
    assert [survival.spearman(a, b) for a, b in zip(x, y)] == pytest.approx(
        [stats.spearmanr(a, b).statistic for a, b in zip(x, y)]
    )


def test_the_interval_of_a_rank_correlation_does_not_hang_on_the_seed():
    rng = np.random.default_rng(7)
    x = rng.normal(size=20)
    y = x + rng.normal(size=20)
    ends = np.array([survival.spearman_interval(x, y, seed)[1:] for seed in range(10)])
    assert np.ptp(ends, axis=0).max() < 0.05


def test_spearman_interval_is_near_fishers():
    rng = np.random.default_rng(5)
    x = rng.normal(size=60)
    y = x + rng.normal(size=60)
    estimate = survival.spearman_interval(x, np.exp(y))
    assert estimate.value == pytest.approx(stats.spearmanr(x, y).statistic)
    fisher = np.tanh(np.arctanh(estimate.value) + 1.96 * 1.03 / np.sqrt(57) * np.array([-1, 1]))
    assert (estimate.low, estimate.high) == pytest.approx(fisher, abs=0.08)
    assert np.isnan(survival.spearman_interval([1, 1, 1], [1, 2, 3])).all()
    assert np.isnan(survival.spearman_interval([], [])).all()


def test_copies_in_a_cluster_do_not_narrow_the_interval():
    rng = np.random.default_rng(6)
    x = rng.normal(size=12)
    y = x + rng.normal(size=12)
    alone = survival.spearman_interval(x, y)
    copies = [np.repeat(array, 5) for array in (x, y)]
    names = np.repeat([f"setting {i:02d}" for i in range(12)], 5)
    order = rng.permutation(60)
    clustered = survival.spearman_interval(
        *(array[order] for array in copies), clusters=names[order]
    )
    assert clustered == pytest.approx(
        alone
    )  # copies of a setting change no rank, and the same settings are drawn
    pairs = survival.spearman_interval(*copies)
    assert pairs.high - pairs.low < 0.7 * (alone.high - alone.low)


def test_clusters_are_drawn_whole():
    clusters = np.array([1, 0, 1, 0, 2, 1])
    drawn = survival.bootstrap(
        lambda values: np.bincount(values, minlength=6), [np.arange(6)], 0, clusters
    )
    for cluster in range(3):
        of_cluster = drawn[:, clusters == cluster]
        assert (of_cluster == of_cluster[:, :1]).all() and set(of_cluster[:, 0]) >= {0, 1, 2}
    assert (drawn[:, [0, 1, 4]].sum(1) == 3).all()


def test_wilson_interval_by_its_formula():
    z, n, share = stats.norm.ppf(0.975), 16, 3 / 16
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    assert survival.wilson_interval(3, 16) == pytest.approx((share, centre - half, centre + half))
    assert survival.wilson_interval(0, 0)[1:] == (0, 1)


# --- Pairs ---

PLACEBO = np.array(
    [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], float
)  # Freireich's other patients, all relapsed


def test_logrank_scores_add_up_to_the_published_statistic():
    scores = survival.logrank_scores(
        np.concatenate([WEEKS, PLACEBO]), np.concatenate([RELAPSED, np.ones(21, bool)])
    )
    assert scores[:21].sum() == pytest.approx(9 - 19.25, abs=0.01) and scores[
        21:
    ].sum() == pytest.approx(21 - 10.75, abs=0.01)


def test_swapped_pairs_give_the_exact_p_value():
    """Five pairs can be swapped in 32 ways; scipy counts them all, on scores added up by hand."""
    times, others = np.array([3, 5, 8, np.nan, 9]), np.array([4, 7, 6, 20, np.nan])
    p = survival.paired_logrank((times, np.full(5, 30.0)), (others, np.full(5, 30.0)))
    ends = np.nan_to_num(np.concatenate([times, others]), nan=30)
    scores = []
    for t in ends:
        hazard = sum(1 / (ends >= u).sum() for u in ends if u < 30 and u <= t)
        scores.append((t < 30) - hazard)
    a, b = np.split(np.array(scores), 2)
    exact = stats.permutation_test(
        (a, b), lambda a, b: (a - b).sum(), permutation_type="samples", n_resamples=np.inf
    )
    assert p == pytest.approx(exact.pvalue, abs=0.02)
    assert survival.paired_logrank((times, np.full(5, 30.0)), (times, np.full(5, 30.0))) == 1


def test_a_shift_within_pairs_is_seen_where_pairs_differ_much():
    rng = np.random.default_rng(0)
    base = np.exp(rng.normal(7, 1, 16))
    slower = base * np.exp(rng.normal(0.3, 0.1, 16))
    last = np.full(16, 1e6)
    assert survival.paired_logrank((slower, last), (base, last)) < 0.01
    estimate = survival.paired_ratio(slower, base)
    assert estimate.low <= np.exp(0.3) <= estimate.high and estimate.value == pytest.approx(
        np.exp(0.3), rel=0.1
    )


def test_pairs_without_a_time_have_no_ratio():
    assert survival.paired_ratio([2, np.nan, 6], [1, 5, np.nan]).value == 2
    assert all(np.isnan(survival.paired_ratio([np.nan], [3])))
