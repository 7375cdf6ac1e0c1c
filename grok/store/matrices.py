"""Arrays as a results folder keeps them: which rows belong to which tokens, which bits to which equations."""

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


def answered_right(loaded: Results, run: int, step: int | None = None) -> np.ndarray:
    """Whether a run answers each equation x o y right, [n, n], at its end or at a snapshot.

    False where the operation is undefined. Raises GrokError where the results do not hold it.
    """
    arrays = loaded.arrays(run, step)
    if "correct" not in arrays:
        raise GrokError(
            f"the arrays of run {run} in {loaded.folder} were kept before they held which equations "
            "are answered right: train the run anew"
        )
    n = structure(loaded.experiment_run(run).structure).order
    return np.unpackbits(arrays["correct"], count=n * n).reshape(n, n).astype(bool)
