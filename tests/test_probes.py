"""Residue probes find what is planted and nothing in noise, and are what scikit-learn's own estimators compute."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier

from grok.analysis import probes
from grok.experiment import GrokError


def gaussian(n=97, d=16, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def circle(k, n=97, noise=0.05):
    angle = 2 * np.pi * k * np.arange(n) / n
    return np.concatenate([np.stack([np.cos(angle), np.sin(angle)], 1), np.zeros((n, 6))], 1) + noise * gaussian(n, 8)


def test_probes_find_the_residue_that_neighbours_share():
    found = probes.residue_probes(circle(12)).set_index("k").loc[8]
    assert found.accuracy > 0.7 and found.p_value == 0.001 and found.holm < 0.05, "the circle of frequency 12 = 97/8 puts equal residues mod 8 side by side"
    assert found.null_mean < 0.25


def test_probes_of_a_random_matrix_are_at_chance():
    found = probes.residue_probes(gaussian(), moduli=(2, 5, 13), draws=400)
    assert (found.holm > 0.05).all() and ((found.null_low <= found.null_mean) & (found.null_mean <= found.null_high)).all()
    assert (abs(found.null_mean - 1 / found.k) < 0.08).all()


@pytest.mark.parametrize("probe, k", [("ridge", 3), ("ridge", 8), ("knn", 3), ("knn", 8)])
def test_the_fast_probes_are_the_estimators_they_stand_for(probe, k):
    x, labels = circle(12)[:60, :4], np.arange(60) % k
    train, test = np.arange(60) % 3 > 0, np.arange(60) % 3 == 0
    if probe == "ridge":
        expected = Ridge(alpha=probes.RIDGE).fit(x[train], np.eye(k)[labels[train]]).predict(x[test]).argmax(1)
        weights = probes.ridge_weights(x[train], x[test])
    else:
        expected = KNeighborsClassifier(probes.NEIGHBOURS, weights="distance").fit(x[train], labels[train]).predict(x[test])
        weights = probes.neighbour_weights(x[train], x[test])
    np.testing.assert_array_equal((weights @ np.eye(k)[labels[train]]).argmax(1), expected)


def test_no_token_votes_on_its_own_fold():
    smooth = probes.smoother(gaussian(12, 3), probes.ridge_weights, seed=0)
    assert ((smooth == 0).sum(axis=1) == 4).all() and (np.diag(smooth) == 0).all()


def test_holm_on_a_worked_example():
    np.testing.assert_allclose(probes.holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005])), [0.03, 0.06, np.nan, 0.06, 0.02])


def test_a_residue_with_too_few_tokens_is_not_scored():
    found = probes.residue_probes(gaussian(30), moduli=(10, 11), draws=2)
    assert found.scored.tolist() == [True, False]
    assert found.accuracy.isna().tolist() == found.holm.isna().tolist() == [False, True]


def test_a_matrix_too_small_is_one_clear_line():
    with pytest.raises(GrokError, match="at least 8 tokens"):
        probes.residue_probes(gaussian(7))
