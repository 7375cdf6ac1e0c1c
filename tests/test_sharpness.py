"""Sharpness against known maxima in the box; Hessian estimates against dense Hessians."""

import itertools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from grok.analysis.sharpness import hessian_trace, hessian_vector, sharpness, top_eigenvalue


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def box(params, key, epsilon, dimensions):
    """(A, bounds on y) of Keskar et al., in float64 NumPy, from the same random rows."""
    x = np.asarray(ravel_pytree(params)[0], np.float64)
    rows = np.asarray(jax.random.uniform(key, (dimensions, x.size), jnp.float32, -1, 1), np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return np.linalg.pinv(rows), epsilon * (np.abs(rows @ x) + 1)


def flat(params):
    return ravel_pytree(params)[0]


PARAMS = {"w": jnp.linspace(-1, 2, 18).reshape(6, 3), "b": jnp.array([0.5, -0.25])}


def bowl(params):
    return 3 * jnp.sum(flat(params) ** 2) / 20


def hill(params):
    """Highest inside the box, at a parameter vector that the test knows."""
    return 2 - 500 * jnp.sum((flat(params) - SUMMIT) ** 2)


SUMMIT = np.zeros(20)


def test_sharpness_of_a_convex_quadratic_is_its_best_corner():
    key, epsilon, dimensions = jax.random.key(0), 1e-2, 4
    basis, bound = box(PARAMS, key, epsilon, dimensions)
    x = np.asarray(flat(PARAMS), np.float64)
    height = lambda point: 3 * np.sum(point**2) / 20
    corners = [
        height(x + basis @ (bound * signs))
        for signs in itertools.product([-1, 1], repeat=dimensions)
    ]
    expected = 100 * (max(corners) - height(x)) / (1 + height(x))
    assert sharpness(bowl, PARAMS, key, epsilon, dimensions) == pytest.approx(expected, rel=2e-3)


def test_sharpness_of_a_concave_quadratic_is_its_summit_inside_the_box(monkeypatch):
    key = jax.random.key(1)
    basis, bound = box(PARAMS, key, 1e-1, 3)
    y = bound * np.array([0.5, -0.3, 0.1])
    monkeypatch.setitem(globals(), "SUMMIT", np.asarray(flat(PARAMS)) + basis @ y)
    foot = 2 - 500 * np.sum((basis @ y) ** 2)
    expected = 100 * (2 - foot) / (1 + foot)
    assert sharpness(hill, PARAMS, key, 1e-1, 3) == pytest.approx(expected, rel=1e-3)


def test_sharpness_near_a_minimum_is_positive_and_grows_with_curvature_and_box():
    params, key = {"w": jnp.full(20, 1e-3)}, jax.random.key(2)
    mild, steep = (
        sharpness(lambda p, c=c: c * jnp.sum(p["w"] ** 2), params, key) for c in (1.0, 10.0)
    )
    assert 0 < mild < steep
    assert sharpness(lambda p: jnp.sum(p["w"] ** 2), params, key, epsilon=1e-2) > mild
    assert sharpness(lambda p: -jnp.sum(p["w"] ** 2), {"w": jnp.zeros(20)}, key) == 0


def test_a_tiny_loss_is_not_taken_for_flat():
    # The relative rise in the box does not depend on the unit of a loss that is far below 1.
    params, key = {"w": jnp.full(20, 0.1)}, jax.random.key(3)
    small, tiny = (
        sharpness(lambda p, c=c: c * jnp.sum(p["w"] ** 2), params, key, 1e-2) for c in (1e-4, 1e-9)
    )
    assert tiny == pytest.approx(1e-5 * small, rel=1e-2)


def tiny_network(key):
    """Loss of a small MLP, and parameters that are no minimum: the Hessian is indefinite."""
    k1, k2, k3, k4 = jax.random.split(key, 4)
    inputs, targets = jax.random.normal(k1, (12, 3)), jax.random.randint(k2, (12,), 0, 4)

    def loss(params):
        logits = jnp.tanh(inputs @ params["in"]) @ params["out"]
        return -jax.nn.log_softmax(logits)[jnp.arange(12), targets].mean()

    return loss, {"in": jax.random.normal(k3, (3, 5)), "out": jax.random.normal(k4, (5, 4))}


@pytest.fixture(scope="module")
def network():
    loss, params = tiny_network(jax.random.key(4))
    x, unravel = ravel_pytree(params)
    return (
        loss,
        params,
        np.asarray(jax.jit(jax.hessian(lambda flat: loss(unravel(flat))))(x), np.float64),
    )


def test_hessian_vector_product_is_that_of_the_dense_hessian(network):
    loss, params, hessian = network
    v = np.random.default_rng(0).normal(size=len(hessian)).astype(np.float32)
    assert np.asarray(hessian_vector(loss, params, v)) == pytest.approx(hessian @ v, abs=1e-5)


def test_top_eigenvalue_is_that_of_the_dense_hessian(network):
    loss, params, hessian = network
    values = np.linalg.eigvalsh(hessian)
    assert values[0] < -1e-2  # the most negative one must not be mistaken for the top
    top = top_eigenvalue(loss, params, jax.random.key(5))
    assert top.value == pytest.approx(values[-1], rel=1e-4)
    assert top.error < 1e-4


def test_top_eigenvalue_stops_at_an_invariant_space_and_bounds_its_error(network):
    alike = top_eigenvalue(bowl, PARAMS, jax.random.key(6))
    assert alike.value == pytest.approx(0.3, rel=1e-5) and alike.error < 1e-6
    loss, params, hessian = network
    rough = top_eigenvalue(loss, params, jax.random.key(7), iterations=4)
    assert np.abs(np.linalg.eigvalsh(hessian) - rough.value).min() <= rough.error + 1e-6
    assert rough.error > 1e-3


def test_negative_curvature_gives_the_largest_eigenvalue_not_the_largest_magnitude():
    curvature = jnp.array([-9.0, -1.0, 2.0])
    top = top_eigenvalue(lambda p: 0.5 * jnp.sum(curvature * p**2), jnp.ones(3), jax.random.key(8))
    assert top.value == pytest.approx(2, rel=1e-5)


def test_trace_is_that_of_the_dense_hessian_within_its_error(network):
    loss, params, hessian = network
    estimate = hessian_trace(loss, params, jax.random.key(9), draws=400)
    variance = 2 * (np.sum(hessian**2) - np.sum(np.diag(hessian) ** 2))  # of one Rademacher draw
    assert estimate.error == pytest.approx(np.sqrt(variance / 400), rel=0.25)
    assert abs(estimate.value - np.trace(hessian)) < 3.5 * estimate.error


def test_trace_of_a_diagonal_hessian_is_exact():
    estimate = hessian_trace(bowl, PARAMS, jax.random.key(10), draws=3)
    assert estimate.value == pytest.approx(0.3 * 20, rel=1e-5)
    assert estimate.error < 1e-5
