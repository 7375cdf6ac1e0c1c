"""A results folder in training: begun, continued, grown by new runs, finished.

checkpoints/ holds what resuming needs, and previous/ what a new training is about to replace.
"""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grok.experiment import Experiment, GrokError, Run
from grok.files import disk_errors, replacing
from grok.store.array_files import arrays_name
from grok.store.descriptions import (
    description_of,
    read_description,
    refuse_another_table,
    specification,
    with_tables,
    write_description,
)
from grok.store.outcomes import ENDED, OUTCOMES, run_name
from grok.store.provenance import provenance
from grok.store.tables import METRICS, both_tables, write_tables

LOCAL = ("checkpoints", "previous")


def grown(top: Path, experiment: Experiment) -> Experiment:
    """The experiment with its runs numbered as in the results folder `top`, the new ones last.

    A run is known by its fields, so that a folder's runs keep their numbers and data when seeds or
    fractions are added or the order changes. Raises GrokError where the folder holds another run.
    """
    for folder in (top, *sorted(top.glob("part-*"))):
        description = read_description(folder)
        if description:
            experiment = numbered_alike(folder, description["experiment"], experiment)
    return experiment


def numbered_alike(folder: Path, held: dict, experiment: Experiment) -> Experiment:
    """See `grown`; held: the specification of one folder."""
    specified = specification(experiment)
    waiting: dict[str, list[Run]] = {}
    for run, fields in zip(experiment.runs, specified["runs"]):
        waiting.setdefault(json.dumps(fields, sort_keys=True), []).append(run)
    kept, lost = [], []
    for number, fields in enumerate(held["runs"]):
        same = waiting.get(json.dumps(fields, sort_keys=True))
        if same:
            kept.append(same.pop(0))
        else:
            lost.append(number)
    new = [run for runs in waiting.values() for run in runs]
    if lost or held["scale"] != specified["scale"]:
        raise GrokError(
            f"{folder} holds a different experiment named '{experiment.name}': "
            f"{difference(held, specified, lost, new)}; "
            "choose another --name, or move that folder away"
        )
    return dataclasses.replace(experiment, runs=(*kept, *new))


def difference(held: dict, specified: dict, lost: list[int], new: list[Run]) -> str:
    """The first thing in which a folder's specification differs, in words.

    lost: the numbers of the folder's runs that are not asked for; new: runs that it has not.
    """
    if held["scale"] != specified["scale"]:
        return f"its scale is {held['scale']!r}, not {specified['scale']!r}"
    mine = Run(**held["runs"][lost[0]])
    if len(held["runs"]) != len(specified["runs"]):
        return f"its run {lost[0]} ({run_name(vars(mine))}) is not among these runs"
    for key, value in sorted(vars(mine).items()):
        if value != getattr(new[0], key):
            return f"its run {lost[0]} has {key}={value!r}, not {getattr(new[0], key)!r}"
    return "an unknown field"


def begin(folder: Path, experiment: Experiment, device: dict, anew: bool = False) -> bool:
    """Open a results folder for training; False if it is complete already.

    experiment: numbered as in the folder (see `grown`). The folder is continued, and its runs that
    ended are kept. With `anew` what it holds moves to previous/ first. Raises GrokError where the
    file of a run under way has changed.
    """
    description = read_description(folder)
    if description:
        experiment = numbered_alike(folder, description["experiment"], experiment)
    specified = specification(experiment)
    made_here = (folder / "checkpoints").exists()
    ended = {} if anew else ended_runs(folder)[0]
    waiting = [run for number, run in enumerate(experiment.runs) if number not in ended]
    if description:
        same = description["experiment"] == specified
        if description["complete"] and same and not anew:
            if made_here:
                tidy(folder)
            return False
        if anew:
            set_aside(folder, description["complete"])
            description = None
        else:
            refuse_another_table(folder, description, waiting)
            if not description["complete"] and not made_here:
                set_aside(folder, complete=False)
                take_back_ended(folder)
    description = description or {"sessions": []}
    description |= {"experiment": specified, "complete": False}
    description = with_tables(description, waiting)
    description["sessions"].append(provenance() | device)
    write_description(folder, description)
    with disk_errors(folder):
        (folder / "checkpoints").mkdir(exist_ok=True)
    return True


def take_back_ended(folder: Path) -> None:
    """Take from previous/ the runs that ended: the others lack the state from which to go on."""
    previous = folder / "previous"
    if not (previous / "runs.parquet").exists():
        return
    runs, curves = both_tables(previous)
    ended = runs[runs["status"].isin(ENDED)]
    write_tables(folder, ended, curves[curves["run"].isin(ended["run"])])
    for number in ended["run"]:
        for path in (previous / "arrays").glob(f"{arrays_name(number)}*.npz"):
            with disk_errors(folder), replacing(folder / "arrays" / path.name) as side:
                shutil.copyfile(path, side)


def ended_runs(folder: Path) -> tuple[dict[int, dict], dict[str, Any]]:
    """The outcomes of a folder's runs that ended, by number, and their curves as flat arrays."""
    if not (folder / "runs.parquet").exists():
        return {}, {"curve_run": [], "curve_step": [], "curve_metrics": []}
    runs, curves = both_tables(folder)
    ended = runs[runs["status"].isin(ENDED)]
    outcomes = {row["run"]: plain(row) for row in ended.to_dict("records")}
    curves = curves[curves["run"].isin(ended["run"])]
    metrics_MC = curves.reindex(columns=list(METRICS)).to_numpy(np.float32)
    arrays = {
        "curve_run": curves["run"].to_numpy(),
        "curve_step": curves["step"].to_numpy(),
        "curve_metrics": metrics_MC,
    }
    return outcomes, arrays


def plain(row: dict) -> dict:
    """The outcome in a row of runs.parquet, as `outcome` gave it: what is missing is None."""
    return {name: None if row[name] is pd.NA else row[name] for name in OUTCOMES}


def set_aside(folder: Path, complete: bool) -> None:
    """Move what a results folder holds to previous/.

    Unfinished results are dropped where previous/ holds complete ones already. What people wrote
    stays: no training can make it again. experiment.json goes last, so that a move that was cut
    short is taken up again and loses nothing.
    """
    previous = folder / "previous"
    with disk_errors(folder):
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        waiting = (previous / "experiment.json").exists()
        if waiting and complete:
            shutil.rmtree(previous)
        previous.mkdir(exist_ok=True)
        paths = [
            path
            for path in folder.iterdir()
            if path.name not in (*LOCAL, ".lock") and path.suffix != ".md"
        ]
        for path in sorted(paths, key=lambda path: path.name == "experiment.json"):
            if waiting and not complete:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            else:
                move(path, previous / path.name)


def move(source: Path, target: Path) -> None:
    """Move a file, or a folder's files into one that may exist already."""
    if source.is_dir() and target.is_dir():
        for path in source.iterdir():
            move(path, target / path.name)
        source.rmdir()
    else:
        source.rename(target)


def finish(folder: Path, cost: dict) -> None:
    """Mark a results folder complete; only now do the results it replaces go."""
    close_session(folder, cost, complete=True)
    tidy(folder)


def tidy(folder: Path) -> None:
    """Remove what complete results no longer need; an empty checkpoints/ stays."""
    shutil.rmtree(folder / "previous", ignore_errors=True)
    for path in (folder / "checkpoints").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def is_complete(top: Path, experiment: Experiment) -> bool:
    """Whether these very results are complete, made by however many processes."""
    folders = [
        folder
        for folder in (top, *sorted(top.glob("part-*")))
        if (folder / "experiment.json").exists()
    ]
    descriptions = [description_of(folder) for folder in folders]
    same = all(found["experiment"] == specification(experiment) for found in descriptions)
    return (
        bool(folders)
        and same
        and len(folders) == descriptions[0]["sessions"][0].get("processes", 1)
        and all(found["complete"] for found in descriptions)
    )


def check_processes(top: Path, count: int) -> None:
    """Refuse a results folder that another number of processes has begun.

    Their shares of the runs differ. Raises GrokError.
    """
    parts = sorted(top.glob("part-*"))
    begun = {
        (read_description(part) or {"sessions": [{}]})["sessions"][0].get("processes", count)
        for part in parts
    }
    if (top / "experiment.json").exists():
        begun.add(1)
    if begun - {count}:
        raise GrokError(
            f"{top} was begun by {max(begun - {count})} process(es), not {count}: "
            "go on with as many, or choose another --name"
        )


def close_session(folder: Path, cost: dict, complete: bool) -> None:
    """Write what a session has cost into its entry of experiment.json."""
    description = description_of(folder)
    description["sessions"][-1] |= cost
    description["complete"] = complete
    write_description(folder, description)
