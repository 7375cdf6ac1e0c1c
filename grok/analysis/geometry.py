"""Analogies, parallelograms, dimension and loops of a matrix whose rows are the tokens of Z/p.

As in `fourier`, `W` [p, d] holds token t in row t and is centred first. Permuting the rows
(`fourier.null_distribution`) is the null model of analogies and parallelograms; ranks, dimensions
and loops do not see the order of the rows, so compare them with Gaussian rows or an untrained network.
"""

import functools

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist, squareform

from grok.analysis.fourier import SINGULAR_CUTOFF, centred, frequency_plane
from grok.experiment import GrokError

MEASURES = ("cosine", "dot", "l2")
COINCIDENT = 1e-9  # rows nearer than this share of the mean distance are one point
TINY = np.finfo(float).tiny


def principal_planes(W) -> np.ndarray:
    """The rows' principal components in pairs (1, 2), (3, 4), ..., complex [p, rank // 2]; one component counts as a plane of its own."""
    U, S, _ = np.linalg.svd(centred(W), full_matrices=False)
    component_TC = (U * S)[:, SINGULAR_CUTOFF * S[0] < S]
    if component_TC.shape[1] == 1:
        return component_TC.astype(complex)
    pairs = component_TC.shape[1] // 2
    return component_TC[:, : 2 * pairs : 2] + 1j * component_TC[:, 1 : 2 * pairs : 2]


def frequency_coefficients(W, frequencies) -> np.ndarray:
    """Coordinates of the rows in the planes of the given frequencies (`fourier.frequency_plane`), complex [p, K]."""
    return np.stack([frequency_plane(W, int(k)) @ np.array([1, 1j]) for k in frequencies], axis=1)


def as_real(z_NK: np.ndarray) -> np.ndarray:
    """Complex [n, K] as real [n, 2K]."""
    return np.concatenate([z_NK.real, z_NK.imag], axis=1)


# --- Analogies ---


def analogy_quadruples(p: int, count: int = 2000, seed: int = 0) -> np.ndarray:
    """Random analogies a : b :: c : d with d = c + b - a mod p as rows (a, b, c, d), all four different, int [count, 4]."""
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
    guess_NC: np.ndarray, x_TC: np.ndarray, abcd_N4: np.ndarray, measure: str
) -> float:
    """Share of analogies whose d is the token nearest to the guess by 'cosine', 'dot' or 'l2', once a, b and c are left out."""
    if measure not in MEASURES:
        raise GrokError(f"analogies are measured by {', '.join(MEASURES)}, not by {measure!r}")
    score_NT = guess_NC @ x_TC.T
    if measure == "cosine":
        score_NT = score_NT / np.maximum(np.linalg.norm(x_TC, axis=1), TINY)
    elif measure == "l2":
        score_NT = score_NT - (x_TC**2).sum(axis=1) / 2
    np.put_along_axis(score_NT, abcd_N4[:, :3], -np.inf, axis=1)
    return float((score_NT.argmax(axis=1) == abcd_N4[:, 3]).mean())


def analogies(W, frequencies, count: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Accuracy of a : b :: c : ? with the answer c + b - a mod p; columns space, rule, measure, accuracy, chance.

    space: 'raw', the rows as they are (principal planes for the rotation), or 'key', the planes of
    the given key frequencies. rule: 'additive', x_c + x_b - x_a, which a circle obeys only in part,
    or 'rotation', the complex product, which a circle always obeys. Without frequencies, no 'key' rows.
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
            records += [
                (space, rule, measure, analogy_accuracy(guess_NC, candidate_TC, abcd_N4, measure))
                for measure in MEASURES
            ]
    return pd.DataFrame(records, columns=["space", "rule", "measure", "accuracy"]).assign(
        chance=1 / (len(W) - 3)
    )


# --- Parallelograms ---


def parallelogram_scores(W, n_planes: int = 5, tolerance: float = 0.01) -> np.ndarray:
    """Share of parallelograms that close, in each of the first principal planes, [at most n_planes].

    Over all a + d = b + c mod p with {a, d} and {b, c} different: is the mean over the plane's
    dimensions of (E_a + E_d - E_b - E_c)^2 below `tolerance`, each dimension having unit variance?
    (Liu et al., Towards Understanding Grokking, the representation quality index.)
    """
    return parallelograms(principal_planes(W)[:, :n_planes], tolerance)


def parallelograms(z_TK: np.ndarray, tolerance: float = 0.01) -> np.ndarray:
    """Share of parallelograms that close in each of the given planes, complex [p, K]; see `parallelogram_scores`."""
    flat = (z_TK.imag == 0).all(axis=0)
    x_KT2 = np.stack(
        [z_TK.real / z_TK.real.std(axis=0), z_TK.imag / np.where(flat, 1, z_TK.imag.std(axis=0))]
    ).transpose(2, 1, 0)
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
    return [(low[here], high[here]) for here in ((low + high) % p == s for s in range(p))]


# --- Dimension and loops ---


def effective_rank(W) -> float:
    """exp of the entropy of the singular values of the centred rows, normalised to sum 1 (Roy and Vetterli 2007); 1..rank."""
    S = np.linalg.svd(centred(W), compute_uv=False)
    share = S[S > 0] / S.sum()
    return float(np.exp(-(share * np.log(share)).sum()))


def neighbour_distances(W, count: int) -> np.ndarray:
    """Distances of each distinct row to its `count` nearest other distinct rows, [m, count], ascending; GrokError where too few differ."""
    W = centred(W)
    distance_TT = squareform(pdist(W))
    coincident_TT = np.triu(distance_TT <= COINCIDENT * distance_TT.mean(), k=1)
    distinct = ~coincident_TT.any(axis=0)
    if distinct.sum() <= count:
        raise GrokError(
            f"only {distinct.sum()} rows of the matrix differ: an intrinsic dimension needs more than {count}"
        )
    return np.sort(distance_TT[np.ix_(distinct, distinct)], axis=1)[:, 1 : count + 1]


def intrinsic_dimension_twonn(W) -> float:
    """TwoNN intrinsic dimension: m / sum ln(r_2 / r_1) over the distances to the two nearest rows (Facco et al. 2017).

    It takes the points for a random sample. Evenly spaced tokens, a clean circle too, have
    r_1 = r_2 and an estimate that grows without bound (inf): use `intrinsic_dimension_mle` for them.
    """
    near_T2 = neighbour_distances(W, 2)
    logs = np.log(near_T2[:, 1] / near_T2[:, 0]).sum()
    return float(len(near_T2) / logs) if logs > 1e-9 * len(near_T2) else float("inf")


def intrinsic_dimension_mle(W, neighbours: int = 10) -> float:
    """Maximum-likelihood intrinsic dimension: 1 / mean over tokens and j < K of ln(r_K / r_j), K neighbours.

    (Levina and Bickel 2004, averaged as MacKay and Ghahramani do.) Less noisy than TwoNN, and
    finite for evenly spaced tokens.
    """
    near_TK = neighbour_distances(W, neighbours)
    return float(1 / np.log(near_TK[:, -1:] / near_TK[:, :-1]).mean())


def persistent_loops(W) -> np.ndarray:
    """Birth and death of every loop (first persistent homology, Vietoris-Rips) as [m, 2], longest-lived first.

    In units of the mean distance of two rows. A circle or cylinder has one loop that outlives all
    others, a torus two. Needs the optional package ripser; GrokError without it.
    """
    try:
        import ripser
    except ImportError:
        raise GrokError(
            "persistent homology needs the package ripser: pip install ripser"
        ) from None
    distances = pdist(centred(W))
    bars_M2 = ripser.ripser(
        squareform(distances / distances.mean()), distance_matrix=True, maxdim=1
    )["dgms"][1]
    return bars_M2[np.argsort(bars_M2[:, 0] - bars_M2[:, 1], kind="stable")]


def longest_loop(W) -> float:
    """Lifetime of the longest-lived loop of `persistent_loops`; 0 where there is none."""
    bars_M2 = persistent_loops(W)
    return float(np.ptp(bars_M2[0])) if len(bars_M2) else 0.0
