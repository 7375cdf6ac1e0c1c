"""Each loss and its gradient against a few lines of float64 numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from grok.training.losses import cross_entropy, softmax_exact, stablemax

LOGITS = np.random.default_rng(0).normal(0, 3, (5, 2, 7)).astype(np.float32)
TARGETS = np.random.default_rng(1).integers(0, 7, (5, 2))


def chosen(log_p):
    return -np.take_along_axis(log_p, TARGETS[..., None], -1)[..., 0]


def assert_slope(loss, formula):
    """The gradient is the formula's, by central differences in float64."""
    gradient = jax.grad(lambda x: loss(x, TARGETS).sum())(jnp.asarray(LOGITS))
    for at in np.ndindex(LOGITS.shape):
        step = np.zeros(LOGITS.shape)
        step[at] = 1e-5
        up, down = (formula(LOGITS.astype(np.float64) + sign * step) for sign in (1, -1))
        slope = (chosen(up) - chosen(down)).sum() / 2e-5
        assert float(gradient[at]) == pytest.approx(slope, abs=1e-5)


@pytest.mark.parametrize("loss", [cross_entropy, softmax_exact])
def test_cross_entropy_of_softmax(loss):
    formula = lambda x: log_softmax(x, axis=-1)
    np.testing.assert_allclose(
        loss(LOGITS, TARGETS), chosen(formula(LOGITS.astype(np.float64))), rtol=1e-5
    )
    assert_slope(loss, formula)


def test_stablemax():
    def formula(x):
        s = np.where(x >= 0, x + 1, 1 / (1 - np.minimum(x, 0)))
        return np.log(s / s.sum(-1, keepdims=True))

    np.testing.assert_allclose(
        stablemax(LOGITS, TARGETS), chosen(formula(LOGITS.astype(np.float64))), rtol=1e-5
    )
    assert_slope(stablemax, formula)


def test_the_exact_loss_does_not_collapse():
    """At a lead of 40 float64 itself rounds to probability 1; 1 - p = 2 exp(-40) is right."""
    logits, target = jnp.array([[[40.0, 0.0, 0.0]]]), jnp.array([[0]])
    exact, usual = (
        np.asarray(jax.grad(lambda x, loss=loss: loss(x, target).sum())(logits), np.float64)[0, 0]
        for loss in (softmax_exact, cross_entropy)
    )
    assert usual[0] == 0 and softmax([40.0, 0, 0])[0] == 1
    np.testing.assert_allclose(exact, [-2 * np.exp(-40), *2 * [np.exp(-40)]], rtol=1e-5)
    assert float(softmax_exact(logits, target)[0, 0]) == pytest.approx(2 * np.exp(-40))
