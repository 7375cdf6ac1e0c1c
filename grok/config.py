"""What a config file says: its experiment at a scale, and the steps before and after its training.

A config is a Python file with a global `experiment`: an Experiment, or a function of the scale that
gives one. Beside it may stand `before` and `after`, or functions of the scale that give them. They
hold commands of `python -m grok`: `before` those that make what the training reads, `after` those
that measure what it left. Each is a dictionary: the file that a command leaves -> the command. In
both, {results} stands for the folder of all results and {folder} for this experiment's own, as in

    after = {"{folder}/sharpness.parquet": "flatness {folder}"}
"""

import dataclasses
import difflib
import runpy
import traceback
from pathlib import Path
from typing import Any, NamedTuple

from grok.experiment import Experiment, GrokError, Run, results_name


class Config(NamedTuple):
    """An experiment, and the commands before and after it by the file that each leaves."""

    experiment: Experiment
    before: dict[str, str]
    after: dict[str, str]


def load(path: Path | str, scale: str) -> Config:
    """What a config file says at a scale.

    Raises GrokError, in one line, for whatever is wrong with the file.
    """
    path = str(path)
    check_file(path)
    try:
        said = runpy.run_path(path)
        values = {name: at_scale(said.get(name), scale) for name in Config._fields}
        found = values["experiment"]
        if isinstance(found, Experiment):
            found = dataclasses.replace(found, name=results_name(found.name, found.scale))
    except GrokError as error:
        raise GrokError(f"config {path}: {error}") from error
    except Exception as error:
        raise GrokError(f"config {path}, {where_and_what(error, path)}") from error
    if not isinstance(found, Experiment):
        raise GrokError(
            f"config {path} does not define an experiment: give it a global `experiment`, "
            "a grok.experiment.Experiment or a function of the scale"
        )
    return Config(found, values["before"] or {}, values["after"] or {})


def check_file(path: str) -> None:
    """Raise GrokError for what is no Python file."""
    if not Path(path).is_file():
        near = difflib.get_close_matches(path, map(str, Path("configs").glob("*.py")), 1, 0.5)
        advice = f"; did you mean {near[0]}?" if near else ""
        raise GrokError(f"there is no config {path}{advice}")
    if Path(path).suffix != ".py":
        raise GrokError(f"config {path} is no Python file")


def at_scale(value: Any, scale: str) -> Any:
    """A value that a config gives, or what its function gives at a scale."""
    return value(scale) if callable(value) else value


def where_and_what(error: Exception, path: str) -> str:
    """The line of a config at which an error arose, and the error, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == path]
    line = getattr(error, "lineno", None) or (lines[-1] if lines else "?")
    return f"line {line}: {type(error).__name__}: {' '.join(str(error).split())}"


def table_of(path: Path | str, scale: str, **fields: Any) -> str:
    """The file with the final matrices of another config's run: the one run with these fields.

    Where there are results, they say under which number they keep it, for an experiment that has
    grown keeps its old numbers. Elsewhere it is the run's place in the config. Raises GrokError
    unless just one run fits.
    """
    from grok.store import array_files, descriptions

    experiment = load(path, scale).experiment
    folder = Path("results") / experiment.name
    description = descriptions.read_description(folder)
    runs = descriptions.specified_runs(description) if description else experiment.runs
    fit = [number for number, run in enumerate(runs) if has(run, fields)]
    if len(fit) != 1:
        asked = ", ".join(f"{name}={value!r}" for name, value in fields.items())
        raise GrokError(f"{len(fit)} runs of {path} have {asked}: give the fields of just one")
    return str(folder / "arrays" / f"{array_files.arrays_name(fit[0])}.npz")


def has(run: Run, fields: dict[str, Any]) -> bool:
    """Whether a run has these values in these fields."""
    return all(getattr(run, name) == value for name, value in fields.items())


def tuned(path: Path | str, scale: str) -> list[Run]:
    """The best run of each label of another config, with seed 0, as its results say.

    The rule is that of grok.store.tuning. A label whose runs have not all ended is left out, so
    that nothing is compared that was tuned by half. Where none has, each label's first run.
    """
    from grok.store import descriptions, results, tuning

    experiment = load(path, scale).experiment
    folder = Path("results") / experiment.name
    if descriptions.read_description(folder):
        best = tuning.best_settings(results.load(folder))
        if best:
            return list(best.values())
    first: dict[str, Run] = {}
    for run in experiment.runs:
        first.setdefault(run.label, run.replace(seed=0))
    return list(first.values())
