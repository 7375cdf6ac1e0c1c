"""A sweep: runs on their way through the slots, with early stop, checkpoint and resume.

Chunks of updates alternate with work on the host. It records, saves, takes finished runs out of
their slots and puts the next ones in. A sweep of 3 or 3,000 runs is the same compiled program, one
for each static signature. Several processes share an experiment's runs and never wait for each
other.
"""

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from grok import files
from grok.experiment import Experiment, GrokError, Note
from grok.store import sessions, tables
from grok.training.capacity import choose_slots
from grok.training.devices import device_facts
from grok.training.history import TRAIN_ACCURACY, VAL_ACCURACY, History, closing_line
from grok.training.jobs import Job, by_program, last_batch_note, make_jobs
from grok.training.lanes import Lanes
from grok.training.program import Program, check_precision
from grok.training.progress_bar import Progress
from grok.training.saving import Resumed, Saver, Session
from grok.training.schedule import due, segments
from grok.training.slots import Layout, Slots
from grok.training.stopping import Stop


class Interrupted(Exception):
    """Training stopped at a chunk's end before it was done. Everything so far is saved.

    code: the exit status.
    """

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


def train_experiment(experiment: Experiment, options: Options = Options()) -> Path:
    """Train every run of an experiment into `root/<name>`; resume what an earlier session left.

    Returns the results folder. Raises Interrupted (time limit, SIGTERM, Ctrl-C; all is saved) or
    GrokError.
    """
    process, n_processes = options.process, options.n_processes
    top = Path(options.root) / experiment.name
    experiment = sessions.grown(top, experiment)
    if n_processes > len(experiment.runs):
        raise GrokError(
            f"{n_processes} processes are too many for {len(experiment.runs)} runs: "
            "start at most as many as there are runs"
        )
    if not options.anew and sessions.is_complete(top, experiment):
        return top
    sessions.check_processes(top, n_processes)
    folder = top / f"part-{process}" if n_processes > 1 else top
    # Every mistake in these runs shows here, before anything is written.
    jobs = make_jobs(experiment.runs, range(process, len(experiment.runs), n_processes))
    ended = {} if options.anew else sessions.ended_runs(folder)[0]
    for number in jobs.keys() - ended.keys():
        check_precision(jobs[number].program, jax.default_backend())
    with files.claim(folder):
        if sessions.begin(folder, experiment, device_facts(n_processes), options.anew):
            if note := last_batch_note(jobs):
                print(note, file=sys.stderr, flush=True)
            with Stop(options.time_limit) as stop:
                cost = train_jobs(experiment.name, jobs, folder, options, stop)
            sessions.finish(folder, cost)
    return top


def train_jobs(name: str, jobs: dict[int, Job], folder: Path, options: Options, stop: Stop) -> dict:
    """Train jobs into a results folder that has been begun. Returns what this session has cost.

    Raises Interrupted.
    """
    session = Session()
    history = History({number: job.run for number, job in jobs.items()})
    saver = Saver(folder, jobs, history, options.checkpoint_every, options.on_tables)
    progress = None
    try:
        resumed = saver.restore()
        session.updates_before = history.run_updates
        progress = begin_progress(name, history)
        Sweep(jobs, options.slots, history, saver, session, progress, stop, resumed).run()
    finally:
        if progress:
            progress.close()
        saver.close()
    return session.cost(history.run_updates)


def begin_progress(name: str, history: History) -> Progress:
    """The bar of a sweep, which counts what earlier sessions have done."""
    ended = history.outcomes
    budget = sum(run.num_steps for run in history.runs.values())
    total = budget - sum(map(history.unused, ended))
    return Progress(name, len(history.runs), total, len(ended), history.run_updates)


@dataclass
class Sweep:
    """The loop: train a chunk, record it, take out the runs that ended, save.

    slots: runs in training at once, or None. resumed: what a checkpoint held.
    """

    jobs: dict[int, Job]
    slots: int | None
    history: History
    saver: Saver
    session: Session
    progress: Progress
    stop: Stop
    resumed: Resumed

    def run(self) -> None:
        """Train every run to its end. Raises Interrupted at a chunk's end when asked to stop."""
        programs = by_program(self.jobs)
        # Those under way first, then small batches: most runs have ended where training is cut.
        for program in sorted(
            programs, key=lambda one: (self.begins_anew(programs[one]), one.batch_cap)
        ):
            pending = [run for run in programs[program] if run not in self.history.outcomes]
            if pending:
                self.train_program(program, pending)
        self.saver.write_tables()

    def begins_anew(self, numbers: list[int]) -> bool:
        """Whether none of some runs is under way."""
        return self.resumed.states.keys().isdisjoint(numbers)

    def train_program(self, program: Program, pending: list[int]) -> None:
        """Train runs of one program, those under way first."""
        resting = self.resumed.states
        waiting = sorted(pending, key=lambda run: run not in resting)
        count = self.slots or choose_slots(program, [self.jobs[run].run for run in waiting])
        lanes = Lanes(Slots(program, count), self.jobs, waiting, resting)
        self.session.layout = lanes.slots.layout
        if not self.begins_anew(pending):
            note_layout(self.resumed.layout, lanes.slots.layout)
        while lanes.waiting or lanes.busy():
            lanes.refill()
            any_fresh = bool(lanes.slots.fresh.any())
            for n_updates in segments(any_fresh, program.eval_every):
                self.step(lanes, n_updates)
            self.retire(lanes)
            self.save_or_stop(lanes)

    def step(self, lanes: Lanes, n_updates: int) -> None:
        """Train all slots for some updates, and record those whose schedule has an evaluation."""
        with self.session.devices_busy():
            metrics = lanes.slots.step(n_updates)
            columns = [np.asarray(metrics[name], np.float32) for name in tables.METRICS]
        metrics_SC = np.stack(columns, -1)
        steps_S = np.asarray(lanes.slots.state.step)
        live = lanes.busy()
        for lane in live:
            step = int(steps_S[lane.slot])
            new = step > self.history.last_step(lane.run)
            if new and due(step, self.jobs[lane.run].run):
                self.history.add(lane.run, step, metrics_SC[lane.slot])
                self.saver.keep_snapshot(lanes, lane, step)
        shown_LC = metrics_SC[[lane.slot for lane in live]]
        self.progress.advance(
            self.history.run_updates, shown_LC[:, TRAIN_ACCURACY], shown_LC[:, VAL_ACCURACY]
        )
        self.saver.tables_if_due()

    def retire(self, lanes: Lanes) -> None:
        """Take runs that have ended out of their slots."""
        for lane in lanes.busy():
            if not self.history.at_its_end(lane.run):
                continue
            self.saver.keep_arrays(lanes, lane)
            outcome = self.history.end(lane.run)
            lanes.clear(lane.slot)
            line = closing_line(lane.run, self.history.names[lane.run], outcome)
            self.progress.retire(line, self.history.unused(lane.run))

    def save_or_stop(self, lanes: Lanes) -> None:
        """Checkpoint by the clock, or because training is to stop; then raise Interrupted."""
        reason = self.stop.reason()
        if reason or self.saver.checkpoint_clock.due():
            self.saver.checkpoint(lanes)
        if reason:
            cost = self.session.cost(self.history.run_updates)
            sessions.close_session(self.saver.folder, cost, complete=False)
            raise Interrupted(reason, self.stop.status())


def note_layout(before: Layout | None, now: Layout) -> None:
    """Warn where runs under way go on in another layout. before: None where it is not known."""
    if before is None or before == now:
        return
    warnings.warn(
        f"runs under way go on with {now.words}, not with {before.words}: from here they differ "
        "in their last bits from a run that was not stopped, and training makes such a difference "
        "grow",
        Note,
        stacklevel=2,
    )
