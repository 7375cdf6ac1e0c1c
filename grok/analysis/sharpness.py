"""How flat a minimum is: epsilon-sharpness (Keskar et al.), top eigenvalue, trace of the Hessian.

`loss` is a JAX function from a tree of parameters to a scalar. It is compiled once for each
function object and structure of the parameters, so networks trained on the same rows should share
one.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import minimize

Loss = Callable[[Any], jax.Array]


class Measurement(NamedTuple):
    """A number and its error: a bound for an eigenvalue, a standard error for a trace."""

    value: float
    error: float


def sharpness(
    loss: Loss, params, key, epsilon: float = 1e-3, dimensions: int = 10, iterations: int = 10
) -> float:
    """phi = 100 (max_y L(x + A y) - L(x)) / (1 + L(x)) over |y_i| <= epsilon (|(A+ x)_i| + 1).

    (Keskar et al. 2017.) A+ has `dimensions` random rows, uniform in (-1, 1) and normalised. A is
    its pseudo-inverse. The maximum is what `iterations` of L-BFGS-B find from y = 0: a lower bound
    of the true one, never negative, and 0 where the gradient along A is exactly 0.
    """
    x, _ = ravel_pytree(params)
    rows = jax.random.uniform(key, (dimensions, x.size), x.dtype, -1, 1)
    rows /= jnp.linalg.norm(rows, axis=1, keepdims=True)
    bounds = epsilon * (jnp.abs(jnp.matmul(rows, x, precision="highest")) + 1)
    basis = jnp.linalg.pinv(rows) * bounds
    start, slope = map(np.asarray, loss_in_box(loss, params, basis, jnp.zeros(dimensions, x.dtype)))
    # In units of the box and of the initial slope: scipy's stopping rules take 1e-7 for flat.
    unit = float(np.abs(slope).max()) or 1.0

    def descent(u):
        value, gradient = loss_in_box(loss, params, basis, jnp.asarray(u, x.dtype))
        return (float(start) - float(value)) / unit, -np.asarray(gradient, np.float64) / unit

    lowest = minimize(
        descent,
        np.zeros(dimensions),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-1, 1)] * dimensions,
        options={"maxiter": iterations},
    )
    return float(100 * max(-lowest.fun * unit, 0.0) / (1 + start))


@functools.partial(jax.jit, static_argnums=0)
def loss_in_box(loss: Loss, params, basis, u):
    """Loss at the parameters moved by basis [n_params, dimensions] u [dimensions], and gradient."""
    x, unravel = ravel_pytree(params)

    def moved_loss(u):
        return loss(unravel(x + jnp.matmul(basis, u, precision="highest")))

    return jax.value_and_grad(moved_loss)(u)


@functools.partial(jax.jit, static_argnums=0)
def hessian_vector(loss: Loss, params, v):
    """Hessian of the loss times a flat vector v [n_params], by reverse over reverse mode.

    The hand-written gradients of the fast path know no forward mode.
    """
    x, unravel = ravel_pytree(params)
    gradient = jax.grad(lambda flat: loss(unravel(flat)))
    return jax.grad(lambda flat: jnp.vdot(gradient(flat), v, precision="highest"))(x)


def top_eigenvalue(loss: Loss, params, key, iterations: int = 40) -> Measurement:
    """Largest (most positive) eigenvalue of the Hessian, by Lanczos with full re-orthogonalisation.

    error: the norm of the residual of the Ritz pair. Some eigenvalue lies that near. Keeps
    `iterations` vectors of the size of the parameters.
    """
    x, _ = ravel_pytree(params)
    q = jax.random.normal(key, x.shape, x.dtype)
    vectors_IX = jnp.zeros((min(iterations, x.size), x.size), x.dtype)
    vectors_IX = vectors_IX.at[0].set(q / jnp.linalg.norm(q))
    diagonal, off_diagonal = [], []
    for i in range(len(vectors_IX)):
        product = hessian_vector(loss, params, vectors_IX[i])
        alpha, rest, beta = map(np.asarray, orthogonalise(vectors_IX, vectors_IX[i], product))
        diagonal.append(float(alpha))
        off_diagonal.append(float(beta))
        if i + 1 == len(vectors_IX) or beta <= np.finfo(x.dtype).eps * np.abs(diagonal).max():
            break  # The vectors span an invariant space, so its eigenvalues are exact.
        vectors_IX = vectors_IX.at[i + 1].set(rest / beta)
    values, ritz_vectors = eigh_tridiagonal(diagonal, off_diagonal[:-1])
    return Measurement(float(values[-1]), float(off_diagonal[-1] * abs(ritz_vectors[-1, -1])))


@jax.jit
def orthogonalise(vectors_IX, q, product):
    """(q . product, the part of `product` orthogonal to all rows of vectors_IX, its norm)."""
    along = jnp.vdot(q, product, precision="highest")
    for _ in range(2):  # The second pass removes what rounding left in the first.
        shadows_I = jnp.matmul(vectors_IX, product, precision="highest")
        product = product - jnp.matmul(shadows_I, vectors_IX, precision="highest")
    return along, product, jnp.linalg.norm(product)


def hessian_trace(loss: Loss, params, key, draws: int = 50) -> Measurement:
    """Trace of the Hessian by Hutchinson's estimator: mean of v . H v over Rademacher probes v.

    error: the standard error of that mean; NaN for a single draw.
    """
    x, _ = ravel_pytree(params)
    samples = []
    for draw_key in jax.random.split(key, draws):
        v = jax.random.rademacher(draw_key, x.shape, x.dtype)
        samples.append(float(jnp.vdot(v, hessian_vector(loss, params, v), precision="highest")))
    error = np.std(samples, ddof=1) / np.sqrt(draws) if draws > 1 else np.nan
    return Measurement(float(np.mean(samples)), float(error))
