"""Is a matrix organised like Z/p? Its Fourier spectrum, key frequencies and circles.

Everywhere `W` [p, d] holds one row a token, token t = 0..p-1 in row t. The rows are centred before
they are scored. A permutation of the rows is the null model (grok/analysis/nulls.py).
"""

import math

import numpy as np

from grok.analysis.matrix_rows import centred, token_matrix
from grok.experiment import GrokError
from grok.task.groups import Structure

SINGULAR_CUTOFF = 1e-6


def require_cyclic(group: Structure) -> int:
    """The order p of a structure Z<p>; GrokError for any other."""
    if group.modulus is None:
        raise GrokError(
            f"{group.name} is not a cyclic group Z<n>, so circles and Fourier spectra have no "
            "meaning for it: use the coset scores (groups.coset_scores) and, for S2..S5, the "
            "irreducible representations (irreps.explained_by_irrep)"
        )
    return group.modulus


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
