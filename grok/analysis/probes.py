"""Can the residue of a token be read from its row? Cross-validated probes beside permuted labels.

Both probes are linear in the one-hot labels: their votes are a fixed matrix, the smoother, times
the labels. So a thousand permuted labellings cost one matrix product, enough for p-values that
survive a correction for all moduli. Logistic regression and nearest neighbours of scikit-learn are
fitted for the modulus that is read best, beside fewer labellings.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsClassifier

from grok.analysis.matrix_rows import centred
from grok.analysis.nulls import null_summary
from grok.experiment import GrokError

FOLDS = 3
DIMENSIONS = 32
NEIGHBOURS = 3
RIDGE = 1.0  # on features of unit variance
LIBRARY = {  # name -> a new estimator
    "logistic": lambda: LogisticRegression(tol=1e-2, max_iter=300),
    # A tree, because the brute force of the library waits for threads.
    "knn": lambda: KNeighborsClassifier(NEIGHBOURS, weights="distance", algorithm="kd_tree"),
}
SMALLEST_PROBED = 8  # tokens; with fewer a fold may be left with a single residue
PROBED_MODULI = range(2, 30)


class BestModulus(NamedTuple):
    """The modulus read best in every labelling, [1 + draws]: its row, and how well it is read.

    excess: its accuracy less the null mean of that modulus.
    """

    row: np.ndarray
    excess: np.ndarray


class LibraryProbe(NamedTuple):
    """An estimator of scikit-learn at the `BestModulus` of every labelling.

    accuracy: with the true labels. excess [1 + draws]: accuracy less the null mean of the modulus.
    """

    accuracy: float
    excess: np.ndarray


class ResidueTest(NamedTuple):
    """Residue probes beside permuted labellings, the same ones for all K moduli.

    scores: a row for each modulus. Columns: k; probe, the better of 'ridge' and 'knn'; accuracy, of
        that probe; null_mean, null_low and null_high (95%) of the accuracy under permuted labels;
        p_value and its correction over all moduli, holm; scored. A modulus that is not scored, and
        every null without draws, is NaN.
    features_TC: what the probes see.
    tokens_TR: the token whose residue labels each row: first itself, then permuted; R = 1 + draws.
    accuracies_KR: accuracy of the better probe; NaN for a modulus that is not scored.
    """

    scores: pd.DataFrame
    features_TC: np.ndarray
    tokens_TR: np.ndarray
    accuracies_KR: np.ndarray
    seed: int

    def null_readable(self, level: float) -> np.ndarray:
        """How many moduli pass Holm's correction at a level in each permuted labelling, [draws].

        Each labelling is judged by the others.
        """
        null_KR = self.accuracies_KR[self.scores.scored, 1:]
        n_draws = null_KR.shape[1]
        at_least_KR = [n_draws - np.searchsorted(np.sort(null_R), null_R) for null_R in null_KR]
        p_KR = np.array(at_least_KR) / n_draws
        return np.array([np.count_nonzero(holm(p_K) < level) for p_K in p_KR.T], float)

    def best(self) -> BestModulus:
        """The modulus whose accuracy is furthest above its null mean, in every labelling."""
        excess_KR = self.accuracies_KR - self.scores.null_mean.to_numpy()[:, None]
        row_R = np.nanargmax(excess_KR, axis=0)
        return BestModulus(row_R, np.take_along_axis(excess_KR, row_R[None], axis=0)[0])

    def library_probes(self, draws: int) -> dict[str, LibraryProbe]:
        """The estimators of scikit-learn by name, on the same folds, beside `draws` labellings."""
        row_R = self.best().row[: 1 + draws]
        k_R = self.scores.k.to_numpy()[row_R]
        null_mean_R = self.scores.null_mean.to_numpy()[row_R]
        found = {}
        for name, make in LIBRARY.items():
            accuracies = []
            for r, k in enumerate(k_R):
                labels_T = self.tokens_TR[:, r] % k
                accuracies.append(cross_validated(make(), self.features_TC, labels_T, self.seed))
            found[name] = LibraryProbe(float(accuracies[0]), np.array(accuracies) - null_mean_R)
        return found


def residue_test(
    W, moduli: Iterable[int] = PROBED_MODULI, draws: int = 999, seed: int = 0
) -> ResidueTest:
    """Can t mod k be read from row t of `W` [n, d]? Three-fold cross-validation for each modulus k.

    The probes are least squares on one-hot residues ('ridge') and the 3 nearest neighbours weighted
    by inverse distance ('knn'). They see the first 32 principal components, scaled together to unit
    variance. A modulus needs at least 3 tokens a residue, one for each fold. Below 559 draws no
    p-value of 28 moduli survives the correction at 5%. Raises GrokError for fewer than 8 rows.
    """
    W, moduli = centred(W), list(moduli)
    n = len(W)
    if n < SMALLEST_PROBED:
        raise GrokError(
            f"residue probes need at least {SMALLEST_PROBED} tokens, not {n}: "
            "use the Fourier scores alone"
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
        probe, scored = "", n // k >= FOLDS
        if scored:
            accuracies = {
                name: probe_accuracies(smooth_TT, tokens_TR % k, k)
                for name, smooth_TT in smoothers.items()
            }
            probe = max(accuracies, key=lambda name: accuracies[name][0])
            accuracies_KR[row] = np.maximum(*accuracies.values())
        records.append({"k": k, "probe": probe} | beside_null(accuracies_KR[row]))
        records[-1]["scored"] = scored
    scores = pd.DataFrame(records)
    scores["holm"] = holm(scores.p_value.to_numpy())
    return ResidueTest(scores, features_TC, tokens_TR, accuracies_KR, seed)


def beside_null(accuracy_R: np.ndarray) -> dict[str, float]:
    """The first accuracy, beside those of permuted labellings."""
    accuracy, *null = accuracy_R
    summary = null_summary(accuracy, np.array(null))
    return {
        "accuracy": accuracy,
        "null_mean": summary.mean,
        "null_low": summary.low,
        "null_high": summary.high,
        "p_value": summary.p_value,
    }


def smoother(features_TC: np.ndarray, weights, seed: int) -> np.ndarray:
    """S [n, n]: the weight of each token's label in the vote on token t, 0 within a fold.

    weights: what `ridge_weights` or `neighbour_weights` computes.
    """
    smooth_TT = np.zeros((len(features_TC), len(features_TC)), np.float32)
    for train, test in folds(len(features_TC), seed):
        smooth_TT[np.ix_(test, train)] = weights(features_TC[train], features_TC[test])
    return smooth_TT


def cross_validated(estimator, features_TC: np.ndarray, labels_T: np.ndarray, seed: int) -> float:
    """Share of tokens whose label an estimator of scikit-learn finds, fitted on the other folds."""
    correct = 0
    for train, test in folds(len(features_TC), seed):
        estimator.fit(features_TC[train], labels_T[train])
        correct += int(np.sum(estimator.predict(features_TC[test]) == labels_T[test]))
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
    nearest_distance = np.take_along_axis(distance_MN, nearest, axis=1)
    weights_MN = np.zeros_like(distance_MN)
    np.put_along_axis(weights_MN, nearest, 1 / np.maximum(nearest_distance, 1e-12), axis=1)
    return weights_MN


def probe_accuracies(smooth_TT: np.ndarray, labels_TN: np.ndarray, k: int) -> np.ndarray:
    """Share of tokens whose residue a probe finds in each of N labellings [T, N] in 0..k-1; [N]."""
    one_hot_TNK = np.eye(k, dtype=np.float32)[labels_TN]
    votes_TNK = (smooth_TT @ one_hot_TNK.reshape(len(smooth_TT), -1)).reshape(one_hot_TNK.shape)
    return (votes_TNK.argmax(axis=-1) == labels_TN).mean(axis=0)


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values corrected for their number by Holm (1979); NaN where there was none.

    Among those below 0.05, the chance of even one false finding is at most 5%.
    """
    corrected = np.full(len(p_values), np.nan)
    known = np.flatnonzero(~np.isnan(p_values))
    ascending = known[np.argsort(p_values[known], kind="stable")]
    steps = p_values[ascending] * np.arange(len(ascending), 0, -1)
    corrected[ascending] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected
