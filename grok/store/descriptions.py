"""experiment.json of a results folder: what was trained, and an entry a session of training."""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from grok.experiment import Experiment, GrokError, Run
from grok.files import disk_errors, replacing
from grok.task.encodings import table_digest


def specification(experiment: Experiment) -> dict:
    """The experiment as plain data; of each run the fields that differ from the defaults."""
    return {
        "name": experiment.name,
        "scale": experiment.scale,
        "runs": [changed_fields(run) for run in experiment.runs],
    }


def changed_fields(run: Run) -> dict[str, Any]:
    default = vars(Run())
    return {name: value for name, value in vars(run).items() if value != default[name]}


def read_description(folder: Path) -> dict | None:
    """The content of experiment.json, or None where there is none."""
    path = folder / "experiment.json"
    if not path.exists():
        return None
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise GrokError(f"{path} cannot be read ({error}): move the folder away") from error
    if not describes_an_experiment(description):
        raise GrokError(
            f"{path} does not describe an experiment: restore the file, or move the folder away"
        )
    description |= {"experiment": as_written_today(description["experiment"])}
    known = {spec.name for spec in dataclasses.fields(Run)}
    for number, run in enumerate(description["experiment"]["runs"]):
        if strange := sorted(run.keys() - known):
            raise GrokError(
                f"run {number} in {path} has the field '{strange[0]}', which this version of grok "
                "does not know: use the version that trained it"
            )
    return description


def describes_an_experiment(description: Any) -> bool:
    """Whether the content of an experiment.json has all that is read of one."""
    if not isinstance(description, dict):
        return False
    specified, sessions = description.get("experiment"), description.get("sessions")
    return (
        isinstance(specified, dict)
        and {"name", "scale"} <= specified.keys()
        and isinstance(specified.get("runs"), list)
        and all(isinstance(run, dict) for run in specified["runs"])
        and isinstance(description.get("complete"), bool)
        and isinstance(description.get("tables", {}), dict)
        and isinstance(sessions, list)
        and bool(sessions)
        and all(isinstance(session, dict) for session in sessions)
    )


def as_written_today(specified: dict) -> dict:
    """A specification in today's fields.

    Formerly keep_params stood at the experiment, and snapshots were either kept at log-spaced
    updates (true) or not (false).
    """
    kept = {"keep_params": True} if specified.get("keep_params") else {}
    return {
        "name": specified["name"],
        "scale": specified["scale"],
        "runs": [
            run | kept | ({"snapshots": "log"} if run.get("snapshots") is True else {})
            for run in specified["runs"]
        ],
    }


def specified_runs(description: dict) -> list[Run]:
    """The runs of a results folder, by number."""
    return [Run(**fields) for fields in description["experiment"]["runs"]]


def description_of(folder: Path) -> dict:
    """The content of experiment.json. Raises GrokError where there is none."""
    description = read_description(folder)
    if description is None:
        raise GrokError(f"{folder} holds no experiment.json")
    return description


def refuse_another_table(folder: Path, description: dict, runs: Iterable[Run]) -> None:
    """Raise GrokError where a run's file of values=file is not what was trained on.

    Results from before the digests of such files were kept pass.
    """
    known = description.get("tables", {})
    for run in {run.table: run for run in runs}.values():
        if run.table in known and known[run.table] != table_digest(run):
            raise GrokError(
                f"{run.table} has changed since {folder} was trained on it: "
                "restore the file, or train anew on the new one with --anew"
            )


def with_tables(description: dict, runs: Iterable[Run]) -> dict:
    """The description with a digest of each file that these runs read, where it has none yet."""
    known = description.get("tables", {})
    new = {run.table: table_digest(run) for run in runs if run.table and run.table not in known}
    return description | ({"tables": known | new} if known or new else {})


def write_description(folder: Path, description: dict) -> None:
    with disk_errors(folder, "--results DIR"), replacing(folder / "experiment.json") as side:
        side.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
