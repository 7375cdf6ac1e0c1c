"""The arrays of a results folder: which rows are of which tokens, which bits of which equations."""

from typing import NamedTuple

import numpy as np

from grok.experiment import GrokError
from grok.store.results import Results
from grok.task.groups import Structure, structure

MATRICES = {"output": "unembedding", "input": "embedding"}  # what a matrix is called in the arrays


class SavedMatrix(NamedTuple):
    """The 'output' or 'input' matrix [V, D] of a run, and the labels of its tokens [V]."""

    matrix_VD: np.ndarray
    labels_V: np.ndarray


class ElementRows(NamedTuple):
    """The rows [n, D] of the elements, without operator and '=', and their structure."""

    W: np.ndarray
    group: Structure


def saved_matrix(loaded: Results, run: int, matrix: str, step: int | None = None) -> SavedMatrix:
    """A matrix ('output' or 'input') of a run, at its end or at a snapshot.

    Raises GrokError where the arrays do not hold it.
    """
    arrays, name = loaded.arrays(run, step), MATRICES[matrix]
    if name not in arrays:
        raise GrokError(
            f"the arrays of run {run} in {loaded.folder} hold no {matrix} matrix '{name}': "
            f"they hold {', '.join(sorted(arrays))}"
        )
    matrix_VD = arrays[name]
    return SavedMatrix(matrix_VD, arrays.get("labels", np.arange(len(matrix_VD)).astype(str)))


def element_rows(
    loaded: Results, run: int, matrix: str = "output", step: int | None = None
) -> ElementRows:
    """The element rows of a matrix ('output' or 'input') of a run, at its end or at a snapshot."""
    group = structure(loaded.experiment_run(run).structure)
    return ElementRows(saved_matrix(loaded, run, matrix, step).matrix_VD[: group.order], group)


def answered_right(loaded: Results, run: int, step: int | None = None) -> np.ndarray:
    """Whether a run answers each equation x o y right, [n, n], at its end or at a snapshot.

    False where the operation is undefined. Raises GrokError where the results do not hold it.
    """
    arrays = loaded.arrays(run, step)
    if "correct" not in arrays:
        raise GrokError(
            f"the arrays of run {run} in {loaded.folder} were kept before they held which "
            "equations are answered right: train the run anew"
        )
    n = structure(loaded.experiment_run(run).structure).order
    return np.unpackbits(arrays["correct"], count=n * n).reshape(n, n).astype(bool)
