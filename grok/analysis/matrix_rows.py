"""A matrix of one row a token, checked and centred: what every score of a matrix begins with.

An offset that all tokens share says nothing about their order, so the rows are centred before they
are scored.
"""

import numpy as np

from grok.experiment import GrokError


def token_matrix(W, n_tokens: int | None = None) -> np.ndarray:
    """`W` as a finite float64 array [n_tokens, d]; GrokError otherwise."""
    W = np.asarray(W, dtype=np.float64)
    if W.ndim != 2 or len(W) < 3:
        raise GrokError(
            f"scores need a matrix of at least 3 rows, one a token, not an array of shape {W.shape}"
        )
    if n_tokens is not None and len(W) != n_tokens:
        raise GrokError(
            f"the matrix has {len(W)} rows but the structure has {n_tokens} elements: "
            "give its elements' rows only, without operators and '='"
        )
    if not np.isfinite(W).all():
        raise GrokError(
            f"the matrix has {np.count_nonzero(~np.isfinite(W))} non-finite entries: "
            "this run diverged, score an earlier snapshot"
        )
    return W


def centred(W, n_tokens: int | None = None) -> np.ndarray:
    """`W` [n, d] less its mean row; GrokError where all rows are equal."""
    W = token_matrix(W, n_tokens)
    W_centred = W - W.mean(axis=0)
    if np.abs(W_centred).max() <= 1e-12 * np.abs(W).max():
        raise GrokError("all rows of the matrix are equal: there is no structure to score")
    return W_centred
