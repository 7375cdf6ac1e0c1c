"""All results from one command (`make results`): every config in order of priority.

Each step is a command of its own, as in `python -m grok train configs/figure7.py`. A config says
itself what must be made before its training and measured after it (see grok.config). What is
complete is never made again. A step that fails is named at the end and does not stop the others.
Ctrl-C, SIGTERM and the time limit stop the whole. The same command goes on from there.
"""

import contextlib
import os
import shlex
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from grok import config
from grok.experiment import Experiment, GrokError, Run
from grok.store import descriptions, marks, outcomes, provenance, results

LEFT_OUT = ("quickstart", "recipes")  # `make train`, and what `grok try` reads
ORDER = (
    "figure3",
    "nanda",
    "figure2_right",
    "figure1_center",
    "figure7",
    "figure6",
    "figure2_left",
    "embeddings",
    "precision",
    "figure1_left",
    "weight_decay",
    "init_scale",
    "phase_map",
    "encodings",  # reads tables of figure2_right
    "league_tuning",
    "league",  # reads league_tuning
)
TIME_IS_UP = 75  # exit status of a training that was stopped and can go on, as of the whole
STOPPED = (130, TIME_IS_UP) + tuple(
    -number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
)


@dataclass(frozen=True)
class Options:
    """What to make, and how.

    arguments: options of every training. only: names of configs (none: all but LEFT_OUT).
    time_limit: seconds for all of it. train_only: neither measure nor draw.
    """

    scale: str = "small"
    root: Path = Path("results")
    arguments: tuple[str, ...] = ()
    configs: Path = Path("configs")
    only: tuple[str, ...] = ()
    time_limit: float | None = None
    train_only: bool = False


class Stopped(Exception):
    """A step was asked to stop, and so is all that would follow. `code` is the exit status."""

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code


class Standing(NamedTuple):
    """How far an experiment has come. left: updates that its unfinished runs may still take.

    speed: run-updates a second in its own sessions on such a device as is here, None before the
    first.
    """

    complete: bool
    n_done: int
    n_runs: int
    begun: bool
    left: int
    speed: float | None


@dataclass
class Campaign:
    """The configs of one command, on their way. `failed` holds the commands that failed."""

    options: Options
    names: list[str]
    deadline: float
    failed: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Make everything in order. Raises Stopped."""
        self.report(self.names)
        for i, name in enumerate(self.names):
            self.make(name)
            self.report(self.names[i : i + 1])
        if not self.options.train_only:  # some figures show what was measured after training
            self.succeeds(["figures", "--results", str(self.options.root)])

    def make(self, name: str) -> None:
        """Take the steps of one config. What would follow a step that fails is left out."""
        options = self.options
        path = options.configs / f"{name}.py"
        train = ["train", str(path), "--scale", options.scale, "--results", str(options.root)]
        train += options.arguments
        try:
            found = config.load(path, options.scale)
        except GrokError as error:
            print(f"grok: {error}", file=sys.stderr)
            self.failed.append(shlex.join(train))
            return
        complete = standing(self.folder(found), found.experiment).complete
        if options.arguments or not complete:  # arguments may ask for other runs, or for new ones
            complete = self.make_missing(found, found.before, Path.exists) and self.succeeds(train)
        if complete and not options.train_only:
            self.make_missing(found, found.after, is_current)

    def make_missing(
        self, found: config.Config, steps: dict[str, str], made: Callable[[Path], bool]
    ) -> bool:
        """Take those of a config's steps whose file is not made yet. Whether all succeeded."""
        places = {"results": self.options.root, "folder": self.folder(found)}
        for file, command in steps.items():
            if made(Path(file.format(**places))):
                continue
            step = [word.format(**places) for word in shlex.split(command)]
            if not self.succeeds(step):
                return False
        return True

    def folder(self, found: config.Config) -> Path:
        return self.options.root / found.experiment.name

    def succeeds(self, step: list[str]) -> bool:
        """Run a step to its end, and say whether it did what it should. Raises Stopped."""
        status = run(step, self.deadline)
        if status in STOPPED:
            raise Stopped(status if status > 0 else 128 - status)
        if status:
            self.failed.append(shlex.join(step))
        return status == 0

    def report(self, names: list[str]) -> None:
        """Print a line a config: what is done, under way, and left."""
        known: dict[str, Standing] = {}
        for name in names:
            try:
                found = config.load(self.options.configs / f"{name}.py", self.options.scale)
                known[name] = standing(self.folder(found), found.experiment)
            except GrokError as error:
                print(f"grok: {error}", file=sys.stderr, flush=True)
        speeds = [each.speed for each in known.values() if each.speed]
        usual = statistics.median(speeds) if speeds else None
        for name, each in known.items():
            print(f"{name:16s}{line(each, usual)}", file=sys.stderr, flush=True)


def make_all(options: Options) -> int:
    """Make the results of the chosen configs. Returns the exit status."""
    limit = float("inf") if options.time_limit is None else options.time_limit
    campaign = Campaign(options, chosen(options), time.monotonic() + limit)
    try:
        campaign.run()
    except Stopped as stop:
        campaign.report(campaign.names)
        print("grok: stopped; the same command goes on from there", file=sys.stderr)
        return stop.code
    for step in campaign.failed:
        print(f"grok: failed: python -m grok {step}", file=sys.stderr)
    return 1 if campaign.failed else 0


def report_all(options: Options) -> int:
    """Say of each of the chosen configs how far it is."""
    Campaign(options, chosen(options), deadline=0.0).report(chosen(options))
    return 0


def chosen(options: Options) -> list[str]:
    """The names of the configs to make, in order. Raises GrokError where there is none."""
    for name in options.only:
        if not (options.configs / f"{name}.py").is_file():
            known = ", ".join(in_order(options.configs))
            raise GrokError(f"there is no config {name}: --only takes {known}")
    names = list(options.only) or in_order(options.configs)
    if not names:
        raise GrokError(
            f"there is no config in {options.configs}: run this where the configs are, "
            "or name their folder with --configs DIR"
        )
    return names


def in_order(configs: Path) -> list[str]:
    """The names of all configs but LEFT_OUT: those of ORDER first, then whatever else there is."""
    found = sorted(path.stem for path in configs.glob("*.py") if path.stem not in LEFT_OUT)
    return [name for name in ORDER if name in found] + [name for name in found if name not in ORDER]


def use_cores(count: int) -> None:
    """Keep this process, and so every step, to some of the cores that it may use."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:count])


# --- How far an experiment has come ---


def standing(folder: Path, experiment: Experiment) -> Standing:
    """How far the runs of an experiment have come in a results folder."""
    try:
        loaded = results.load(folder)
        loaded.need_runs("status", "stopped_at")
    except GrokError:
        most = sum(run.num_steps for run in experiment.runs)
        return Standing(False, 0, len(experiment.runs), False, most, None)
    runs = descriptions.specified_runs(loaded.description)
    rows = {runs[row["run"]]: row for row in loaded.runs.to_dict("records")}
    left = [updates_left(run, rows.get(run)) for run in experiment.runs]
    return Standing(
        complete=loaded.complete and not any(left),
        n_done=left.count(0),
        n_runs=len(left),
        begun=True,
        left=sum(left),
        speed=speed(loaded.description["sessions"], this_platform()),
    )


def speed(sessions: list[dict], platform: str) -> float | None:
    """Run-updates a second in those of some sessions that ran on a platform; None without any."""
    here = [session for session in sessions if session.get("platform") == platform]
    seconds = sum(session.get("seconds", 0.0) for session in here)
    updates = sum(
        session.get("run_updates", 0) - session.get("run_updates_before", 0) for session in here
    )
    return updates / seconds if seconds and updates > 0 else None


def this_platform() -> str:
    """On what training here would run, without starting JAX: an NVIDIA GPU, or the CPU."""
    asked = os.environ.get("JAX_PLATFORMS", "")
    return "gpu" if provenance.NVIDIA_DEVICE.exists() and not asked.startswith("cpu") else "cpu"


def updates_left(run: Run, row: dict | None) -> int:
    """The updates that a run may still take; row: what runs.parquet says of it."""
    if row is None:
        return run.num_steps
    return 0 if row["status"] in outcomes.ENDED else run.num_steps - int(row["stopped_at"])


def line(found: Standing, usual_speed: float | None) -> str:
    """An experiment's standing in words. usual_speed: that of the others, where it has none."""
    if found.complete:
        return f"complete       {found.n_runs} runs"
    state = "under way" if found.begun else "waits"
    runs = f"{state:15s}{found.n_done} of {found.n_runs} runs"
    speed = found.speed or usual_speed
    if not speed:
        return f"{runs}, no speed measured yet"
    hours = found.left / speed / 3600
    return f"{runs}, at most {hours:.1f} hours at {speed:.0f} run-updates a second"


def is_current(path: Path) -> bool:
    """Whether a table was measured from the results that stand beside it now."""
    return path.exists() and marks.is_current(results.load(path.parent), path)


# --- Steps ---


def run(step: list[str], deadline: float = float("inf")) -> int:
    """The exit status of a command of this package, stopped by SIGTERM at the deadline.

    deadline: in the seconds of time.monotonic(). A SIGTERM, SIGHUP or SIGUSR1 that reaches this
    process alone is handed on, so that the step saves. Ctrl-C reaches both, and this process waits
    for the step.
    """
    if time.monotonic() >= deadline:
        return TIME_IS_UP
    process, asked = None, []

    def hand_on(number, _frame):
        asked.append(number)
        if process:
            process.terminate()

    handlers = {signal.SIGINT: lambda *_: None}
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        if signal.getsignal(number) is not signal.SIG_IGN:
            handlers[number] = hand_on
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        process = subprocess.Popen([sys.executable, "-m", "grok", *step])
        if asked:  # while it was being made
            process.terminate()
        return wait(process, deadline)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def wait(process: subprocess.Popen, deadline: float) -> int:
    """Wait for a process, and ask it to stop at the deadline; returns its exit status.

    The status of one that was asked to stop is TIME_IS_UP.
    """
    while time.monotonic() < deadline:
        # A signal that comes just before a wait without end would be heard at its end.
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(max(0.0, min(1.0, deadline - time.monotonic())))
    process.terminate()
    process.wait()
    return TIME_IS_UP
