"""Matrices as a results folder keeps them: which rows belong to which tokens."""

import numpy as np

from grok.experiment import GrokError
from grok.store.results import Results
from grok.task.operations import Structure, structure

MATRICES = {"output": "unembedding", "input": "embedding"}


def saved_matrix(
    loaded: Results, run: int, matrix: str, step: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The 'output' or 'input' matrix [V, D] of a run, at its end or at a snapshot, and its token labels [V]."""
    arrays = loaded.arrays(run, step)
    if MATRICES[matrix] not in arrays:
        raise GrokError(
            f"the arrays of run {run} in {loaded.folder} hold no {matrix} matrix '{MATRICES[matrix]}': they hold {', '.join(sorted(arrays))}"
        )
    matrix_VD = arrays[MATRICES[matrix]]
    return matrix_VD, arrays.get("labels", np.arange(len(matrix_VD)).astype(str))


def element_rows(
    loaded: Results, run: int, matrix: str = "output", step: int | None = None
) -> tuple[np.ndarray, Structure]:
    """The rows [n, D] of the elements of a run's structure, without operator and '=', and that structure."""
    group = structure(loaded.experiment_run(run).structure)
    return saved_matrix(loaded, run, matrix, step)[0][: group.order], group
