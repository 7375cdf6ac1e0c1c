"""Do learned vectors help outside the network? `python -m grok classical results/<experiment>`.

Fits the models of grok.analysis.classical on the run's own task and split, with the rows of its output and input
matrix as features, beside those of the untrained network and vectors that carry nothing learned. Writes
classical.parquet into the results folder: a row a run, kind of vectors and model.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from grok.analysis import classical
from grok.experiment import GrokError, Run
from grok.measure import skipgram, symmetry
from grok.store import results
from grok.store.matrices import MATRICES, element_rows
from grok.task.dataset import TRAIN, UNDEFINED, make_dataset


def measure(
    folder: Path | str, runs: Iterable[int] | None = None
) -> tuple[pd.DataFrame, list[str], Path]:
    """Fit every model for some runs (None: all) and write the table; returns it, a line for each run left out, and its path.

    Raises GrokError for a run that the folder does not have, and where none can be measured.
    """
    loaded = results.load(folder)
    chosen = loaded.runs["run"].tolist() if runs is None else list(runs)
    tables, notes = [], []
    for run in tqdm(chosen, desc="classical models", unit="run", disable=None):
        spec = loaded.experiment_run(run)
        try:
            tables.append(compare_run(spec, dict(learned_vectors(loaded, run))).assign(run=run))
        except GrokError as error:
            notes.append(f"run {run}: {error}")
    if not tables:
        raise GrokError(
            f"no run of {folder} can be measured: {notes[0] if notes else 'it has no runs'}"
        )
    table = pd.concat(tables, ignore_index=True)
    return (
        table,
        notes,
        results.write_measured(loaded, "classical", table[["run", *table.columns.drop("run")]]),
    )


def learned_vectors(loaded: results.Results, run: int) -> Iterator[tuple[str, np.ndarray]]:
    """The kinds of vectors [n, d] that are compared: learned, untrained, random with the learned moments, one-hot."""
    model = skipgram if skipgram.learned(loaded) else symmetry
    untrained = model.untrained_matrices(loaded.experiment_run(run))
    for matrix in MATRICES:
        W, group = element_rows(loaded, run, matrix)
        yield f"learned, {matrix}", W
        yield f"untrained, {matrix}", untrained[matrix][: group.order]
    yield from classical.controls(element_rows(loaded, run, "output")[0]).items()


def compare_run(run: Run, vectors: dict[str, np.ndarray]) -> pd.DataFrame:
    """`classical.compare` on a run's own rows: those it was trained on are fitted, its validation rows are scored."""
    dataset = make_dataset(run)
    rows_N = np.flatnonzero(dataset.kind_N != UNDEFINED)
    n = len(next(iter(vectors.values())))
    with threadpool_limits(1):
        return classical.compare(
            vectors,
            rows_N // n,
            rows_N % n,
            dataset.answer_N[rows_N],
            dataset.kind_N[rows_N] == TRAIN,
        )


def summary(table: pd.DataFrame) -> str:
    """Mean validation accuracy over the runs, models against kinds of vectors, in per cent, and what blind guessing gives."""
    accuracy = 100 * table.pivot_table(
        index="model", columns="features", values="val_accuracy", sort=False
    )
    blind = "; ".join(
        f"{name} {100 * table[name].mean():.1f}%" for name in ("chance", "elimination")
    )
    return f"validation accuracy in %, mean of {table['run'].nunique()} runs ({blind})\n{accuracy.to_string(float_format='{:.1f}'.format)}"
