"""Do learned vectors help outside the network? `python -m grok classical results/<experiment>`.

Fits the models of grok.analysis.classical on the task and split of each run. Their features are the
rows of its output and input matrix, those of the untrained network, and vectors without anything
learned. Writes classical.parquet into the results folder: a row for each run, kind of vectors and
model.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from grok.analysis import classical
from grok.experiment import GrokError, Run
from grok.files import check_writable
from grok.measure import skipgram, symmetry
from grok.store import marks, results
from grok.store.matrices import MATRICES, element_rows
from grok.task.dataset import TRAIN, UNDEFINED, make_dataset


class Measured(NamedTuple):
    """The table that was written, a line for each run left out, and the path of the table."""

    table: pd.DataFrame
    notes: list[str]
    path: Path


def measure(folder: Path | str, runs: Iterable[int] | None = None) -> Measured:
    """Fit every model for some runs of a results folder (None: all), and write the table.

    Raises GrokError for a run that the folder does not have, and where none can be measured.
    """
    loaded = results.load(folder)
    check_writable(loaded.folder)
    chosen = loaded.runs["run"].tolist() if runs is None else list(runs)
    tables, notes = [], []
    for run in tqdm(chosen, desc="classical models", unit="run", disable=None):
        spec = loaded.experiment_run(run)
        try:
            vectors, left_out = telling(vectors_of(loaded, run))
            notes += [f"run {run}: {name} left out: all its rows are equal" for name in left_out]
            found = compare_run(spec, vectors)
            found.insert(0, "run", run)
            tables.append(found)
        except GrokError as error:
            notes.append(f"run {run}: {error}")
    if not tables:
        why = notes[0] if notes else "it has no runs"
        raise GrokError(f"no run of {folder} can be measured: {why}")
    table = pd.concat(tables, ignore_index=True)
    return Measured(table, notes, marks.write_measured(loaded, "classical", table))


def vectors_of(loaded: results.Results, run: int) -> dict[str, np.ndarray]:
    """The kinds of vectors [n, d] that are compared: learned, untrained, and the controls."""
    model = skipgram if skipgram.learned(loaded) else symmetry
    untrained = model.untrained_matrices(loaded.rebuilt_run(run))
    vectors = {}
    for matrix in MATRICES:
        W, group = element_rows(loaded, run, matrix)
        vectors[f"learned, {matrix}"] = W
        vectors[f"untrained, {matrix}"] = untrained[matrix][: group.order]
    return vectors | classical.controls(vectors["learned, output"])


def telling(vectors: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The vectors that tell elements apart, and the names of those whose rows are all equal."""
    kept = {name: W for name, W in vectors.items() if np.ptp(W, axis=0).any()}
    return kept, [name for name in vectors if name not in kept]


def compare_run(run: Run, vectors: dict[str, np.ndarray]) -> pd.DataFrame:
    """`classical.compare` on the rows of a run: its training rows are fitted, the others scored."""
    dataset = make_dataset(run)
    rows_N = np.flatnonzero(dataset.kind_N != UNDEFINED)
    n = len(next(iter(vectors.values())))
    x_N, y_N = np.divmod(rows_N, n)
    train_N = dataset.kind_N[rows_N] == TRAIN
    with threadpool_limits(1):
        return classical.compare(vectors, x_N, y_N, dataset.answer_N[rows_N], train_N)


def summary(table: pd.DataFrame) -> str:
    """Mean validation accuracy over the runs in per cent, and what blind guessing gives.

    A row a model, a column a kind of vectors.
    """
    accuracy = table.pivot_table(
        index="model", columns="features", values="val_accuracy", sort=False
    )
    chance, elimination = 100 * table["chance"].mean(), 100 * table["elimination"].mean()
    blind = f"chance {chance:.1f}%; elimination {elimination:.1f}%"
    heading = f"validation accuracy in %, mean of {table['run'].nunique()} runs ({blind})"
    return f"{heading}\n{(100 * accuracy).to_string(float_format='{:.1f}'.format)}"
