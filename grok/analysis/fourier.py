"""Is a matrix organised like Z/p? Fourier spectrum, circles, number lines, and their null model.

Everywhere `W` [p, d] holds one row a token, token t = 0..p-1 in row t. The rows are centred before
they are scored: an offset that all tokens share says nothing about their order. Every structure
here relates the number of a token to its row, so a permutation of the rows is its null model.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import pdist, squareform

from grok.experiment import GrokError
from grok.task.groups import Structure
from grok.task.operations import is_prime

SINGULAR_CUTOFF = 1e-6


# --- Input ---


def token_matrix(W, n_tokens: int | None = None) -> np.ndarray:
    """`W` as a finite float64 array [n_tokens, d]; GrokError otherwise."""
    W = np.asarray(W, dtype=np.float64)
    if W.ndim != 2 or len(W) < 3:
        raise GrokError(
            f"scores need a matrix of at least 3 rows, one a token, not an array of shape {W.shape}"
        )
    if n_tokens is not None and len(W) != n_tokens:
        raise GrokError(
            f"the matrix has {len(W)} rows but the structure has {n_tokens} elements: "
            "give its elements' rows only, without operators and '='"
        )
    if not np.isfinite(W).all():
        raise GrokError(
            f"the matrix has {np.count_nonzero(~np.isfinite(W))} non-finite entries: "
            "this run diverged, score an earlier snapshot"
        )
    return W


def centred(W, n_tokens: int | None = None) -> np.ndarray:
    """`W` [n, d] less its mean row; GrokError where all rows are equal."""
    W = token_matrix(W, n_tokens)
    W_centred = W - W.mean(axis=0)
    if np.abs(W_centred).max() <= 1e-12 * np.abs(W).max():
        raise GrokError("all rows of the matrix are equal: there is no structure to score")
    return W_centred


def require_cyclic(group: Structure) -> int:
    """The order p of a structure Z<p>; GrokError for any other."""
    if group.modulus is None:
        raise GrokError(
            f"{group.name} is not a cyclic group Z<n>, so circles and Fourier spectra have no "
            "meaning for it: use the coset scores (groups.coset_scores) and, for S2..S5, the "
            "irreducible representations (irreps.explained_by_irrep)"
        )
    return group.modulus


# --- Null model ---


def null_distribution(
    score: Callable[[np.ndarray], float | np.ndarray], W, draws: int = 200, seed: int = 0
) -> np.ndarray:
    """`score` of `W` with its rows permuted at random, [draws, ...]."""
    W = token_matrix(W)
    rng = np.random.default_rng(seed)
    return np.array([score(W[rng.permutation(len(W))]) for _ in range(draws)])


def p_value(observed: float, null: np.ndarray) -> float:
    """Share of null scores at least as large as `observed`; the observation counts as one of them.

    So it is never 0.
    """
    return float((1 + np.count_nonzero(np.asarray(null) >= observed)) / (1 + len(null)))


class NullSummary(NamedTuple):
    """Mean and central 95% of a null distribution, and the p-value of the observed score."""

    mean: float
    low: float
    high: float
    p_value: float


def null_summary(observed: float, null: np.ndarray) -> NullSummary:
    """An `observed` score beside its null [R], NaN draws left out; all NaN without a null."""
    null = np.asarray(null, float)
    null = null[~np.isnan(null)]
    if not len(null) or np.isnan(observed):
        return NullSummary(np.nan, np.nan, np.nan, np.nan)
    low, high = map(float, np.quantile(null, [0.025, 0.975]))
    return NullSummary(float(null.mean()), low, high, p_value(observed, null))


# --- Spectrum ---


def fourier_basis(p: int) -> np.ndarray:
    """Orthonormal rows [p, p]: constant, cos 1, sin 1, cos 2, sin 2, ...

    For even p the last row alternates between +1/sqrt(p) and -1/sqrt(p).
    """
    angle_KT = 2 * np.pi * np.outer(np.arange(1, (p - 1) // 2 + 1), np.arange(p)) / p
    basis = np.empty((p, p))
    basis[0] = 1 / np.sqrt(p)
    basis[1 : 2 * len(angle_KT) : 2] = np.sqrt(2 / p) * np.cos(angle_KT)
    basis[2 : 2 * len(angle_KT) + 1 : 2] = np.sqrt(2 / p) * np.sin(angle_KT)
    if p % 2 == 0:
        basis[-1] = (-1.0) ** np.arange(p) / np.sqrt(p)
    return basis


def frequency_norms(W) -> np.ndarray:
    """n_k = sqrt(|cos_k W|^2 + |sin_k W|^2), the norm of frequency k in the rows, [p//2]."""
    W = centred(W)
    p = len(W)
    norms = np.linalg.norm(np.fft.rfft(W, axis=0)[1:], axis=1) * np.sqrt(2 / p)
    if p % 2 == 0:
        norms[-1] /= np.sqrt(2)
    return norms


def frequency_power_share(W) -> np.ndarray:
    """Share of the variance of the rows at frequency k = 1..p//2, [p//2]; sums to 1."""
    power = frequency_norms(W) ** 2
    return power / power.sum()


def permuted_power_shares(W, draws: int = 200, seed: int = 0) -> np.ndarray:
    """The null of `frequency_power_share`: its values for rows permuted at random, [draws, p//2].

    As `null_distribution` of it, but quick: a power is a sum over pairs of rows of their product
    times the cosine of their distance, and a permutation only moves the products.
    """
    W = centred(W)
    p = len(W)
    product_TT = W @ W.T
    place = np.arange(p)
    further_JT = (place + place[:, None]) % p  # the place j further on than t
    rng = np.random.default_rng(seed)
    sum_RJ = np.empty((draws, p))
    for sum_J in sum_RJ:
        order = rng.permutation(p)
        sum_J[:] = product_TT[order, order[further_JT]].sum(axis=1)
    power_RK = np.maximum(np.fft.rfft(sum_RJ, axis=1).real[:, 1:], 0)
    if p % 2 == 0:
        power_RK[:, -1] /= 2
    return power_RK / power_RK.sum(axis=1, keepdims=True)


def key_frequencies(W, draws: int = 200, seed: int = 0) -> np.ndarray:
    """The key frequencies: those that the matrix uses, strongest first.

    The power share of a key frequency exceeds the 99% quantile, over random permutations of the
    rows, of the *largest* share: a matrix without structure has a key frequency one time in a
    hundred. It is also at least twice the uniform share 1/(p//2): a trace too weak to matter is
    not key, however significant. The draws depend on `seed` alone.
    """
    return frequencies_above(W, key_threshold(W, draws, seed))


def frequencies_above(W, threshold: float) -> np.ndarray:
    """Frequencies whose power share exceeds a threshold, strongest first."""
    share = frequency_power_share(W)
    strongest_first = np.argsort(-share, kind="stable")
    return strongest_first[share[strongest_first] > threshold] + 1


def key_threshold(W, draws: int = 200, seed: int = 0) -> float:
    """The power share above which a frequency is key; see `key_frequencies`."""
    null = permuted_power_shares(W, draws, seed).max(axis=1)
    return float(max(np.quantile(null, 0.99), 2 / (len(W) // 2)))


def gini(values) -> float:
    """Gini coefficient sum_ij |n_i - n_j| / (2 K^2 mean n) of values [K] >= 0.

    0 if all are equal, 1 - 1/K if one holds all.
    """
    values = np.asarray(values, dtype=np.float64)
    return float(np.abs(values[:, None] - values).sum() / (2 * len(values) ** 2 * values.mean()))


def ipr(values) -> float:
    """Inverse participation ratio sum (|u| / ||u||)^4 of a spectrum [K].

    1/K if it is flat, 1 if one entry holds all.
    """
    values = np.asarray(values, dtype=np.float64)
    return float(((values / np.linalg.norm(values)) ** 4).sum())


# --- Circles ---


def leading_components(W) -> np.ndarray:
    """The first four principal components that have variance, unit vectors [p, at most 4].

    A component without variance has no direction, so a single circle has only two.
    """
    U, S, _ = np.linalg.svd(centred(W), full_matrices=False)
    return U[:, :4][:, S[:4] > SINGULAR_CUTOFF * S[0]]


def circularity(v_TC: np.ndarray) -> float:
    """Mean of max_k 2 |sum_j v_j e^(2 pi i jk/p)|^2 / p, in [0, 1], over unit vectors v [p, C].

    At least 0.995 is called circular for the `leading_components` of a matrix (Zhong et al., The
    Clock and the Pizza).
    """
    power_KC = 2 * np.abs(np.fft.rfft(v_TC, axis=0)[1:]) ** 2 / len(v_TC)
    return float(np.minimum(power_KC.max(axis=0), 1).mean())


def frequency_plane(W, k: int) -> np.ndarray:
    """Coordinates [p, 2] of the rows in the plane of frequency k; a circle has t at 2 pi k t/p.

    Even in a random matrix a row leans towards its place on the circle, because it is part of the
    sums that span the plane. The wider the matrix, the more it does: compare with permuted rows.
    """
    return centred(W) @ frequency_basis(W, k).T


def frequency_basis(W, k: int) -> np.ndarray:
    """An orthonormal basis [2, d] of the plane of frequency k.

    It is the pair nearest to the directions cos_k W and sin_k W (polar decomposition), so that an
    ellipse stays an ellipse.
    """
    W = centred(W)
    p = len(W)
    if not 1 <= k <= (p - 1) // 2:
        raise GrokError(
            f"frequency {k} has no plane in a matrix of {p} rows: choose 1..{(p - 1) // 2}"
        )
    direction_2D = fourier_basis(p)[2 * k - 1 : 2 * k + 1] @ W
    U, S, Vt = np.linalg.svd(direction_2D, full_matrices=False)
    if len(S) < 2 or S[1] <= SINGULAR_CUTOFF * np.linalg.norm(W):
        raise GrokError(
            f"the matrix has no plane at frequency {k}: "
            "its rows span fewer than two dimensions there"
        )
    return U @ Vt


def turn_step(p: int, k: int) -> int:
    """The step m = 1..p//2 that moves a token least, but not 0, on the circle of frequency k.

    Lines from n to n + m draw the circle in order. m = ±k^-1 mod p where k has an inverse (the
    paper's 8 belongs to k = 12 mod 97). Where k and p share a divisor, several tokens share a
    place on the circle.
    """
    if not 1 <= k <= p // 2:
        raise GrokError(f"frequency {k} is no frequency of {p} tokens: choose 1..{p // 2}")
    places = p // math.gcd(k, p)
    m = pow(k * places // p, -1, places)
    return min(m, places - m)


def circle_statistics(points, k: int) -> dict[str, float]:
    """How round the points [p, 2] of frequency k's plane are.

    radius_cv: standard deviation of the radius over its mean. angle_error: root mean square
    difference, in degrees, between the angle of token t and 2 pi k t/p, after the best common
    rotation (about 104 for random angles).
    """
    points = token_matrix(points)
    z_T = points @ np.array([1, 1j])
    turn_T = z_T * np.exp(-2j * np.pi * k * np.arange(len(z_T)) / len(z_T))
    unit_T = turn_T / np.maximum(np.abs(turn_T), np.finfo(float).tiny)
    error_T = np.angle(unit_T * np.conj(unit_T.sum()))
    radius_T = np.abs(z_T)
    return {
        "radius_cv": float(radius_T.std() / radius_T.mean()),
        "angle_error": float(np.degrees(np.sqrt((error_T**2).mean()))),
    }


# --- Similarity and the number line ---


def dot_similarity(W) -> np.ndarray:
    """Dot products of the centred rows, [p, p]."""
    W = centred(W)
    return W @ W.T


def cosine_similarity(W) -> np.ndarray:
    """Cosines between the centred rows, [p, p].

    A row equal to the mean row has cosine 0 with all others.
    """
    W = centred(W)
    norm = np.linalg.norm(W, axis=1, keepdims=True)
    W = W / np.where(norm > 1e-12 * norm.max(), norm, np.inf)
    return W @ W.T


def circulant_score(S) -> float:
    """Share of the variance of similarities S [p, p] that i - j mod p explains; 1 if circulant.

    The diagonal is left out.
    """
    S = token_matrix(S)
    p = len(S)
    if S.shape != (p, p):
        raise GrokError(
            f"the circulant score needs a square similarity matrix, not one of shape {S.shape}"
        )
    shift = np.arange(1, p)
    S_DT = S[(np.arange(p) + shift[:, None]) % p, np.arange(p)]
    total = S_DT.var()
    if total <= (1e-12 * np.abs(S).max()) ** 2:
        raise GrokError("all off-diagonal similarities are equal: there is no structure to score")
    return float(1 - S_DT.var(axis=1).mean() / total)


class NumberLine(NamedTuple):
    """The step of the shortest closed tour over all tokens, and the length of every tour, [p//2].

    lengths: of step m at index m - 1, the mean distance from n to n + m over the mean distance of
    two tokens (1: no better than chance).
    """

    step: int
    lengths: np.ndarray

    @property
    def length(self) -> float:
        """The length of the shortest tour."""
        return float(self.lengths[self.step - 1])


def number_line(W) -> NumberLine:
    """The number line that lies in rows [p, d], or in the points [p, 2] of a picture.

    Steps m and p - m draw the same tour. The shortest one is sought among the steps that visit
    every token, gcd(m, p) = 1.
    """
    return number_line_of(squareform(pdist(token_matrix(W))))


def number_line_of(distance_TT: np.ndarray) -> NumberLine:
    """`number_line` of tokens with the given distances [p, p]."""
    p = len(distance_TT)
    if distance_TT.max() == 0:
        raise GrokError("all rows of the matrix are equal: there is no structure to score")
    steps, token = np.arange(1, p // 2 + 1), np.arange(p)
    joint_M = distance_TT[token, (token + steps[:, None]) % p].mean(axis=1)
    length_M = joint_M * (p - 1) * p / distance_TT.sum()
    best = np.argmin(np.where(np.gcd(steps, p) == 1, length_M, np.inf))
    return NumberLine(int(steps[best]), length_M)


# --- Discrete logarithm ---


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
