"""The scores of a matrix of element rows over a group other than Z<n>, each beside its null.

Irreducible representations (S2..S5), the subgroup whose cosets fit best, and how its cosets cluster
in pictures.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import silhouette_score

from grok.analysis import groups, irreps, projection
from grok.analysis.matrix_rows import centred
from grok.measure import chance
from grok.measure.chance import PARTITIONS, PERMUTED, Score, Scorer, null_draws
from grok.task.groups import Structure


def irrep_scores(W, group: Structure, draws: int) -> list[Score]:
    """Share of each irreducible representation of S_n in the centred rows, and the largest share.

    Beside permuted rows.
    """
    degree = group.degree
    W = centred(W, group.order)
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
    test = groups.coset_test(W, group, chance.LARGE_DRAWS if draws else chance.DRAWS)
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

    best_R = np.nanargmin(test.null_z[:, : min(draws, chance.DRAWS)], axis=0)
    null = [silhouette(row, order_N) for row, order_N in zip(best_R, test.relabellings)]
    value = silhouette(test.scores.z.idxmin(), np.arange(group.order))
    return Score(name, value, np.array(null), PARTITIONS)


def group_scorers(W, group: Structure, draws: int) -> list[Scorer]:
    """The scorers of a matrix over a group other than Z<n>."""
    cosets: list[Scorer] = [lambda: coset_scores(W, group, draws)]
    if group.name not in {f"S{n}" for n in range(2, irreps.MAX_IRREP_DEGREE + 1)}:
        return cosets
    return [lambda: irrep_scores(W, group, draws), *cosets]
