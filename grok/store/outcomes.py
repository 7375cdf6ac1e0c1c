"""What came of a run: the columns of runs.parquet that training adds to a run's fields."""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd

from grok.experiment import Run

OUTCOMES = (
    "status",
    "stopped_at",
    "steps_to_train_99",
    "steps_to_val_99",
    "steps_to_val_99_sustained",
    "final_train_accuracy",
    "final_val_accuracy",
    "final_train_loss",
    "final_val_loss",
    "best_train_accuracy",
    "best_val_accuracy",
)
TRAINED = ("grokked", "collapsed", "budget")  # status of a run with a network to measure
ENDED = (*TRAINED, "diverged")  # status of a run that came to an end of its own
TOLD = ("operation", "structure", "train_fraction", "optimizer", "weight_decay", "seed")
KEEPING = ("snapshots", "keep_params")  # what is kept of a run, and not how it is trained
THRESHOLD = 0.99
SUSTAINED = 10


def outcome(curve: pd.DataFrame, run: Run, diverged: bool, stopped: bool) -> dict:
    """What came of a run, from its curve.

    Times are updates. A threshold that was never reached is a missing value.
    """
    steps = curve["step"].to_numpy()
    sustained = first_sustained(curve["val_accuracy"].to_numpy() >= THRESHOLD)
    reached = first_step(curve, "val_accuracy")
    ended = stopped or last(curve, "step", 0) >= run.num_steps
    found = {
        "status": status(
            len(curve) > 0, diverged, ended, reached is not None, sustained is not None
        ),
        "stopped_at": last(curve, "step", 0),
        "steps_to_train_99": first_step(curve, "train_accuracy"),
        "steps_to_val_99": reached,
        "steps_to_val_99_sustained": None if sustained is None else steps[sustained],
    }
    for name in ("train_accuracy", "val_accuracy", "train_loss", "val_loss"):
        found[f"final_{name}"] = last(curve, name)
    for name in ("train_accuracy", "val_accuracy"):
        found[f"best_{name}"] = curve[name].max()
    return found


def status(begun: bool, diverged: bool, ended: bool, reached: bool, sustained: bool) -> str:
    """What to call the state of a run (in words: grok/store/README.md)."""
    if diverged:
        return "diverged"
    if not begun and not ended:
        return "queued"
    if not ended:
        return "running"
    if sustained:
        return "grokked"
    return "collapsed" if reached else "budget"


def named_today(runs: pd.DataFrame) -> pd.DataFrame:
    """A table of runs with today's names; formerly a collapsed run was called 'budget' too."""
    if not {"status", "steps_to_val_99"} <= set(runs):
        return runs
    lost = (runs["status"] == "budget") & runs["steps_to_val_99"].notna()
    return runs.assign(status=runs["status"].mask(lost, "collapsed"))


def last(curve: pd.DataFrame, name: str, otherwise=None):
    """The last value of a column, or `otherwise` where there is none."""
    return curve[name].iloc[-1] if len(curve) else otherwise


def first_step(curve: pd.DataFrame, metric: str) -> int | None:
    """The first evaluated update at which an accuracy is at least 99%, or None."""
    reached = curve["step"][curve[metric] >= THRESHOLD]
    return int(reached.iloc[0]) if len(reached) else None


def first_sustained(above: np.ndarray) -> int | None:
    """The first evaluation from which the threshold holds to the end or for ten, or None."""
    start = None
    for i, is_above in enumerate(above):
        if not is_above:
            start = None
        elif start is None:
            start = i
        if start is not None and i + 1 - start >= SUSTAINED:
            return start
    return start


def run_name(fields: dict) -> str:
    """A run in a few words: its label, or its task, optimiser and seed."""
    task = f"{fields['operation']} {fields['structure']} {100 * fields['train_fraction']:g}%"
    return (
        fields["label"]
        or f"{task} {fields['optimizer']} decay {fields['weight_decay']:g} seed {fields['seed']}"
    )


def run_names(runs: Sequence[Run]) -> list[str]:
    """A name for each of some runs, with every field that varies among them and it leaves out.

    A label tells of no field, so runs of one label are told apart by all that varies among them.
    """
    untold = {}
    for label in {run.label for run in runs}:
        alike = [run for run in runs if run.label == label]
        untold[label] = varied(alike, () if label else TOLD)
    names = []
    for run in runs:
        more = [as_text(run, field) for field in untold[run.label]]
        names.append(", ".join([run_name(vars(run)), *more]))
    return names


def varied(runs: list[Run], told: tuple[str, ...]) -> list[str]:
    """The fields of which some runs have more than one value, without those that are told."""
    found = []
    for spec in dataclasses.fields(Run):
        values = {getattr(run, spec.name) for run in runs}
        if len(values) > 1 and spec.name not in (*told, *KEEPING):
            found.append(spec.name)
    return found


def as_text(run: Run, name: str) -> str:
    """A field and its value as people write them."""
    value = getattr(run, name)
    if value is None or value == "":
        return f"{name} default"
    return f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
