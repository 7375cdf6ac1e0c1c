"""How the elements of a structure are written for the network: what is fixed about their rows of the input table.

`values` of a `Run` chooses it, for the n elements alone: operator, '=' and <eos> keep trained rows throughout.

learned    nothing is fixed: a trained row an element, from N(0, 1) (paper)
random     fixed N(0, 1) vectors of width d_model, drawn from the run's seed
file       the rows of a table from a file, matched by their labels: fixed, or with train_table initial weights

The other encodings are fixed features, and a trained bias-free linear map, which begins as U(+-1/sqrt(F)) over F
features, takes them to d_model.

onehot     a feature an element. The same family of tables as `learned`, but it begins sqrt(3 n) times smaller:
           U(+-1/sqrt(n)) instead of N(0, 1)
scalar     the residue as one number, from -1 for 0 to 1 for n - 1. Without a bias all rows lie on one line through 0
bins       one-hot over `bins` contiguous bins of residues, as even as can be: residues of one bin look the same
digits     the digits in base `base`, the most significant first, each one-hot
fourier    cos(2 pi k r / n) and sin(2 pi k r / n) of the residue r for k = 1 ... `frequencies`

The last four speak of residues, so they need a structure Z<n>. What is fixed is no weight: neither init_scale, nor
decay, nor noise on weights touches it; the linear map is one.
"""

import re
from pathlib import Path

import numpy as np

from grok.experiment import GrokError, Run
from grok.files import NOT_ARRAYS
from grok.task.groups import Structure, structure

AS_WIDE_AS_THE_MODEL = ("random", "file")  # no linear map between these and the residual stream
OTHER_TOKENS = ("o", "=", "<eos>")
MATRICES = ("embedding", "unembedding")


def element_features(run: Run) -> np.ndarray | None:
    """What is fixed about the elements of a run, float32 [n, F] in token order; None where nothing is.

    Raises GrokError where the elements cannot be written as the run asks.
    """
    if run.values == "learned":
        return None
    elements = structure(run.structure)
    if run.values in RESIDUE_FEATURES:
        if not elements.is_ring:
            raise GrokError(
                f"values={run.values} writes residues, but {elements.name} is no Z<n>: choose values=learned, onehot, random or file"
            )
        return RESIDUE_FEATURES[run.values](
            run, np.arange(elements.modulus), elements.modulus
        ).astype(np.float32)
    if run.values == "file":
        return read_table(run.table, elements, run.d_model)
    if run.values == "random":
        return np.random.default_rng([run.seed, 2]).standard_normal(
            (elements.order, run.d_model), np.float32
        )
    return np.eye(elements.order, dtype=np.float32)


def scalar(run: Run, residue_N: np.ndarray, n: int) -> np.ndarray:
    return (2 * residue_N / (n - 1) - 1)[:, None]


def bins(run: Run, residue_N: np.ndarray, n: int) -> np.ndarray:
    must_fit("bins", run.bins, n)
    return np.eye(run.bins)[residue_N * run.bins // n]


def digits(run: Run, residue_N: np.ndarray, n: int) -> np.ndarray:
    must_fit("base", run.base, n)
    n_digits = 1
    while run.base**n_digits < n:
        n_digits += 1
    digit_NP = residue_N[:, None] // run.base ** np.arange(n_digits)[::-1] % run.base
    return np.eye(run.base)[digit_NP].reshape(n, -1)


def fourier(run: Run, residue_N: np.ndarray, n: int) -> np.ndarray:
    if run.frequencies > n // 2:
        raise GrokError(
            f"frequencies={run.frequencies} are too many for Z{n}: above {n // 2} they repeat, so choose 1 to {n // 2}"
        )
    angle_NK = 2 * np.pi * residue_N[:, None] * np.arange(1, run.frequencies + 1) / n
    return np.concatenate([np.cos(angle_NK), np.sin(angle_NK)], axis=1)


RESIDUE_FEATURES = {"scalar": scalar, "bins": bins, "digits": digits, "fourier": fourier}


def must_fit(name: str, value: int, n: int) -> None:
    """Raise GrokError for more bins, or a larger base, than there are residues; Run has seen to at least 2."""
    if value > n:
        raise GrokError(f"{name}={value} does not fit Z{n}: choose 2 to {n}")


def read_table(path_and_matrix: str, elements: Structure, d_model: int) -> np.ndarray:
    """The elements' rows [n, d_model] of a table in an .npz file with `labels` [V] and matrices [V, D].

    Such are the arrays that training leaves of every run. The matrix is `embedding` unless the path ends in
    ':unembedding'. Rows of other tokens are left out. Raises GrokError for a file that does not fit.
    """
    path, matrix = re.fullmatch(rf"(.*?)(?::({'|'.join(MATRICES)}))?", path_and_matrix).groups()
    labels_V, table_VD = read_arrays(Path(path), "labels", matrix or MATRICES[0])
    if (
        labels_V.ndim != 1
        or table_VD.ndim != 2
        or len(table_VD) != len(labels_V)
        or table_VD.dtype.kind not in "fiu"
    ):
        raise GrokError(
            f"table {path} has a matrix of shape {list(table_VD.shape)} for labels of shape {list(labels_V.shape)}: it must hold a row of numbers a label"
        )
    if table_VD.shape[1] != d_model:
        raise GrokError(
            f"table {path} is {table_VD.shape[1]} wide, but d_model={d_model}: set d_model={table_VD.shape[1]}, or choose another table"
        )
    rows = {str(label): i for i, label in enumerate(labels_V)}
    missing = [label for label in elements.labels if label not in rows]
    if missing:
        raise GrokError(
            f"table {path} lacks {len(missing)} of the {elements.order} elements of {elements.name}, such as {missing[0]}"
        )
    n_rows = sum(str(label) not in OTHER_TOKENS for label in labels_V)
    if n_rows != elements.order:
        raise GrokError(
            f"table {path} has rows of {n_rows} elements, but {elements.name} has {elements.order}: choose a table of {elements.name}"
        )
    found_ND = table_VD[[rows[label] for label in elements.labels]].astype(np.float32)
    if not np.isfinite(found_ND).all():
        raise GrokError(
            f"table {path} has entries that are not finite: choose a table of a run that did not diverge"
        )
    return found_ND


def read_arrays(path: Path, *names: str) -> list[np.ndarray]:
    """Arrays of an .npz file, by name. Raises GrokError where they cannot be had."""
    if not path.is_file():
        raise GrokError(f"there is no table {path}")
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            return [file[name] for name in names]
    except KeyError as error:
        raise GrokError(
            f"table {path} holds no array {str(error.args[0]).split()[0]}: it must hold {' and '.join(names)}"
        ) from error
    except NOT_ARRAYS as error:
        raise GrokError(
            f"table {path} cannot be read: it must be an .npz file that holds {' and '.join(names)}"
        ) from error
