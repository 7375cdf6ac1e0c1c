"""Classical models on token vectors: circles make the task linear, and controls do not."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from grok.analysis import classical
from grok.analysis.classical import bilinear, compare, fit_and_score, moment_matched, with_products
from grok.experiment import GrokError
from grok.task.operations import operation_table

P = 23


def circles(p, frequencies=(1, 2, 5)):
    angle_TK = 2 * np.pi * np.outer(np.arange(p), frequencies) / p
    return np.hstack([np.cos(angle_TK), np.sin(angle_TK)])


@pytest.fixture(scope="module")
def rows():
    """x, y, z of x+y over Z23 and a mask of 60% training rows."""
    found = operation_table("x+y", f"Z{P}")
    train_N = np.zeros(found.rows, bool)
    train_N[np.random.default_rng(0).permutation(found.rows)[: round(0.6 * found.rows)]] = True
    return found.x_N, found.y_N, found.z_N, train_N


def test_circles_generalise_through_products_and_nothing_else_does(rows):
    vectors = {"circles": circles(P)} | classical.controls(circles(P), seed=1)
    models = [name for name in classical.MODELS if name != "boosting"]
    found = compare(vectors, *rows, models=models).set_index(["features", "model"])
    accuracy, _x, _y, z, train = found["val_accuracy"], *rows
    assert len(found) == 3 * 4 and found["converged"].all()
    assert found["chance"].unique() == pytest.approx(
        sum((z[train] == c).mean() * (z[~train] == c).mean() for c in range(P))
    )
    assert accuracy["circles", "logistic, bilinear"] > 2 * found["elimination"].iloc[0]
    assert accuracy["circles", "logistic, products"] > 0.2
    assert accuracy[["random", "one_hot"]].max() < 0.1
    # A sum of a term of x and one of y cannot say x + y.
    assert accuracy.xs("logistic", level="model").max() < 0.1


def test_every_model_learns_its_training_rows():
    found = operation_table("x^2+y^2", "Z13")
    train_N = np.arange(169) % 5 > 0
    frame = compare({"circles": circles(13)}, found.x_N, found.y_N, found.z_N, train_N)
    assert frame["model"].tolist() == list(classical.MODELS)
    assert (frame["train_accuracy"] > frame["chance"] + 0.1).all()


def test_elimination_guesses_among_the_answers_seen_beside_neither_operand(rows):
    x, y, z, train = rows
    hits = []
    for i in np.flatnonzero(~train):
        left = set(range(P)) - set(z[train & (x == x[i])]) - set(z[train & (y == y[i])])
        hits.append((z[i] in left) / len(left))
    assert classical.elimination(*rows) == pytest.approx(np.mean(hits))
    assert classical.elimination(x, y, z, np.arange(P * P) > 0) == 1  # one blank in a Latin square


def test_what_is_linear_in_products_does_not_depend_on_the_basis(rows, monkeypatch):
    """At the optimum: where a solver stops short of it hangs on the machine's arithmetic."""
    to_the_optimum = lambda seed: LogisticRegression(tol=1e-8, max_iter=10_000)
    monkeypatch.setitem(classical.MODELS, "logistic, bilinear", (bilinear, to_the_optimum))
    rotation, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))
    plain, turned = (
        compare({"c": W}, *rows, models=["logistic, bilinear"])["val_accuracy"].item()
        for W in (circles(P), circles(P) @ rotation)
    )
    assert abs(plain - turned) <= 2 / 212  # two of the 212 validation rows
    x, y = rows[:2]
    products = with_products(circles(P), x, y)[:, 12:]
    # cos x cos y - sin x sin y = cos(x + y)
    cosine = products[:, :3] - products[:, 3:]
    np.testing.assert_allclose(cosine, circles(P)[(x + y) % P, :3], atol=1e-12)
    outer = bilinear(circles(P), x, y)[:, 12:]
    sine, *_ = np.linalg.lstsq(outer, circles(P)[(x + y) % P], rcond=None)
    np.testing.assert_allclose(outer @ sine, circles(P)[(x + y) % P], atol=1e-10)  # the sines too


@pytest.mark.parametrize("shape", [(30, 6), (13, 20)])
def test_random_vectors_have_the_moments_of_the_originals(shape):
    mixing = np.random.default_rng(4).normal(size=(shape[1], shape[1]))
    W = np.random.default_rng(3).normal(size=shape) @ mixing + 2
    first, other = moment_matched(W, 0), moment_matched(W, 1)
    np.testing.assert_allclose(first.mean(axis=0), W.mean(axis=0), atol=1e-10)
    np.testing.assert_allclose(np.cov(first.T), np.cov(W.T), atol=1e-9)
    assert np.abs(first - W).max() > 0.5 and np.abs(first - other).max() > 0.5


def test_validation_rows_are_never_fitted(rows):
    *_, z, train = rows
    seen = {}

    class Spy:
        def fit(self, features_NF, z_N):
            seen.update(rows=features_NF[:, 0].tolist(), answers=z_N.tolist())

        def predict(self, features_NF):
            return np.full(len(features_NF), 3)

    found = fit_and_score(Spy(), np.arange(len(z), dtype=float)[:, None], z, train)
    assert seen == {"rows": np.flatnonzero(train).tolist(), "answers": z[train].tolist()}
    assert found["train_accuracy"] == (z[train] == 3).mean()
    assert found["val_accuracy"] == (z[~train] == 3).mean()


def test_a_fit_that_stops_short_says_so(rows, monkeypatch):
    short = lambda seed: classical.LogisticRegression(max_iter=1)
    monkeypatch.setitem(classical.MODELS, "short", (classical.concatenated, short))
    assert not compare({"c": circles(P)}, *rows, models=["short"])["converged"].item()


def test_one_answer_in_all_training_rows_is_refused(rows):
    x_N, y_N, _, train_N = rows
    with pytest.raises(GrokError, match="every training row has the same answer"):
        compare({"c": circles(P)}, x_N, y_N, np.zeros(P * P, int), train_N)


def test_an_empty_side_is_refused(rows):
    for train in (np.ones(P * P, bool), np.zeros(P * P, bool)):
        with pytest.raises(GrokError, match="training rows"):
            compare({"c": circles(P)}, *rows[:3], train)
