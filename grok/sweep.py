"""Many runs at once: slots, devices, processes, early stop, checkpoint and resume.

A slot is a place on a device where one run trains; a *lane* is a slot's run with its state. Runs wait in a
queue; chunks of updates alternate with work on the host, which records, checkpoints, takes finished runs out
and puts the next ones in. A sweep of 3 or 3,000 runs is the same compiled program, one for each static
signature. Runs are independent: there is no communication between slots, devices or processes.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from grok import results
from grok.checkpoint import Checkpoints
from grok.dataset import Dataset, Tokens, effective_batch_size, element_labels, make_dataset
from grok.experiment import Experiment, GrokError, Run
from grok.progress import Progress
from grok.train import (
    MATMUL_PRECISION,
    TRACED,
    Data,
    Program,
    evaluate,
    evaluation_steps,
    init_state,
    make_program,
    train,
)

EMPTY = -1
VAL_ACCURACY = results.METRICS.index("val_accuracy")
TRAIN_ACCURACY = results.METRICS.index("train_accuracy")


class Interrupted(Exception):
    """Training stopped at a chunk's end before it was done; everything so far is saved. `code` is the exit status."""

    def __init__(self, reason: str, code: int):
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True)
class Options:
    """How to train, as opposed to what.

    slots: runs in training at once over all local devices (None: chosen). time_limit: seconds after which to
    stop, checkpoint and leave. checkpoint_every: seconds between checkpoints. anew: train complete results again.
    """

    root: Path = Path("results")
    slots: int | None = None
    time_limit: float | None = None
    checkpoint_every: float = 60.0
    anew: bool = False


def start_devices(distributed: bool = False, coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None) -> None:
    """Make this process's devices ready; must come before JAX is first used.

    One host device a core, so that slots spread over a CPU's cores. `distributed`, or a coordinator's address,
    joins other processes through jax.distributed.
    """
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    if not (distributed or coordinator):
        return
    try:
        jax.distributed.initialize(coordinator, num_processes, process_id)
    except (RuntimeError, ValueError) as error:
        raise GrokError(f"cannot join the other processes ({str(error).splitlines()[0]}): give --coordinator HOST:PORT --num-processes N --process-id I") from error


def is_first_process() -> bool:
    return jax.process_index() == 0


def device_facts() -> dict:
    """What the numbers were computed on, for experiment.json."""
    devices = jax.local_devices()
    return {"device": f"{len(devices)} x {devices[0].device_kind}", "platform": devices[0].platform,
            "cores": len(os.sched_getaffinity(0)), "processes": jax.process_count()}


@dataclass
class Group:
    """Runs with one static signature. datasets are made when a run enters a slot, not before."""

    program: Program
    members: list[int]


def group_runs(runs: tuple[Run, ...], members: range) -> list[Group]:
    """The runs `members` by static signature, in order of first appearance."""
    groups: dict[Program, Group] = {}
    for i in members:
        program = make_program(runs[i], make_dataset(runs[i]))
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
        rows = [(run, step, metrics_C) for run, curve in self.curves.items() for step, metrics_C in curve]
        run_M, step_M, metrics_MC = zip(*rows) if rows else ((), (), ())
        return {"curve_run": np.array(run_M, np.int32), "curve_step": np.array(step_M, np.int32),
                "curve_metrics": np.array(metrics_MC, np.float32).reshape(-1, len(results.METRICS))}

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray]) -> "History":
        history = cls()
        for run, step, metrics_C in zip(arrays["curve_run"], arrays["curve_step"], arrays["curve_metrics"]):
            history.add(int(run), int(step), metrics_C)
        return history


def traced_numbers(run: Run) -> dict[str, np.ndarray]:
    """The fields of a run that are only numbers, as scalars."""
    return {name: np.asarray(getattr(run, name), np.int32 if isinstance(getattr(run, name), int) else np.float32) for name in TRACED}


def traced_data(run: Run, dataset: Dataset) -> Data:
    """A run's rows as the compiled program takes them."""
    train_rows_N = np.zeros_like(dataset.answer_N)
    train_rows_N[: dataset.n_train] = dataset.train_rows
    return Data(dataset.answer_N, dataset.kind_N, train_rows_N, np.int32(dataset.n_train), np.int32(effective_batch_size(run, dataset.n_train)))


def idle(numbers: dict, data: Data) -> tuple[dict, Data]:
    """What an empty slot holds: some run's numbers with a budget of no update."""
    return numbers | {"num_steps": np.int32(0)}, data


def make_chunk(program: Program, mesh: Mesh) -> Callable:
    """The one compiled function of a group: (re)initialise fresh lanes, train, evaluate.

    chunk(state, fresh [slots], numbers, data, n_updates) -> state, metrics {name: [slots]}. Every leaf of state,
    numbers and data has a leading axis of slots, sharded over the mesh.
    """
    def lane(state, fresh, numbers, data, n_updates):
        state = jax.tree.map(lambda new, old: jnp.where(fresh, new, old), init_state(program, numbers), state)
        state = train(program, state, numbers, data, n_updates)
        return state, evaluate(program, state, data)

    def shard(state, fresh, numbers, data, n_updates):
        bound = jnp.minimum(n_updates, (numbers["num_steps"] - jnp.where(fresh, 0, state.step)).max())
        if len(fresh) > 1:
            return jax.vmap(lane, in_axes=(0, 0, 0, 0, None))(state, fresh, numbers, data, bound)
        # A batch axis of one would turn every matrix product into a batched one.
        single = jax.tree.map(lambda leaf: leaf[0], (state, fresh, numbers, data))
        return jax.tree.map(lambda leaf: leaf[None], lane(*single, bound))

    slots, everywhere = PartitionSpec("slots"), PartitionSpec()
    sharded = jax.shard_map(shard, mesh=mesh, in_specs=(slots, slots, slots, slots, everywhere), out_specs=slots, check_vma=False)

    def chunk(*arguments):
        with jax.default_matmul_precision(MATMUL_PRECISION[program.precision]):
            return sharded(*arguments)

    return jax.jit(chunk, donate_argnums=0)


def make_mesh(slots: int) -> Mesh:
    """As many local devices as divide the slots evenly."""
    devices = jax.local_devices()
    count = max(n for n in range(1, len(devices) + 1) if slots % n == 0)
    return Mesh(np.array(devices[:count]), ("slots",))


def segments(any_fresh: bool, eval_every: int) -> list[int]:
    """Updates between the evaluations of one chunk: one stretch, or several where a run has just begun."""
    if not any_fresh:
        return [eval_every]
    marks = evaluation_steps(eval_every, eval_every)
    return list(np.diff([0, *marks]))


class Sweep:
    """The runs of one process on their way through the slots. See `train_experiment`."""

    def __init__(self, experiment: Experiment, folder: Path, options: Options, members: range):
        self.experiment, self.folder, self.options = experiment, folder, options
        self.groups = group_runs(experiment.runs, members)
        self.history, self.outcomes = History(), {}
        self.start, self.run_updates = time.monotonic(), 0
        self.stop_signal, self.last_checkpoint = None, time.monotonic()
        self.checkpoints = Checkpoints(folder / "checkpoints", jax.process_index())

    # -- the loop -------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Train every run to its end. Raises Interrupted at a chunk's end when asked to stop."""
        resumed = self.checkpoints.restore()
        facts = resumed[1] if resumed else {"group": 0}
        if resumed:
            self.history = History.of(resumed[0])
            self.outcomes = {int(run): outcome for run, outcome in facts["outcomes"].items()}
            self.run_updates = facts["run_updates"]
        runs = [self.experiment.runs[i] for group in self.groups for i in group.members]
        finished = sum(self.unused(i) for i in self.outcomes)
        done = sum(curve[-1][0] for curve in self.history.curves.values())
        self.progress = Progress(self.experiment.name, len(runs), sum(run.num_steps for run in runs) - finished, len(self.outcomes), done)
        try:
            for number in range(facts["group"], len(self.groups)):
                self.train_group(number, resumed if number == facts["group"] else None)
            self.write_tables()
        finally:
            self.progress.close()
            self.checkpoints.close()

    def train_group(self, number: int, resumed) -> None:
        group = self.groups[number]
        if resumed and "lanes" in resumed[1]:
            self.enter_resumed(group, resumed)
        else:
            self.enter_fresh(group)
        while self.queue or any(run != EMPTY for run in self.lanes):
            self.refill()
            for n_updates in segments(self.fresh.any(), group.program.eval_every):
                self.step_lanes(n_updates)
            self.retire()
            self.checkpoint_if_due(number)
        self.state = None

    def enter_fresh(self, group: Group) -> None:
        slots = self.options.slots or choose_slots(group, self.experiment.runs)
        self.lanes, self.queue = [EMPTY] * slots, list(group.members)
        self.prepare(group, slots)
        leaves = jax.eval_shape(lambda: init_state(group.program, traced_numbers(self.experiment.runs[group.members[0]])))
        self.state = self.put(jax.tree.map(lambda leaf: np.zeros((slots, *leaf.shape), leaf.dtype), leaves))

    def enter_resumed(self, group: Group, resumed) -> None:
        arrays, facts = resumed
        self.lanes, self.queue = list(facts["lanes"]), list(facts["queue"])
        self.prepare(group, len(self.lanes))
        shapes = jax.eval_shape(lambda: init_state(group.program, traced_numbers(self.experiment.runs[group.members[0]])))
        leaves = [arrays[f"state_{i:03d}"] for i in range(len(jax.tree.leaves(shapes)))]
        self.state = self.put(jax.tree.unflatten(jax.tree.structure(shapes), leaves))
        for slot, run in enumerate(self.lanes):
            if run != EMPTY:
                self.place(slot, run)
        self.fresh[:] = False
        self.numbers, self.data = self.put(self.host_numbers), self.put(self.host_data)

    def prepare(self, group: Group, slots: int) -> None:
        """Compile-ready state of a group: the mesh, the chunk, and empty host-side inputs for every slot."""
        mesh = make_mesh(slots)
        self.sharding = NamedSharding(mesh, PartitionSpec("slots"))
        self.chunk = make_chunk(group.program, mesh)
        first = self.experiment.runs[group.members[0]]
        numbers, data = idle(traced_numbers(first), traced_data(first, make_dataset(first)))
        self.host_numbers, self.host_data = jax.tree.map(lambda leaf: np.stack([leaf] * slots), (numbers, data))
        self.fresh, self.changed = np.zeros(slots, bool), True

    def put(self, tree):
        return jax.device_put(tree, self.sharding)

    def place(self, slot: int, run: int) -> None:
        """Write a run's inputs into a slot."""
        spec = self.experiment.runs[run]
        numbers, data = traced_numbers(spec), traced_data(spec, make_dataset(spec))
        jax.tree.map(lambda stack, leaf: stack.__setitem__(slot, leaf), (self.host_numbers, self.host_data), (numbers, data))
        self.lanes[slot], self.fresh[slot], self.changed = run, True, True

    def refill(self) -> None:
        """Put waiting runs into empty slots."""
        for slot, run in enumerate(self.lanes):
            if run == EMPTY and self.queue:
                self.place(slot, self.queue.pop(0))
        if self.changed:
            self.numbers, self.data = self.put(self.host_numbers), self.put(self.host_data)
            self.changed = False

    def step_lanes(self, n_updates: int) -> None:
        """Train all lanes for some updates, and record those whose schedule has an evaluation there."""
        before = {run: self.last_step(run) for run in self.lanes if run != EMPTY}
        self.state, metrics = self.chunk(self.state, self.put(self.fresh), self.numbers, self.data, np.int32(n_updates))
        self.fresh[:] = False
        metrics_SC = np.stack([np.asarray(metrics[name], np.float32) for name in results.METRICS], -1)
        steps_S = np.asarray(self.state.step)
        advanced = 0
        for slot, run in enumerate(self.lanes):
            spec = self.experiment.runs[run]
            if run == EMPTY or (before[run] and before[run] >= spec.num_steps):
                continue
            step = int(steps_S[slot])
            if due(step, spec):
                advanced += step - before[run]
                self.history.add(run, step, metrics_SC[slot])
                self.keep_snapshot(slot, run, step)
        self.run_updates += advanced
        live = [slot for slot, run in enumerate(self.lanes) if run != EMPTY]
        self.progress.advance(advanced, metrics_SC[live, TRAIN_ACCURACY], metrics_SC[live, VAL_ACCURACY])

    def last_step(self, run: int) -> int:
        return self.history.curves[run][-1][0] if run in self.history.curves else 0

    def unused(self, run: int) -> int:
        return self.experiment.runs[run].num_steps - self.last_step(run)

    # -- runs that end --------------------------------------------------------------------------------------

    def retire(self) -> None:
        """Take finished runs out of their slots: at their budget, sustained at 99%, or diverged."""
        for slot, run in enumerate(self.lanes):
            if run != EMPTY and (self.last_step(run) >= self.experiment.runs[run].num_steps or self.grokked(run) or self.diverged(run)):
                self.keep_arrays(slot, run)
                self.outcomes[run] = self.outcome(run, ended=True)
                self.lanes[slot] = EMPTY
                self.host_numbers["num_steps"][slot], self.changed = 0, True
                self.progress.retire(closing_line(run, self.experiment.runs[run], self.outcomes[run]), self.unused(run))

    def grokked(self, run: int) -> bool:
        """Whether the last `stop_after` evaluations of the fixed cadence all have 99% validation accuracy."""
        spec, curve = self.experiment.runs[run], self.history.curves[run]
        recent = [metrics_C[VAL_ACCURACY] for step, metrics_C in curve[-spec.stop_after:] if step % spec.eval_every == 0]
        return bool(spec.stop_after) and len(recent) == spec.stop_after and min(recent) >= results.THRESHOLD

    def diverged(self, run: int) -> bool:
        """Whether the training loss or the weights are no longer finite."""
        metrics_C = self.history.curves[run][-1][1]
        return not np.isfinite(metrics_C[[results.METRICS.index("train_loss"), results.METRICS.index("weight_norm")]]).all()

    def outcome(self, run: int, ended: bool) -> dict:
        curve = results.curves_table(*History({run: self.history.curves.get(run, [])}).arrays().values())
        found = results.outcome(curve, self.experiment.runs[run], ended and self.diverged(run), ended)
        return {key: value.item() if hasattr(value, "item") else value for key, value in found.items()}

    def matrices(self, slot: int, run: int) -> dict[str, np.ndarray]:
        """Embedding [V, D] and output matrix [V, D] of a lane, with their token labels [V]."""
        spec = self.experiment.runs[run]
        elements = element_labels(spec)
        params = self.state.params
        return {"embedding": np.asarray(params["embedding"][slot]), "unembedding": np.asarray(params["unembedding"][slot]).T,
                "labels": np.array(Tokens(len(elements), spec.token_format).labels(elements))}

    def keep_arrays(self, slot: int, run: int) -> None:
        results.write_arrays(self.folder, f"run_{run:04d}", self.matrices(slot, run))
        if self.experiment.keep_params:
            leaves = jax.tree_util.tree_flatten_with_path(self.state.params)[0]
            results.write_arrays(self.folder, f"run_{run:04d}_params", {"/".join(key.key for key in path): np.asarray(leaf[slot]) for path, leaf in leaves})

    def keep_snapshot(self, slot: int, run: int, step: int) -> None:
        """Write the matrices at updates 1, 2, 5, 10, ... of a run that keeps snapshots."""
        digits = str(step).rstrip("0")
        if self.experiment.runs[run].snapshots and digits in ("1", "2", "5"):
            results.write_arrays(self.folder, f"run_{run:04d}_step_{step:08d}", self.matrices(slot, run))

    # -- what is saved --------------------------------------------------------------------------------------

    def checkpoint_if_due(self, group: int) -> None:
        """Checkpoint by the clock, or because we are to stop; then say so by raising Interrupted."""
        now = time.monotonic()
        out_of_time = self.options.time_limit is not None and now - self.start >= self.options.time_limit
        stopping = self.stop_signal is not None or out_of_time
        if stopping or now - self.last_checkpoint >= self.options.checkpoint_every:
            self.checkpoint(group)
        if stopping:
            results.close_session(self.folder, now - self.start, self.run_updates, complete=False)
            raise Interrupted("the time limit" if self.stop_signal is None else self.stop_signal.name, 130 if self.stop_signal == signal.SIGINT else 75)

    def checkpoint(self, group: int) -> None:
        leaves = {f"state_{i:03d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(self.state))}
        facts = {"group": group, "lanes": self.lanes, "queue": self.queue, "run_updates": self.run_updates,
                 "outcomes": {str(run): outcome for run, outcome in self.outcomes.items()}}
        self.checkpoints.save(leaves | self.history.arrays(), facts)
        self.write_tables()
        self.last_checkpoint = time.monotonic()

    def write_tables(self) -> None:
        rows = []
        for run in sorted(i for group in self.groups for i in group.members):
            spec = self.experiment.runs[run]
            n_train = make_dataset(spec).n_train
            derived = {"d_ff": spec.ff_width, "batch_size": effective_batch_size(spec, n_train), "n_train": n_train}
            rows.append({"run": run} | vars(spec) | derived | (self.outcomes.get(run) or self.outcome(run, ended=False)))
        results.write_tables(self.folder, results.runs_table(rows), results.curves_table(*self.history.arrays().values()))


def due(step: int, run: Run) -> bool:
    """Whether a run's schedule has an evaluation after `step` updates (see train.evaluation_steps)."""
    early = step < run.eval_every and str(step).rstrip("0") in ("1", "2", "5")
    return early or step % run.eval_every == 0 or step == run.num_steps


def closing_line(number: int, run: Run, outcome: dict) -> str:
    """One line about a run that has ended."""
    crossed = outcome["steps_to_val_99"]
    return f"run {number} ({results.run_name(vars(run))}): {outcome['status']} after {outcome['stopped_at']:,} steps, 99% validation {'never' if crossed is None else f'at {crossed:,}'}, final {100 * outcome['final_val_accuracy']:.1f}%"


def choose_slots(group: Group, runs: tuple[Run, ...]) -> int:
    """One slot a core on a CPU, where wider batches gain nothing; elsewhere as many as there are runs, up to 256 a device."""
    devices = jax.local_devices()
    per_device = 1 if devices[0].platform == "cpu" else 256
    wanted = min(len(group.members), per_device * len(devices))
    return wanted if wanted <= len(devices) else -(-wanted // len(devices)) * len(devices)


def train_experiment(experiment: Experiment, options: Options = Options()) -> Path:
    """Train every run of an experiment into `root/<name>`; resume what an earlier session left.

    Returns the results folder. Raises Interrupted (time limit, SIGTERM, Ctrl-C; all saved) or GrokError.
    """
    n_processes, process = jax.process_count(), jax.process_index()
    top = Path(options.root) / experiment.name
    folder = top / f"part-{process}" if n_processes > 1 else top
    members = range(process, len(experiment.runs), n_processes)
    for i in members:
        make_dataset(experiment.runs[i])  # Every mistake shows before anything is written.
    with results.claim(folder):
        if results.begin(folder, experiment, device_facts(), options.anew):
            sweep = Sweep(experiment, folder, options, members)
            with stop_at_chunk_end(sweep):
                sweep.run()
            results.finish(folder, time.monotonic() - sweep.start, sweep.run_updates)
    return top


class stop_at_chunk_end:
    """While it holds, the first SIGINT or SIGTERM stops a sweep at its next chunk; a second one acts as usual."""

    def __init__(self, sweep: Sweep):
        self.sweep, self.previous = sweep, {}

    def __enter__(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self.previous[number] = signal.signal(number, self.handle)

    def __exit__(self, *_):
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def handle(self, number, _frame):
        self.sweep.stop_signal = signal.Signals(number)
        self.sweep.progress.say("stopping at the end of this chunk; once more to stop at once")
        signal.signal(number, self.previous[number])
