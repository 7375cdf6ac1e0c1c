"""Update rules that take a matrix's singular vectors and not its singular values."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax import contrib

# Optax's own coefficients. They are part of the state, where the environment could widen them.
NEWTON_SCHULZ = np.array([3.4445, -4.7750, 2.0315], np.float32)
# Of x <- a x + b x^3 + c x^5 on singular values: the first lifts small ones by 3.4 a step but only
# to about 1, the second takes them from there to 1 (it is flat there to third order).
LIFT, SETTLE = (3.4445, -4.7750, 2.0315), (15 / 8, -10 / 8, 3 / 8)
POLAR_STEPS = (LIFT,) * 8 + (SETTLE,) * 4
SMALLEST = 1e-30  # divides where a norm is 0


def muon(momentum, steps: int = 5) -> optax.GradientTransformation:
    """Orthogonalised momentum of kernels [fan_in, fan_out], times sqrt(max(1, fan_out/fan_in))."""
    kernel = contrib.MuonDimensionNumbers(reduction_axis=0, output_axis=1)

    def dimensions(params):
        return jax.tree.map(lambda _: kernel, params)

    def scale_by_width(updates, params=None):
        return jax.tree.map(lambda u: u * math.sqrt(max(1, u.shape[1] / u.shape[0])), updates)

    return optax.chain(
        contrib.scale_by_muon(
            NEWTON_SCHULZ, steps, beta=momentum, weight_dimension_numbers=dimensions
        ),
        optax.stateless(scale_by_width),
    )


def muon_norm_only(momentum) -> optax.GradientTransformation:
    """Muon without its orthogonalisation, as its control.

    Each kernel's momentum keeps its own singular values. It is scaled to the Frobenius norm that it
    would have with all of them at 1. Without a Newton-Schulz step `muon` scales it to norm 1.
    """

    def scale_by_rank(updates, params=None):
        return jax.tree.map(lambda u: u * math.sqrt(min(u.shape)), updates)

    return optax.chain(muon(momentum, steps=0), optax.stateless(scale_by_rank))


def length(array):
    """The L2 norm, to divide by: 0 is no divisor."""
    return jnp.linalg.norm(array) + SMALLEST


def egalitarian(numbers) -> optax.GradientTransformation:
    """G <- (G G^T)^(-1/2) G = U V^T of G = U S V^T, per matrix, without momentum.

    Egalitarian gradient descent (arXiv 2510.04930). A vector is a matrix of one column, so that it
    becomes one of length 1.
    """

    def update(grads, params=None):
        return jax.tree.map(lambda g: polar(g) if g.ndim == 2 else g / length(g), grads)

    return optax.stateless(update)


def polar(matrix):
    """U V^T of a matrix = U S V^T, by Newton-Schulz steps of the fifth order.

    Singular values below about 1e-5 of the matrix's norm do not reach 1, and 0 stays 0.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / length(wide)
    for a, b, c in POLAR_STEPS:
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide is matrix else x.T
