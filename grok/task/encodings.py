"""How the elements of a structure are encoded: what is fixed in their rows of the embedding matrix.

The field `values` of a `Run` chooses an encoding. It concerns the n elements alone: the operator,
'=' and <eos> have trained rows under every encoding.

learned    nothing is fixed: a trained row for each element, from N(0, 1) (paper)
random     fixed N(0, 1) vectors of width d_model, drawn from the seed of the run
file       rows of a matrix in a file, matched by label: fixed, or the initial weights (train_table)

The other encodings are fixed features. A trained linear map without bias takes F features to
d_model. Its initial weights are U(+-1/sqrt(F)).

onehot     one feature for each element. It can express the same matrices as `learned`, but its
           rows begin sqrt(3 n) times smaller: U(+-1/sqrt(n)) instead of N(0, 1)
scalar     the residue as one number, from -1 for 0 to 1 for n - 1. There is no bias, so all rows
           lie on one line through 0
bins       one-hot over `bins` contiguous bins of residues, as even as can be: the residues of a
           bin look the same
digits     the digits in base `base`, the most significant first, each one-hot
fourier    cos(2 pi k r / n) and sin(2 pi k r / n) of the residue r for k = 1 ... `frequencies`

The last four need a structure Z<n>, for they speak of residues. Fixed vectors and features are no
weights: init_scale, weight decay and weight noise leave them alone. The linear map is a weight.
"""

import hashlib
import re
from pathlib import Path

import numpy as np

from grok.experiment import GrokError, Run
from grok.files import NOT_ARRAYS
from grok.task.groups import Structure, structure

AS_WIDE_AS_THE_MODEL = ("random", "file")  # no linear map between these and the residual stream
OTHER_TOKENS = ("o", "=", "<eos>")
FILE_AND_ARRAY = re.compile(r"(.*?)(?::(embedding|unembedding))?", re.DOTALL)


def element_features(run: Run) -> np.ndarray | None:
    """What is fixed about the elements of a run, float32 [n, F] in token order; None if nothing is.

    Raises GrokError where the elements cannot be encoded as the run asks.
    """
    if run.values == "learned":
        return None
    group = structure(run.structure)
    if run.values == "onehot":
        return np.eye(group.order, dtype=np.float32)
    if run.values == "random":
        rng = np.random.default_rng([run.seed, 2])
        return rng.standard_normal((group.order, run.d_model), np.float32)
    if run.values == "file":
        return read_rows(run.table, group, run.d_model)
    return residue_features(run, group).astype(np.float32)


def table_digest(run: Run) -> str | None:
    """A hash of the rows that a run reads of its file, wherever that lies; None if it reads none.

    Raises GrokError where they cannot be read.
    """
    if run.values != "file":
        return None
    rows_NF = element_features(run)
    assert rows_NF is not None, "a file gives rows"
    return hashlib.sha256(rows_NF.tobytes()).hexdigest()


def residue_features(run: Run, group: Structure) -> np.ndarray:
    """The features [n, F] of every residue of Z<n>."""
    if not group.is_ring:
        raise GrokError(
            f"values={run.values} writes residues, but {group.name} is no Z<n>: "
            "choose values=learned, onehot, random or file"
        )
    return RESIDUE_FEATURES[run.values](run, np.arange(group.order), group.order)


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
            f"frequencies={run.frequencies} are too many for Z{n}: "
            f"above {n // 2} they repeat, so choose 1 to {n // 2}"
        )
    angle_NK = 2 * np.pi * residue_N[:, None] * np.arange(1, run.frequencies + 1) / n
    return np.concatenate([np.cos(angle_NK), np.sin(angle_NK)], axis=1)


RESIDUE_FEATURES = {"scalar": scalar, "bins": bins, "digits": digits, "fourier": fourier}


def must_fit(name: str, value: int, n: int) -> None:
    """Raise GrokError for more bins than residues, or a larger base (`Run` refuses less than 2)."""
    if value > n:
        raise GrokError(f"{name}={value} does not fit Z{n}: choose 2 to {n}")


def read_rows(file_and_array: str, group: Structure, d_model: int) -> np.ndarray:
    """The rows of the elements, float32 [n, d_model], from a matrix in an .npz file.

    The file holds `labels` [V], a matrix `embedding` [V, d_model], and perhaps `unembedding`; such
    a file is what training leaves of every run. A path that ends in ':unembedding' takes that
    matrix. The rows of operator, '=' and <eos> are left out. Raises GrokError for a file that does
    not fit.
    """
    match = FILE_AND_ARRAY.fullmatch(file_and_array)
    assert match is not None, "the pattern fits every text"
    path, name = match.groups()
    labels_V, matrix_VD = read_arrays(Path(path), "labels", name or "embedding")
    refuse_other_shapes(path, labels_V, matrix_VD, d_model)
    rows = {str(label): i for i, label in enumerate(labels_V)}
    missing = [label for label in group.labels if label not in rows]
    if missing:
        raise GrokError(
            f"table {path} lacks {len(missing)} of the {group.order} elements of {group.name}, "
            f"such as {missing[0]}"
        )
    n_elements = sum(str(label) not in OTHER_TOKENS for label in labels_V)
    if n_elements != group.order:
        raise GrokError(
            f"table {path} has rows of {n_elements} elements, but {group.name} has {group.order}: "
            f"choose a table of {group.name}"
        )
    found_ND = matrix_VD[[rows[label] for label in group.labels]].astype(np.float32)
    if not np.isfinite(found_ND).all():
        raise GrokError(
            f"table {path} has entries that are not finite: "
            "choose a table of a run that did not diverge"
        )
    return found_ND


def refuse_other_shapes(
    path: str, labels_V: np.ndarray, matrix_VD: np.ndarray, d_model: int
) -> None:
    """Raise GrokError unless the matrix holds a row of d_model numbers for each label."""
    is_matrix = labels_V.ndim == 1 and matrix_VD.ndim == 2 and matrix_VD.dtype.kind in "fiu"
    if not is_matrix or len(matrix_VD) != len(labels_V):
        raise GrokError(
            f"table {path} has a matrix of shape {list(matrix_VD.shape)} for labels of shape "
            f"{list(labels_V.shape)}: it must hold a row of numbers a label"
        )
    width = matrix_VD.shape[1]
    if width != d_model:
        raise GrokError(
            f"table {path} is {width} wide, but d_model={d_model}: "
            f"set d_model={width}, or choose another table"
        )


def read_arrays(path: Path, *names: str) -> list[np.ndarray]:
    """Arrays of an .npz file, by name. Raises GrokError for a file that cannot give them."""
    if not path.is_file():
        raise GrokError(f"there is no table {path}")
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            return [file[name] for name in names]
    except KeyError as error:
        missing = str(error.args[0]).split()[0]
        raise GrokError(
            f"table {path} holds no array {missing}: it must hold {' and '.join(names)}"
        ) from error
    except NOT_ARRAYS as error:
        raise GrokError(
            f"table {path} cannot be read: it must be an .npz file that holds {' and '.join(names)}"
        ) from error
