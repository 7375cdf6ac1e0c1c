"""The files of `results/<experiment>/`, and the only code that knows their layout.

experiment.json    the whole specification; an entry a session: command, commit, versions, device
runs.parquet       a row a run: its fields and its outcome
curves.parquet     a row a run and evaluation: run, step, losses, accuracies, norms
arrays/            run_<n>.npz: the final embedding and output matrices, their token labels, and
                   which equations are answered right (`correct`; older results lack it)
                   run_<n>_step_<s>.npz: the same at earlier updates
                   run_<n>_params.npz, run_<n>_params_step_<s>.npz: all weights; local,
                   never committed
part-<i>/          the share of process i of several, in the same layout; loading merges them
checkpoints/       what resuming needs; local, never committed
previous/          complete results that a new training is about to replace; local, never committed
*.md               what people have written about the results; training leaves it where it is

Files are written to the side and renamed (see grok.files), so a reader never sees half of one.
"""

import dataclasses
import hashlib
import io
import json
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from grok.experiment import Experiment, GrokError, Note, Run
from grok.files import NOT_ARRAYS, disk_errors, replacing
from grok.store.provenance import provenance

METRICS = (
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "val_fresh_accuracy",
    "val_mirrored_accuracy",
    "softmax_collapse",
    "weight_norm",
    "embedding_norm",
    "unembedding_norm",
)
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
ENDED = ("grokked", "budget", "diverged")  # status of a run that came to an end of its own
THRESHOLD = 0.99
SUSTAINED = 10
LOCAL = ("checkpoints", "previous")
MEASURED_FROM = "measured_from"  # name of a mark among the attributes of a measured table


def specification(experiment: Experiment) -> dict:
    """The experiment as plain data; of each run the fields that differ from the defaults."""
    defaults = dataclasses.asdict(Run())
    runs = [
        {k: v for k, v in dataclasses.asdict(run).items() if v != defaults[k]}
        for run in experiment.runs
    ]
    return {
        "name": experiment.name,
        "scale": experiment.scale,
        "runs": runs,
    }


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


def write_description(folder: Path, description: dict) -> None:
    with disk_errors(folder, "--results DIR"), replacing(folder / "experiment.json") as side:
        side.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")


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
    ended are kept. With `anew` what it holds moves to previous/ first.
    """
    description = read_description(folder)
    if description:
        experiment = numbered_alike(folder, description["experiment"], experiment)
    specified = specification(experiment)
    made_here = (folder / "checkpoints").exists()
    if description:
        same = description["experiment"] == specified
        if description["complete"] and same and not anew:
            if made_here:
                tidy(folder)
            return False
        if anew:
            set_aside(folder, description["complete"])
            description = None
        elif not description["complete"] and not made_here:
            set_aside(folder, complete=False)
            take_back_ended(folder)
    description = description or {"sessions": []}
    description |= {"experiment": specified, "complete": False}
    description["sessions"].append(provenance() | device)
    write_description(folder, description)
    with disk_errors(folder):
        (folder / "checkpoints").mkdir(exist_ok=True)
    return True


def both_tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """runs.parquet and curves.parquet of unfinished results. Raises GrokError."""
    try:
        return (
            read_columns(folder, "runs", "run", *OUTCOMES),
            read_columns(folder, "curves", "run", "step"),
        )
    except (OSError, ValueError) as error:
        raise GrokError(
            f"the tables in {folder} cannot be read ({error}): restore them, or start over "
            "with --anew"
        ) from error


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


def write_tables(folder: Path, runs: pd.DataFrame, curves: pd.DataFrame) -> None:
    """Write runs.parquet and curves.parquet, each atomically."""
    write_table(folder, "runs", runs)
    write_table(folder, "curves", curves)


def write_table(folder: Path, name: str, frame: pd.DataFrame) -> Path:
    """Write <name>.parquet atomically, and return its path."""
    path = folder / f"{name}.parquet"
    with disk_errors(folder), replacing(path) as side:
        frame.to_parquet(side, index=False, compression="zstd")
    return path


def write_measured(loaded: "Results", name: str, frame: pd.DataFrame) -> Path:
    """Write <name>.parquet, what was measured of loaded results; returns its path.

    The table keeps the mark of the runs that it was measured from (see `is_current`).
    """
    marked = frame.copy(deep=False)
    marked.attrs = {MEASURED_FROM: mark(loaded.runs)}
    return write_table(loaded.folder, name, marked)


def is_current(loaded: "Results", path: Path) -> bool:
    """Whether a measured table tells of the runs as they are now.

    It must have rows of every run that came to its end and did not diverge, and the mark of these
    runs. A table from before there were marks needs the rows alone.
    """
    try:
        table = read_table(path)
    except (OSError, ValueError):
        return False
    runs = loaded.runs
    now = mark(runs)
    measurable = runs["run"][runs["status"].isin(ENDED) & (runs["status"] != "diverged")]
    whole = "run" in table and measurable.isin(table["run"]).all()
    return bool(whole and table.attrs.get(MEASURED_FROM, now) == now)


def mark(runs: pd.DataFrame) -> str:
    """A digest of what came of runs. It changes when a run is added or trained further."""
    told = runs.reindex(columns=["run", *OUTCOMES])
    content = told.to_json(orient="values", double_precision=15)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def arrays_name(run: int, step: int | None = None, params: bool = False) -> str:
    """The name under which a run's matrices, or all its parameters, are kept.

    step: of a snapshot, or None for the run's end.
    """
    return f"run_{run:04d}" + "_params" * params + ("" if step is None else f"_step_{step:08d}")


def matrices(
    embedding_VD: np.ndarray, unembedding_VD: np.ndarray, labels: list[str]
) -> dict[str, np.ndarray]:
    """What the arrays of a run hold: embedding [V, D], output matrix [V, D], token labels [V]."""
    return {"embedding": embedding_VD, "unembedding": unembedding_VD, "labels": np.array(labels)}


def write_arrays(folder: Path, name: str, arrays: dict[str, Any]) -> None:
    path = folder / "arrays" / f"{name}.npz"
    with disk_errors(folder), replacing(path) as side, open(side, "wb") as file:
        np.savez_compressed(file, **arrays)


def outcome(curve: pd.DataFrame, run: Run, diverged: bool, stopped: bool) -> dict:
    """What came of a run, from its curve.

    Times are updates. A threshold that was never reached is a missing value.
    """
    steps = curve["step"].to_numpy()
    sustained = first_sustained(curve["val_accuracy"].to_numpy() >= THRESHOLD)
    ended = stopped or last(curve, "step", 0) >= run.num_steps
    found = {
        "status": status(len(curve) > 0, diverged, ended, sustained is not None),
        "stopped_at": last(curve, "step", 0),
        "steps_to_train_99": first_step(curve, "train_accuracy"),
        "steps_to_val_99": first_step(curve, "val_accuracy"),
        "steps_to_val_99_sustained": None if sustained is None else steps[sustained],
    }
    for name in ("train_accuracy", "val_accuracy", "train_loss", "val_loss"):
        found[f"final_{name}"] = last(curve, name)
    for name in ("train_accuracy", "val_accuracy"):
        found[f"best_{name}"] = curve[name].max()
    return found


def status(begun: bool, diverged: bool, ended: bool, sustained: bool) -> str:
    """What to call the state of a run."""
    if diverged:
        return "diverged"
    if not begun and not ended:
        return "queued"
    if not ended:
        return "running"
    return "grokked" if sustained else "budget"


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


def closing_table(loaded: "Results") -> str:
    """The runs and what came of them, for people."""
    loaded.need_runs(*OUTCOMES)
    runs = loaded.runs
    shown = pd.DataFrame(
        {
            "run": runs["run"],
            "what": [run_name(row) for row in runs.to_dict("records")],
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


def run_name(fields: dict) -> str:
    """A run in a few words: its label, or its task, optimiser and seed."""
    task = f"{fields['operation']} {fields['structure']} {100 * fields['train_fraction']:g}%"
    return (
        fields["label"]
        or f"{task} {fields['optimizer']} decay {fields['weight_decay']:g} seed {fields['seed']}"
    )


def runs_table(rows: list[dict]) -> pd.DataFrame:
    """The rows of runs.parquet with fixed column types.

    Whole numbers that may be missing are Int64.
    """
    frame = pd.DataFrame(rows)
    for name in ("stopped_at", "steps_to_train_99", "steps_to_val_99", "steps_to_val_99_sustained"):
        frame[name] = frame[name].astype("Int64")
    for name in OUTCOMES[5:]:
        frame[name] = frame[name].astype("float32")
    return frame


def curves_table(run_M: np.ndarray, step_M: np.ndarray, metrics_MC: np.ndarray) -> pd.DataFrame:
    """The rows of curves.parquet, ordered by run and step."""
    frame = pd.DataFrame({"run": run_M.astype(np.int32), "step": step_M.astype(np.int32)})
    frame[list(METRICS)] = metrics_MC.astype(np.float32)
    return frame.sort_values(["run", "step"], ignore_index=True)


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
        names = {path.stem for path in self.kept("run_*") if "_params" not in path.stem}
        ends = sorted(name for name in names if "_step_" not in name)
        with_snapshots = {name.split("_step_")[0] for name in names if "_step_" in name}
        return {int(name.removeprefix("run_")): name in with_snapshots for name in ends}

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
        try:
            with open(paths[0], "rb") as opened, np.load(opened, allow_pickle=False) as file:
                return dict(file)
        except NOT_ARRAYS as error:
            said = " ".join(str(error).split())
            advice = "train the run anew, or restore the file"
            raise GrokError(f"{paths[0]} cannot be read ({said}): {advice}") from error

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


def read_table(path: Path) -> pd.DataFrame:
    """A table that may be replaced meanwhile.

    It is read in one go, for pyarrow opens a path more than once.
    """
    return pd.read_parquet(io.BytesIO(path.read_bytes()))


def need(
    frame: pd.DataFrame, *columns: str, where: Path, advice: str = "Train them anew with --anew"
) -> None:
    """Raise GrokError for columns that a table lacks; where: its file."""
    missing = [name for name in columns if name not in frame]
    if missing:
        raise GrokError(
            f"{where} has no column {', '.join(missing)}: was it made by another version? {advice}"
        )


def read_columns(folder: Path, name: str, *columns: str) -> pd.DataFrame:
    """A table of a results folder. Raises GrokError where it lacks one of `columns`."""
    path = folder / f"{name}.parquet"
    table = read_table(path)
    need(table, *columns, where=path)
    return table


def nothing_to_load(folder: Path, description: dict | None) -> str:
    """Why a folder's results cannot be loaded, and what to do about it."""
    gone = [name for name in ("runs", "curves") if not (folder / f"{name}.parquet").exists()]
    if description and description["complete"] and gone:
        return (
            f"{folder} has lost its {gone[0]}.parquet: restore the file, "
            "or train again with python -m grok train --anew"
        )
    return f"{folder} holds no results: train them with python -m grok train"


def with_fields(runs: pd.DataFrame, description: dict) -> pd.DataFrame:
    """A table of runs with the fields of a run that came in after it was written."""
    if any("model" in session for session in description["sessions"]):
        return runs  # the vectors of a skip-gram have few of a network's fields
    specified = [vars(Run()) | fields for fields in description["experiment"]["runs"]]
    missing = [spec.name for spec in dataclasses.fields(Run) if spec.name not in runs]
    columns = {name: [specified[run][name] for run in runs["run"]] for name in missing}
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
    runs = known_runs(folder, runs.sort_values("run", ignore_index=True), description)
    curves = curves[curves["run"].isin(runs["run"])]
    return Results(
        folder,
        description,
        with_fields(runs, description),
        curves.sort_values(["run", "step"], ignore_index=True),
    )


def has_tables(folder: Path) -> bool:
    return all((folder / f"{name}.parquet").exists() for name in ("runs", "curves"))


def all_complete(description: dict, parts: list[Path]) -> bool:
    """Whether every process that shares an experiment has made its part."""
    begun = [found for part in parts if (found := read_description(part))]
    processes = description["sessions"][0].get("processes", 1)
    return len(begun) == max(processes, len(parts)) and all(found["complete"] for found in begun)


def known_runs(folder: Path, runs: pd.DataFrame, description: dict) -> pd.DataFrame:
    """A table of runs without repeats. Raises GrokError for one that experiment.json has not."""
    unknown = set(runs["run"]) - set(range(len(description["experiment"]["runs"])))
    if unknown:
        raise GrokError(
            f"{folder / 'runs.parquet'} has a run {min(unknown)}, of which experiment.json does "
            "not know: restore both files"
        )
    return without_repeats(runs, description)
