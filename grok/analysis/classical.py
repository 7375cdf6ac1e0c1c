"""Do the token vectors of a network help a classical model on the same task?

A model sees the pair (x, y) through vectors [n, d] and predicts z. It is fitted on the training
rows alone. Learned vectors stand beside `controls`; the caller adds those of an untrained network.

What to expect of the table of a group: logistic regression on [e(x), e(y)] adds a term of x and a
term of y, so it cannot express x + y mod n. It does worse than chance on validation rows, because
in a Latin square the answers seen beside x and beside y are wrong there. A model may learn that
rule and guess among the answers seen beside neither. In small or mostly known tables this goes
far, so `elimination` stands beside chance.

cos(w(x + y)) is bilinear in the circles of x and y, so products of their coordinates make the task
linear. Products entry by entry depend on the basis of the vectors; outer products of principal
components do not. Trees split one feature at a time and must learn each product in pieces. Boosting
grows a tree for each class in each round, which is slow: it runs for few rounds on few features.
"""

import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from grok.analysis.matrix_rows import centred
from grok.experiment import GrokError

COMPONENTS = 16
BOOSTING_ROUNDS = 5


# --- Controls ---


def moment_matched(W, seed: int = 0) -> np.ndarray:
    """Random vectors [n, d] with exactly the sample mean and covariance of the rows of `W` [n, d].

    A Gaussian draw is made orthonormal and given the spectrum of W.
    """
    W = np.asarray(W, dtype=np.float64)
    W_centred = centred(W)
    _, S, Vt = np.linalg.svd(W_centred, full_matrices=False)
    draw = np.random.default_rng(seed).normal(size=(len(W), len(S)))
    # The first column holds the mean, so all others sum to 0.
    orthonormal, _ = np.linalg.qr(np.column_stack([np.ones(len(W)), draw]))
    rank = min(len(S), len(W) - 1)
    return W.mean(axis=0) + orthonormal[:, 1 : rank + 1] * S[:rank] @ Vt[:rank]


def controls(W, seed: int = 0) -> dict[str, np.ndarray]:
    """Vectors without anything learned, beside which `W` [n, d] stands.

    'random' [n, d] has the same mean and covariance; 'one_hot' is [n, n].
    """
    return {"random": moment_matched(W, seed), "one_hot": np.eye(len(W))}


# --- Features of a pair ---


def concatenated(W, x_N, y_N) -> np.ndarray:
    """[e(x), e(y)], [N, 2 d]."""
    return np.hstack([W[x_N], W[y_N]])


def with_products(W, x_N, y_N) -> np.ndarray:
    """[e(x), e(y), e(x) e(y)], products entry by entry, [N, 3 d]."""
    return np.hstack([W[x_N], W[y_N], W[x_N] * W[y_N]])


def principal(W) -> np.ndarray:
    """The leading principal components of the rows, at most 16, together of unit variance."""
    components_NC = PCA(min(COMPONENTS, *W.shape), svd_solver="full").fit_transform(W)
    return components_NC / components_NC.std()


def concatenated_components(W, x_N, y_N) -> np.ndarray:
    """[c(x), c(y)] of the principal components, [N, 2 C]."""
    return concatenated(principal(W), x_N, y_N)


def bilinear(W, x_N, y_N) -> np.ndarray:
    """[c(x), c(y), c(x) c(y)^T] of the principal components, [N, 2 C + C^2].

    A linear model on these features does not depend on the basis of `W`.
    """
    components = principal(W)
    outer = components[x_N][:, :, None] * components[y_N][:, None, :]
    return np.hstack([concatenated(components, x_N, y_N), outer.reshape(len(x_N), -1)])


# --- Models ---


def logistic(seed: int):
    return LogisticRegression(tol=1e-3, max_iter=300)


def extra_trees(seed: int):
    return ExtraTreesClassifier(100, random_state=seed)


def boosting(seed: int):
    return HistGradientBoostingClassifier(
        max_iter=BOOSTING_ROUNDS, max_bins=32, early_stopping=False, random_state=seed
    )


MODELS = {  # name -> (features of a pair, model)
    "logistic": (concatenated, logistic),
    "logistic, products": (with_products, logistic),
    "logistic, bilinear": (bilinear, logistic),
    "extra trees, bilinear": (bilinear, extra_trees),
    "boosting": (concatenated_components, boosting),
}


def compare(
    vectors: dict[str, np.ndarray],
    x_N,
    y_N,
    z_N,
    train_N,
    seed: int = 0,
    models: Iterable[str] = tuple(MODELS),
) -> pd.DataFrame:
    """Accuracy of classical models that see equations x o y = z through vectors [n, d].

    vectors: by name. train_N: bool [N], the equations that are fitted; the others are only scored.
    A row for each vectors and model. Columns: features (the name of the vectors), model,
    train_accuracy, val_accuracy, chance and elimination (see the functions of these names) and
    converged (whether the fit reached its tolerance). GrokError where a side of the split is empty,
    or where the training rows have but one answer.
    """
    x_N, y_N, z_N, train_N = map(np.asarray, (x_N, y_N, z_N, train_N))
    if train_N.dtype != bool or train_N.all() or not train_N.any():
        raise GrokError(
            "the split must mark some rows as training rows and leave some to validate on"
        )
    if len(np.unique(z_N[train_N])) < 2:
        raise GrokError("every training row has the same answer: there is nothing to tell apart")
    blind = {"chance": chance(z_N, train_N), "elimination": elimination(x_N, y_N, z_N, train_N)}
    rows = []
    for name, W in vectors.items():
        W = centred(W)
        W = W / W.std()  # one scale for all vectors, so that the penalty weighs the same on each
        for model in models:
            features, make = MODELS[model]
            found = fit_and_score(make(seed), features(W, x_N, y_N), z_N, train_N)
            rows.append({"features": name, "model": model} | found | blind)
    columns = ["features", "model", "train_accuracy", "val_accuracy", *blind, "converged"]
    return pd.DataFrame(rows, columns=columns)


def chance(z_N: np.ndarray, train_N: np.ndarray) -> float:
    """Validation accuracy of guessing each answer as often as it occurs in training."""
    n_answers = z_N.max() + 1
    train_share_C = np.bincount(z_N[train_N], minlength=n_answers) / train_N.sum()
    val_share_C = np.bincount(z_N[~train_N], minlength=n_answers) / (~train_N).sum()
    return float(train_share_C @ val_share_C)


def elimination(x_N: np.ndarray, y_N: np.ndarray, z_N: np.ndarray, train_N: np.ndarray) -> float:
    """Validation accuracy of guessing among the answers not seen beside x or beside y in training.

    A row for which none is left counts as wrong.
    """
    n_answers = z_N.max() + 1
    seen_beside_x = np.zeros((x_N.max() + 1, n_answers), bool)
    seen_beside_y = np.zeros((y_N.max() + 1, n_answers), bool)
    seen_beside_x[x_N[train_N], z_N[train_N]] = True
    seen_beside_y[y_N[train_N], z_N[train_N]] = True
    left_NC = ~(seen_beside_x[x_N] | seen_beside_y[y_N])[~train_N]
    right_is_left_N = left_NC[np.arange(len(left_NC)), z_N[~train_N]]
    return float((right_is_left_N / np.maximum(left_NC.sum(axis=1), 1)).mean())


def fit_and_score(model, features_NF: np.ndarray, z_N: np.ndarray, train_N: np.ndarray) -> dict:
    """Fit a model on the training rows; its accuracy on both sides of the split."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(features_NF[train_N], z_N[train_N])
    converged = not any(issubclass(warning.category, ConvergenceWarning) for warning in caught)
    correct_N = model.predict(features_NF) == z_N
    return {
        "train_accuracy": float(correct_N[train_N].mean()),
        "val_accuracy": float(correct_N[~train_N].mean()),
        "converged": converged,
    }
