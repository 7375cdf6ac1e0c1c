"""What figures need from a results folder: ended runs, crossings of 99%, names, facts."""

import dataclasses

import numpy as np
import pandas as pd

from grok.analysis import survival
from grok.experiment import GrokError, Run
from grok.figures.parts import style
from grok.store.results import ENDED, Results, read_table

NO_BREAK = "\N{NO-BREAK SPACE}"
TRAINED = ("grokked", "budget")
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
MOST_TASKS = 3


def need(
    frame: pd.DataFrame, *columns: str, where, advice: str = "Train them anew with --anew"
) -> None:
    """Raise GrokError for columns that a table lacks."""
    missing = [name for name in columns if name not in frame]
    if missing:
        raise GrokError(
            f"the tables of {where} have no column {', '.join(missing)}: "
            f"were they made by another version? {advice}"
        )


def runs_with(results: Results, *columns: str) -> pd.DataFrame:
    """runs.parquet, once it is known to have these columns."""
    need(results.runs, "run", "status", *columns, where=results.folder)
    return results.runs


def ended(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs that came to an end of their own, by success, budget or divergence."""
    return runs[runs["status"].isin(ENDED)]


def crossings(runs: pd.DataFrame, split: str) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """When runs reached 99% on `split`: (the runs that have begun, times, censored_at), all [n].

    split is 'train' or 'val'. Times are NaN for runs that never did; censored_at is the last update
    at which a run was followed. A run
    that diverged cannot cross any more, so it counts as followed to the end of its budget.
    """
    begun = runs[runs["stopped_at"].fillna(0) > 0]
    last = np.where(begun["status"] == "diverged", begun["num_steps"], begun["stopped_at"]).astype(
        float
    )
    return begun, begun[f"steps_to_{split}_99"].astype(float).to_numpy(), last


def differences(runs: pd.DataFrame) -> list[str]:
    """The fields of `Run` in which the runs differ, leaving out labels, seeds and lengths."""
    fields = [
        spec.name
        for spec in dataclasses.fields(Run)
        if spec.name in runs and spec.name not in NOT_A_DIFFERENCE
    ]
    return [name for name in fields if runs[name].nunique(dropna=False) > 1]


def group_names(runs: pd.DataFrame) -> pd.Series:
    """What each run is in a legend: its label, or the fields that tell it from the others."""
    varied = differences(runs)

    def words(row) -> str:
        if row.get("label"):
            return row["label"]
        return ", ".join(
            f"{name.replace('_', ' ')} {plain(row[name])}" for name in varied
        ) or style.pretty(row["operation"])

    return pd.Series(
        [words(row) for row in runs.to_dict("records")], index=runs.index, dtype=object
    )


def plain(value) -> str:
    """A field's value as people write it; a field that follows from others has no own value."""
    if pd.isna(value):
        return "default"
    return f"{value:g}" if isinstance(value, float) else style.pretty(str(value))


def facts(results: Results) -> str:
    """What the results are, in a sentence: task, network, scale, runs, seeds, device, gaps."""
    runs, planned = results.runs, len(results.description["experiment"]["runs"])
    seeds = runs["seed"].nunique() if "seed" in runs else 0
    words = [
        f"{results.description['experiment']['scale'].capitalize()} scale",
        *tasks(runs),
        *network(results),
        count(planned, "run"),
        count(seeds, "seed"),
    ]
    words += sorted(
        {
            session["device"].replace(" ", NO_BREAK)
            for session in results.description["sessions"]
            if "device" in session
        }
    )
    words += precisions(results)
    n_ended = int(runs["status"].isin(ENDED).sum()) if "status" in runs else 0
    if n_ended < planned:
        words.append(f"cut short: {n_ended} of {planned} runs ended")
    n_diverged = int((runs["status"] == "diverged").sum()) if "status" in runs else 0
    if n_diverged:
        words.append(f"{n_diverged} diverged")
    return ", ".join(words) + "."


def tasks(runs: pd.DataFrame) -> list[str]:
    """The tasks of the runs in words, 'x/y over Z31'; none of more than MOST_TASKS."""
    if not {"operation", "structure"} <= set(runs):
        return []
    pairs = dict.fromkeys(zip(runs["operation"], runs["structure"]))
    return (
        [f"{style.pretty(operation)} over {name}" for operation, name in pairs]
        if len(pairs) <= MOST_TASKS
        else []
    )


def network(results: Results) -> list[str]:
    """The size of the network, '1 block of width 32', as far as all runs share it."""
    others = any("model" in session for session in results.description["sessions"])
    blocks, widths = (
        set(results.runs[name]) if name in results.runs and not others else set()
        for name in ("n_layers", "d_model")
    )
    words = [count(*blocks, "block")] if len(blocks) == 1 else []
    words += [f"width {width}" for width in widths if len(widths) == 1]
    return [" of ".join(words)] if words else []


def spread(marks: str, sizes, of: str) -> str:
    """The sentence that says what bars or bands show, where `sizes` runs stand behind each."""
    few = sorted({int(n) for n in sizes if 1 < n < survival.LEAST_FOR_INTERVAL})
    if max(sizes, default=0) >= survival.LEAST_FOR_INTERVAL:
        return f"{marks}: 95% intervals of the {of}" + (
            f" (of fewer than {survival.LEAST_FOR_INTERVAL} runs, their range)." if few else "."
        )
    return f"{marks}: the range of {' or '.join(map(str, few))} seeds." if few else ""


def precisions(results: Results) -> list[str]:
    """In what precision matrix products were computed, over all sessions.

    A CPU computes in float32 whatever the runs ask for.
    """
    asked = set(results.runs["precision"]) if "precision" in results.runs else set()
    return sorted(
        {
            session.get("precisions", {}).get(name, name)
            for session in results.description["sessions"]
            for name in asked
        }
    )


def count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


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
        advice="Measure again what left that table: python -m grok scores or flatness, with this "
        "folder",
    )
    return table
