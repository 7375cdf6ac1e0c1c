"""How alike the tokens' rows are: similarities, what i - j mod p explains of them, number lines.

Everywhere `W` [p, d] holds one row a token, token t = 0..p-1 in row t.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import pdist, squareform

from grok.analysis.matrix_rows import centred, token_matrix
from grok.experiment import GrokError


def dot_similarity(W) -> np.ndarray:
    """Dot products of the centred rows, [p, p]."""
    W = centred(W)
    return W @ W.T


def cosine_similarity(W) -> np.ndarray:
    """Cosines between the centred rows, [p, p].

    A row equal to the mean row has cosine 0 with all others.
    """
    W = centred(W)
    norm = np.linalg.norm(W, axis=1, keepdims=True)
    W = W / np.where(norm > 1e-12 * norm.max(), norm, np.inf)
    return W @ W.T


def circulant_score(S) -> float:
    """Share of the variance of similarities S [p, p] that i - j mod p explains; 1 if circulant.

    The diagonal is left out.
    """
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


class NumberLine(NamedTuple):
    """The step of the shortest closed tour over all tokens, and the length of every tour, [p//2].

    lengths: of step m at index m - 1, the mean distance from n to n + m over the mean distance of
    two tokens (1: no better than chance).
    """

    step: int
    lengths: np.ndarray

    @property
    def length(self) -> float:
        """The length of the shortest tour."""
        return float(self.lengths[self.step - 1])


def number_line(W) -> NumberLine:
    """The number line that lies in rows [p, d], or in the points [p, 2] of a picture.

    Steps m and p - m draw the same tour. The shortest one is sought among the steps that visit
    every token, gcd(m, p) = 1.
    """
    return number_line_of(squareform(pdist(token_matrix(W))))


def number_line_of(distance_TT: np.ndarray) -> NumberLine:
    """`number_line` of tokens with the given distances [p, p]."""
    p = len(distance_TT)
    if distance_TT.max() == 0:
        raise GrokError("all rows of the matrix are equal: there is no structure to score")
    steps, token = np.arange(1, p // 2 + 1), np.arange(p)
    joint_M = distance_TT[token, (token + steps[:, None]) % p].mean(axis=1)
    length_M = joint_M * (p - 1) * p / distance_TT.sum()
    best = np.argmin(np.where(np.gcd(steps, p) == 1, length_M, np.inf))
    return NumberLine(int(steps[best]), length_M)
