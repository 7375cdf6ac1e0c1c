"""What a sweep leaves in its results folder: arrays when they are due, the rest by the clock."""

import contextlib
import hashlib
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from grok.experiment import GrokError, Run
from grok.store import array_files, sessions, tables
from grok.store.descriptions import changed_fields
from grok.task.dataset import token_labels
from grok.training.checkpoint import Checkpoints
from grok.training.history import History
from grok.training.jobs import Job
from grok.training.lanes import Lane, Lanes, State, states_by_run
from grok.training.schedule import snapshot_due
from grok.training.slots import Layout

TABLES_EVERY = 5.0  # seconds, while runs are in training
SHARE = 50  # what is done by the clock takes a fiftieth of the time at most, in a big sweep too


class Clock:
    """When to do a thing again that takes time: every so many seconds, in its share of the time.

    every: seconds; at 0 it is always due. last: when it was done last, as time.monotonic() tells.
    """

    def __init__(self, every: float, last: float):
        self.every, self.last = every, last
        self.took = 0.0

    def due(self) -> bool:
        pause = max(self.every, SHARE * self.took) if self.every else 0.0
        return time.monotonic() - self.last >= pause

    @contextlib.contextmanager
    def timed(self):
        """Take note of when the thing is done, and how long it takes."""
        begun = time.monotonic()
        yield
        self.last = time.monotonic()
        self.took = self.last - begun


class Session:
    """What a session has cost. updates_before: run-updates of all sessions before it.

    device_seconds: those in which the devices were busy. layout: of the slots in which it trained.
    """

    def __init__(self):
        self.begun = time.monotonic()
        self.device_seconds = 0.0
        self.updates_before = 0
        self.layout: Layout | None = None

    @contextlib.contextmanager
    def devices_busy(self):
        begun = time.monotonic()
        yield
        self.device_seconds += time.monotonic() - begun

    def cost(self, run_updates: int) -> dict:
        """The entries of experiment.json. run_updates: of all sessions, this one included."""
        return {
            "seconds": round(time.monotonic() - self.begun, 1),
            "device_seconds": round(self.device_seconds, 1),
            "run_updates": run_updates,
            "run_updates_before": self.updates_before,
            "layout": self.layout._asdict() if self.layout else {},
        }


class Resumed(NamedTuple):
    """What a checkpoint held: the states of runs under way, by number, and in what layout."""

    states: dict[int, State]
    layout: Layout | None


class Saver:
    """Writes what is known of a sweep's runs into its results folder, and reads a checkpoint back.

    on_tables: called with the folder whenever its tables have been written, or None.
    """

    def __init__(
        self,
        folder: Path,
        jobs: dict[int, Job],
        history: History,
        checkpoint_every: float,
        on_tables: Callable[[Path], None] | None,
    ):
        self.folder, self.jobs, self.history = folder, jobs, history
        self.digests = {str(number): run_digest(job.run) for number, job in jobs.items()}
        self.on_tables = on_tables
        self.checkpoints = Checkpoints(folder / "checkpoints")
        self.checkpoint_clock = Clock(checkpoint_every, last=time.monotonic())
        # The tables are written first of all, so that the first evaluation can be looked at.
        self.table_clock = Clock(TABLES_EVERY, last=-math.inf)

    def close(self) -> None:
        self.checkpoints.close()

    def restore(self) -> Resumed:
        """Fill the history from the newest checkpoint; returns the runs under way.

        Without a checkpoint the runs that ended are taken from the tables. Raises GrokError for a
        checkpoint of other runs than the folder's.
        """
        resumed = self.checkpoints.restore()
        if resumed is None:
            outcomes, curves = sessions.ended_runs(self.folder)
            self.history.restore(curves, outcomes)
            return Resumed({}, None)
        arrays, facts = resumed
        self.check_runs(facts.get("runs", {}))
        outcomes = {int(number): outcome for number, outcome in facts["outcomes"].items()}
        self.history.restore(arrays, outcomes)
        states = states_by_run(arrays, facts["lanes"], facts.get("resting", []))
        return Resumed(states, Layout.of(facts.get("layout")))

    def check_runs(self, digests: dict[str, str]) -> None:
        """Numbers must mean the same runs: an older experiment.json may have been put back."""
        for number, digest in digests.items():
            if self.digests.get(number, digest) != digest:
                raise GrokError(
                    f"{self.folder}/checkpoints is of other runs than {self.folder}/experiment.json"
                    f" (run {number} differs): put the experiment.json of that training back, or "
                    "move checkpoints away to go on from the runs that ended"
                )

    # -- checkpoints -----------------------------------------------------------------------------

    def checkpoint(self, lanes: Lanes) -> None:
        """Write all that a later session needs to go on exactly, and the tables."""
        facts = {
            "lanes": lanes.in_slot,
            "layout": lanes.slots.layout._asdict(),
            "resting": list(lanes.resting),
            "runs": self.digests,
            "outcomes": {str(run): outcome for run, outcome in self.history.outcomes.items()},
        }
        with self.checkpoint_clock.timed():
            self.checkpoints.save(lanes.states() | self.history.arrays(), facts)
            self.write_tables()

    # -- tables ----------------------------------------------------------------------------------

    def tables_if_due(self) -> None:
        if self.table_clock.due():
            self.write_tables()

    def write_tables(self) -> None:
        with self.table_clock.timed():
            rows = [self.row(number) for number in sorted(self.jobs)]
            tables.write_tables(self.folder, tables.runs_table(rows), self.history.table())
            if self.on_tables:
                self.on_tables(self.folder)

    def row(self, number: int) -> dict:
        """A run's row of runs.parquet: its fields, what follows from them, and what came of it."""
        job = self.jobs[number]
        outcome = self.history.outcomes.get(number) or self.history.outcome(number, ended=False)
        derived = {
            "d_ff": job.run.ff_width,
            "batch_size": job.batch_size,
            "n_train": job.dataset.n_train,
        }
        return {"run": number} | vars(job.run) | derived | outcome

    # -- arrays ----------------------------------------------------------------------------------

    def keep_snapshot(self, lanes: Lanes, lane: Lane, step: int) -> None:
        """Keep the arrays of a run at those evaluations at which it keeps snapshots."""
        if snapshot_due(step, self.jobs[lane.run].run):
            self.keep_arrays(lanes, lane, step)

    def keep_arrays(self, lanes: Lanes, lane: Lane, step: int | None = None) -> None:
        """Write a run's matrices and which equations it answers right, at its end or a snapshot.

        Where the run keeps them, all of its parameters too.
        """
        run = self.jobs[lane.run].run
        arrays = array_files.matrix_arrays(*lanes.slots.matrices(lane.slot), token_labels(run))
        arrays["correct"] = lanes.slots.correct(lane.slot)
        array_files.write_arrays(self.folder, array_files.arrays_name(lane.run, step), arrays)
        if run.keep_params:
            name = array_files.arrays_name(lane.run, step, params=True)
            array_files.write_arrays(self.folder, name, flat_params(lanes, lane.slot))


def run_digest(run: Run) -> str:
    """A hash of the fields by which a run is known."""
    fields = json.dumps(changed_fields(run), sort_keys=True)
    return hashlib.sha256(fields.encode()).hexdigest()[:16]


def flat_params(lanes: Lanes, slot: int) -> dict[str, np.ndarray]:
    """All parameters of the run in a slot, each under its path in the tree."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(lanes.slots.state.params)
    flat = {}
    for path, leaf in leaves:
        name = "/".join(key.key for key in path)
        flat[name] = np.asarray(leaf)[slot]
    return flat
