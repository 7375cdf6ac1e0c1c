"""A sweep: a queue of runs on its way through the slots, with early stop, checkpoint and resume.

Chunks of updates alternate with work on the host, which records, checkpoints, takes finished runs
out of their slots and puts the next ones in. A sweep of 3 or 3,000 runs is the same compiled
program, one for each static signature. Several processes share an experiment's runs and never wait
for each other.
"""

import contextlib
import math
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np

from grok import files
from grok.experiment import Experiment, GrokError, Note, Run
from grok.store import results
from grok.task.dataset import effective_batch_size, last_batch_size, make_dataset, token_labels
from grok.training.capacity import choose_slots
from grok.training.checkpoint import Checkpoints
from grok.training.devices import device_facts
from grok.training.program import Program, check_precision, program_of
from grok.training.progress_bar import Progress
from grok.training.slots import Slots
from grok.training.update import evaluation_steps

EMPTY = -1
# Ctrl-C, the usual request, a closed terminal, and Slurm's warning before its time limit.
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
TABLES_EVERY = 5.0  # seconds, while runs are in training
# Of the number of an update kept on a logarithmic axis, zeros at its end left out.
SNAPSHOT_DIGITS = ("1", "15", "2", "3", "4", "5", "7")
VAL_ACCURACY = results.METRICS.index("val_accuracy")
TRAIN_ACCURACY = results.METRICS.index("train_accuracy")


class Interrupted(Exception):
    """Training stopped at a chunk's end before it was done; everything so far is saved. `code` is
    the exit status."""

    def __init__(self, reason: str, code: int):
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Options:
    """How to train, as opposed to what.

    slots: runs in training at once over all local devices (None: chosen). time_limit: seconds after
    which to stop, checkpoint and leave. checkpoint_every: seconds between checkpoints. anew: train
    complete results again. process, n_processes: which of several processes this is, each of which
    trains its share of the runs. on_tables: called with this process's folder whenever its tables
    have been written.
    """

    root: Path = Path("results")
    slots: int | None = None
    time_limit: float | None = None
    checkpoint_every: float = 60.0
    anew: bool = False
    process: int = 0
    n_processes: int = 1
    on_tables: Callable[[Path], None] | None = None


@dataclass
class Group:
    """The numbers of the runs that share a static signature."""

    program: Program
    members: list[int]


def group_runs(runs: tuple[Run, ...], members: Iterable[int]) -> list[Group]:
    """The runs `members` by static signature, in order of first appearance."""
    groups: dict[Program, Group] = {}
    for i in members:
        program = program_of(runs[i])
        groups.setdefault(program, Group(program, [])).members.append(i)
    return list(groups.values())


@dataclass
class History:
    """Every evaluation so far: run -> list of (step, metrics [10])."""

    curves: dict[int, list[tuple[int, np.ndarray]]] = field(default_factory=dict)

    def add(self, run: int, step: int, metrics_C: np.ndarray) -> None:
        self.curves.setdefault(run, []).append((step, metrics_C))

    def arrays(self) -> dict[str, np.ndarray]:
        """Flat arrays: curve_run [M], curve_step [M], curve_metrics [M, 10]."""
        rows = [
            (run, step, metrics_C)
            for run, curve in self.curves.items()
            for step, metrics_C in curve
        ]
        run_M, step_M, metrics_MC = zip(*rows) if rows else ((), (), ())
        return {
            "curve_run": np.array(run_M, np.int32),
            "curve_step": np.array(step_M, np.int32),
            "curve_metrics": np.array(metrics_MC, np.float32).reshape(-1, len(results.METRICS)),
        }

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray]) -> "History":
        history = cls()
        for run, step, metrics_C in zip(
            arrays["curve_run"], arrays["curve_step"], arrays["curve_metrics"]
        ):
            history.add(int(run), int(step), metrics_C)
        return history


def segments(any_fresh: bool, eval_every: int) -> list[int]:
    """Updates between the evaluations of one chunk: one stretch, or several where a run has just
    begun."""
    if not any_fresh:
        return [eval_every]
    marks = evaluation_steps(eval_every, eval_every)
    return list(np.diff([0, *marks]))


class Sweep:
    """The runs of one process, the keys of `n_train`, on their way through the slots. See
    `train_experiment`."""

    def __init__(
        self, experiment: Experiment, folder: Path, options: Options, n_train: dict[int, int]
    ):
        self.experiment, self.folder, self.options = experiment, folder, options
        self.groups, self.n_train = group_runs(experiment.runs, n_train), n_train
        self.checkpoint_seconds = 0.0
        self.history = History()
        self.outcomes: dict[int, dict] = {}
        self.start, self.run_updates, self.updates_before, self.device_seconds = (
            time.monotonic(),
            0,
            0,
            0.0,
        )
        self.stop_signal: signal.Signals | None = None
        self.last_checkpoint = time.monotonic()
        # The tables are written first of all, so that the first evaluation can be looked at.
        self.last_tables, self.table_seconds = -math.inf, 0.0
        self.layout: dict[str, Any] = {}
        self.resting: dict[int, dict[str, np.ndarray]] = {}  # runs under way that are in no slot
        self.checkpoints = Checkpoints(folder / "checkpoints")

    # -- the loop ------------------------------------------------------------------------------

    def run(self) -> None:
        """Train every run to its end. Raises Interrupted at a chunk's end when asked to stop."""
        self.take_up()
        runs = [self.experiment.runs[i] for i in self.n_train]
        finished = sum(self.unused(i) for i in self.outcomes)
        self.progress = Progress(
            self.experiment.name,
            len(runs),
            sum(run.num_steps for run in runs) - finished,
            len(self.outcomes),
            self.run_updates,
        )
        try:
            for group in sorted(self.groups, key=self.holds_no_run_under_way):
                self.train_group(group)
            self.write_tables()
        finally:
            self.progress.close()
            self.checkpoints.close()

    def take_up(self) -> None:
        """Go on from the newest checkpoint or, where there is none, from the runs that ended."""
        resumed = self.checkpoints.restore()
        if resumed:
            arrays, facts = resumed
            self.history = History.of(arrays)
            self.outcomes = {int(run): outcome for run, outcome in facts["outcomes"].items()}
            self.resting = states_by_run(arrays, facts["lanes"], facts.get("resting", []))
            self.layout = facts.get("layout", {})
        else:
            self.outcomes, kept = results.ended_runs(self.folder)
            self.history = History.of(kept)
        self.run_updates = sum(map(self.last_step, self.history.curves))
        self.updates_before = self.run_updates

    def holds_no_run_under_way(self, group: Group) -> bool:
        return self.resting.keys().isdisjoint(group.members)

    def train_group(self, group: Group) -> None:
        """Train the runs of one program that have not ended, those under way first."""
        pending = [i for i in group.members if i not in self.outcomes]
        if not pending:
            return
        runs = [self.experiment.runs[i] for i in pending]
        count = self.options.slots or choose_slots(group.program, runs)
        self.slots = Slots(group.program, count)
        self.lay_out(resuming=not self.resting.keys().isdisjoint(group.members))
        self.lanes = [EMPTY] * count
        self.queue = sorted(pending, key=lambda run: run not in self.resting)
        while self.queue or any(run != EMPTY for run in self.lanes):
            self.refill()
            for n_updates in segments(bool(self.slots.fresh.any()), group.program.eval_every):
                self.step(n_updates)
            self.retire()
            self.checkpoint_if_due()

    def lay_out(self, resuming: bool) -> None:
        """Record how many slots a device has, on which the last bits of a run depend.

        Notes where runs under way go on with another number, or on another device.
        """
        before, mesh = self.layout, self.slots.sharding.mesh
        self.layout = {
            "slots_a_device": self.slots.count // mesh.size,
            "device": mesh.devices.flat[0].device_kind,
        }
        if resuming and before and before != self.layout:
            was, now = (" on ".join(map(str, each.values())) for each in (before, self.layout))
            warnings.warn(
                f"runs under way go on with {now} (slots a device, and the device), "
                f"not with {was}: from here "
                "they differ in their last bits from a run that was not stopped, "
                "and training makes such a difference grow",
                Note,
                stacklevel=2,
            )

    def refill(self) -> None:
        """Put waiting runs into empty slots: from their initial weights, or as they were left."""
        states = {}
        for slot, run in enumerate(self.lanes):
            if run == EMPTY and self.queue:
                run = self.lanes[slot] = self.queue.pop(0)
                self.slots.place(slot, self.experiment.runs[run])
                if run in self.resting:
                    states[slot] = self.resting.pop(run)
        if states:
            self.slots.place_states(states)

    def step(self, n_updates: int) -> None:
        """Train all slots for some updates, and record the runs whose schedule has an evaluation
        there."""
        before = time.monotonic()
        metrics = self.slots.step(n_updates)
        metrics_SC = np.stack(
            [np.asarray(metrics[name], np.float32) for name in results.METRICS], -1
        )
        self.device_seconds += time.monotonic() - before
        steps_S = np.asarray(self.slots.state.step)
        live = [(slot, run) for slot, run in enumerate(self.lanes) if run != EMPTY]
        for slot, run in live:
            before, step = self.last_step(run), int(steps_S[slot])
            if step > before and due(step, self.experiment.runs[run]):
                self.run_updates += step - before
                self.history.add(run, step, metrics_SC[slot])
                self.keep_snapshot(slot, run, step)
        accuracies_S = metrics_SC[[slot for slot, _ in live]]
        self.progress.advance(
            self.run_updates, accuracies_S[:, TRAIN_ACCURACY], accuracies_S[:, VAL_ACCURACY]
        )
        self.tables_if_due()

    def last_step(self, run: int) -> int:
        return self.history.curves[run][-1][0] if run in self.history.curves else 0

    def unused(self, run: int) -> int:
        return self.experiment.runs[run].num_steps - self.last_step(run)

    # -- runs that end -------------------------------------------------------------------------

    def retire(self) -> None:
        """Take finished runs out of their slots: at their budget, sustained at 99%, or diverged."""
        for slot, run in enumerate(self.lanes):
            if run != EMPTY and (
                self.last_step(run) >= self.experiment.runs[run].num_steps
                or self.grokked(run)
                or self.diverged(run)
            ):
                self.keep_arrays(slot, run)
                self.outcomes[run] = self.outcome(run, ended=True)
                self.lanes[slot] = EMPTY
                self.slots.clear(slot)
                self.progress.retire(
                    closing_line(run, self.experiment.runs[run], self.outcomes[run]),
                    self.unused(run),
                )

    def grokked(self, run: int) -> bool:
        """Whether the last `stop_after` evaluations of the fixed cadence all have 99% validation
        accuracy."""
        spec, curve = self.experiment.runs[run], self.history.curves[run]
        recent = [
            metrics_C[VAL_ACCURACY]
            for step, metrics_C in curve[-spec.stop_after :]
            if step % spec.eval_every == 0
        ]
        return (
            bool(spec.stop_after)
            and len(recent) == spec.stop_after
            and min(recent) >= results.THRESHOLD
        )

    def diverged(self, run: int) -> bool:
        """Whether the training loss or the weights are no longer finite."""
        metrics_C = self.history.curves[run][-1][1]
        return not np.isfinite(
            metrics_C[[results.METRICS.index("train_loss"), results.METRICS.index("weight_norm")]]
        ).all()

    def outcome(self, run: int, ended: bool) -> dict:
        curve = results.curves_table(
            *History({run: self.history.curves.get(run, [])}).arrays().values()
        )
        found = results.outcome(
            curve, self.experiment.runs[run], ended and self.diverged(run), ended
        )
        return {
            key: value.item() if hasattr(value, "item") else value for key, value in found.items()
        }

    def keep_arrays(self, slot: int, run: int, step: int | None = None) -> None:
        """Write a lane's matrices and which equations it answers right, at its end or at a
        snapshot.

        Where the run keeps them, all of its parameters too.
        """
        spec = self.experiment.runs[run]
        arrays = results.matrices(*self.slots.matrices(slot), token_labels(spec))
        arrays["correct"] = self.slots.correct(slot)
        results.write_arrays(self.folder, results.arrays_name(run, step), arrays)
        if spec.keep_params:
            leaves = jax.tree_util.tree_flatten_with_path(self.slots.state.params)[0]
            flat = {
                "/".join(key.key for key in path): np.asarray(leaf)[slot] for path, leaf in leaves
            }
            results.write_arrays(self.folder, results.arrays_name(run, step, params=True), flat)

    def keep_snapshot(self, slot: int, run: int, step: int) -> None:
        """Keep the arrays of a run at those evaluations at which it keeps snapshots."""
        if snapshot_due(step, self.experiment.runs[run]):
            self.keep_arrays(slot, run, step)

    # -- what is saved -------------------------------------------------------------------------

    def checkpoint_if_due(self) -> None:
        """Checkpoint by the clock, or because we are to stop; then say so by raising
        Interrupted."""
        now = time.monotonic()
        out_of_time = (
            self.options.time_limit is not None and now - self.start >= self.options.time_limit
        )
        stopping = self.stop_signal is not None or out_of_time
        # A checkpoint may take a fiftieth of the time at most, however large the sweep.
        pause = self.options.checkpoint_every and max(
            self.options.checkpoint_every, 50 * self.checkpoint_seconds
        )
        if stopping or now - self.last_checkpoint >= pause:
            self.checkpoint()
        if stopping:
            results.close_session(self.folder, self.cost(), complete=False)
            raise Interrupted(
                "the time limit" if self.stop_signal is None else self.stop_signal.name,
                130 if self.stop_signal == signal.SIGINT else 75,
            )

    def cost(self) -> dict:
        """What this session has taken: seconds, those in which the devices were busy; updates of
        all sessions, and of those before it."""
        return {
            "seconds": round(time.monotonic() - self.start, 1),
            "device_seconds": round(self.device_seconds, 1),
            "run_updates": self.run_updates,
            "run_updates_before": self.updates_before,
            "layout": self.layout,
        }

    def checkpoint(self) -> None:
        begun = time.monotonic()
        facts = {
            "lanes": self.lanes,
            "layout": self.layout,
            "resting": list(self.resting),
            "outcomes": {str(run): outcome for run, outcome in self.outcomes.items()},
        }
        self.checkpoints.save(self.states() | self.history.arrays(), facts)
        self.write_tables()
        self.last_checkpoint = time.monotonic()
        self.checkpoint_seconds = self.last_checkpoint - begun

    def tables_if_due(self) -> None:
        """Write the tables at the first evaluation, then by the clock, in a fiftieth of the
        time."""
        pause = max(TABLES_EVERY, 50 * self.table_seconds)
        if time.monotonic() - self.last_tables >= pause:
            self.write_tables()

    def states(self) -> dict[str, np.ndarray]:
        """The states of all runs under way: those in slots in order, then those that rest."""
        live = [slot for slot, run in enumerate(self.lanes) if run != EMPTY]
        of_slots = self.slots.arrays()
        return {
            name: np.stack([*array[live], *(state[name] for state in self.resting.values())])
            if live or self.resting
            else array[:0]
            for name, array in of_slots.items()
        }

    def write_tables(self) -> None:
        begun, rows = time.monotonic(), []
        for run in sorted(i for group in self.groups for i in group.members):
            spec = self.experiment.runs[run]
            derived = {
                "d_ff": spec.ff_width,
                "batch_size": effective_batch_size(spec, self.n_train[run]),
                "n_train": self.n_train[run],
            }
            rows.append(
                {"run": run}
                | vars(spec)
                | derived
                | (self.outcomes.get(run) or self.outcome(run, ended=False))
            )
        results.write_tables(
            self.folder,
            results.runs_table(rows),
            results.curves_table(*self.history.arrays().values()),
        )
        if self.options.on_tables:
            self.options.on_tables(self.folder)
        self.last_tables = time.monotonic()
        self.table_seconds = self.last_tables - begun


def due(step: int, run: Run) -> bool:
    """Whether a run's schedule has an evaluation after `step` updates (see
    train.evaluation_steps)."""
    early = step < run.eval_every and str(step).rstrip("0") in ("1", "2", "5")
    return early or step % run.eval_every == 0 or step == run.num_steps


def snapshot_due(step: int, run: Run) -> bool:
    """Whether a run keeps a snapshot at its evaluation after `step` updates."""
    if run.snapshots == "log":
        return str(step).rstrip("0") in SNAPSHOT_DIGITS
    return bool(run.snapshots) and step % int(run.snapshots) == 0


def last_batch_note(experiment: Experiment, n_train: dict[int, int]) -> str | None:
    """One line about runs whose epochs end in a batch of under a sixteenth of the others' rows, or
    None if there are none.

    An update follows the mean over its own rows, so that a handful of rows moves the weights as far
    as a full batch does; at a high learning rate small networks do not bear it (results/README.md).
    """
    rows = {
        i: (last_batch_size(experiment.runs[i], n), effective_batch_size(experiment.runs[i], n))
        for i, n in n_train.items()
    }
    tiny = {i: (left, size) for i, (left, size) in rows.items() if 16 * left < size}
    if not tiny:
        return None
    first, (left, size) = min(tiny.items(), key=lambda item: item[1][0] / item[1][1])
    return (
        f"note: in {len(tiny)} of {len(rows)} runs the last batch of an epoch is tiny "
        f"(run {first}: {left} of {size} rows), "
        "which small networks may not bear; another batch_size leaves more"
    )


def closing_line(number: int, run: Run, outcome: dict) -> str:
    """One line about a run that has ended."""
    crossed = outcome["steps_to_val_99"]
    when = "never" if crossed is None else f"at {crossed:,}"
    return (
        f"run {number} ({results.run_name(vars(run))}): {outcome['status']} after "
        f"{outcome['stopped_at']:,} steps, 99% validation {when}, "
        f"final {100 * outcome['final_val_accuracy']:.1f}%"
    )


def train_experiment(experiment: Experiment, options: Options = Options()) -> Path:
    """Train every run of an experiment into `root/<name>`; resume what an earlier session left.

    Returns the results folder. Raises Interrupted (time limit, SIGTERM, Ctrl-C; all saved) or
    GrokError.
    """
    process, n_processes = options.process, options.n_processes
    top = Path(options.root) / experiment.name
    experiment = results.grown(top, experiment)
    if n_processes > len(experiment.runs):
        raise GrokError(
            f"{n_processes} processes are too many for {len(experiment.runs)} runs: "
            "start at most as many as there are runs"
        )
    if not options.anew and results.is_complete(top, experiment):
        return top
    results.check_processes(top, n_processes)
    folder = top / f"part-{process}" if n_processes > 1 else top
    # The training rows of this process's runs; every mistake in them shows here, before
    # anything is written.
    n_train = {
        i: make_dataset(experiment.runs[i]).n_train
        for i in range(process, len(experiment.runs), n_processes)
    }
    ended = {} if options.anew else results.ended_runs(folder)[0]
    for i in n_train.keys() - ended.keys():
        check_precision(program_of(experiment.runs[i]), jax.default_backend())
    with files.claim(folder):
        if results.begin(folder, experiment, device_facts(n_processes), options.anew):
            sweep = Sweep(experiment, folder, options, n_train)
            if note := last_batch_note(experiment, n_train):
                print(note, file=sys.stderr, flush=True)
            with stop_at_chunk_end(sweep):
                sweep.run()
            results.finish(folder, sweep.cost())
    return top


def states_by_run(
    arrays: dict[str, np.ndarray], lanes: list[int], resting: list[int]
) -> dict[int, dict[str, np.ndarray]]:
    """The state of each run in a checkpoint, by its number. Formerly empty slots had rows, too."""
    states = {name: array for name, array in arrays.items() if name.startswith("state_")}
    rows = [run for run in lanes if run != EMPTY] + resting
    if any(len(array) == len(lanes) != len(rows) for array in states.values()):
        rows = lanes
    return {
        run: {name: array[row] for name, array in states.items()}
        for row, run in enumerate(rows)
        if run != EMPTY
    }


class stop_at_chunk_end:
    """While it holds, the first signal to stop does so at a sweep's next chunk; a second acts as
    usual.

    A signal that is ignored, as SIGHUP is under nohup, stays ignored.
    """

    def __init__(self, sweep: Sweep):
        self.sweep = sweep
        self.previous: dict[int, Any] = {}

    def __enter__(self):
        for number in STOPPING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self.previous[number] = signal.signal(number, self.handle)

    def __exit__(self, *_):
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def handle(self, number, _frame):
        self.sweep.stop_signal = signal.Signals(number)
        # The terminal may be gone, or this may have interrupted a print.
        with contextlib.suppress(OSError, RuntimeError):
            print(
                "\nstopping at the end of this chunk; once more to stop at once",
                file=sys.stderr,
                flush=True,
            )
        signal.signal(number, self.previous[number])
