"""Analogies, parallelograms, dimension and loops against planted structures and brute force."""

import itertools
import sys

import numpy as np
import pytest

from grok.analysis import geometry
from grok.analysis.nulls import null_distribution
from grok.experiment import GrokError

P = 97


def circle(k, p=P):
    angle = 2 * np.pi * k * np.arange(p) / p
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def circles(frequencies, d=64, noise=0.0):
    axes = np.linalg.qr(gaussian(d, d, seed=1))[0]
    W = np.concatenate([circle(k) for k in frequencies], axis=1)
    return W @ axes[: W.shape[1]] + 1 + noise * gaussian(P, d)


def gaussian(n=P, d=128, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def accuracies(W, frequencies):
    return (
        geometry.analogies(W, frequencies, count=500)
        .set_index(["space", "rule", "similarity"])
        .accuracy.sort_index()
    )


# --- Analogies ---


@pytest.mark.parametrize("p", [5, 6, 97])
def test_quadruples_are_analogies_of_four_different_tokens(p):
    abcd = geometry.analogy_quadruples(p, 300)
    assert abcd.shape == (300, 4)
    a, b, c, d = abcd.T
    assert ((d - c - b + a) % p == 0).all()
    assert all(len(set(row)) == 4 for row in abcd.tolist())
    assert set(abcd.ravel().tolist()) == set(range(p))


@pytest.mark.parametrize("similarity", geometry.SIMILARITIES)
def test_analogy_accuracy_is_the_argmin_over_the_other_tokens(similarity):
    x, abcd = gaussian(13, 3), geometry.analogy_quadruples(13, 60)
    distance = {
        "cosine": lambda u, v: -u @ v / np.linalg.norm(u) / np.linalg.norm(v),
        "dot": lambda u, v: -u @ v,
        "l2": lambda u, v: np.linalg.norm(u - v),
    }[similarity]
    hits = []
    for a, b, c, d in abcd.tolist():
        guess = x[c] + x[b] - x[a]
        hits.append(min(set(range(13)) - {a, b, c}, key=lambda t: distance(guess, x[t])) == d)
    assert 0 < np.mean(hits) < 1
    assert geometry.analogy_accuracy(
        geometry.additive_guess(x, abcd), x, abcd, similarity
    ) == pytest.approx(np.mean(hits))


def test_a_line_obeys_additive_analogies_that_do_not_wrap():
    abcd = geometry.analogy_quadruples(P, 2000)
    a, b, c, d = abcd.T
    unwrapped = abcd[d == c + b - a]
    x = np.outer(np.arange(P), [1.0, 2.0])
    assert geometry.analogy_accuracy(geometry.additive_guess(x, unwrapped), x, unwrapped, "l2") == 1


def test_a_circle_obeys_the_rotation_and_not_the_addition():
    accuracy = accuracies(circles([12]), [12])
    assert (accuracy.loc[:, "rotation"] == 1).all()
    assert (accuracy.loc[:, "additive"] < 0.2).all()


def test_rotation_in_key_planes_survives_noise_and_other_frequencies():
    accuracy = accuracies(circles([48, 37, 10, 28], noise=0.1), [48, 37, 10, 28])
    assert (accuracy.loc["key", "rotation"] > 0.95).all()
    assert (accuracy.loc["raw", "rotation"] < accuracy.loc["key", "rotation"].min()).all()


def test_permuted_rows_are_near_chance():
    W = circles([48, 37, 10, 28], noise=0.1)
    null = null_distribution(lambda rows: accuracies(rows, [48, 37, 10, 28]).to_numpy(), W, draws=3)
    assert (null < 0.2).all()


def test_without_frequencies_only_raw_rows_are_scored_and_random_ones_are_at_chance():
    frame = geometry.analogies(gaussian(), [])
    assert set(frame.space) == {"raw"} and len(frame) == 6
    assert frame.chance.unique().tolist() == [1 / 94]
    assert (frame.accuracy < 0.04).all()


# --- Parallelograms ---


def closing_parallelograms(x_TC, tolerance=0.01):
    """Share of closing parallelograms of standardised coordinates, by an explicit loop."""
    p, closed = len(x_TC), []
    pairs = list(itertools.combinations_with_replacement(range(p), 2))
    for (a, d), (b, c) in itertools.combinations(pairs, 2):
        if (a + d - b - c) % p == 0:
            closed.append(((x_TC[a] + x_TC[d] - x_TC[b] - x_TC[c]) ** 2).mean() < tolerance)
    return np.mean(closed)


def test_parallelogram_scores_count_what_closes_in_each_plane():
    grid = np.stack(
        [np.arange(12) // 4, np.arange(12) % 4], axis=1
    )  # equal columns: the plane's axes are these
    W = np.concatenate([grid * [5, 4.0], 0.1 * gaussian(12, 2)], axis=1)
    values, vectors = np.linalg.eigh(np.cov(W.T))
    x = (W - W.mean(0)) @ vectors[:, np.argsort(-values)]
    x /= x.std(axis=0)
    expected = [closing_parallelograms(x[:, :2], 0.3), closing_parallelograms(x[:, 2:], 0.3)]
    assert 0 < expected[1] < expected[0] < 1
    np.testing.assert_allclose(geometry.parallelogram_scores(W, tolerance=0.3), expected)


def test_a_line_closes_the_parallelograms_that_do_not_wrap():
    line = np.outer(np.arange(P), [3.0, -1.0])
    (score,) = geometry.parallelogram_scores(line)
    x = line[:, :1] / line[:, 0].std()
    assert score == pytest.approx(closing_parallelograms(x), abs=1e-12)
    assert score > 0.6
    assert (
        null_distribution(lambda rows: geometry.parallelogram_scores(rows)[0], line, draws=5).max()
        < 0.1
    )


def test_a_matrix_of_rank_one_is_a_plane_of_one_dimension():
    x = gaussian(12, 1)
    expected = closing_parallelograms((x - x.mean()) / x.std(), 0.3)
    assert geometry.parallelogram_scores(x @ [[1.0, 2.0]], tolerance=0.3) == pytest.approx(expected)


# --- Dimension ---


def test_effective_rank_counts_equal_directions():
    basis = np.linalg.qr(np.column_stack([np.ones(30), gaussian(30, 7)]))[0][
        :, 1:
    ]  # orthonormal and centred
    assert geometry.effective_rank(basis) == pytest.approx(7)
    assert geometry.effective_rank(np.outer(np.arange(30), np.ones(4))) == pytest.approx(
        1, abs=1e-6
    )
    s = np.array([0.5, 0.25, 0.25])
    assert geometry.effective_rank(basis[:, :3] * s) == pytest.approx(
        np.exp(-(s * np.log(s)).sum())
    )


@pytest.mark.parametrize("dimension", [1, 2, 4])
def test_intrinsic_dimension_of_uniform_samples(dimension):
    sample = np.random.default_rng(0).uniform(size=(1500, dimension)) @ gaussian(dimension, 12)
    assert geometry.intrinsic_dimension_twonn(sample) == pytest.approx(dimension, rel=0.15)
    assert geometry.intrinsic_dimension_mle(sample) == pytest.approx(dimension, rel=0.15)


def test_intrinsic_dimension_ignores_coinciding_rows_and_scale():
    sample = np.random.default_rng(0).uniform(size=(200, 2))
    doubled = 1e-3 * np.concatenate([sample, sample])
    for estimate in (geometry.intrinsic_dimension_twonn, geometry.intrinsic_dimension_mle):
        assert estimate(doubled) == pytest.approx(estimate(sample))


def test_an_evenly_spaced_circle_needs_more_than_two_neighbours():
    assert geometry.intrinsic_dimension_twonn(circles([12])) == np.inf
    assert 0.8 < geometry.intrinsic_dimension_mle(circles([12])) < 1.6


# --- Loops ---


def test_loops_without_the_optional_package_name_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ripser", None)
    with pytest.raises(GrokError, match="pip install ripser"):
        geometry.persistent_loops(circles([12]))


def test_a_circle_has_one_long_loop_and_a_torus_two():
    pytest.importorskip("ripser")
    life = np.diff(geometry.persistent_loops(circles([12]))).ravel()
    assert life[0] > 0.5 and (life[1:] < 0.1 * life[0]).all()
    u, v = np.divmod(np.arange(256), 16)
    torus = np.concatenate([circle(1, 16)[u], circle(1, 16)[v]], axis=1)
    life = np.diff(geometry.persistent_loops(torus)).ravel()
    assert life[1] > 0.9 * life[0] and (life[2:] < 0.5 * life[1]).all()


# --- Bad input ---


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: geometry.analogies(np.full((P, 3), np.nan), [1]), "291 non-finite"),
        (lambda: geometry.analogies(gaussian(4, 3), [1]), "at least 5 tokens"),
        (lambda: geometry.analogies(gaussian(), [60]), "choose 1..48"),
        (
            lambda: geometry.analogy_accuracy(
                gaussian(5), gaussian(5), geometry.analogy_quadruples(5, 5), "manhattan"
            ),
            "cosine, dot, l2",
        ),
        (lambda: geometry.effective_rank(np.ones((P, 3))), "all rows of the matrix are equal"),
        (
            lambda: geometry.intrinsic_dimension_twonn(gaussian(2, 3)[np.arange(20) % 2]),
            "only 2 rows of the matrix differ",
        ),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(GrokError, match=message) as error:
        call()
    assert "\n" not in str(error.value)
