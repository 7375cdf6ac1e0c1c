"""How flat are the minima of an experiment's networks? `python -m grok flatness results/figure7` (paper, Fig 7).

Reads the final parameters that runs with keep_params=True left, and writes sharpness.parquet beside its
tables: run, val_accuracy, sharpness, eigenvalue and trace with their errors, all of the loss on the training rows.
"""

from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from tqdm import tqdm

from grok.analysis.sharpness import hessian_trace, sharpness, top_eigenvalue
from grok.experiment import Run
from grok.store import results
from grok.task.dataset import make_dataset
from grok.task.randomness import new_key
from grok.training.program import program_of, traced_data
from grok.training.update import cross_entropy, forward


def training_loss(run: Run):
    """The mean cross-entropy on all training rows as a function of the parameters, on the plain path."""
    dataset = make_dataset(run)
    program = replace(
        program_of(run), shared_prefix=False
    )  # the hand-written gradients know no forward mode
    data, rows_B = traced_data(run, dataset), dataset.train_rows
    target_BA = program.tokens.targets(dataset.answer_N[rows_B])

    def loss(params):
        return cross_entropy(
            forward(program, params, rows_B, jax.tree.map(jax.numpy.asarray, data)), target_BA
        ).mean()

    return loss


def measure(folder: Path) -> Path:
    """Measure every finished run of a results folder; returns the table's path. Raises GrokError."""
    loaded = results.load(folder)
    losses, rows = {}, []
    finished = loaded.runs[~loaded.runs["status"].isin(["running", "queued", "diverged"])]
    for record in tqdm(finished.to_dict("records"), desc="flatness", unit="run", disable=None):
        run, params = loaded.experiment_run(record["run"]), loaded.params(record["run"])
        loss = losses.setdefault(run.replace(seed=0, label=""), training_loss(run))
        key = new_key(record["run"])
        eigenvalue, trace = top_eigenvalue(loss, params, key), hessian_trace(loss, params, key)
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
    columns = [
        "run",
        "val_accuracy",
        "sharpness",
        "eigenvalue",
        "eigenvalue_error",
        "trace",
        "trace_error",
    ]
    return results.write_measured(
        loaded, "sharpness", pd.DataFrame(rows, columns=columns).astype({"run": np.int32})
    )
