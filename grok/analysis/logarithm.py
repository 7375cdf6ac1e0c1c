"""Tokens along their discrete logarithms, and which order a matrix shows: this one or the natural.

A product mod p is a sum of logarithms mod p - 1. Everywhere `W` [p, d] holds one row a token.
"""

from typing import NamedTuple

import numpy as np

from grok.analysis.fourier import frequency_norms, gini, permuted_power_shares
from grok.analysis.matrix_rows import token_matrix
from grok.analysis.nulls import p_value
from grok.experiment import GrokError
from grok.task.operations import is_prime


def primitive_root(p: int) -> int:
    """The smallest g whose powers are all non-zero residues mod p.

    GrokError unless p is an odd prime.
    """
    if p < 3 or not is_prime(p):
        raise GrokError(
            f"the discrete logarithm is defined here for odd primes, and {p} is none: "
            "use the additive scores alone"
        )
    prime_factors = [q for q in range(2, p) if (p - 1) % q == 0 and is_prime(q)]
    # The order of g divides p - 1; it is smaller if it divides some (p - 1) / q.
    exponents = [(p - 1) // q for q in prime_factors]
    g = 2
    while any(pow(g, exponent, p) == 1 for exponent in exponents):
        g += 1
    return g


def discrete_log_order(p: int) -> np.ndarray:
    """Tokens g^0, g^1, ..., g^(p-2) mod p for the smallest primitive root g, [p-1].

    Rows in this order lie along Z/(p-1).
    """
    g = primitive_root(p)
    return np.array([pow(g, e, p) for e in range(p - 1)])


class AxisGini(NamedTuple):
    """Gini coefficient of the spectrum on an axis, and its p-value beside permuted rows."""

    gini: float
    p_value: float


def axis_ginis(W, draws: int = 200, seed: int = 0) -> dict[str, AxisGini]:
    """How sparse the spectrum of `W` [p, d] is on each axis.

    'additive': tokens in natural order, on Z/p. 'multiplicative': non-zero tokens by discrete
    logarithm, on Z/(p-1). GrokError unless p is an odd prime.
    """
    W = token_matrix(W)
    rows = {"additive": W, "multiplicative": W[discrete_log_order(len(W))]}
    return {axis: spectrum_gini(rows_TD, draws, seed) for axis, rows_TD in rows.items()}


def spectrum_gini(W, draws: int, seed: int) -> AxisGini:
    """The Gini coefficient of the frequency norms of rows [n, d], with its p-value."""
    observed = gini(frequency_norms(W))
    null = [gini(np.sqrt(share_K)) for share_K in permuted_power_shares(W, draws, seed)]
    return AxisGini(observed, p_value(observed, np.array(null)))


def better_axis(found: dict[str, AxisGini]) -> str:
    """The axis with the largest Gini coefficient among those with p < 0.01, or 'neither'."""
    significant = [axis for axis, score in found.items() if score.p_value < 0.01]
    return max(significant, key=lambda axis: found[axis].gini, default="neither")


def element_order(W) -> np.ndarray:
    """The elements of Z/p along the axis that the rows show: by discrete logarithm or as they are.

    A discrete logarithm leaves out 0.
    """
    n = len(W)
    prime = n > 2 and is_prime(n)
    multiplicative = prime and better_axis(axis_ginis(W)) == "multiplicative"
    return discrete_log_order(n) if multiplicative else np.arange(n)
