"""Residue probes find what is planted, nothing in noise, and agree with scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsClassifier

from grok.analysis import probes
from grok.experiment import GrokError


def gaussian(n=97, d=16, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def circle(k, n=97, noise=0.05):
    angle = 2 * np.pi * k * np.arange(n) / n
    points = np.stack([np.cos(angle), np.sin(angle)], 1)
    return np.concatenate([points, np.zeros((n, 6))], 1) + noise * gaussian(n, 8)


def test_probes_find_the_residue_that_neighbours_share():
    """The circle of frequency 12 = 97/8 puts equal residues mod 8 side by side."""
    found = probes.residue_test(circle(12)).scores.set_index("k").loc[8]
    assert found.accuracy > 0.7 and found.p_value == 0.001 and found.holm < 0.05
    assert found.null_mean < 0.25


def test_probes_of_a_random_matrix_are_at_chance():
    found = probes.residue_test(gaussian(), moduli=(2, 5, 13), draws=400).scores
    assert (found.holm > 0.05).all()
    assert (found.null_low <= found.null_mean).all() and (found.null_mean <= found.null_high).all()
    assert (abs(found.null_mean - 1 / found.k) < 0.08).all()


@pytest.mark.parametrize("probe, k", [("ridge", 3), ("ridge", 8), ("knn", 3), ("knn", 8)])
def test_the_fast_probes_are_the_estimators_they_stand_for(probe, k):
    x, labels = circle(12)[:60, :4], np.arange(60) % k
    train, test = np.arange(60) % 3 > 0, np.arange(60) % 3 == 0
    if probe == "ridge":
        ridge = Ridge(alpha=probes.RIDGE).fit(x[train], np.eye(k)[labels[train]])
        expected = ridge.predict(x[test]).argmax(1)
        weights = probes.ridge_weights(x[train], x[test])
    else:
        knn = KNeighborsClassifier(probes.NEIGHBOURS, weights="distance")
        expected = knn.fit(x[train], labels[train]).predict(x[test])
        weights = probes.neighbour_weights(x[train], x[test])
    np.testing.assert_array_equal((weights @ np.eye(k)[labels[train]]).argmax(1), expected)


def test_the_best_modulus_is_read_by_the_librarys_own_estimators_too():
    test = probes.residue_test(circle(12), draws=99)
    row = test.best().row[0]
    best = test.scores.loc[row]
    x, labels, predicted = test.features_TC, np.arange(97) % best.k, np.empty(97)
    for train, held_out in KFold(3, shuffle=True, random_state=0).split(x):
        logistic = LogisticRegression(tol=1e-2, max_iter=300).fit(x[train], labels[train])
        predicted[held_out] = logistic.predict(x[held_out])
    found = test.library_probes(draws=9)
    accuracy, excess = found["logistic"]
    assert accuracy == pytest.approx((predicted == labels).mean()) and len(excess) == 10
    assert excess[0] == pytest.approx(accuracy - best.null_mean)
    assert excess[0] > excess[1:].max() + 0.2
    assert best.probe == "knn"
    assert found["knn"].accuracy == pytest.approx(test.accuracies_KR[row, 0], abs=0.03)
    assert test.best().excess[0] > test.best().excess[1:].max()


def test_permuted_labellings_hardly_ever_read_a_modulus():
    """Each is judged by the others as the real one is: a false finding in at most 5% of them."""
    test = probes.residue_test(gaussian(), moduli=(2, 3, 5, 50), draws=400)
    null = test.null_readable(0.05)
    assert len(null) == 400 and 0 < (null > 0).mean() < 0.07
    clear = probes.residue_test(circle(12), moduli=(2, 3, 5, 8), draws=400)
    assert (clear.scores.holm < 0.05).sum() > np.quantile(clear.null_readable(0.05), 0.95)
    row = test.accuracies_KR[1]
    p = np.array([np.mean(row[1:] >= accuracy) for accuracy in row[1:]])  # of modulus 3 alone
    alone = probes.residue_test(gaussian(), moduli=(3,), draws=400)
    assert alone.null_readable(0.05).sum() == np.count_nonzero(p < 0.05)


def test_no_token_votes_on_its_own_fold():
    smooth = probes.smoother(gaussian(12, 3), probes.ridge_weights, seed=0)
    assert ((smooth == 0).sum(axis=1) == 4).all() and (np.diag(smooth) == 0).all()


def test_holm_on_a_worked_example():
    np.testing.assert_allclose(
        probes.holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005])), [0.03, 0.06, np.nan, 0.06, 0.02]
    )


def test_a_residue_with_too_few_tokens_is_not_scored():
    found = probes.residue_test(gaussian(30), moduli=(10, 11), draws=2).scores
    assert found.scored.tolist() == [True, False]
    assert found.accuracy.isna().tolist() == found.holm.isna().tolist() == [False, True]


def test_a_matrix_too_small_is_one_clear_line():
    with pytest.raises(GrokError, match="at least 8 tokens"):
        probes.residue_test(gaussian(7))
