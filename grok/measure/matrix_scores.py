"""All scores of one matrix of element rows, each beside its null distribution.

Its structure decides which. Z<n>: Fourier spectrum, circles, number line (in the rows and in the
t-SNE picture), residues, analogies; for a prime n also the spectrum, circles and number line of the
non-zero tokens by discrete logarithm (names 'log_...'). Other groups: irreducible representations
(S2..S5), the subgroup whose cosets fit best, and how its cosets cluster in pictures.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import silhouette_score

from grok.analysis import fourier, geometry, groups, irreps, probes, projection
from grok.experiment import GrokError
from grok.task.groups import Structure
from grok.task.operations import is_prime

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
ANALOGIES = 300
PLANES = 3  # whose parallelograms are a score of their own


class Score(NamedTuple):
    """A number, and what it would be by chance: `null` [R], draws of what `null_name` says.

    smaller: whether small values mean structure. None: both small and large ones do.
    """

    name: str
    value: float
    null: np.ndarray = np.empty(0)
    null_name: str = ""
    smaller: bool | None = False
    detail: str = ""


class MatrixScores(NamedTuple):
    """The scores of a matrix, and a note on each kind of score that could not be had."""

    scores: list[Score]
    notes: list[str]


Scorer = Callable[[], Iterable[Score]]  # computes scores of one kind when it is called


def null_summary(score: Score) -> fourier.NullSummary:
    """`fourier.null_summary` of a score; the p-value is that of the side that means structure."""
    if not score.smaller:
        found = fourier.null_summary(score.value, score.null)
        if score.smaller is None and len(score.null):
            distance_R = np.abs(score.null - found.mean)
            p = fourier.p_value(abs(score.value - found.mean), distance_R)
            return found._replace(p_value=p)
        return found
    found = fourier.null_summary(-score.value, -score.null)
    return fourier.NullSummary(-found.mean, -found.high, -found.low, found.p_value)


def null_draws(values: Callable[[np.ndarray], np.ndarray], W, draws: int, count: int) -> np.ndarray:
    """`fourier.null_distribution` of `count` values at once, [count, draws]; draws may be 0."""
    return fourier.null_distribution(values, W, draws).T if draws else np.empty((count, 0))


# --- Z/n ---


class Cyclic(NamedTuple):
    """Rows [n, D] along a cyclic axis, with what a permutation of the rows merely permutes.

    A null need not compute these anew. components_TC: `fourier.leading_components`. cosine_TT,
    dot_TT, distance_TT: of all pairs of rows. threshold: `fourier.key_threshold`.
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
    cosine = fourier.circulant_score(rows.cosine_TT)
    dot = fourier.circulant_score(rows.dot_TT)
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
            fourier.number_line_of(rows.distance_TT).length,
        ]
    )


def spectrum_scores(rows: Cyclic, draws: int, prefix: str = "") -> list[Score]:
    """The scores of SPECTRUM of rows along a cyclic axis, beside permuted rows."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(rows.W)) for _ in range(draws)]
    null = [spectrum_values(rows.permuted(order)) for order in orders]
    null_RS = np.array(null).reshape(draws, len(SPECTRUM))
    details = {
        "key_frequencies": " ".join(map(str, rows.keys)),
        "top_share": f"k={1 + fourier.frequency_power_share(rows.W).argmax()}",
        "norm_effect": "circulant score of dots less that of cosines",
        "number_line": f"step {fourier.number_line_of(rows.distance_TT).step}",
    }
    found = []
    for name, value, null_R in zip(SPECTRUM, spectrum_values(rows), null_RS.T):
        smaller, detail = name == "number_line", details.get(name, "")
        found.append(Score(prefix + name, value, null_R, PERMUTED, smaller, detail))
    return found


def picture_scores(points, prefix: str = "") -> list[Score]:
    """Number line and circle in a picture [n, 2], beside the same picture with permuted tokens.

    See `projection.shows_circle`.
    """
    found, n = projection.picture_circle(points), len(points)
    rng = np.random.default_rng(0)
    null = [projection.picture_circle(points[rng.permutation(n)]) for _ in range(DRAWS)]
    shown = float(projection.shows_circle(found, null, n))
    scores = [
        Score(
            "tsne_number_line",
            found.length,
            np.array([circle.length for circle in null]),
            smaller=True,
            detail=f"step {found.step}",
        ),
        Score(
            "tsne_angle_order",
            found.order,
            np.array([circle.order for circle in null]),
            detail=f"{found.turns} turns",
        ),
        Score(
            "tsne_circle",
            shown,
            np.array([projection.shows_circle(circle, null, n) for circle in null], float),
            detail="1: the circle appears",
        ),
    ]
    return [score._replace(name=prefix + score.name, null_name=PERMUTED) for score in scores]


def plane_scores(W, keys: list[int], draws: int, prefix: str = "") -> list[Score]:
    """How round the plane of a key frequency is, mean over the key frequencies.

    Beside permuted rows; nothing if there is no key frequency.
    """
    if not keys:
        return []
    details = {
        "radius_cv": "standard deviation of the radius over its mean",
        "angle_error": "degrees",
    }

    def statistics(rows):
        found = [fourier.circle_statistics(fourier.frequency_plane(rows, k), k) for k in keys]
        radius_cv = np.mean([circle["radius_cv"] for circle in found])
        angle_error = np.mean([circle["angle_error"] for circle in found])
        return np.array([radius_cv, angle_error])

    null = null_draws(statistics, W, draws, len(details))
    scores = []
    for (name, words), value, null_R in zip(details.items(), statistics(W), null):
        detail = f"{words}; k = {' '.join(map(str, keys))}"
        scores.append(Score(f"{prefix}plane_{name}", value, null_R, PERMUTED, True, detail))
    return scores


def axis_scores(W, found: Iterable[Score], draws: int) -> Iterator[Score]:
    """Which axis orders the tokens, from the Gini coefficients of the spectra on both axes.

    That on discrete logarithms less that on residues: above its null, of permuted rows, the
    logarithms order them; below it, the residues do.
    """
    axes = {"gini": "additive", "log_gini": "multiplicative"}
    ginis = {}
    for score in found:
        if score.name in axes:
            p = fourier.p_value(score.value, score.null) if len(score.null) else 1.0
            ginis[axes[score.name]] = fourier.AxisGini(score.value, p)
    if len(ginis) < 2:
        return
    order = fourier.discrete_log_order(len(W))

    def difference(rows):
        on_logarithms = fourier.gini(fourier.frequency_norms(rows[order]))
        return np.array([on_logarithms - fourier.gini(fourier.frequency_norms(rows))])

    [null_R] = null_draws(difference, W, draws, 1)
    detail = f"{fourier.better_axis(ginis)} (Gini on discrete logarithms less Gini)"
    yield Score("axis", float(difference(W)[0]), null_R, PERMUTED, None, detail)


def residue_scores(W, draws: int) -> Iterator[Score]:
    """How many moduli can be read from the rows after Holm's correction, and the one read best.

    The best one also by the estimators of scikit-learn. Each permuted labelling goes the same way,
    with the modulus that is read best from *it*, so that the choice flatters neither.
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
    """The accuracy of every kind of analogy, beside permuted rows."""

    found = geometry.analogies(W, keys, count=ANALOGIES)
    names = [f"analogy_{row.space}_{row.rule}_{row.similarity}" for row in found.itertuples()]

    def accuracy(rows):
        return geometry.analogies(rows, keys, count=ANALOGIES)["accuracy"].to_numpy()

    null = null_draws(accuracy, W, draws, len(names))
    return [
        Score(name, value, null_R, PERMUTED)
        for name, value, null_R in zip(names, found["accuracy"], null)
    ]


def parallelogram_scores(W, keys: list[int], draws: int) -> list[Score]:
    """Parallelograms that close in principal planes and in planes of key frequencies.

    In the best of five principal planes, in each of the first three, and in those of the three
    strongest key frequencies, beside permuted rows.
    """
    keys = keys[:PLANES]
    n_principal = min(PLANES, geometry.principal_planes(W).shape[1])
    details = {"parallelogram": "the best of five principal planes"}
    details |= {f"parallelogram_plane{i + 1}": "" for i in range(n_principal)}
    details |= {f"parallelogram_key{i + 1}": f"k={k}" for i, k in enumerate(keys)}

    def shares(rows):
        principal_K, key_K = geometry.parallelogram_scores(rows), np.empty(0)
        if keys:
            key_K = geometry.parallelograms(geometry.frequency_coefficients(rows, keys))
        return np.array([principal_K.max(), *principal_K[:n_principal], *key_K])

    null = null_draws(shares, W, draws, len(details))
    return [
        Score(name, value, null_R, PERMUTED, detail=detail)
        for (name, detail), value, null_R in zip(details.items(), shares(W), null)
    ]


def cyclic_scorers(W, group: Structure, draws: int) -> list[Scorer]:
    """The scorers of a matrix over Z<n>; GrokError for any other structure."""
    n = fourier.require_cyclic(group)
    points, few, rows = projection.coordinates(W), min(draws, SLOW_DRAWS), Cyclic.of(W)
    scorers = axis_scorers(rows, points, draws)
    if n > 3 and is_prime(n):
        order = fourier.discrete_log_order(n)
        scorers += axis_scorers(Cyclic.of(W[order]), points[order], draws, "log_")
    return [
        *scorers,
        lambda: residue_scores(W, draws),
        lambda: analogy_scores(W, rows.planes, few),
        lambda: parallelogram_scores(W, rows.planes, few),
    ]


def axis_scorers(rows: Cyclic, points, draws: int, prefix: str = "") -> list[Scorer]:
    """The scorers that depend on the order of the rows, and of their points [n, 2], on an axis."""
    return [
        lambda: spectrum_scores(rows, draws, prefix),
        lambda: plane_scores(rows.W, rows.planes, draws, prefix),
        lambda: picture_scores(points, prefix),
    ]


# --- Groups ---


def irrep_scores(W, group: Structure, draws: int) -> list[Score]:
    """Share of each irreducible representation of S_n in the centred rows, and the largest share.

    Beside permuted rows.
    """
    degree = group.degree
    W = fourier.centred(W, group.order)
    shapes = list(irreps.irreps(degree))

    def shares(rows):
        share_I = np.array(list(irreps.explained_by_irrep(rows, degree).values()))
        return np.append(share_I, share_I.max())

    values, null_IR = shares(W), null_draws(shares, W, draws, len(shapes) + 1)
    words = ["+".join(map(str, shape)) for shape in shapes]
    scores = [
        Score(f"irrep_{word}", value, null_R, PERMUTED)
        for word, value, null_R in zip(words, values, null_IR)
    ]
    largest = words[values[:-1].argmax()]
    return [*scores, Score("irrep_top", values[-1], null_IR[-1], PERMUTED, detail=largest)]


def coset_scores(W, group: Structure, draws: int) -> Iterator[Score]:
    """The best subgroup on either side, whether it is the paper's, and how its cosets cluster.

    The null of a best z is the best z of relabelled elements. The null of a silhouette takes the
    subgroup that is best under the relabelling. So the choice among subgroups flatters neither.
    """
    test = groups.coset_test(W, group, LARGE_DRAWS if draws else DRAWS)
    scores, null_z = test.scores, test.null_z if draws else test.null_z[:, :0]
    rows_of = {
        "coset_z": scores.index,
        "coset_z_left": scores.index[scores.side == "left"],
        "coset_z_right": scores.index[scores.side == "right"],
    }
    for name, rows in rows_of.items():
        yield best_coset_score(name, scores.loc[rows], null_z[rows], group)
    if group.name == "S5":
        yield from paper_coset_scores(scores, null_z, group)
    yield from silhouette_scores(W, group, test, draws)


def paper_coset_scores(
    scores: pd.DataFrame, null_z: np.ndarray, group: Structure
) -> Iterator[Score]:
    """The best of the paper's subgroup of S5 and its conjugates, and whether it is best of all."""
    subgroups = groups.subgroups(group)
    paper_H = np.array([groups.is_figure_3_subgroup(group, members) for members in subgroups])
    rows = scores.index[paper_H[scores.subgroup]]
    yield best_coset_score("paper_coset_z", scores.loc[rows], null_z[rows], group)
    best_of_draw = np.nanargmin(null_z, axis=0) if null_z.size else np.empty(0, int)
    yield Score(
        "best_is_paper",
        float(paper_H[groups.best_subgroup(scores).subgroup]),
        paper_H[scores.subgroup.to_numpy()[best_of_draw]].astype(float),
        PARTITIONS,
        detail="1: the paper's subgroup or a conjugate",
    )


def best_coset_score(
    name: str, scores: pd.DataFrame, null_z: np.ndarray, group: Structure
) -> Score:
    """The lowest z among some rows of `groups.coset_scores`, whose null z are null_z [rows, R]."""
    best = groups.best_subgroup(scores)
    words = f"{'gH' if best.side == 'left' else 'Hg'}, order {best.order}"
    members = groups.subgroups(group)[best.subgroup]
    if group.name == "S5" and groups.is_figure_3_subgroup(group, members):
        words += ", the paper's"
    null = np.nanmin(null_z, axis=0, initial=np.inf) if null_z.size else np.empty(0)
    return Score(name, best.z, null, PARTITIONS, True, words)


def silhouette_scores(W, group: Structure, test: groups.CosetTest, draws: int) -> Iterator[Score]:
    """Silhouettes of the cosets of the best subgroup in pictures: t-SNE and two principal planes.

    plane1 is the usual picture of principal components.
    """
    pictures = {"tsne_silhouette": projection.coordinates(W)}
    for i, points in enumerate(projection.plane_points(W), 1):
        pictures[f"plane{i}_silhouette"] = points
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
        relabelled_NN = distance_NN[np.ix_(order_N, order_N)]
        return float(silhouette_score(relabelled_NN, labels, metric="precomputed"))

    best_R = np.nanargmin(test.null_z[:, : min(draws, DRAWS)], axis=0)
    null = [silhouette(row, order_N) for row, order_N in zip(best_R, test.relabellings)]
    value = silhouette(test.scores.z.idxmin(), np.arange(group.order))
    return Score(name, value, np.array(null), PARTITIONS)


def group_scorers(W, group: Structure, draws: int) -> list[Scorer]:
    """The scorers of a matrix over a group other than Z<n>."""
    cosets: list[Scorer] = [lambda: coset_scores(W, group, draws)]
    if group.name not in {f"S{n}" for n in range(2, irreps.MAX_IRREP_DEGREE + 1)}:
        return cosets
    return [lambda: irrep_scores(W, group, draws), *cosets]


# --- Any matrix ---


def gaussian_rows(W, draws: int) -> Iterator[np.ndarray]:
    """Matrices [n, d] with Gaussian directions and the lengths of the centred rows of `W`.

    A permutation of the tokens is no null here: it changes no rank, dimension or loop.
    """
    length_T, rng = np.linalg.norm(fourier.centred(W), axis=1), np.random.default_rng(0)
    for _ in range(draws):
        rows = rng.normal(size=W.shape)
        yield rows * (length_T / np.linalg.norm(rows, axis=1))[:, None]


def permuted_components(W, draws: int) -> Iterator[np.ndarray]:
    """The principal components of `W`, each permuted on its own.

    The spectrum stays; what joins the components is gone.
    """
    U, S, _ = np.linalg.svd(fourier.centred(W), full_matrices=False)
    rng = np.random.default_rng(0)
    for _ in range(draws):
        yield rng.permuted(U * S, axis=0)


def norm_cv(W) -> float:
    """Standard deviation of the lengths of the centred rows over their mean."""
    length_T = np.linalg.norm(fourier.centred(W), axis=1)
    return float(length_T.std() / length_T.mean())


def beside_gaussian(
    name: str, statistic: Callable, W, draws: int, smaller: bool | None = True, detail: str = ""
) -> Score:
    """A statistic of `W` that does not see the order of the rows, beside Gaussian rows."""
    null = np.array([statistic(rows) for rows in gaussian_rows(W, draws)])
    return Score(name, statistic(W), null, GAUSSIAN, smaller, detail)


def norm_score(W, draws: int) -> Score:
    """How much the lengths of the rows vary, beside Gaussian matrices."""
    rng = np.random.default_rng(0)
    null = np.array([norm_cv(rng.normal(size=W.shape)) for _ in range(draws)])
    words = "standard deviation of the rows' lengths over their mean"
    return Score("norm_cv", norm_cv(W), null, "Gaussian matrix", True, words)


def loop_scores(W, draws: int) -> list[Score]:
    """The longest-lived loop, beside Gaussian rows and beside permuted principal components."""
    words = "lifetime over the mean distance of two rows"
    score = beside_gaussian("longest_loop", geometry.longest_loop, W, draws, False, words)
    null = np.array([geometry.longest_loop(rows) for rows in permuted_components(W, draws)])
    name, null_name = "longest_loop_components", "principal components permuted, each on its own"
    return [score, score._replace(name=name, null=null, null_name=null_name)]


def dimension_scorers(W, draws: int) -> list[Scorer]:
    """The scorers that do not see the order of the rows."""
    rank, mle = geometry.effective_rank, geometry.intrinsic_dimension_mle
    twonn = geometry.intrinsic_dimension_twonn
    return [
        lambda: [norm_score(W, draws)],
        lambda: [beside_gaussian("effective_rank", rank, W, draws)],
        lambda: [beside_gaussian("intrinsic_dimension_mle", mle, W, draws, None)],
        lambda: [beside_gaussian("intrinsic_dimension_twonn", twonn, W, draws, None)],
        lambda: loop_scores(W, draws),
    ]


def matrix_scores(W, group: Structure, with_null: bool = True) -> MatrixScores:
    """Every score that fits a matrix [n, D] of the elements of a structure.

    GrokError for a matrix that is not finite or has the wrong size.
    """
    draws = DRAWS if with_null else 0
    W = fourier.token_matrix(W, group.order)
    scorers = cyclic_scorers(W, group, draws) if group.is_ring else group_scorers(W, group, draws)
    scores: list[Score] = []
    notes: list[str] = []
    for scorer in scorers + dimension_scorers(W, min(draws, SLOW_DRAWS)):
        try:
            scores += scorer()
        except GrokError as error:
            notes.append(str(error))
    return MatrixScores(scores + list(axis_scores(W, scores, draws)), notes)
