"""arrays/ of a results folder: a run's matrices, or all its parameters, in one .npz file each."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from grok.experiment import GrokError
from grok.files import NOT_ARRAYS, disk_errors, replacing


def arrays_name(run: int, step: int | None = None, params: bool = False) -> str:
    """The name under which a run's matrices, or all its parameters, are kept.

    step: of a snapshot, or None for the run's end.
    """
    return f"run_{run:04d}" + "_params" * params + ("" if step is None else f"_step_{step:08d}")


def read_name(name: str) -> tuple[int, bool] | None:
    """The run of a file of matrices and whether they are of a snapshot; None for another file."""
    found = re.fullmatch(r"run_(\d{4,})(_step_\d{8,})?", name)
    return found and (int(found[1]), found[2] is not None)


def matrix_arrays(
    embedding_VD: np.ndarray, unembedding_VD: np.ndarray, labels: list[str]
) -> dict[str, np.ndarray]:
    """What the arrays of a run hold: embedding [V, D], output matrix [V, D], token labels [V]."""
    return {"embedding": embedding_VD, "unembedding": unembedding_VD, "labels": np.array(labels)}


def write_arrays(folder: Path, name: str, arrays: dict[str, Any]) -> None:
    path = folder / "arrays" / f"{name}.npz"
    with disk_errors(folder), replacing(path) as side, open(side, "wb") as file:
        np.savez_compressed(file, **arrays)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of one file, by name. Raises GrokError where it cannot be read."""
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            return dict(file)
    except NOT_ARRAYS as error:
        said = " ".join(str(error).split())
        advice = "train the run anew, or restore the file"
        raise GrokError(f"{path} cannot be read ({said}): {advice}") from error
