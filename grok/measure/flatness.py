"""How flat are the minima of networks? `python -m grok flatness results/figure7` (paper, Fig 7).

Reads the final parameters that runs with keep_params=True left. Writes sharpness.parquet into the
results folder: run, val_accuracy, sharpness, eigenvalue and trace with their errors, all of the
loss on the training rows.
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from tqdm import tqdm

from grok.analysis.sharpness import hessian_trace, sharpness, top_eigenvalue
from grok.experiment import Run
from grok.files import check_writable
from grok.store import marks, results
from grok.store.outcomes import TRAINED
from grok.task.dataset import make_dataset
from grok.task.randomness import new_key
from grok.training.losses import LOSSES
from grok.training.program import make_program, traced_data
from grok.training.update import forward

COLUMNS = [
    "run",
    "val_accuracy",
    "sharpness",
    "eigenvalue",
    "eigenvalue_error",
    "trace",
    "trace_error",
]


@functools.lru_cache(maxsize=8)
def training_loss(run: Run) -> Callable:
    """The mean loss on all training rows, as a function of the parameters.

    Cached, because what `grok.analysis.sharpness` computes is compiled for each function object.
    """
    dataset = make_dataset(run)
    program = replace(make_program(run, dataset), shared_prefix=True)  # without dropout
    data, rows_B = traced_data(run, dataset), dataset.train_rows
    target_BA = program.tokens.targets(dataset.answer_N[rows_B])

    def loss(params):
        logits = forward(program, params, rows_B, jax.tree.map(jax.numpy.asarray, data))
        return LOSSES[program.loss](logits, target_BA).mean()

    return loss


def same_rows(run: Run) -> Run:
    """One run for all that have the same training rows: their loss is compiled once.

    The seed matters only where it draws fixed vectors.
    """
    return run if run.values == "random" else run.replace(seed=0, label="")


def measure(folder: Path) -> Path:
    """Measure every finished run of a results folder; returns the path of the table.

    Raises GrokError where there are no results or parameters.
    """
    loaded = results.load(folder)
    check_writable(loaded.folder)
    loaded.need_runs("status", "final_val_accuracy")
    rows = []
    finished = loaded.runs[loaded.runs["status"].isin(TRAINED)]
    for record in tqdm(finished.to_dict("records"), desc="flatness", unit="run", disable=None):
        run, params = loaded.rebuilt_run(record["run"]), loaded.params(record["run"])
        loss = training_loss(same_rows(run))
        key = new_key(record["run"])
        eigenvalue = top_eigenvalue(loss, params, key)
        trace = hessian_trace(loss, params, key)
        rows.append(
            {
                "run": record["run"],
                "val_accuracy": record["final_val_accuracy"],
                "sharpness": sharpness(loss, params, key),
                "eigenvalue": eigenvalue.value,
                "eigenvalue_error": eigenvalue.error,
                "trace": trace.value,
                "trace_error": trace.error,
            }
        )
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"run": np.int32})
    return marks.write_measured(loaded, "sharpness", table)
