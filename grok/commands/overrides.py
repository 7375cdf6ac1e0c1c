"""The options of the command line that change fields of an experiment's runs."""

import dataclasses
import math
import re
from typing import Any

from grok.experiment import Experiment, Run, evaluations_at, read_by

UNTOLD = {  # fields that no label speaks of
    "label",
    "operation",
    "structure",
    "train_fraction",
    "split_seed",
    "corrupted_labels",
    "token_format",
    "n_layers",
    "n_heads",
    "d_model",
    "d_ff",
    "activation",
    "seed",
    "init_scale",
    "b1",
    "b2",
    "eps",
    "warmup_steps",
    "num_steps",
    "eval_every",
    "stop_after",
    "snapshots",
    "keep_params",
    "precision",
}


def override(experiment: Experiment, name: str | None = None, **changes: Any) -> Experiment:
    """Every run with some fields changed, under a given name or one that says what was changed.

    A label that spoke of a field whose value has changed is dropped, and so are runs that the
    change makes equal in all but the label.
    """
    runs = [
        relabelled(run, run.replace(**changes | implied(run, changes)), "label" in changes)
        for run in experiment.runs
    ]
    if changes:
        first: dict[Run, Run] = {}
        runs = [first.setdefault(run.replace(label=""), run) for run in runs]
    parts = [experiment.name, *(f"{key}={value}" for key, value in changes.items())]
    return dataclasses.replace(experiment, name=name or folder_name(*parts), runs=tuple(runs))


def folder_name(*parts: str) -> str:
    """A name for an experiment's folder that tells its parts, without signs that a path forbids."""
    text = "-".join(parts).replace("*", ".times.").replace("/", ".over.")
    return re.sub(r"[^\w.=+^-]", "_", text)


def implied(run: Run, changes: dict[str, Any]) -> dict[str, Any]:
    """What changes of a run's fields ask of others that would contradict them.

    Adam with decay is AdamW, Adam itself has none, and a table is read by values=file. A spacing
    of snapshots has evaluations there. A method that is no longer chosen takes its strength along.
    """
    more: dict[str, Any] = {}
    if changes.get("weight_decay") and "optimizer" not in changes and run.optimizer == "adam":
        more["optimizer"] = "adamw"
    if changes.get("optimizer") == "adam" and "weight_decay" not in changes:
        more["weight_decay"] = 0.0
    if changes.get("table") and "values" not in changes:
        more["values"] = "file"
    if changes.get("values", "file") != "file" and "table" not in changes:
        more["table"] = ""
    if "eval_every" not in changes:
        more |= evaluated_at_snapshots(run, str(changes.get("snapshots")))
    if "stop_after" in changes:
        more.pop("stop_after", None)
    for spec in dataclasses.fields(Run):
        if spec.name not in changes and not read_by(spec, vars(run) | changes):
            more[spec.name] = spec.default
    return more


def evaluated_at_snapshots(run: Run, snapshots: str) -> dict[str, Any]:
    """How often a run is evaluated so that each snapshot falls on an evaluation.

    It stops as many updates after grokking as it would have. Nothing where the run need not change,
    and where it would be evaluated over ten times as often as it is or keeps snapshots.
    """
    spacing = int(snapshots) if snapshots.isdecimal() else 0
    if spacing % run.eval_every == 0:
        return {}
    every = evaluations_at(spacing, run.eval_every)
    if 10 * every < min(spacing, run.eval_every):
        return {}
    return {"eval_every": every, "stop_after": math.ceil(run.stop_after * run.eval_every / every)}


def relabelled(before: Run, after: Run, given: bool) -> Run:
    """A run after an override, without its label if that may no longer be true.

    A label is taken to tell of every field that is not UNTOLD, so it never outlives a new method.
    """
    names = [spec.name for spec in dataclasses.fields(Run) if spec.name not in UNTOLD]
    changed = any(getattr(before, name) != getattr(after, name) for name in names)
    return after.replace(label="") if changed and not given else after
