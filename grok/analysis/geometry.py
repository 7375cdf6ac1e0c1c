"""Analogies, parallelograms, dimension and loops of a matrix whose rows are the tokens of Z/p.

As in `fourier`, `W` [p, d] holds token t in row t and is centred first. The null model of analogies
and parallelograms is a permutation of the rows (`null_distribution`). Ranks, dimensions and
loops do not see the order of the rows: compare them with Gaussian rows or an untrained network.
"""

import functools

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist, squareform

from grok.analysis.fourier import SINGULAR_CUTOFF, frequency_plane
from grok.analysis.matrix_rows import centred
from grok.experiment import GrokError

SIMILARITIES = ("cosine", "dot", "l2")
COINCIDENT = 1e-9  # rows nearer than this share of the mean distance are one point
TINY = np.finfo(float).tiny


def principal_planes(W) -> np.ndarray:
    """The principal components of the rows in pairs (1, 2), (3, 4), ..., complex [p, rank // 2].

    A single component counts as a plane of its own.
    """
    U, S, _ = np.linalg.svd(centred(W), full_matrices=False)
    component_TC = (U * S)[:, SINGULAR_CUTOFF * S[0] < S]
    if component_TC.shape[1] == 1:
        return component_TC.astype(complex)
    pairs = component_TC.shape[1] // 2
    return component_TC[:, : 2 * pairs : 2] + 1j * component_TC[:, 1 : 2 * pairs : 2]


def frequency_coefficients(W, frequencies) -> np.ndarray:
    """Coordinates of the rows in the `frequency_plane` of each of K frequencies, complex [p, K]."""
    planes = [frequency_plane(W, int(k)) for k in frequencies]
    return np.stack([points @ np.array([1, 1j]) for points in planes], axis=1)


def as_real(z_NK: np.ndarray) -> np.ndarray:
    """Complex [n, K] as real [n, 2K]."""
    return np.concatenate([z_NK.real, z_NK.imag], axis=1)


# --- Analogies ---


def analogy_quadruples(p: int, count: int = 2000, seed: int = 0) -> np.ndarray:
    """Random analogies a : b :: c : d with d = c + b - a mod p, rows (a, b, c, d), int [count, 4].

    The four are different.
    """
    if p < 5:
        raise GrokError(f"analogies need at least 5 tokens, not {p}")
    rng = np.random.default_rng(seed)
    a = rng.integers(p, size=20 * count)  # at p = 5 at least 2 of 4 draws are kept
    to_b, to_c = rng.integers(1, p, size=(2, len(a)))
    abcd_N4 = np.stack([a, a + to_b, a + to_c, a + to_b + to_c], axis=1) % p
    different = (to_b != to_c) & ((to_b + to_c) % p != 0)
    return abcd_N4[different][:count]


def additive_guess(x_TC: np.ndarray, abcd_N4: np.ndarray) -> np.ndarray:
    """x_c + x_b - x_a, [n, C]."""
    a, b, c, _ = abcd_N4.T
    return x_TC[c] + x_TC[b] - x_TC[a]


def rotation_guess(z_TK: np.ndarray, abcd_N4: np.ndarray) -> np.ndarray:
    """c turned, in every plane, by the angle from a to b; its radius stays. Complex [n, K]."""
    a, b, c, _ = abcd_N4.T
    turn_NK = z_TK[b] * z_TK[a].conj()
    return z_TK[c] * turn_NK / np.maximum(np.abs(turn_NK), TINY)


def analogy_accuracy(
    guess_NC: np.ndarray, x_TC: np.ndarray, abcd_N4: np.ndarray, similarity: str
) -> float:
    """Share of analogies whose d is the token nearest to the guess; a, b and c are left out.

    similarity: 'cosine', 'dot' or 'l2'.
    """
    if similarity not in SIMILARITIES:
        raise GrokError(f"analogies are scored by {', '.join(SIMILARITIES)}, not by {similarity!r}")
    score_NT = guess_NC @ x_TC.T
    if similarity == "cosine":
        score_NT = score_NT / np.maximum(np.linalg.norm(x_TC, axis=1), TINY)
    elif similarity == "l2":
        score_NT = score_NT - (x_TC**2).sum(axis=1) / 2
    np.put_along_axis(score_NT, abcd_N4[:, :3], -np.inf, axis=1)
    return float((score_NT.argmax(axis=1) == abcd_N4[:, 3]).mean())


def analogies(W, frequencies, count: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Accuracy of a : b :: c : ? where the answer is c + b - a mod p.

    Columns: space, rule, similarity, accuracy, chance. space: 'raw', the rows as they are
    (principal planes for the rotation), or 'key', the planes of the given key frequencies, if
    there are any. rule: 'additive', x_c + x_b - x_a, which a circle obeys only in part, or
    'rotation', the complex product, which a circle always obeys.
    """
    W = centred(W)
    abcd_N4 = analogy_quadruples(len(W), count, seed)
    spaces = {"raw": (W, principal_planes(W))}
    if len(frequencies):
        z_TK = frequency_coefficients(W, frequencies)
        spaces["key"] = (as_real(z_TK), z_TK)
    records = []
    for space, (x_TC, z_TK) in spaces.items():
        rules = {
            "additive": (additive_guess(x_TC, abcd_N4), x_TC),
            "rotation": (as_real(rotation_guess(z_TK, abcd_N4)), as_real(z_TK)),
        }
        for rule, (guess_NC, candidate_TC) in rules.items():
            for similarity in SIMILARITIES:
                accuracy = analogy_accuracy(guess_NC, candidate_TC, abcd_N4, similarity)
                records.append((space, rule, similarity, accuracy))
    found = pd.DataFrame(records, columns=["space", "rule", "similarity", "accuracy"])
    return found.assign(chance=1 / (len(W) - 3))


# --- Parallelograms ---


def parallelogram_scores(W, n_planes: int = 5, tolerance: float = 0.01) -> np.ndarray:
    """Share of parallelograms that close in each of the first principal planes, [at most n_planes].

    A parallelogram is a + d = b + c mod p with {a, d} and {b, c} different. It closes if the mean
    over the dimensions of the plane of (E_a + E_d - E_b - E_c)^2 is below `tolerance`, each
    dimension scaled to unit variance (Liu et al., Towards Understanding Grokking: the
    representation quality index).
    """
    return parallelograms(principal_planes(W)[:, :n_planes], tolerance)


def parallelograms(z_TK: np.ndarray, tolerance: float = 0.01) -> np.ndarray:
    """`parallelogram_scores` in the given planes, complex [p, K]."""
    flat = (z_TK.imag == 0).all(axis=0)  # a plane of one dimension
    real_TK = z_TK.real / z_TK.real.std(axis=0)
    imag_TK = z_TK.imag / np.where(flat, 1, z_TK.imag.std(axis=0))
    x_KT2 = np.stack([real_TK, imag_TK]).transpose(2, 1, 0)
    limit_K = tolerance * np.where(flat, 1, 2)
    closed_K, total = np.zeros(len(x_KT2), int), 0
    for low, high in pairs_of_equal_sum(len(z_TK)):
        gap_KQ = [pdist(x_T2[low] + x_T2[high], "sqeuclidean") for x_T2 in x_KT2]
        closed_K += [np.count_nonzero(gap_Q < limit) for gap_Q, limit in zip(gap_KQ, limit_K)]
        total += len(gap_KQ[0])
    return closed_K / total


@functools.lru_cache(maxsize=2)
def pairs_of_equal_sum(p: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For every residue s the pairs low <= high with low + high = s mod p, as two index arrays."""
    low, high = np.triu_indices(p)
    pairs = []
    for s in range(p):
        here = (low + high) % p == s
        pairs.append((low[here], high[here]))
    return pairs


# --- Dimension and loops ---


def effective_rank(W) -> float:
    """exp of the entropy of the singular values, normalised to sum 1: from 1 to the rank.

    (Roy and Vetterli 2007.)
    """
    S = np.linalg.svd(centred(W), compute_uv=False)
    share = S[S > 0] / S.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def neighbour_distances(W, count: int) -> np.ndarray:
    """Distances of each distinct row to the `count` nearest others, [m, count], ascending.

    GrokError where too few rows differ.
    """
    W = centred(W)
    distance_TT = squareform(pdist(W))
    coincident_TT = np.triu(distance_TT <= COINCIDENT * distance_TT.mean(), k=1)
    distinct = ~coincident_TT.any(axis=0)
    if distinct.sum() <= count:
        raise GrokError(
            f"only {distinct.sum()} rows of the matrix differ: "
            f"an intrinsic dimension needs more than {count}"
        )
    return np.sort(distance_TT[np.ix_(distinct, distinct)], axis=1)[:, 1 : count + 1]


def intrinsic_dimension_twonn(W) -> float:
    """TwoNN intrinsic dimension: m / sum ln(r_2 / r_1), r_1 and r_2 the two nearest distances.

    (Facco et al. 2017.) It takes the points for a random sample. Evenly spaced tokens, such as a
    clean circle, have r_1 = r_2 and an infinite estimate: use `intrinsic_dimension_mle` for them.
    """
    near_T2 = neighbour_distances(W, 2)
    logs = np.log(near_T2[:, 1] / near_T2[:, 0]).sum()
    return float(len(near_T2) / logs) if logs > 1e-9 * len(near_T2) else float("inf")


def intrinsic_dimension_mle(W, neighbours: int = 10) -> float:
    """Maximum-likelihood intrinsic dimension: 1 / mean of ln(r_K / r_j) over tokens and j < K.

    (Levina and Bickel 2004, averaged as MacKay and Ghahramani do.) Less noisy than TwoNN, and
    finite for evenly spaced tokens.
    """
    near_TK = neighbour_distances(W, neighbours)
    return float(1 / np.log(near_TK[:, -1:] / near_TK[:, :-1]).mean())


def persistent_loops(W) -> np.ndarray:
    """Birth and death of every loop, [m, 2], in units of the mean distance of two rows.

    First persistent homology (Vietoris-Rips), longest-lived loop first. A circle or cylinder has
    one loop that outlives all others, a torus has two. Needs the optional package ripser;
    GrokError without it.
    """
    try:
        import ripser
    except ImportError:
        raise GrokError(
            "persistent homology needs the package ripser: pip install ripser"
        ) from None
    distances = pdist(centred(W))
    distance_TT = squareform(distances / distances.mean())
    bars_M2 = ripser.ripser(distance_TT, distance_matrix=True, maxdim=1)["dgms"][1]
    return bars_M2[np.argsort(bars_M2[:, 0] - bars_M2[:, 1], kind="stable")]


def longest_loop(W) -> float:
    """Lifetime of the longest-lived loop of `persistent_loops`; 0 where there is none."""
    bars_M2 = persistent_loops(W)
    return float(np.ptp(bars_M2[0])) if len(bars_M2) else 0.0
