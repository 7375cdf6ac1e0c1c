"""Residue probes find what is planted and nothing in noise, and are what scikit-learn's own estimators compute."""

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
    return np.concatenate(
        [np.stack([np.cos(angle), np.sin(angle)], 1), np.zeros((n, 6))], 1
    ) + noise * gaussian(n, 8)


def test_probes_find_the_residue_that_neighbours_share():
    found = probes.residue_probes(circle(12)).set_index("k").loc[8]
    assert found.accuracy > 0.7 and found.p_value == 0.001 and found.holm < 0.05, (
        "the circle of frequency 12 = 97/8 puts equal residues mod 8 side by side"
    )
    assert found.null_mean < 0.25


def test_probes_of_a_random_matrix_are_at_chance():
    found = probes.residue_probes(gaussian(), moduli=(2, 5, 13), draws=400)
    assert (found.holm > 0.05).all() and (
        (found.null_low <= found.null_mean) & (found.null_mean <= found.null_high)
    ).all()
    assert (abs(found.null_mean - 1 / found.k) < 0.08).all()


@pytest.mark.parametrize("probe, k", [("ridge", 3), ("ridge", 8), ("knn", 3), ("knn", 8)])
def test_the_fast_probes_are_the_estimators_they_stand_for(probe, k):
    x, labels = circle(12)[:60, :4], np.arange(60) % k
    train, test = np.arange(60) % 3 > 0, np.arange(60) % 3 == 0
    if probe == "ridge":
        expected = (
            Ridge(alpha=probes.RIDGE)
            .fit(x[train], np.eye(k)[labels[train]])
            .predict(x[test])
            .argmax(1)
        )
        weights = probes.ridge_weights(x[train], x[test])
    else:
        expected = (
            KNeighborsClassifier(probes.NEIGHBOURS, weights="distance")
            .fit(x[train], labels[train])
            .predict(x[test])
        )
        weights = probes.neighbour_weights(x[train], x[test])
    np.testing.assert_array_equal((weights @ np.eye(k)[labels[train]]).argmax(1), expected)


def test_the_best_modulus_is_read_by_the_librarys_own_estimators_too():
    test = probes.residue_test(circle(12), draws=99)
    excess_R, best_R = test.best()
    k = test.table.k[best_R[0]]
    x, labels, predicted = test.features_TC, np.arange(97) % k, np.empty(97)
    for train, held_out in KFold(3, shuffle=True, random_state=0).split(x):
        predicted[held_out] = (
            LogisticRegression(tol=1e-2, max_iter=300)
            .fit(x[train], labels[train])
            .predict(x[held_out])
        )
    found = test.library_probes(draws=9)
    accuracy, library_R = found["logistic"]
    assert accuracy == pytest.approx((predicted == labels).mean()) and len(library_R) == 10
    assert (
        library_R[0] == pytest.approx(accuracy - test.table.null_mean[best_R[0]])
        and library_R[0] > library_R[1:].max() + 0.2
    )
    nearest = test.accuracies_KR[best_R[0], 0] if test.table.probe[best_R[0]] == "knn" else None
    assert nearest is None or found["knn"][0] == pytest.approx(nearest, abs=0.03)
    assert excess_R[0] > excess_R[1:].max()


def test_permuted_labellings_hardly_ever_read_a_modulus():
    """Each is judged by the others as the real one is: a false finding in at most 5% of them."""
    test = probes.residue_test(gaussian(), moduli=(2, 3, 5, 50), draws=400)
    null = test.null_readable(0.05)
    assert len(null) == 400 and 0 < (null > 0).mean() < 0.07
    clear = probes.residue_test(circle(12), moduli=(2, 3, 5, 8), draws=400)
    assert (clear.table.holm < 0.05).sum() > np.quantile(clear.null_readable(0.05), 0.95)
    row = test.accuracies_KR[1]
    p = [np.mean(row[1:] >= accuracy) for accuracy in row[1:]]  # of modulus 3 alone
    assert probes.residue_test(gaussian(), moduli=(3,), draws=400).null_readable(
        0.05
    ).sum() == np.count_nonzero(np.array(p) < 0.05)


def test_no_token_votes_on_its_own_fold():
    smooth = probes.smoother(gaussian(12, 3), probes.ridge_weights, seed=0)
    assert ((smooth == 0).sum(axis=1) == 4).all() and (np.diag(smooth) == 0).all()


def test_holm_on_a_worked_example():
    np.testing.assert_allclose(
        probes.holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005])), [0.03, 0.06, np.nan, 0.06, 0.02]
    )


def test_a_residue_with_too_few_tokens_is_not_scored():
    found = probes.residue_probes(gaussian(30), moduli=(10, 11), draws=2)
    assert found.scored.tolist() == [True, False]
    assert found.accuracy.isna().tolist() == found.holm.isna().tolist() == [False, True]


def test_a_matrix_too_small_is_one_clear_line():
    with pytest.raises(GrokError, match="at least 8 tokens"):
        probes.residue_probes(gaussian(7))
