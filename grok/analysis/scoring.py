"""All scores of one matrix of token rows, chosen by its structure, each beside its null distribution.

Z<n>: Fourier spectrum, circles, number line (in the rows and in the t-SNE picture), residues, analogies; for a prime n
the same spectrum on the discrete logarithm of the non-zero tokens (names 'log_...'). Other groups: irreducible
representations (S2..S5), the subgroup whose cosets fit best, and how its cosets cluster in pictures.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import silhouette_score

from grok.analysis import fourier, geometry, groups, probes, projection
from grok.experiment import GrokError
from grok.operations import Structure, is_prime

PERMUTED, PARTITIONS = "tokens permuted", "tokens permuted, best of as many partitions"
SPECTRUM = ("key_frequencies", "top_share", "gini", "ipr", "circularity", "circulant_cosine", "circulant_dot", "norm_effect", "number_line")
DRAWS, SLOW_DRAWS, LARGE_DRAWS = 199, 39, 999
SIGNIFICANT = 0.05


class Score(NamedTuple):
    """A number, and what it would be by chance: `null` [R] draws of what `null_name` says. smaller: small values mean structure."""

    name: str
    value: float
    null: np.ndarray = np.empty(0)
    null_name: str = ""
    smaller: bool = False
    detail: str = ""


def null_draws(values: Callable[[np.ndarray], np.ndarray], W, draws: int, count: int) -> np.ndarray:
    """`fourier.null_distribution` of `count` values at once, [count, draws]; also for no draws."""
    return fourier.null_distribution(values, W, draws).T if draws else np.empty((count, 0))


# --- Z/n ---


def spectrum_values(W, threshold: float) -> np.ndarray:
    """The scores of SPECTRUM for rows on one cyclic axis; `threshold` is `fourier.key_threshold`."""
    share_K, norms_K = fourier.frequency_power_share(W), fourier.frequency_norms(W)
    cosine, dot = (fourier.circulant_score(similarity(W)) for similarity in (fourier.cosine_similarity, fourier.dot_similarity))
    step, lengths = fourier.number_line_step(W)
    return np.array([np.count_nonzero(share_K > threshold), share_K.max(), fourier.gini(norms_K), fourier.ipr(norms_K), fourier.circularity(W),
                     cosine, dot, dot - cosine, lengths[step - 1]])


def spectrum_scores(W, draws: int, prefix: str = "") -> list[Score]:
    """Scores of rows [n, D] in the order of a cyclic axis, beside permuted rows."""
    threshold, keys = fourier.key_threshold(W), fourier.key_frequencies(W)
    null_SR = null_draws(lambda rows: spectrum_values(rows, threshold), W, draws, len(SPECTRUM))
    details = {"key_frequencies": " ".join(map(str, keys)), "top_share": f"k={1 + fourier.frequency_power_share(W).argmax()}",
               "norm_effect": "circulant score of dots less that of cosines", "number_line": f"step {fourier.number_line_step(W)[0]}"}
    return [Score(prefix + name, value, null_R, PERMUTED, name == "number_line", details.get(name, ""))
            for name, value, null_R in zip(SPECTRUM, spectrum_values(W, threshold), null_SR)]


def picture_scores(points, prefix: str = "") -> list[Score]:
    """Number line and circle in a picture [n, 2], beside the same picture with its tokens permuted; see `projection.shows_circle`."""
    found = projection.picture_circle(points)
    rng = np.random.default_rng(0)
    null = [projection.picture_circle(points[rng.permutation(len(points))]) for _ in range(DRAWS)]
    shown = np.array([projection.shows_circle(circle, null, len(points)) for circle in null], float)
    return [
        Score(f"{prefix}tsne_number_line", found.length, np.array([circle.length for circle in null]), PERMUTED, True, f"step {found.step}"),
        Score(f"{prefix}tsne_angle_order", found.order, np.array([circle.order for circle in null]), PERMUTED, detail=f"{found.turns} turns"),
        Score(f"{prefix}tsne_circle", float(projection.shows_circle(found, null, len(points))), shown, PERMUTED, detail="1: the circle appears"),
    ]


def axis_score(scores: Iterable[Score]) -> Iterator[Score]:
    """Which axis orders the tokens, from the Gini coefficients on both."""
    axes = {"gini": "additive", "log_gini": "multiplicative"}
    gini = {axes[score.name]: score for score in scores if score.name in axes}
    if len(gini) == 2:
        best = fourier.better_axis({axis: (score.value, fourier.p_value(score.value, score.null) if len(score.null) else 1.0) for axis, score in gini.items()})
        yield Score("axis", gini["multiplicative"].value - gini["additive"].value, detail=f"{best} (Gini on discrete logarithms less Gini)")


def residue_scores(W, draws: int) -> Iterator[Score]:
    """How many moduli k = 2..29 can be read from the rows after Holm's correction, and the k read best."""
    found = probes.residue_probes(W, draws=LARGE_DRAWS if draws else 0)
    known = found[found.scored]
    if draws and len(known):
        readable = known[known.holm < SIGNIFICANT]
        yield Score("residues", float(len(readable)), detail="k = " + " ".join(map(str, readable.k)) if len(readable) else f"of {len(known)} moduli none")
        best = known.assign(excess=known.accuracy - known.null_mean).sort_values("excess").iloc[-1]
        yield Score("best_residue", best.excess, detail=f"k={best.k} by {best.probe}: accuracy {best.accuracy:.2f}, Holm's p {best.holm:.3f}")


def analogy_scores(W, draws: int) -> list[Score]:
    """Accuracies of analogies and closed parallelograms of the best plane, beside permuted rows."""
    keys = [int(k) for k in fourier.key_frequencies(W) if 2 * k < len(W)]

    def accuracies(rows):
        return np.append(geometry.analogies(rows, keys, count=300)["accuracy"], geometry.parallelogram_scores(rows).max())

    values = accuracies(W)
    names = [f"analogy_{row.space}_{row.rule}_{row.measure}" for row in geometry.analogies(W, keys, count=1).itertuples()] + ["parallelogram"]
    return [Score(name, value, null_R, PERMUTED) for name, value, null_R in zip(names, values, null_draws(accuracies, W, draws, len(names)))]


def cyclic_parts(W, group: Structure, draws: int) -> list[Callable[[], Iterable[Score]]]:
    """The scores of a matrix over Z<n>, each group of scores a call; GrokError for any other structure."""
    n = fourier.require_cyclic(group)
    points = projection.coordinates(W)
    parts = [lambda: spectrum_scores(W, draws), lambda: picture_scores(points)]
    if n > 3 and is_prime(n):
        order = fourier.discrete_log_order(n)
        parts += [lambda: spectrum_scores(W[order], draws, "log_"), lambda: picture_scores(points[order], "log_")]
    return [*parts, lambda: residue_scores(W, draws), lambda: analogy_scores(W, min(draws, SLOW_DRAWS))]


# --- Groups ---


def irrep_scores(W, group: Structure, draws: int) -> list[Score]:
    """Share of each irreducible representation of S_n in the centred rows, and the largest, beside permuted rows."""
    degree = group.permutations.shape[1]
    W = fourier.centred(W, group.order)
    shapes = list(groups.irreps(degree))

    def shares(rows):
        share_I = np.array(list(groups.explained_by_irrep(rows, degree).values()))
        return np.append(share_I, share_I.max())

    values, null_IR = shares(W), null_draws(shares, W, draws, len(shapes) + 1)
    words = ["+".join(map(str, shape)) for shape in shapes]
    names = [f"irrep_{word}" for word in words] + ["irrep_top"]
    return [Score(name, value, null_R, PERMUTED, detail=words[values[:-1].argmax()] if name == "irrep_top" else "") for name, value, null_R in zip(names, values, null_IR)]


def coset_part_scores(W, group: Structure, draws: int) -> Iterator[Score]:
    """The best subgroup on either side, whether it is the paper's, and how its cosets cluster in pictures.

    The null of a best z is the best z of the relabelled elements; that of a silhouette takes the subgroup that
    is best under the relabelling, so that neither is flattered by the choice among all subgroups.
    """
    test = groups.coset_test(W, group, LARGE_DRAWS if draws else DRAWS)
    scores, null_z = test.scores, test.null_z if draws else test.null_z[:, :0]
    best = groups.best_subgroup(scores)
    for name, rows in {"coset_z": scores.index, "coset_z_left": scores.index[scores.side == "left"], "coset_z_right": scores.index[scores.side == "right"]}.items():
        yield best_coset_score(name, scores.loc[rows], null_z[rows], group)
    if group.name == "S5":
        paper_H = np.array([groups.is_figure_3_subgroup(group, members) for members in groups.subgroups(group)])
        rows = scores.index[paper_H[scores.subgroup]]
        yield best_coset_score("paper_coset_z", scores.loc[rows], null_z[rows], group)
        chosen = np.nanargmin(null_z, axis=0) if draws else np.empty(0, int)
        yield Score("best_is_paper", float(paper_H[best.subgroup]), paper_H[scores.subgroup.to_numpy()[chosen]].astype(float), PARTITIONS, detail="1: the paper's subgroup or a conjugate")
    yield from silhouette_scores(W, group, test, draws)


def best_coset_score(name: str, scores: pd.DataFrame, null_z: np.ndarray, group: Structure) -> Score:
    best = groups.best_subgroup(scores)
    paper = ", the paper's" if group.name == "S5" and groups.is_figure_3_subgroup(group, groups.subgroups(group)[best.subgroup]) else ""
    words = f"{'gH' if best.side == 'left' else 'Hg'}, order {best.order}{paper}"
    return Score(name, best.z, np.nanmin(null_z, axis=0, initial=np.inf) if null_z.size else np.empty(0), PARTITIONS, True, words)


def silhouette_scores(W, group: Structure, test: groups.CosetTest, draws: int) -> Iterator[Score]:
    """Silhouettes of the best subgroup's cosets in t-SNE and in the first principal planes."""
    pictures = {"tsne_silhouette": projection.coordinates(W)} | {f"plane{i}_silhouette": points for i, points in enumerate(projection.plane_points(W), 1)}

    def labels(row):
        found = test.scores.loc[row]
        return groups.cosets(group, groups.subgroups(group)[found.subgroup], found.side)

    best_R = np.nanargmin(test.null_z[:, : min(draws, DRAWS)], axis=0)
    for name, points in pictures.items():
        null = [silhouette_score(points[order_N], labels(row)) for row, order_N in zip(best_R, test.relabellings)]
        yield Score(name, float(silhouette_score(points, labels(test.scores.z.idxmin()))), np.array(null), PARTITIONS)


def group_parts(W, group: Structure, draws: int) -> list[Callable[[], Iterable[Score]]]:
    """The scores of a matrix over a group other than Z<n>, each group of scores a call."""
    irreps = [lambda: irrep_scores(W, group, draws)] if group.name in {f"S{n}" for n in range(2, groups.MAX_IRREP_DEGREE + 1)} else []
    return [*irreps, lambda: coset_part_scores(W, group, draws)]


# --- Any matrix ---


def dimension_parts(W) -> list[Callable[[], Iterable[Score]]]:
    """Scores that do not see the order of the rows: only an untrained network is a null for them."""
    length_T = np.linalg.norm(fourier.centred(W), axis=1)
    return [
        lambda: [Score("norm_cv", float(length_T.std() / length_T.mean()), detail="standard deviation of the rows' lengths over their mean")],
        lambda: [Score("effective_rank", geometry.effective_rank(W))],
        lambda: [Score("intrinsic_dimension_mle", geometry.intrinsic_dimension_mle(W))],
        lambda: [Score("intrinsic_dimension_twonn", geometry.intrinsic_dimension_twonn(W))],
        lambda: [Score("longest_loop", float(np.ptp(geometry.persistent_loops(W)[:1], axis=1).sum()), detail="lifetime over the mean distance of two rows")],
    ]


def matrix_scores(W, group: Structure, with_null: bool = True) -> tuple[list[Score], list[str]]:
    """Every score that fits a matrix [n, D] of a structure's elements, and a line for each that could not be had.

    GrokError for a matrix that is not finite or has the wrong size.
    """
    draws = DRAWS if with_null else 0
    W = fourier.token_matrix(W, group.order)
    found, notes = [], []
    for part in (cyclic_parts if group.is_ring else group_parts)(W, group, draws) + dimension_parts(W):
        try:
            found += part()
        except GrokError as error:
            notes.append(str(error))
    return found + list(axis_score(found)), notes
