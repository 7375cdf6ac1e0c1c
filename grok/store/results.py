"""What a results folder holds, read. This room alone knows the layout of `results/<experiment>/`.

experiment.json    the whole specification; an entry a session: command, commit, versions, device
runs.parquet       a row a run: its fields and its outcome
curves.parquet     a row a run and evaluation: run, step, losses, accuracies, norms
arrays/            run_<n>.npz: the final embedding and output matrices, their token labels, and
                   which equations are answered right (`correct`; older results lack it)
                   run_<n>_step_<s>.npz: the same at earlier updates
                   run_<n>_params.npz, run_<n>_params_step_<s>.npz: all weights; local,
                   never committed, but for the final ones of `networks`
                   mechanism_run_<n>.npz: what `grok mechanism` shows of a run
part-<i>/          the share of process i of several, in the same layout; loading merges them
checkpoints/       what resuming needs; local, never committed
previous/          complete results that a new training is about to replace; local, never committed
*.md               what people have written about the results; training leaves it where it is

Each kind of file has its module: descriptions, tables, array_files; `sessions` says how training
begins and ends. Files are written to the side and renamed (see grok.files), so a reader never sees
half of one.
"""

import json
import warnings
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd

from grok.experiment import GrokError, Note, Run
from grok.store.array_files import arrays_name, read_arrays, read_name
from grok.store.descriptions import description_of, read_description, refuse_another_table
from grok.store.outcomes import OUTCOMES, run_names
from grok.store.tables import has_tables, need, read_columns


@dataclass(frozen=True)
class Results:
    """What a results folder holds. description: experiment.json; runs, curves: the tables."""

    folder: Path
    description: dict
    runs: pd.DataFrame
    curves: pd.DataFrame

    @property
    def complete(self) -> bool:
        return self.description["complete"]

    def need_runs(self, *columns: str) -> None:
        """Raise GrokError where runs.parquet lacks one of these columns."""
        need(self.runs, *columns, where=self.folder / "runs.parquet")

    def need_curves(self, *columns: str) -> None:
        """Raise GrokError where curves.parquet lacks one of these columns."""
        need(self.curves, *columns, where=self.folder / "curves.parquet")

    def curve(self, run: int) -> pd.DataFrame:
        return self.curves[self.curves["run"] == run]

    def experiment_run(self, run: int) -> Run:
        """The specification of a run, by its number."""
        specified = self.description["experiment"]["runs"]
        if not 0 <= run < len(specified):
            raise GrokError(
                f"{self.folder} has no run {run}: its runs are 0 to {len(specified) - 1}"
            )
        return Run(**specified[run])

    def rebuilt_run(self, run: int) -> Run:
        """The specification of a run whose network is to be computed again.

        Raises GrokError where the file that it reads is no longer that of its training.
        """
        specified = self.experiment_run(run)
        refuse_another_table(self.folder, self.description, [specified])
        return specified

    def arrays(self, run: int, step: int | None = None) -> dict[str, np.ndarray]:
        """The embedding [V, D] and output matrix [V, D] of a run, and their labels [V].

        step: of a snapshot, or None for the run's end.
        """
        return self.saved(run, step, params=False)

    def params(self, run: int, step: int | None = None) -> dict:
        """The tree of all parameters of a run that keeps them, at its end or at a snapshot."""
        tree: dict = {}
        for path, leaf in self.saved(run, step, params=True).items():
            *above, last = path.split("/")
            branch = tree
            for name in above:
                branch = branch.setdefault(name, {})
            branch[last] = leaf
        return tree

    def snapshot_steps(self, run: int, params: bool = False) -> list[int]:
        """The updates at which snapshots of a run are kept, ascending.

        They are of its matrices or, with `params`, of all its parameters.
        """
        self.experiment_run(run)
        paths = self.kept(arrays_name(run, params=params) + "_step_*")
        return sorted({int(path.stem.rsplit("_", 1)[1]) for path in paths})

    def runs_kept(self) -> dict[int, bool]:
        """The runs whose final matrices are kept, ascending, and whether snapshots are kept too."""
        ends: set[int] = set()
        with_snapshots: set[int] = set()
        for path in self.kept("run_*"):
            if found := read_name(path.stem):
                run, is_snapshot = found
                (with_snapshots if is_snapshot else ends).add(run)
        return {run: run in with_snapshots for run in sorted(ends)}

    def kept(self, name: str) -> list[Path]:
        """The files of arrays with a name, without those that a new training has set aside."""
        return [
            path
            for path in sorted(self.folder.glob(f"**/arrays/{name}.npz"))
            if "previous" not in path.parts
        ]

    def saved(self, run: int, step: int | None, params: bool) -> dict[str, np.ndarray]:
        """The arrays of one file. Raises GrokError where it is not there or cannot be read."""
        self.experiment_run(run)
        paths = self.kept(arrays_name(run, step, params))
        if not paths:
            raise GrokError(self.not_saved(run, step, params))
        return read_arrays(paths[0])

    def not_saved(self, run: int, step: int | None, params: bool) -> str:
        """Which arrays are not there, and what to do about it."""
        what = "parameters" if params else "arrays"
        at = "" if step is None else f" at update {step}"
        more = ""
        if params:
            more = (
                " (they stay where they were trained, and keep_params=True of a run asks for them)"
            )
        steps = self.snapshot_steps(run, params) if step is not None else []
        advice = "has it been trained to its end?"
        if steps:
            advice = f"snapshots are kept of updates {', '.join(map(str, steps))}"
        return f"{self.folder} has no {what} of run {run}{at}{more}: {advice}"


def nothing_to_load(folder: Path, description: dict | None) -> str:
    """Why a folder's results cannot be loaded, and what to do about it."""
    gone = [name for name in ("runs", "curves") if not (folder / f"{name}.parquet").exists()]
    if description and description["complete"] and gone:
        return (
            f"{folder} has lost its {gone[0]}.parquet: restore the file, "
            "or train again with python -m grok train --anew"
        )
    near = [Path("results") / folder.name, folder.parent, *sorted(folder.glob("*"))]
    meant = [path for path in near if (path / "experiment.json").exists() and path != folder]
    advice = f"did you mean {meant[0]}?" if meant else "train them with python -m grok train"
    return f"{folder} holds no results: {advice}"


def with_fields(runs: pd.DataFrame, description: dict) -> pd.DataFrame:
    """A table of runs with the fields of a run that came in after it was written."""
    if any("model" in session for session in description["sessions"]):
        return runs  # the vectors of a skip-gram have few of a network's fields
    specified = [vars(Run()) | given for given in description["experiment"]["runs"]]
    missing = [spec.name for spec in fields(Run) if spec.name not in runs]
    columns = {}
    for name in missing:
        columns[name] = [specified[run][name] for run in runs["run"]]
    return runs.assign(**columns)


def without_repeats(runs: pd.DataFrame, description: dict) -> pd.DataFrame:
    """A table of runs without those that equal an earlier one, which are no other seed."""
    seen, kept = set(), []
    for number in runs["run"]:
        told = json.dumps(description["experiment"]["runs"][number], sort_keys=True)
        kept.append(told not in seen)
        seen.add(told)
    if not all(kept):
        text = f"{kept.count(False)} of {len(kept)} runs equal an earlier one: left out"
        warnings.warn(text, Note, stacklevel=4)
    return runs[kept]


def load(folder: Path | str) -> Results:
    """Read a results folder, also one that is still being written or was cut short.

    Raises GrokError.
    """
    folder = Path(folder)
    parts = [folder, *sorted(folder.glob("part-*"))]
    written = [part for part in parts if has_tables(part)]
    description = next(filter(None, map(read_description, (folder, *written))), None)
    if description is None or not written:
        raise GrokError(nothing_to_load(folder, description))
    try:
        runs = pd.concat([read_columns(part, "runs", "run") for part in written])
        curves = pd.concat([read_columns(part, "curves", "run", "step") for part in written])
    except (OSError, ValueError) as error:
        raise GrokError(f"the tables in {folder} cannot be read: {error}") from error
    if "snapshots" in runs:  # formerly true where they were kept at log-spaced updates
        runs["snapshots"] = runs["snapshots"].replace({True: "log", False: ""})
    if folder not in written:
        description["complete"] = all_complete(description, parts[1:])
        description["tables"] = joined_tables(folder, written)
    runs = known_runs(folder, runs.sort_values("run", ignore_index=True), description)
    curves = curves[curves["run"].isin(runs["run"])]
    return Results(
        folder,
        description,
        with_fields(runs, description),
        curves.sort_values(["run", "step"], ignore_index=True),
    )


def all_complete(description: dict, parts: list[Path]) -> bool:
    """Whether every process that shares an experiment has made its part."""
    begun = list(filter(None, map(read_description, parts)))
    processes = description["sessions"][0].get("processes", 1)
    return len(begun) == max(processes, len(parts)) and all(found["complete"] for found in begun)


def joined_tables(folder: Path, parts: list[Path]) -> dict[str, str]:
    """The digests of the files that the runs of any part have read.

    Raises GrokError where two parts have read different files under one name.
    """
    joined: dict[str, str] = {}
    for part in parts:
        read = read_columns(part, "runs", "run").get("table", pd.Series(dtype=str)).unique()
        digests = description_of(part).get("tables", {})
        for name, digest in digests.items():
            if name in read and joined.setdefault(name, digest) != digest:
                raise GrokError(
                    f"{name} changed between the processes that trained into {folder}, so that "
                    "their runs do not belong together: train them anew with --anew"
                )
    return joined


def known_runs(folder: Path, runs: pd.DataFrame, description: dict) -> pd.DataFrame:
    """A table of runs without repeats. Raises GrokError for one that experiment.json has not."""
    unknown = set(runs["run"]) - set(range(len(description["experiment"]["runs"])))
    if unknown:
        raise GrokError(
            f"{folder / 'runs.parquet'} has a run {min(unknown)}, of which experiment.json does "
            "not know: restore both files"
        )
    return without_repeats(runs, description)


def closing_table(loaded: Results) -> str:
    """The runs and what came of them, for people."""
    loaded.need_runs(*OUTCOMES)
    runs = loaded.runs
    shown = pd.DataFrame(
        {
            "run": runs["run"],
            "what": run_names([loaded.experiment_run(run) for run in runs["run"]]),
            "99% train at": or_never(runs["steps_to_train_99"]),
            "99% validation at": or_never(runs["steps_to_val_99"]),
            "train": (100 * runs["final_train_accuracy"]).map("{:.1f}%".format),
            "validation": (100 * runs["final_val_accuracy"]).map("{:.1f}%".format),
            "steps": runs["stopped_at"],
            "status": runs["status"],
        }
    )
    return shown.to_string(index=False)


def or_never(steps: pd.Series) -> pd.Series:
    return steps.astype(object).where(steps.notna(), "never")
