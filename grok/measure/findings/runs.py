"""What findings and figures need of a results folder: ended runs, crossings of 99%, names."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from grok.experiment import GrokError, Run
from grok.measure.findings.words import pretty
from grok.store.outcomes import ENDED
from grok.store.results import Results
from grok.store.tables import need, read_table

NOT_A_DIFFERENCE = (
    "label",
    "seed",
    "split_seed",
    "num_steps",
    "eval_every",
    "stop_after",
    "snapshots",
    "keep_params",
)
TIMES = ("seed", "stopped_at", "num_steps", "steps_to_train_99", "steps_to_val_99")
PAPERS_NETWORK = {"n_layers": 2, "d_model": 128, "n_heads": 4, "norm": "post"}
PAPERS_STRUCTURES = ("Z97", "S5")


def runs_with(results: Results, *columns: str) -> pd.DataFrame:
    """runs.parquet, once it is known to have these columns."""
    results.need_runs("run", "status", *columns)
    return results.runs


def ended(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that came to an end of their own."""
    return runs[runs["status"].isin(ENDED)]


def crossings(runs: pd.DataFrame, split: str) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """When runs reached 99% on `split`: (the runs that have begun, times, censored_at), all [n].

    split is 'train' or 'val'. Times are NaN for runs that never did; censored_at is the last update
    at which a run was followed. A run that diverged cannot cross any more, so it counts as followed
    to the end of its budget.
    """
    begun = runs[runs["stopped_at"].fillna(0) > 0]
    last = np.where(begun["status"] == "diverged", begun["num_steps"], begun["stopped_at"])
    return begun, begun[f"steps_to_{split}_99"].astype(float).to_numpy(), last.astype(float)


def differences(runs: pd.DataFrame, leave_out: tuple[str, ...] = NOT_A_DIFFERENCE) -> list[str]:
    """The fields of `Run` in which the runs differ, leaving out labels, seeds and lengths."""
    fields = [
        spec.name
        for spec in dataclasses.fields(Run)
        if spec.name in runs and spec.name not in leave_out
    ]
    return [name for name in fields if runs[name].nunique(dropna=False) > 1]


def legend_names(runs: pd.DataFrame) -> pd.Series:
    """What each run is in a legend: its label, or the fields that tell it from the others."""
    varied = differences(runs)

    def words(row) -> str:
        if row.get("label"):
            return row["label"]
        return fields_in_words(row, varied) or pretty(row["operation"])

    names = [words(row) for row in runs.to_dict("records")]
    return pd.Series(names, index=runs.index, dtype=object)


def run_names(runs: pd.DataFrame) -> pd.Series:
    """The name of each run: that in the legend, and what tells it from others of that name."""
    names = legend_names(runs)
    for _, alike in runs.groupby(names, sort=False):
        varied = differences(alike, leave_out=("label",))
        for index, row in alike.iterrows():
            names[index] = ", ".join(filter(None, [names[index], fields_in_words(row, varied)]))
    return names


def fields_in_words(row, fields: list[str]) -> str:
    """Fields of a run and their values, as people write them."""
    return ", ".join(f"{name.replace('_', ' ')} {plain(row[name])}" for name in fields)


def plain(value) -> str:
    """A field's value as people write it; a field that follows from others has no own value."""
    if pd.isna(value):
        return "default"
    return f"{value:g}" if isinstance(value, float) else pretty(str(value))


def tasks(runs: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """(operation, structure, runs) of every task, in the order of the runs."""
    return [
        (operation, name, here)
        for (operation, name), here in runs.groupby(["operation", "structure"], sort=False)
    ]


def size(runs: pd.DataFrame) -> dict[str, Any]:
    """The runs and seeds behind a finding, as its keywords."""
    seeds = runs["seed"].nunique() if "seed" in runs else 0
    return {"runs": len(runs), "seeds": int(seeds)}


def is_papers(results: Results) -> bool:
    """Whether every run trains the paper's network on one of its structures."""
    runs = results.runs
    if not {*PAPERS_NETWORK, "structure"} <= set(runs) or runs.empty:
        return False
    alike = all((runs[name] == value).all() for name, value in PAPERS_NETWORK.items())
    return alike and bool(runs["structure"].isin(PAPERS_STRUCTURES).all())


def beside(results: Results, name: str, *columns: str) -> pd.DataFrame:
    """A table that a command has left beside an experiment's own; empty where there is no file.

    Raises GrokError for a table of another layout.
    """
    path = results.folder / name
    if not path.exists():
        return pd.DataFrame(columns=list(columns), dtype=float)
    try:
        table = read_table(path)
    except (OSError, ValueError) as error:
        raise GrokError(f"{path} cannot be read: {error}") from error
    need(
        table,
        *columns,
        where=path,
        advice="Measure again what left that table: python -m grok scores, flatness or "
        "mechanism, with this folder",
    )
    return table
