"""All scores of one matrix of element rows, each beside its null distribution.

Its structure decides which: see `cyclic_scores` for Z<n>, `group_scores` for other groups. Every
matrix has those that do not see the order of its rows.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from grok.analysis import geometry
from grok.analysis.matrix_rows import centred, token_matrix
from grok.experiment import GrokError
from grok.measure import chance
from grok.measure.chance import Score, Scorer
from grok.measure.cyclic_scores import axis_scores, cyclic_scorers
from grok.measure.group_scores import group_scorers
from grok.task.groups import Structure

GAUSSIAN = "Gaussian rows of the same lengths"


class MatrixScores(NamedTuple):
    """The scores of a matrix, and a note on each kind of score that could not be had."""

    scores: list[Score]
    notes: list[str]


def gaussian_rows(W, draws: int) -> Iterator[np.ndarray]:
    """Matrices [n, d] with Gaussian directions and the lengths of the centred rows of `W`.

    A permutation of the tokens is no null here: it changes no rank, dimension or loop.
    """
    length_T, rng = np.linalg.norm(centred(W), axis=1), np.random.default_rng(0)
    for _ in range(draws):
        rows = rng.normal(size=W.shape)
        yield rows * (length_T / np.linalg.norm(rows, axis=1))[:, None]


def permuted_components(W, draws: int) -> Iterator[np.ndarray]:
    """The principal components of `W`, each permuted on its own.

    The spectrum stays; what joins the components is gone.
    """
    U, S, _ = np.linalg.svd(centred(W), full_matrices=False)
    rng = np.random.default_rng(0)
    for _ in range(draws):
        yield rng.permuted(U * S, axis=0)


def norm_cv(W) -> float:
    """Standard deviation of the lengths of the centred rows over their mean."""
    length_T = np.linalg.norm(centred(W), axis=1)
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
    draws = chance.DRAWS if with_null else 0
    W = token_matrix(W, group.order)
    scorers = cyclic_scorers(W, group, draws) if group.is_ring else group_scorers(W, group, draws)
    scores: list[Score] = []
    notes: list[str] = []
    for scorer in scorers + dimension_scorers(W, min(draws, chance.SLOW_DRAWS)):
        try:
            scores += scorer()
        except GrokError as error:
            notes.append(str(error))
    return MatrixScores(scores + list(axis_scores(W, scores, draws)), notes)
