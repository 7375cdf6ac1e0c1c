"""All scores of one matrix of token rows, chosen by its structure, each beside its null distribution.

Z<n>: Fourier spectrum, circles, number line (in the rows and in the t-SNE picture), residues, analogies; for a prime n
the same spectrum on the discrete logarithm of the non-zero tokens (names 'log_...'). Other groups: irreducible
representations (S2..S5), the subgroup whose cosets fit best, and how its cosets cluster in pictures.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import silhouette_score

from grok.analysis import fourier, geometry, groups, irreps, probes, projection
from grok.experiment import GrokError
from grok.task.operations import Structure, is_prime

PERMUTED, PARTITIONS = "tokens permuted", "tokens permuted, best of as many partitions"
GAUSSIAN = "Gaussian rows of the same lengths"
SPECTRUM = (
    "key_frequencies",
    "top_share",
    "gini",
    "ipr",
    "circularity",
    "circulant_cosine",
    "circulant_dot",
    "norm_effect",
    "number_line",
)
DRAWS, SLOW_DRAWS, LARGE_DRAWS = 199, 39, 999
SIGNIFICANT = 0.05
PLANES = 3  # of parallelograms, each a score of its own


class Score(NamedTuple):
    """A number, and what it would be by chance: `null` [R] draws of what `null_name` says.

    smaller: small values mean structure; None: small and large ones do.
    """

    name: str
    value: float
    null: np.ndarray = np.empty(0)
    null_name: str = ""
    smaller: bool | None = False
    detail: str = ""


def null_summary(score: Score) -> tuple[float, float, float, float]:
    """`fourier.null_summary` of a score's null: mean, 95% range, and the p-value on the side that means structure."""
    sign = -1 if score.smaller else 1
    mean, low, high, p = fourier.null_summary(sign * score.value, sign * score.null)
    if score.smaller is None and len(score.null):
        p = fourier.p_value(abs(score.value - mean), np.abs(score.null - mean))
    return sign * mean, *sorted((sign * low, sign * high)), p


def null_draws(values: Callable[[np.ndarray], np.ndarray], W, draws: int, count: int) -> np.ndarray:
    """`fourier.null_distribution` of `count` values at once, [count, draws]; also for no draws."""
    return fourier.null_distribution(values, W, draws).T if draws else np.empty((count, 0))


# --- Z/n ---


class Cyclic(NamedTuple):
    """Rows [n, D] on a cyclic axis, with what permuting them merely permutes: so a null need not compute it anew.

    components_TC: `fourier.leading_components`; cosine_TT, dot_TT, distance_TT: of all pairs of rows; threshold: `fourier.key_threshold`.
    """

    W: np.ndarray
    components_TC: np.ndarray
    cosine_TT: np.ndarray
    dot_TT: np.ndarray
    distance_TT: np.ndarray
    threshold: float

    @classmethod
    def of(cls, W) -> "Cyclic":
        return cls(
            W,
            fourier.leading_components(W),
            fourier.cosine_similarity(W),
            fourier.dot_similarity(W),
            squareform(pdist(W)),
            fourier.key_threshold(W),
        )

    def permuted(self, order: np.ndarray) -> "Cyclic":
        both = np.ix_(order, order)
        return Cyclic(
            self.W[order],
            self.components_TC[order],
            self.cosine_TT[both],
            self.dot_TT[both],
            self.distance_TT[both],
            self.threshold,
        )

    @property
    def keys(self) -> list[int]:
        """The key frequencies, strongest first."""
        return fourier.frequencies_above(self.W, self.threshold).tolist()

    @property
    def planes(self) -> list[int]:
        """The key frequencies that have a plane: without half of an even number of rows."""
        return [k for k in self.keys if 2 * k < len(self.W)]


def spectrum_values(rows: Cyclic) -> np.ndarray:
    """The scores of SPECTRUM."""
    norms_K = fourier.frequency_norms(rows.W)
    share_K = norms_K**2 / (norms_K**2).sum()
    cosine, dot = (
        fourier.circulant_score(similarity_TT) for similarity_TT in (rows.cosine_TT, rows.dot_TT)
    )
    step, lengths = fourier.number_line_of(rows.distance_TT)
    return np.array(
        [
            np.count_nonzero(share_K > rows.threshold),
            share_K.max(),
            fourier.gini(norms_K),
            fourier.ipr(norms_K),
            fourier.circularity_of(rows.components_TC),
            cosine,
            dot,
            dot - cosine,
            lengths[step - 1],
        ]
    )


def spectrum_scores(rows: Cyclic, draws: int, prefix: str = "") -> list[Score]:
    """Scores of rows in the order of a cyclic axis, beside permuted rows."""
    rng = np.random.default_rng(0)
    null_RS = np.array(
        [spectrum_values(rows.permuted(rng.permutation(len(rows.W)))) for _ in range(draws)]
    ).reshape(draws, len(SPECTRUM))
    details = {
        "key_frequencies": " ".join(map(str, rows.keys)),
        "top_share": f"k={1 + fourier.frequency_power_share(rows.W).argmax()}",
        "norm_effect": "circulant score of dots less that of cosines",
        "number_line": f"step {fourier.number_line_of(rows.distance_TT)[0]}",
    }
    return [
        Score(prefix + name, value, null_R, PERMUTED, name == "number_line", details.get(name, ""))
        for name, value, null_R in zip(SPECTRUM, spectrum_values(rows), null_RS.T)
    ]


def picture_scores(points, prefix: str = "") -> list[Score]:
    """Number line and circle in a picture [n, 2], beside the same picture with its tokens permuted; see `projection.shows_circle`."""
    found = projection.picture_circle(points)
    rng = np.random.default_rng(0)
    null = [projection.picture_circle(points[rng.permutation(len(points))]) for _ in range(DRAWS)]
    shown = np.array([projection.shows_circle(circle, null, len(points)) for circle in null], float)
    return [
        Score(
            f"{prefix}tsne_number_line",
            found.length,
            np.array([circle.length for circle in null]),
            PERMUTED,
            True,
            f"step {found.step}",
        ),
        Score(
            f"{prefix}tsne_angle_order",
            found.order,
            np.array([circle.order for circle in null]),
            PERMUTED,
            detail=f"{found.turns} turns",
        ),
        Score(
            f"{prefix}tsne_circle",
            float(projection.shows_circle(found, null, len(points))),
            shown,
            PERMUTED,
            detail="1: the circle appears",
        ),
    ]


def plane_scores(W, keys: list[int], draws: int, prefix: str = "") -> list[Score]:
    """How round each key frequency's own plane is, mean over the key frequencies, beside permuted rows; nothing where no plane is key."""
    if not keys:
        return []

    def statistics(rows):
        found = [fourier.circle_statistics(fourier.frequency_plane(rows, k), k) for k in keys]
        return np.array(
            [np.mean([circle[name] for circle in found]) for name in ("radius_cv", "angle_error")]
        )

    details = ["standard deviation of the radius over its mean", "degrees"]
    return [
        Score(
            f"{prefix}plane_{name}",
            value,
            null_R,
            PERMUTED,
            True,
            f"{detail}; k = {' '.join(map(str, keys))}",
        )
        for name, detail, value, null_R in zip(
            ("radius_cv", "angle_error"),
            details,
            statistics(W),
            null_draws(statistics, W, draws, 2),
        )
    ]


def axis_scores(W, found: Iterable[Score], draws: int) -> Iterator[Score]:
    """Which axis orders the tokens, from the Gini coefficients on both: above the null the logarithms, below it the residues."""
    axes = {"gini": "additive", "log_gini": "multiplicative"}
    gini = {axes[score.name]: score for score in found if score.name in axes}
    if len(gini) < 2:
        return
    order = fourier.discrete_log_order(len(W))

    def difference(rows):
        return np.array(
            [
                fourier.gini(fourier.frequency_norms(rows[order]))
                - fourier.gini(fourier.frequency_norms(rows))
            ]
        )

    best = fourier.better_axis(
        {
            axis: (
                score.value,
                fourier.p_value(score.value, score.null) if len(score.null) else 1.0,
            )
            for axis, score in gini.items()
        }
    )
    [null_R] = null_draws(difference, W, draws, 1)
    yield Score(
        "axis",
        float(difference(W)[0]),
        null_R,
        PERMUTED,
        None,
        f"{best} (Gini on discrete logarithms less Gini)",
    )


def residue_scores(W, draws: int) -> Iterator[Score]:
    """How many moduli k = 2..29 can be read from the rows after Holm's correction, and the k read best, also by scikit-learn's own estimators.

    Each permuted labelling goes the same way, with the modulus that is read best from *it*, so that the choice flatters neither.
    """
    if not draws:
        return
    test = probes.residue_test(W, draws=LARGE_DRAWS)
    known = test.scores[test.scores.scored]
    if known.empty:
        return
    readable = known[known.holm < SIGNIFICANT]
    words = f"of {len(known)} moduli none"
    if len(readable):
        words = "k = " + " ".join(map(str, readable.k))
    null = test.null_readable(SIGNIFICANT)
    yield Score("residues", float(len(readable)), null, PERMUTED, detail=words)
    excess, best = test.best().excess, test.scores.loc[test.best().row[0]]
    accuracy = f"accuracy {best.accuracy:.2f}, Holm's p {best.holm:.3f}"
    words = f"k={best.k} by {best.probe}: {accuracy}"
    yield Score("best_residue", excess[0], excess[1:], PERMUTED, detail=words)
    for name, probe in test.library_probes(SLOW_DRAWS).items():
        words = f"k={best.k}: accuracy {probe.accuracy:.2f}"
        yield Score(f"residue_{name}", probe.excess[0], probe.excess[1:], PERMUTED, detail=words)


def analogy_scores(W, keys: list[int], draws: int) -> list[Score]:
    """Accuracies of analogies, beside permuted rows."""

    def accuracies(rows):
        return geometry.analogies(rows, keys, count=300)["accuracy"].to_numpy()

    names = [
        f"analogy_{row.space}_{row.rule}_{row.similarity}"
        for row in geometry.analogies(W, keys, count=1).itertuples()
    ]
    return [
        Score(name, value, null_R, PERMUTED)
        for name, value, null_R in zip(
            names, accuracies(W), null_draws(accuracies, W, draws, len(names))
        )
    ]


def parallelogram_scores(W, keys: list[int], draws: int) -> list[Score]:
    """Parallelograms that close in the best of five principal planes, in the first of these, and in the planes of the strongest key frequencies, beside permuted rows."""
    keys = keys[:PLANES]
    n_principal = min(PLANES, geometry.principal_planes(W).shape[1])

    def shares(rows):
        principal_K, key_K = (
            geometry.parallelogram_scores(rows),
            geometry.parallelograms(geometry.frequency_coefficients(rows, keys)) if keys else [],
        )
        return np.array([principal_K.max(), *principal_K[:n_principal], *key_K])

    names = [
        "parallelogram",
        *(f"parallelogram_plane{i + 1}" for i in range(n_principal)),
        *(f"parallelogram_key{i + 1}" for i in range(len(keys))),
    ]
    details = ["the best of five principal planes", *[""] * n_principal, *(f"k={k}" for k in keys)]
    return [
        Score(name, value, null_R, PERMUTED, detail=detail)
        for name, value, null_R, detail in zip(
            names, shares(W), null_draws(shares, W, draws, len(names)), details
        )
    ]


def cyclic_parts(W, group: Structure, draws: int) -> list[Callable[[], Iterable[Score]]]:
    """The scores of a matrix over Z<n>, each group of scores a call; GrokError for any other structure."""
    n = fourier.require_cyclic(group)
    points, few, rows = projection.coordinates(W), min(draws, SLOW_DRAWS), Cyclic.of(W)
    parts = axis_parts(rows, points, draws)
    if n > 3 and is_prime(n):
        order = fourier.discrete_log_order(n)
        parts += axis_parts(Cyclic.of(W[order]), points[order], draws, "log_")
    return [
        *parts,
        lambda: residue_scores(W, draws),
        lambda: analogy_scores(W, rows.planes, few),
        lambda: parallelogram_scores(W, rows.planes, few),
    ]


def axis_parts(
    rows: Cyclic, points, draws: int, prefix: str = ""
) -> list[Callable[[], Iterable[Score]]]:
    """The scores that depend on the order of the rows along a cyclic axis, and of their points in a picture."""
    return [
        lambda: spectrum_scores(rows, draws, prefix),
        lambda: plane_scores(rows.W, rows.planes, draws, prefix),
        lambda: picture_scores(points, prefix),
    ]


# --- Groups ---


def irrep_scores(W, group: Structure, draws: int) -> list[Score]:
    """Share of each irreducible representation of S_n in the centred rows, and the largest, beside permuted rows."""
    degree = group.permutations.shape[1]
    W = fourier.centred(W, group.order)
    shapes = list(irreps.irreps(degree))

    def shares(rows):
        share_I = np.array(list(irreps.explained_by_irrep(rows, degree).values()))
        return np.append(share_I, share_I.max())

    values, null_IR = shares(W), null_draws(shares, W, draws, len(shapes) + 1)
    words = ["+".join(map(str, shape)) for shape in shapes]
    names = [f"irrep_{word}" for word in words] + ["irrep_top"]
    return [
        Score(
            name,
            value,
            null_R,
            PERMUTED,
            detail=words[values[:-1].argmax()] if name == "irrep_top" else "",
        )
        for name, value, null_R in zip(names, values, null_IR)
    ]


def coset_part_scores(W, group: Structure, draws: int) -> Iterator[Score]:
    """The best subgroup on either side, whether it is the paper's, and how its cosets cluster in pictures.

    The null of a best z is the best z of the relabelled elements; that of a silhouette takes the subgroup that
    is best under the relabelling, so that neither is flattered by the choice among all subgroups.
    """
    test = groups.coset_test(W, group, LARGE_DRAWS if draws else DRAWS)
    scores, null_z = test.scores, test.null_z if draws else test.null_z[:, :0]
    best = groups.best_subgroup(scores)
    for name, rows in {
        "coset_z": scores.index,
        "coset_z_left": scores.index[scores.side == "left"],
        "coset_z_right": scores.index[scores.side == "right"],
    }.items():
        yield best_coset_score(name, scores.loc[rows], null_z[rows], group)
    if group.name == "S5":
        paper_H = np.array(
            [groups.is_figure_3_subgroup(group, members) for members in groups.subgroups(group)]
        )
        rows = scores.index[paper_H[scores.subgroup]]
        yield best_coset_score("paper_coset_z", scores.loc[rows], null_z[rows], group)
        chosen = np.nanargmin(null_z, axis=0) if draws else np.empty(0, int)
        yield Score(
            "best_is_paper",
            float(paper_H[best.subgroup]),
            paper_H[scores.subgroup.to_numpy()[chosen]].astype(float),
            PARTITIONS,
            detail="1: the paper's subgroup or a conjugate",
        )
    yield from silhouette_scores(W, group, test, draws)


def best_coset_score(
    name: str, scores: pd.DataFrame, null_z: np.ndarray, group: Structure
) -> Score:
    best = groups.best_subgroup(scores)
    paper = (
        ", the paper's"
        if group.name == "S5"
        and groups.is_figure_3_subgroup(group, groups.subgroups(group)[best.subgroup])
        else ""
    )
    words = f"{'gH' if best.side == 'left' else 'Hg'}, order {best.order}{paper}"
    return Score(
        name,
        best.z,
        np.nanmin(null_z, axis=0, initial=np.inf) if null_z.size else np.empty(0),
        PARTITIONS,
        True,
        words,
    )


def silhouette_scores(W, group: Structure, test: groups.CosetTest, draws: int) -> Iterator[Score]:
    """Silhouettes of the best subgroup's cosets in t-SNE and in the first two principal planes (plane1: PCA's usual picture)."""
    pictures = {"tsne_silhouette": projection.coordinates(W)} | {
        f"plane{i}_silhouette": points for i, points in enumerate(projection.plane_points(W), 1)
    }
    for name, points in pictures.items():
        yield silhouette_score_of(name, points, group, test, draws)


def silhouette_score_of(
    name: str, points, group: Structure, test: groups.CosetTest, draws: int
) -> Score:
    """Silhouette of the best subgroup's cosets in a picture [n, 2], beside relabelled elements."""
    distance_NN = squareform(pdist(points))

    def silhouette(row, order_N) -> float:
        found = test.scores.loc[row]
        labels = groups.cosets(group, groups.subgroups(group)[found.subgroup], found.side)
        return float(
            silhouette_score(distance_NN[np.ix_(order_N, order_N)], labels, metric="precomputed")
        )

    best_R = np.nanargmin(test.null_z[:, : min(draws, DRAWS)], axis=0)
    null = [silhouette(row, order_N) for row, order_N in zip(best_R, test.relabellings)]
    return Score(
        name, silhouette(test.scores.z.idxmin(), np.arange(group.order)), np.array(null), PARTITIONS
    )


def group_parts(W, group: Structure, draws: int) -> list[Callable[[], Iterable[Score]]]:
    """The scores of a matrix over a group other than Z<n>, each group of scores a call."""
    cosets = [lambda: coset_part_scores(W, group, draws)]
    if group.name not in {f"S{n}" for n in range(2, irreps.MAX_IRREP_DEGREE + 1)}:
        return cosets
    return [lambda: irrep_scores(W, group, draws), *cosets]


# --- Any matrix ---


def gaussian_rows(W, draws: int) -> Iterator[np.ndarray]:
    """Matrices [n, d] with Gaussian directions and the lengths of the centred rows of `W`: permuting tokens changes no rank, dimension or loop."""
    length_T, rng = np.linalg.norm(fourier.centred(W), axis=1), np.random.default_rng(0)
    for _ in range(draws):
        rows = rng.normal(size=W.shape)
        yield rows * (length_T / np.linalg.norm(rows, axis=1))[:, None]


def permuted_components(W, draws: int) -> Iterator[np.ndarray]:
    """The principal components of `W`, each permuted on its own: the spectrum stays, what joins the components is gone."""
    U, S, _ = np.linalg.svd(fourier.centred(W), full_matrices=False)
    rng = np.random.default_rng(0)
    for _ in range(draws):
        yield rng.permuted(U * S, axis=0)


def norm_cv(W) -> float:
    """Standard deviation of the lengths of the centred rows over their mean."""
    length_T = np.linalg.norm(fourier.centred(W), axis=1)
    return float(length_T.std() / length_T.mean())


def dimension_parts(W, draws: int) -> list[Callable[[], Iterable[Score]]]:
    """Scores that do not see the order of the rows, beside Gaussian rows."""

    def beside_gaussian(name, measure, smaller=True, detail=""):
        return [
            Score(
                name,
                measure(W),
                np.array([measure(rows) for rows in gaussian_rows(W, draws)]),
                GAUSSIAN,
                smaller,
                detail,
            )
        ]

    def norms():
        rng = np.random.default_rng(0)
        null = np.array([norm_cv(rng.normal(size=W.shape)) for _ in range(draws)])
        return [
            Score(
                "norm_cv",
                norm_cv(W),
                null,
                "Gaussian matrix",
                True,
                "standard deviation of the rows' lengths over their mean",
            )
        ]

    def loops():
        words = "lifetime over the mean distance of two rows"
        [score] = beside_gaussian("longest_loop", geometry.longest_loop, False, words)
        null = np.array([geometry.longest_loop(rows) for rows in permuted_components(W, draws)])
        return [
            score,
            score._replace(
                name="longest_loop_components",
                null=null,
                null_name="principal components permuted, each on its own",
            ),
        ]

    return [
        norms,
        lambda: beside_gaussian("effective_rank", geometry.effective_rank),
        lambda: beside_gaussian("intrinsic_dimension_mle", geometry.intrinsic_dimension_mle, None),
        lambda: beside_gaussian(
            "intrinsic_dimension_twonn", geometry.intrinsic_dimension_twonn, None
        ),
        loops,
    ]


def matrix_scores(W, group: Structure, with_null: bool = True) -> tuple[list[Score], list[str]]:
    """Every score that fits a matrix [n, D] of a structure's elements, and a line for each that could not be had.

    GrokError for a matrix that is not finite or has the wrong size.
    """
    draws = DRAWS if with_null else 0
    W = fourier.token_matrix(W, group.order)
    found, notes = [], []
    for part in (cyclic_parts if group.is_ring else group_parts)(W, group, draws) + dimension_parts(
        W, min(draws, SLOW_DRAWS)
    ):
        try:
            found += part()
        except GrokError as error:
            notes.append(str(error))
    return found + list(axis_scores(W, found, draws)), notes
