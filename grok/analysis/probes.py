"""Can the residue of a token be read from its row? Cross-validated probes beside many permutations of the labels.

Both probes are linear in the one-hot labels (a smoother's row times them), so that a thousand permuted
labellings cost one matrix product: enough for p-values that survive a correction for all moduli.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold

from grok.analysis.fourier import centred, null_summary
from grok.experiment import GrokError

FOLDS = 3
DIMENSIONS = 32
NEIGHBOURS = 3
RIDGE = 1.0  # on features of unit variance
SMALLEST_PROBED = 8  # below, a fold may be left with a single residue


def residue_probes(W, moduli: Iterable[int] = range(2, 30), draws: int = 999, seed: int = 0) -> pd.DataFrame:
    """Can t mod k be read from row t of `W` [n, d]? Three-fold cross-validated accuracy of the better of two probes, a row per k.

    Columns: k, probe ('ridge': least squares on one-hot residues; 'knn': the 3 nearest neighbours weighted by
    inverse distance), accuracy, null_mean, null_low and null_high (95%) of the better probe's accuracy over `draws`
    permutations of the tokens, p_value and its Holm correction over all k, and scored. The probes see the first 32
    principal components, scaled together to unit variance. A k with fewer than 3 tokens a residue, one for each
    fold, is not scored: NaN. With draws=0 there is no null: NaN. Below 559 draws no p-value of 28 moduli survives
    the correction at 5%.
    """
    W = centred(W)
    n = len(W)
    if n < SMALLEST_PROBED:
        raise GrokError(f"residue probes need at least {SMALLEST_PROBED} tokens, not {n}: use the Fourier scores alone")
    features_TC = PCA(min(DIMENSIONS, *W.shape), svd_solver="full").fit_transform(W)
    features_TC /= features_TC.std()
    smoothers = {"ridge": smoother(features_TC, ridge_weights, seed), "knn": smoother(features_TC, neighbour_weights, seed)}
    rng = np.random.default_rng(seed)
    tokens_TN = np.stack([np.arange(n), *(rng.permutation(n) for _ in range(draws))], axis=1)
    records = []
    for k in moduli:
        scored = n // k >= FOLDS
        accuracies_PN = np.array([accuracies(smooth_TT, tokens_TN % k, k) for smooth_TT in smoothers.values()]) if scored else np.full((2, 1), np.nan)
        accuracy, *null = accuracies_PN.max(axis=0)
        probe = list(smoothers)[accuracies_PN[:, 0].argmax()] if scored else ""
        records.append((k, probe, accuracy, *null_summary(accuracy, np.array(null)), scored))
    frame = pd.DataFrame(records, columns=["k", "probe", "accuracy", "null_mean", "null_low", "null_high", "p_value", "scored"])
    frame.insert(7, "holm", holm(frame.p_value.to_numpy()))
    return frame


def smoother(features_TC: np.ndarray, weights, seed: int) -> np.ndarray:
    """S [n, n]: what token t of a test fold takes from the label of each token; 0 for its own fold."""
    smooth_TT = np.zeros((len(features_TC), len(features_TC)), np.float32)
    for train, test in KFold(FOLDS, shuffle=True, random_state=seed).split(features_TC):
        smooth_TT[np.ix_(test, train)] = weights(features_TC[train], features_TC[test])
    return smooth_TT


def ridge_weights(train_NC: np.ndarray, test_MC: np.ndarray) -> np.ndarray:
    """Ridge regression with an intercept, as the weights [M, N] of the training labels."""
    mean_C = train_NC.mean(axis=0)
    centred_NC = train_NC - mean_C
    inner_CC = centred_NC.T @ centred_NC + RIDGE * np.eye(train_NC.shape[1])
    return (test_MC - mean_C) @ np.linalg.solve(inner_CC, centred_NC.T) + 1 / len(train_NC)


def neighbour_weights(train_NC: np.ndarray, test_MC: np.ndarray) -> np.ndarray:
    """Inverse distances to the nearest training rows, 0 for all others, [M, N]."""
    distance_MN = np.linalg.norm(test_MC[:, None] - train_NC, axis=-1)
    nearest = np.argsort(distance_MN, axis=1, kind="stable")[:, :NEIGHBOURS]
    weights_MN = np.zeros_like(distance_MN)
    np.put_along_axis(weights_MN, nearest, 1 / np.maximum(np.take_along_axis(distance_MN, nearest, axis=1), 1e-12), axis=1)
    return weights_MN


def accuracies(smooth_TT: np.ndarray, labels_TN: np.ndarray, k: int) -> np.ndarray:
    """Share of tokens whose residue the probe finds, for each of N labellings [T, N] in 0..k-1; [N]."""
    one_hot_TNK = np.eye(k, dtype=np.float32)[labels_TN]
    votes_TNK = (smooth_TT @ one_hot_TNK.reshape(len(smooth_TT), -1)).reshape(one_hot_TNK.shape)
    return (votes_TNK.argmax(axis=-1) == labels_TN).mean(axis=0)


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values corrected by Holm (1979), NaN where there was none: below 0.05 the chance of a single false finding is at most 5%."""
    corrected = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    ascending = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[ascending] * np.arange(len(ascending), 0, -1)
    corrected[ascending] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected
