"""Is a matrix organised like Z/p? Fourier spectrum, circles, number lines, and their null model.

Everywhere `W` [p, d] holds one row a token, token t = 0..p-1 in row t. The rows are centred before
they are scored: an offset that all tokens share says nothing about their order. Every structure
here is a relation between a token's number and its row, so permuting the rows is its null model.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import pdist, squareform

from grok.experiment import GrokError
from grok.task.operations import Structure, is_prime

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
            f"the matrix has {len(W)} rows but the structure has {n_tokens} elements: give its elements' rows only, without operators and '='"
        )
    if not np.isfinite(W).all():
        raise GrokError(
            f"the matrix has {np.count_nonzero(~np.isfinite(W))} non-finite entries: this run diverged, score an earlier snapshot"
        )
    return W


def centred(W, n_tokens: int | None = None) -> np.ndarray:
    """`W` [n, d] less its mean row; GrokError where all rows are equal."""
    W = token_matrix(W, n_tokens)
    W_centred = W - W.mean(axis=0)
    if np.abs(W_centred).max() <= 1e-12 * np.abs(W).max():
        raise GrokError("all rows of the matrix are equal: there is no structure to score")
    return W_centred


def require_cyclic(structure: Structure) -> int:
    """The order p of a structure that is Z/p with elements in natural order; GrokError for any other."""
    if structure.modulus is None:
        raise GrokError(
            f"{structure.name} is not a cyclic group Z<n>, so circles and Fourier spectra have no meaning for it: "
            "use the coset scores (groups.coset_scores) and, for S2..S5, the irreducible representations (groups.explained_by_irrep)"
        )
    return structure.modulus


# --- Null model ---


def null_distribution(
    score: Callable[[np.ndarray], float | np.ndarray], W, draws: int = 200, seed: int = 0
) -> np.ndarray:
    """`score` of `W` with its rows permuted at random, [draws, ...]."""
    W = token_matrix(W)
    rng = np.random.default_rng(seed)
    return np.array([score(W[rng.permutation(len(W))]) for _ in range(draws)])


def p_value(observed: float, null: np.ndarray) -> float:
    """Chance of a null score at least as large as `observed`, counting the observation itself (never 0)."""
    return float((1 + np.count_nonzero(np.asarray(null) >= observed)) / (1 + len(null)))


def null_summary(observed: float, null: np.ndarray) -> tuple[float, float, float, float]:
    """Mean and central 95% of a null distribution, and the p-value of an `observed` score; NaN where there is no null."""
    null = np.asarray(null, float)
    null = null[~np.isnan(null)]
    if not len(null) or np.isnan(observed):
        return (np.nan,) * 4
    return (
        float(null.mean()),
        *map(float, np.quantile(null, [0.025, 0.975])),
        p_value(observed, null),
    )


# --- Spectrum ---


def fourier_basis(p: int) -> np.ndarray:
    """Orthonormal rows [p, p]: constant, cos 1, sin 1, cos 2, sin 2, ...; for even p the alternating row last."""
    angle_KT = 2 * np.pi * np.outer(np.arange(1, (p - 1) // 2 + 1), np.arange(p)) / p
    basis = np.empty((p, p))
    basis[0] = 1 / np.sqrt(p)
    basis[1 : 2 * len(angle_KT) : 2] = np.sqrt(2 / p) * np.cos(angle_KT)
    basis[2 : 2 * len(angle_KT) + 1 : 2] = np.sqrt(2 / p) * np.sin(angle_KT)
    if p % 2 == 0:
        basis[-1] = (-1.0) ** np.arange(p) / np.sqrt(p)
    return basis


def frequency_norms(W) -> np.ndarray:
    """Norm of the rows' component at frequency k = 1..p//2: n_k = sqrt(|cos_k W|^2 + |sin_k W|^2), [p//2]."""
    W = centred(W)
    p = len(W)
    norms = np.linalg.norm(np.fft.rfft(W, axis=0)[1:], axis=1) * np.sqrt(2 / p)
    if p % 2 == 0:
        norms[-1] /= np.sqrt(2)
    return norms


def frequency_power_share(W) -> np.ndarray:
    """Share of the rows' variance at frequency k = 1..p//2, [p//2]; sums to 1."""
    power = frequency_norms(W) ** 2
    return power / power.sum()


def key_frequencies(W, draws: int = 200, seed: int = 0) -> np.ndarray:
    """Frequencies the matrix uses, strongest first.

    A frequency is key if its power share (a) exceeds the 99% quantile, over random row
    permutations, of the *largest* share, so that a matrix without structure has any key frequency
    one time in a hundred, and (b) is at least twice the uniform share 1/(p//2), so that traces too
    weak to matter are not called key however significant. The draws depend on `seed` alone.
    """
    return frequencies_above(W, key_threshold(W, draws, seed))


def frequencies_above(W, threshold: float) -> np.ndarray:
    """Frequencies whose power share exceeds a threshold, strongest first."""
    share = frequency_power_share(W)
    strongest_first = np.argsort(-share, kind="stable")
    return strongest_first[share[strongest_first] > threshold] + 1


def key_threshold(W, draws: int = 200, seed: int = 0) -> float:
    """The power share above which a frequency is key; see `key_frequencies`."""
    null = null_distribution(lambda rows: frequency_power_share(rows).max(), W, draws, seed)
    return float(max(np.quantile(null, 0.99), 2 / (len(W) // 2)))


def gini(values) -> float:
    """Gini coefficient of non-negative values [K]: sum_ij |n_i - n_j| / (2 K^2 mean n); 0 if all equal, 1 - 1/K if one holds all."""
    values = np.asarray(values, dtype=np.float64)
    return float(np.abs(values[:, None] - values).sum() / (2 * len(values) ** 2 * values.mean()))


def ipr(values) -> float:
    """Inverse participation ratio sum (|u| / ||u||)^4 of a spectrum [K]: 1/K if flat, 1 if one entry holds all."""
    values = np.asarray(values, dtype=np.float64)
    return float(((values / np.linalg.norm(values)) ** 4).sum())


# --- Circles ---


def circularity(W) -> float:
    """Mean over the first four principal components v of max_k 2|sum_j v_j e^(2 pi i jk/p)|^2 / (p |v|^2), in [0, 1].

    At least 0.995 is called circular (Zhong et al., The Clock and the Pizza). A component without
    variance has no direction: it is left out, so that a single circle scores 1.
    """
    return circularity_of(leading_components(W))


def leading_components(W) -> np.ndarray:
    """The first four principal components of the rows that have variance, unit vectors [p, at most 4]."""
    U, S, _ = np.linalg.svd(centred(W), full_matrices=False)
    return U[:, :4][:, S[:4] > SINGULAR_CUTOFF * S[0]]


def circularity_of(v_TC: np.ndarray) -> float:
    """`circularity` of unit vectors [p, C]."""
    power_KC = 2 * np.abs(np.fft.rfft(v_TC, axis=0)[1:]) ** 2 / len(v_TC)
    return float(np.minimum(power_KC.max(axis=0), 1).mean())


def frequency_plane(W, k: int) -> np.ndarray:
    """Coordinates [p, 2] of the rows in the plane of frequency k, where a clean circle has token t at angle 2 pi k t/p.

    A row is itself part of the sums that span the plane and leans towards its place on the circle
    even in a random matrix, the more so the wider the matrix: compare with permuted rows.
    """
    return centred(W) @ frequency_axes(W, k).T


def frequency_axes(W, k: int) -> np.ndarray:
    """The orthonormal axes [2, d] of the plane of frequency k.

    They are the pair nearest to the directions cos_k W and sin_k W (polar decomposition), so that an ellipse stays one.
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
            f"the matrix has no plane at frequency {k}: its rows span fewer than two dimensions there"
        )
    return U @ Vt


def turn_step(p: int, k: int) -> int:
    """The step m = 1..p//2 by which a token moves least, but moves, on the circle of frequency k = 1..p//2.

    Joining n to n + m draws the circle in order: m = ±k^-1 mod p where k has an inverse (the paper's 8
    belongs to k = 12 mod 97); where k and p share a divisor, so do the tokens share their places on the circle.
    """
    if not 1 <= k <= p // 2:
        raise GrokError(f"frequency {k} is no frequency of {p} tokens: choose 1..{p // 2}")
    places = p // math.gcd(k, p)
    m = pow(k * places // p, -1, places)
    return min(m, places - m)


def circle_statistics(points, k: int) -> dict[str, float]:
    """How round the points [p, 2] of frequency k's plane are.

    radius_cv: standard deviation of the radius over its mean; angle_error: root mean square
    difference, in degrees, between token t's angle and 2 pi k t/p, after the best common rotation
    (about 104 for angles at random).
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
    """Cosines between the centred rows, [p, p]; a row equal to the mean row has cosine 0 with all others."""
    W = centred(W)
    norm = np.linalg.norm(W, axis=1, keepdims=True)
    W = W / np.where(norm > 1e-12 * norm.max(), norm, np.inf)
    return W @ W.T


def circulant_score(S) -> float:
    """Share of the off-diagonal variance of a similarity matrix S [p, p] that i - j mod p explains; 1 if S is circulant."""
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


def number_line_step(W) -> tuple[int, np.ndarray]:
    """The step m that makes joining n to n + m the shortest closed tour, and the score of every m = 1..p//2.

    A score is the mean length of the tour's joints over the mean distance of two tokens (1: no
    better than chance). Steps m and p - m draw the same tour. The best step is sought among those
    that visit every token, gcd(m, p) = 1. Also fits a drawing's coordinates [p, 2].
    """
    return number_line_of(squareform(pdist(token_matrix(W))))


def number_line_of(distance_TT: np.ndarray) -> tuple[int, np.ndarray]:
    """`number_line_step` of tokens with the given distances [p, p]."""
    p = len(distance_TT)
    if distance_TT.max() == 0:
        raise GrokError("all rows of the matrix are equal: there is no structure to score")
    steps, token = np.arange(1, p // 2 + 1), np.arange(p)
    scores = (
        distance_TT[token, (token + steps[:, None]) % p].mean(axis=1)
        * (p - 1)
        * p
        / distance_TT.sum()
    )
    best = np.argmin(np.where(np.gcd(steps, p) == 1, scores, np.inf))
    return int(steps[best]), scores


# --- Discrete logarithm ---


def primitive_root(p: int) -> int:
    """The smallest g whose powers are all non-zero residues mod the prime p; GrokError where p is not a prime."""
    if p < 3 or not is_prime(p):
        raise GrokError(
            f"the discrete logarithm is defined here for odd primes, and {p} is none: use the additive scores alone"
        )
    prime_factors = [q for q in range(2, p) if (p - 1) % q == 0 and is_prime(q)]
    return next(g for g in range(2, p) if all(pow(g, (p - 1) // q, p) != 1 for q in prime_factors))


def discrete_log_order(p: int) -> np.ndarray:
    """Tokens g^0, g^1, ..., g^(p-2) mod p for the smallest primitive root g, [p-1]: rows in this order live on Z/(p-1)."""
    g = primitive_root(p)
    return np.array([pow(g, e, p) for e in range(p - 1)])


def axis_scores(W, draws: int = 200, seed: int = 0) -> dict:
    """Which axis orders the tokens: 'additive' (Z/p) or 'multiplicative' (Z/(p-1), non-zero tokens by discrete logarithm).

    For each axis the Gini coefficient of the spectrum, its null (mean, p-value), IPR, circularity,
    circulant score of the cosines and key frequencies; 'axis' is the one with the larger Gini
    among those with p-value < 0.01, or 'neither'.
    """
    W = token_matrix(W)
    rows = {"additive": W, "multiplicative": W[discrete_log_order(len(W))]}
    scores = {axis: spectrum_scores(rows_TD, draws, seed) for axis, rows_TD in rows.items()}
    return scores | {
        "axis": better_axis(
            {axis: (found["gini"], found["p_value"]) for axis, found in scores.items()}
        )
    }


def element_order(W) -> np.ndarray:
    """The elements of Z/p along the axis that the rows show: by discrete logarithm or as they are.

    A discrete logarithm leaves out 0.
    """
    n = len(W)
    prime = n > 2 and is_prime(n)
    multiplicative = prime and axis_scores(W)["axis"] == "multiplicative"
    return discrete_log_order(n) if multiplicative else np.arange(n)


def better_axis(found: dict[str, tuple[float, float]]) -> str:
    """The axis with the largest Gini coefficient among those with p-value < 0.01, or 'neither'; found: axis -> (Gini, p-value)."""
    significant = [axis for axis, (_, p) in found.items() if p < 0.01]
    return max(significant, key=lambda axis: found[axis][0], default="neither")


def spectrum_scores(W, draws: int, seed: int) -> dict:
    """Scores of `W` [n, d] on the cyclic axis its rows are ordered by."""
    norms = frequency_norms(W)
    null = null_distribution(lambda rows: gini(frequency_norms(rows)), W, draws, seed)
    return {
        "gini": gini(norms),
        "gini_null": float(null.mean()),
        "p_value": p_value(gini(norms), null),
        "ipr": ipr(norms),
        "circularity": circularity(W),
        "circulant_cosine": circulant_score(cosine_similarity(W)),
        "key_frequencies": key_frequencies(W, draws, seed).tolist(),
    }
