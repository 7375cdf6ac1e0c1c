"""Scores of Z/p against planted structures, brute force and published values."""

import numpy as np
import pytest

from grok.analysis import fourier, logarithm
from grok.analysis.matrix_rows import centred
from grok.analysis.nulls import null_distribution, p_value
from grok.analysis.similarity import circulant_score, cosine_similarity, dot_similarity, number_line
from grok.experiment import GrokError
from grok.measure import cyclic_scores, matrix_scores
from grok.task.operations import structure

P = 97


def circles(frequencies, p=P, d=16, noise=0.0, radii=None, seed=0):
    """A matrix [p, d]: a circle of each frequency in its own plane, an offset and noise."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0]
    W = rng.normal(size=d) + noise * rng.normal(size=(p, d))
    for i, k in enumerate(frequencies):
        angle = 2 * np.pi * k * np.arange(p) / p
        wave = np.stack([np.cos(angle), np.sin(angle)], axis=1) * (1 if radii is None else radii[i])
        W = W + wave @ axes[2 * i : 2 * i + 2]
    return W


def gaussian(seed=0, p=P, d=128):
    return np.random.default_rng(seed).normal(size=(p, d))


# --- Spectrum ---


@pytest.mark.parametrize("p", [3, 6, 8, 97])
def test_fourier_basis_is_orthonormal_and_its_rows_are_the_named_waves(p):
    basis = fourier.fourier_basis(p)
    np.testing.assert_allclose(basis @ basis.T, np.eye(p), atol=1e-12)
    t = np.arange(p)
    np.testing.assert_allclose(basis[0], basis[0, 0])
    for k in range(1, (p - 1) // 2 + 1):
        assert np.corrcoef(basis[2 * k - 1], np.cos(2 * np.pi * k * t / p))[0, 1] == pytest.approx(
            1
        )
        assert np.corrcoef(basis[2 * k], np.sin(2 * np.pi * k * t / p))[0, 1] == pytest.approx(1)
    if p % 2 == 0:
        assert (basis[-1][:-1] * basis[-1][1:] < 0).all()


@pytest.mark.parametrize("p", [7, 10])
def test_frequency_norms_are_the_norms_of_the_projections_on_the_basis(p):
    W = gaussian(p=p, d=5)
    coefficients = fourier.fourier_basis(p) @ W
    expected = [
        np.sqrt((coefficients[2 * k - 1 : 2 * k + 1] ** 2).sum()) for k in range(1, p // 2 + 1)
    ]
    np.testing.assert_allclose(fourier.frequency_norms(W), expected)
    share = fourier.frequency_power_share(W)
    np.testing.assert_allclose(share, np.square(expected) / ((W - W.mean(0)) ** 2).sum())


def test_gini_and_ipr_of_known_spectra():
    assert fourier.gini([3, 3, 3]) == 0
    assert fourier.gini([0, 0, 0, 7]) == pytest.approx(0.75)
    assert fourier.gini([1, 2, 3]) == pytest.approx(8 / (2 * 9 * 2))
    assert fourier.ipr([2, 2, 2, 2]) == pytest.approx(1 / 4)
    assert fourier.ipr([0, -5, 0]) == pytest.approx(1)
    assert fourier.ipr([1, 2]) == pytest.approx(17 / 25)


def test_key_frequencies_come_strongest_first_and_ignore_noise():
    W = circles([48, 5, 33], radii=[1.0, 2.0, 1.5], noise=0.1)
    assert fourier.key_frequencies(W).tolist() == [5, 33, 48]


def test_a_weak_but_significant_frequency_is_not_key():
    W = gaussian(d=512) + circles([20], d=512, radii=[2.5])
    share = fourier.frequency_power_share(W)
    null = null_distribution(lambda rows: fourier.frequency_power_share(rows).max(), W)
    assert null.max() < share[19] < 2 / 48
    assert fourier.key_frequencies(W).tolist() == []
    assert fourier.key_frequencies(W + circles([20], d=512, radii=[2.5])).tolist() == [20]


@pytest.mark.parametrize("d", [3, 24])
def test_random_matrices_have_no_key_frequencies(d):
    false_alarms = [
        len(fourier.key_frequencies(gaussian(seed, d=d), draws=100)) > 0 for seed in range(30)
    ]
    assert sum(false_alarms) <= 3


# --- Circles ---


def scores_of(W) -> dict[str, float]:
    """The spectrum scores by name, the step of the number line, and how much lengths vary."""
    spectrum = dict(
        zip(cyclic_scores.SPECTRUM, cyclic_scores.spectrum_values(cyclic_scores.Cyclic.of(W)))
    )
    norm_cv = matrix_scores.norm_cv(W)
    return spectrum | {"step": number_line(W)[0], "norm_cv": norm_cv}


@pytest.mark.parametrize("k", [1, 12, 48])
def test_a_clean_circle_is_found_by_every_score(k):
    W = circles([k])
    scores = scores_of(W)
    inverse = pow(k, -1, P)
    assert scores["circularity"] == pytest.approx(1)
    assert scores["circulant_cosine"] == pytest.approx(1)
    assert scores["circulant_dot"] == pytest.approx(1)
    assert scores["step"] == min(inverse, P - inverse)
    assert scores["number_line"] == pytest.approx(
        np.sin(np.pi / P) / (2 / np.pi), rel=0.02
    )  # neighbours' chord over the mean chord
    assert scores["gini"] == pytest.approx(1 - 1 / 48)
    assert scores["ipr"] == scores["top_share"] == pytest.approx(1)
    assert fourier.key_frequencies(W).tolist() == [k]


def test_the_paper_step_of_8_is_frequency_12_or_85():
    assert number_line(circles([12]))[0] == 8
    assert number_line(circles([85]))[0] == 8


def test_a_random_matrix_has_no_structure():
    scores = scores_of(gaussian())
    assert scores["circularity"] < 0.2
    assert scores["gini"] < 0.05
    assert scores["top_share"] < 0.05
    assert scores["circulant_cosine"] < 0.03
    assert scores["number_line"] > 0.95


def test_scores_ignore_offset_scale_and_rotation_of_the_rows():
    W = circles([12, 30], noise=0.2)
    axes = np.linalg.qr(gaussian(p=16, d=16))[0]
    before, after = (scores_of(rows) for rows in (W, 7 * W @ axes + 3))
    assert after == pytest.approx(before)


def test_circularity_is_the_published_formula_on_a_full_rank_matrix():
    W = circles([3, 7], p=31, noise=0.3)
    values, vectors = np.linalg.eigh((W - W.mean(0)) @ (W - W.mean(0)).T)
    wave = np.exp(2j * np.pi * np.outer(np.arange(31), np.arange(31)) / 31)
    parts = [max(2 * abs(v @ wave[1:].T) ** 2 / 31) for v in vectors.T[np.argsort(-values)][:4]]
    assert fourier.circularity(fourier.leading_components(W)) == pytest.approx(np.mean(parts))


def test_frequency_plane_places_tokens_on_their_angles():
    points = fourier.frequency_plane(circles([12, 5], radii=[2.0, 1.0]), 12)
    angle = np.unwrap(np.arctan2(points[:, 1], points[:, 0]))
    np.testing.assert_allclose(np.diff(angle), 2 * np.pi * 12 / P, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 2)
    statistics = fourier.circle_statistics(points, 12)
    assert statistics["radius_cv"] == pytest.approx(0, abs=1e-9)
    assert statistics["angle_error"] == pytest.approx(0, abs=1e-9)


def test_frequency_plane_keeps_an_ellipse():
    W = np.stack(
        [2 * np.cos(2 * np.pi * 3 * np.arange(P) / P), np.sin(2 * np.pi * 3 * np.arange(P) / P)],
        axis=1,
    )
    shear = np.array([[1.0, 0.5], [0.0, 1.0]])
    axes = np.linalg.qr(gaussian(p=6, d=2))[0]
    points = fourier.frequency_plane(W @ shear @ axes.T, 3)
    np.testing.assert_allclose(points @ points.T, W @ shear @ shear.T @ W.T, atol=1e-9)


def test_an_unused_frequency_shows_no_circle():
    W = circles([12, 30], noise=0.1, d=64)
    used, unused = (fourier.circle_statistics(fourier.frequency_plane(W, k), k) for k in (12, 5))
    assert used["radius_cv"] < 0.2 and used["angle_error"] < 10
    assert unused["radius_cv"] > 0.3 and unused["angle_error"] > 30


def test_angle_error_in_degrees_ignores_a_common_rotation():
    angle = 2 * np.pi * 7 * np.arange(P) / P + 1.0
    error = np.radians(10) * (-1.0) ** np.arange(P)
    points = np.stack([np.cos(angle + error), np.sin(angle + error)], axis=1)
    assert fourier.circle_statistics(points, 7)["angle_error"] == pytest.approx(10, rel=0.01)


# --- Similarity and the number line ---


def test_circulant_score_is_the_explained_variance_of_the_diagonals():
    S = gaussian(p=9, d=9) + np.subtract.outer(np.arange(9), np.arange(9)) % 9
    shifts = np.subtract.outer(np.arange(9), np.arange(9)) % 9
    fitted = np.zeros((9, 9))
    for shift in range(1, 9):
        fitted[shifts == shift] = S[shifts == shift].mean()
    values, fitted = S[shifts > 0], fitted[shifts > 0]
    unexplained = ((values - fitted) ** 2).sum() / ((values - values.mean()) ** 2).sum()
    assert circulant_score(S) == pytest.approx(1 - unexplained)


def test_cosine_ignores_the_norms_that_dot_products_see():
    W = centred(circles([5]))
    stretch = np.where(np.arange(P) < 50, 1.0, 1.5)[:, None]
    dots = (W * stretch) @ (W * stretch).T
    np.testing.assert_allclose(dot_similarity(W), W @ W.T, atol=1e-12)
    assert circulant_score(dots) < 0.97
    np.testing.assert_allclose(np.diag(cosine_similarity(gaussian())), 1)
    np.testing.assert_allclose(cosine_similarity(W), W @ W.T, atol=1e-9)


def test_number_line_scores_every_step_and_chooses_one_that_visits_every_token():
    W = gaussian(p=8, d=3)
    W[::2] += 50  # step 2 joins near rows, in two separate rings
    best, scores = number_line(W)
    pairs = np.mean([np.linalg.norm(W[i] - W[j]) for i in range(8) for j in range(i)])
    joints = [np.linalg.norm(W - np.roll(W, -m, axis=0), axis=1) for m in (1, 2, 3, 4)]
    expected = np.mean(joints, axis=1) / pairs
    np.testing.assert_allclose(scores, expected)
    assert scores.argmin() + 1 in (2, 4)
    assert best == (1 if expected[0] < expected[2] else 3)


# --- Discrete logarithm ---


@pytest.mark.parametrize("p, root", [(3, 2), (5, 2), (7, 3), (41, 6), (97, 5), (113, 3), (191, 19)])
def test_primitive_root(p, root):
    assert logarithm.primitive_root(p) == root


def test_discrete_log_order_turns_products_into_sums():
    order = logarithm.discrete_log_order(P)
    assert sorted(order) == list(range(1, P))
    log_t = np.zeros(P, int)
    log_t[order] = np.arange(P - 1)
    x, y = np.meshgrid(np.arange(1, P), np.arange(1, P))
    assert (log_t[x * y % P] == (log_t[x] + log_t[y]) % (P - 1)).all()


def test_sparse_spectra_tell_addition_from_multiplication():
    additive = circles([12, 31], noise=0.1)
    multiplicative = np.zeros_like(additive)
    multiplicative[logarithm.discrete_log_order(P)] = circles([7, 20], p=P - 1, noise=0.1)
    for W, axis, other in (
        (additive, "additive", "multiplicative"),
        (multiplicative, "multiplicative", "additive"),
    ):
        found = logarithm.axis_ginis(W, draws=100)
        assert logarithm.better_axis(found) == axis
        assert found[axis].gini > 5 * found[other].gini
        assert found[other].p_value > 0.01
    assert logarithm.better_axis(logarithm.axis_ginis(gaussian(), draws=100)) == "neither"


# --- Null model ---


def test_null_distribution_permutes_whole_rows():
    W = np.arange(10.0).reshape(5, 2)
    firsts = null_distribution(lambda rows: rows[0], W, draws=300)
    assert {tuple(row) for row in firsts} == {tuple(row) for row in W}
    np.testing.assert_allclose(null_distribution(lambda rows: rows.sum(), W, draws=5), 45)
    np.testing.assert_array_equal(firsts, null_distribution(lambda rows: rows[0], W, draws=300))


@pytest.mark.parametrize("p", [12, 31])
def test_the_quick_null_of_the_spectrum_is_that_of_permuted_rows(p):
    W = np.random.default_rng(2).normal(size=(p, 5)) + np.arange(p)[:, None]
    quick = fourier.permuted_power_shares(W, draws=9, seed=4)
    plain = null_distribution(fourier.frequency_power_share, W, draws=9, seed=4)
    np.testing.assert_allclose(quick, plain, rtol=1e-9, atol=1e-12)


def test_p_value_counts_the_observation_and_ties():
    assert p_value(2.0, np.array([1.0, 2.0, 3.0])) == pytest.approx(3 / 4)
    assert p_value(9.0, np.zeros(99)) == pytest.approx(0.01)


# --- Bad input ---


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: fourier.leading_components(np.full((P, 4), np.nan)), "388 non-finite entries"),
        (
            lambda: matrix_scores.matrix_scores(gaussian(p=99), structure("Z97")),
            "99 rows but the structure has 97",
        ),
        (
            lambda: cyclic_scores.cyclic_scorers(gaussian(p=120), structure("S5"), 0),
            "S5 is not a cyclic group.*coset_scores.*explained_by_irrep",
        ),
        (
            lambda: cyclic_scores.cyclic_scorers(gaussian(p=6), structure("Z2xZ3"), 0),
            "not a cyclic group",
        ),
        (lambda: fourier.frequency_norms(np.ones((P, 4))), "all rows of the matrix are equal"),
        (lambda: number_line(np.ones((P, 4))), "all rows of the matrix are equal"),
        (
            lambda: fourier.gini(fourier.frequency_norms(np.zeros((P, 4)))),
            "all rows of the matrix are equal",
        ),
        (lambda: fourier.leading_components(np.zeros(P)), r"shape \(97,\)"),
        (lambda: fourier.frequency_plane(gaussian(), 49), "choose 1..48"),
        (lambda: fourier.frequency_plane(circles([12]), 5), "no plane at frequency 5"),
        (lambda: circulant_score(gaussian()), "square"),
        (lambda: circulant_score(np.eye(P)), "all off-diagonal similarities are equal"),
        (lambda: logarithm.axis_ginis(gaussian(p=96)), "96 is none"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(GrokError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
