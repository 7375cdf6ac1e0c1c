"""Can the residue of a token be read from its row? Cross-validated probes beside many permutations of the labels.

Both probes are linear in the one-hot labels (a smoother's row times them), so that a thousand permuted
labellings cost one matrix product: enough for p-values that survive a correction for all moduli. scikit-learn's own
logistic regression and nearest neighbours are fitted for the modulus that is read best, beside fewer labellings.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsClassifier

from grok.analysis.fourier import centred, null_summary
from grok.experiment import GrokError

FOLDS = 3
DIMENSIONS = 32
NEIGHBOURS = 3
RIDGE = 1.0  # on features of unit variance
LIBRARY = {  # name -> a new estimator
    "logistic": lambda: LogisticRegression(tol=1e-2, max_iter=300),
    "knn": lambda: KNeighborsClassifier(
        NEIGHBOURS, weights="distance", algorithm="kd_tree"
    ),  # the library's brute force waits for threads
}
SMALLEST_PROBED = 8  # below, a fold may be left with a single residue


class ResidueTest(NamedTuple):
    """Residue probes beside permuted labellings, of which every modulus sees the same.

    table: see `residue_probes`; features_TC: what the probes see; tokens_TR: the token whose residue stands for each row, as it is
    and then permuted; accuracies_KR: accuracy of the better probe, NaN for a modulus that is not scored.
    """

    table: pd.DataFrame
    features_TC: np.ndarray
    tokens_TR: np.ndarray
    accuracies_KR: np.ndarray
    seed: int

    def null_readable(self, level: float) -> np.ndarray:
        """How many moduli pass Holm's correction at a level in each permuted labelling, judged by the others, [draws]."""
        null_KR = self.accuracies_KR[self.table.scored, 1:]
        n_draws = null_KR.shape[1]
        p_KR = (
            np.array([n_draws - np.searchsorted(np.sort(null_R), null_R) for null_R in null_KR])
            / n_draws
        )
        return np.array([np.count_nonzero(holm(p_K) < level) for p_K in p_KR.T], float)

    def best(self) -> tuple[np.ndarray, np.ndarray]:
        """The largest accuracy above a modulus's null mean in every labelling, [1 + draws], and the row of the modulus."""
        excess_KR = self.accuracies_KR - self.table.null_mean.to_numpy()[:, None]
        best_R = np.nanargmax(excess_KR, axis=0)
        return np.take_along_axis(excess_KR, best_R[None], axis=0)[0], best_R

    def library_probes(self, draws: int) -> dict[str, tuple[float, np.ndarray]]:
        """scikit-learn's estimators on the same folds at the modulus `best` finds: name -> (accuracy, accuracies above its null mean [1 + draws])."""
        best_R, k_K, null_mean_K = (
            self.best()[1],
            self.table.k.to_numpy(),
            self.table.null_mean.to_numpy(),
        )
        found = {}
        for name, make in LIBRARY.items():
            accuracy_R = np.array(
                [
                    cross_validated(
                        make(), self.features_TC, self.tokens_TR[:, r] % k_K[best], self.seed
                    )
                    for r, best in enumerate(best_R[: 1 + draws])
                ]
            )
            found[name] = float(accuracy_R[0]), accuracy_R - null_mean_K[best_R[: 1 + draws]]
        return found


def residue_probes(
    W, moduli: Iterable[int] = range(2, 30), draws: int = 999, seed: int = 0
) -> pd.DataFrame:
    """Can t mod k be read from row t of `W` [n, d]? Three-fold cross-validated accuracy of the better of two probes, a row per k.

    Columns: k, probe ('ridge': least squares on one-hot residues; 'knn': the 3 nearest neighbours weighted by
    inverse distance), accuracy, null_mean, null_low and null_high (95%) of the better probe's accuracy over `draws`
    permutations of the tokens, p_value and its Holm correction over all k, and scored. The probes see the first 32
    principal components, scaled together to unit variance. A k with fewer than 3 tokens a residue, one for each
    fold, is not scored: NaN. With draws=0 there is no null: NaN. Below 559 draws no p-value of 28 moduli survives
    the correction at 5%.
    """
    return residue_test(W, moduli, draws, seed).table


def residue_test(
    W, moduli: Iterable[int] = range(2, 30), draws: int = 999, seed: int = 0
) -> ResidueTest:
    """`residue_probes` with what its permuted labellings gave."""
    W, moduli = centred(W), list(moduli)
    n = len(W)
    if n < SMALLEST_PROBED:
        raise GrokError(
            f"residue probes need at least {SMALLEST_PROBED} tokens, not {n}: use the Fourier scores alone"
        )
    features_TC = PCA(min(DIMENSIONS, *W.shape), svd_solver="full").fit_transform(W)
    features_TC /= features_TC.std()
    smoothers = {
        "ridge": smoother(features_TC, ridge_weights, seed),
        "knn": smoother(features_TC, neighbour_weights, seed),
    }
    rng = np.random.default_rng(seed)
    tokens_TR = np.stack([np.arange(n), *(rng.permutation(n) for _ in range(draws))], axis=1)
    records, accuracies_KR = [], np.full((len(moduli), 1 + draws), np.nan)
    for row, k in enumerate(moduli):
        scored = n // k >= FOLDS
        accuracies_PR = (
            np.array([accuracies(smooth_TT, tokens_TR % k, k) for smooth_TT in smoothers.values()])
            if scored
            else np.full((2, 1 + draws), np.nan)
        )
        accuracy, *null = accuracies_KR[row] = accuracies_PR.max(axis=0)
        probe = list(smoothers)[accuracies_PR[:, 0].argmax()] if scored else ""
        records.append((k, probe, accuracy, *null_summary(accuracy, np.array(null)), scored))
    frame = pd.DataFrame(
        records,
        columns=[
            "k",
            "probe",
            "accuracy",
            "null_mean",
            "null_low",
            "null_high",
            "p_value",
            "scored",
        ],
    )
    frame.insert(7, "holm", holm(frame.p_value.to_numpy()))
    return ResidueTest(frame, features_TC, tokens_TR, accuracies_KR, seed)


def smoother(features_TC: np.ndarray, weights, seed: int) -> np.ndarray:
    """S [n, n]: what token t of a test fold takes from the label of each token; 0 for its own fold."""
    smooth_TT = np.zeros((len(features_TC), len(features_TC)), np.float32)
    for train, test in folds(len(features_TC), seed):
        smooth_TT[np.ix_(test, train)] = weights(features_TC[train], features_TC[test])
    return smooth_TT


def cross_validated(estimator, features_TC: np.ndarray, labels_T: np.ndarray, seed: int) -> float:
    """Share of tokens whose label a scikit-learn estimator finds when it is fitted on the other folds."""
    correct = 0
    for train, test in folds(len(features_TC), seed):
        correct += np.count_nonzero(
            estimator.fit(features_TC[train], labels_T[train]).predict(features_TC[test])
            == labels_T[test]
        )
    return correct / len(features_TC)


def folds(n: int, seed: int):
    """The training and test tokens of every fold."""
    return KFold(FOLDS, shuffle=True, random_state=seed).split(np.arange(n))


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
    np.put_along_axis(
        weights_MN,
        nearest,
        1 / np.maximum(np.take_along_axis(distance_MN, nearest, axis=1), 1e-12),
        axis=1,
    )
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
