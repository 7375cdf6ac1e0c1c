"""Pictures of rows as points in the plane: t-SNE, in one setting for all, and principal planes."""

from typing import NamedTuple

import numpy as np
from sklearn.manifold import TSNE

from grok.analysis.geometry import principal_planes
from grok.analysis.matrix_rows import centred
from grok.analysis.similarity import number_line

PERPLEXITY = 30  # the paper gives no t-SNE setting; this one is the library's default
EXACT_UP_TO = 1000  # rows: the exact gradient is quick and does not depend on the number of threads


def perplexity(n_rows: int) -> int:
    """The default, or a third of the rows: a small structure has no more neighbours than that."""
    return max(min(PERPLEXITY, (n_rows - 1) // 3), 1)


def coordinates(W, neighbours: float | None = None, seed: int | None = None) -> np.ndarray:
    """t-SNE of rows [n, d], float [n, 2], in the one setting of all figures and scores.

    neighbours: another perplexity. seed: a random start in place of the principal components.
    """
    method = "exact" if len(W) <= EXACT_UP_TO else "barnes_hut"
    start = "pca" if seed is None else "random"
    # A picture begins from two principal components; a column of zeros moves no row.
    W = np.pad(W, ((0, 0), (0, max(2 - np.shape(W)[1], 0))))
    return TSNE(
        perplexity=neighbours or perplexity(len(W)),
        init=start,
        random_state=seed or 0,
        method=method,
    ).fit_transform(centred(W))


def coordinates_from(W, start) -> np.ndarray:
    """t-SNE of rows [n, d] that goes on from a picture [n, 2] of rows like them, float [n, 2].

    As many steps as the library allows at least, and none of the early exaggeration that would
    scatter the picture: points stay where they can.
    """
    return TSNE(
        perplexity=perplexity(len(W)),
        init=np.asarray(start),
        random_state=0,
        method="exact",
        early_exaggeration=1,
        max_iter=250,
    ).fit_transform(centred(W))


def plane_points(W, n_planes: int = 2) -> list[np.ndarray]:
    """The rows in their first principal planes, at most `n_planes` arrays [n, 2]."""
    return [np.stack([z_T.real, z_T.imag], axis=1) for z_T in principal_planes(W)[:, :n_planes].T]


class PictureCircle(NamedTuple):
    """How far a picture shows the tokens in order on a circle.

    step, length: the best number line (`similarity.NumberLine`). turns: the k whose angles
    2 pi k t/n are nearest to the angles of the tokens t about the picture's centre. order: how
    near, |mean exp(i (angle - 2 pi k t/n))| in [0, 1].
    """

    step: int
    length: float
    turns: int
    order: float


def picture_circle(points) -> PictureCircle:
    """The best number line and the best angular order of points [n, 2], token t in row t."""
    points = centred(points)
    n = len(points)
    line = number_line(points)
    z_T = points @ np.array([1, 1j])
    order_K = np.abs(np.fft.fft(z_T / np.maximum(np.abs(z_T), np.finfo(float).tiny))) / n
    turns = 1 + int(order_K[1:].argmax())
    return PictureCircle(line.step, line.length, turns, float(order_K[turns]))


def shows_circle(observed: PictureCircle, null: list[PictureCircle], n: int) -> bool:
    """Whether the circle of the n tokens appears in a picture.

    null: the same picture with its tokens permuted. It appears if (a) the best number line is
    shorter than the 1% quantile of the null, (b) the angular order is above its 99% quantile, and
    (c) the two agree: the number line goes once round the centre, in either direction,
    k step = +-1 mod n. None of the three has a number to tune.
    """
    short = observed.length < np.quantile([circle.length for circle in null], 0.01)
    ordered = observed.order > np.quantile([circle.order for circle in null], 0.99)
    return bool(short and ordered and observed.turns * observed.step % n in (1, n - 1))
