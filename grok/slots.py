"""The slots of a static signature: runs side by side on the local devices, in one compiled program.

A slot is a place on a device where one run trains. Runs are independent: there is no communication between
slots or devices, and what a run does depends neither on its slot nor on its neighbours.
"""

import functools
import os
import time
from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from grok.dataset import Dataset, effective_batch_size, make_dataset
from grok.experiment import GrokError, Run
from grok.join import join
from grok.train import (
    DOT_ALGORITHMS,
    TRACED,
    Data,
    Program,
    TrainState,
    evaluate,
    init_state,
    make_program,
    matmul_precision,
    matrices,
    train,
    used_precision,
)

SLOT_CANDIDATES = (64, 256, 1024)  # a device that is no CPU
MEMORY_SHARE = 0.7
BYTES_A_PARAMETER = 4 * 5  # parameter, two moments, gradient and update in float32
BYTES_A_VALUE = 4 * 12  # what a forward and backward pass keep of each value of the residual stream and FFN


def start_devices(distributed: bool = False, coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None) -> tuple[int, int]:
    """Make this process's devices ready; must come before JAX is first used. Returns this process's number and how many there are.

    One host device a core, so that slots spread over a CPU's cores. `distributed`, or a coordinator's address,
    joins other processes.
    """
    joining = distributed or coordinator
    if not joining and (num_processes, process_id) != (None, None):
        raise GrokError("--num-processes and --process-id need --coordinator HOST:PORT, or --distributed")
    if num_processes is not None and process_id is not None and not 0 <= process_id < num_processes:
        raise GrokError(f"--process-id {process_id} must lie between 0 and {num_processes - 1}")
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    if not joining:
        return 0, 1
    process, count, cuda_devices = join(coordinator, num_processes, process_id)
    jax.config.update("jax_cuda_visible_devices", cuda_devices)
    return process, count


def device_facts(processes: int = 1) -> dict:
    """What the numbers were computed on, for experiment.json; `precisions` says for each that a run may ask for which one was used."""
    devices = jax.local_devices()
    return {"device": f"{len(devices)} x {devices[0].device_kind}", "platform": devices[0].platform,
            "cores": len(os.sched_getaffinity(0)), "processes": processes, "xla_flags": os.environ.get("XLA_FLAGS", ""),
            "precisions": {asked: used_precision(asked, devices[0].platform) for asked in DOT_ALGORITHMS}}


def choose_slots(program: Program, runs: list[Run]) -> int:
    """How many of `runs` train at once, over all local devices: a multiple of the devices that are used.

    On a CPU one a core: wider batches gain nothing there (see the benchmark). Elsewhere as many as memory holds,
    and where there are enough runs to choose, the number a device that measures fastest.
    """
    devices = jax.local_devices()
    if devices[0].platform == "cpu":
        return min(len(runs), len(devices))
    enough = -(-len(runs) // len(devices))
    candidates = within_memory(program, [min(enough, count) for count in SLOT_CANDIDATES])
    per_device = candidates[0] if len(candidates) == 1 else fastest(program, runs, candidates)
    return per_device * min(len(devices), len(runs))


def fastest(program: Program, runs: list[Run], candidates: list[int]) -> int:
    """The number of slots a device with the shortest measured time a run-update, all devices busy."""
    n_devices = len(jax.local_devices())
    return min(candidates, key=lambda count: time_updates(program, runs, count * n_devices)["ms_per_run"])


def median_seconds(function: Callable, repeats: int) -> float:
    """The median time a function takes, its device work included; it returns what must be waited for."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def time_updates(program: Program, runs: list[Run], count: int, repeats: int = 5, seconds: float = 0.4) -> dict[str, float]:
    """Milliseconds a run-update and a run's evaluation, and seconds of compilation, with `count` slots in training.

    Medians over `repeats` stretches of about `seconds` each.
    """
    slots = Slots(program, count)
    for slot in range(count):
        slots.place(slot, runs[slot % len(runs)].replace(num_steps=10**9))
    compiled = median_seconds(lambda: slots.step(1), 1)
    evaluation = median_seconds(lambda: slots.step(0), repeats)
    trial = median_seconds(lambda: slots.step(10), 1) - evaluation
    n_updates = max(10, int(10 * seconds / max(trial, 1e-4)))
    update = (median_seconds(lambda: slots.step(n_updates), repeats) - evaluation) / n_updates
    return {"ms_per_run": 1e3 * update / count, "evaluation_ms": 1e3 * evaluation / count, "compile_s": compiled}


def within_memory(program: Program, counts: Iterable[int]) -> list[int]:
    """Numbers of slots a device, ascending, with those that its memory does not hold lowered to the most that it does."""
    most = max(1, int(MEMORY_SHARE * device_memory(jax.local_devices()[0]) / bytes_a_slot(program)))
    return sorted({min(count, most) for count in counts})


def device_memory(device) -> int:
    """Bytes a device may allocate."""
    return (device.memory_stats() or {}).get("bytes_limit", 8 << 30)


def bytes_a_slot(program: Program) -> int:
    """A generous estimate of what one run takes while it trains."""
    arch = program.arch
    n_params = sum(leaf.size for leaf in jax.tree.leaves(state_shapes(program).params))
    rows = 4 * program.batch_cap if not program.shared_prefix else 2 * program.batch_cap
    return BYTES_A_PARAMETER * n_params + BYTES_A_VALUE * rows * arch.n_layers * (4 * arch.d_model + arch.d_ff)


def state_shapes(program: Program) -> TrainState:
    """Shapes and types of one run's state."""
    arch = program.arch
    features = np.zeros((program.tokens.n_elements, arch.n_features), np.float32) if arch.n_features else None
    return jax.eval_shape(lambda: init_state(program, traced_numbers(Run()), features))


def traced_numbers(run: Run) -> dict[str, np.ndarray]:
    """The fields of a run that are only numbers, as scalars."""
    return {name: np.asarray(getattr(run, name), np.int32 if isinstance(getattr(run, name), int) else np.float32) for name in TRACED}


def traced_data(run: Run, dataset: Dataset) -> Data:
    """A run's rows and features as the compiled program takes them."""
    train_rows_N = np.zeros_like(dataset.answer_N)
    train_rows_N[: dataset.n_train] = dataset.train_rows
    return Data(dataset.answer_N, dataset.kind_N, train_rows_N, np.int32(dataset.n_train), np.int32(effective_batch_size(run, dataset.n_train)), dataset.features)


def program_of(run: Run) -> Program:
    """The static signature of a run."""
    return make_program(run, make_dataset(run))


def make_mesh(slots: int) -> Mesh:
    """As many local devices as divide the slots evenly."""
    devices = jax.local_devices()
    count = max(n for n in range(1, len(devices) + 1) if slots % n == 0)
    return Mesh(np.array(devices[:count]), ("slots",))


@functools.lru_cache(maxsize=1)
def make_chunk(program: Program, mesh: Mesh) -> Callable:
    """The one compiled function of a static signature: (re)initialise fresh slots, train, evaluate.

    The last one is kept, so that the slots that were timed are not compiled anew to train, and no others outlive their sweep.

    chunk(state, fresh [slots], numbers, data, n_updates) -> state, metrics {name: [slots]}. Every leaf of state,
    numbers and data has a leading axis of slots, sharded over the mesh.
    """
    def lane(state, fresh, numbers, data, n_updates):
        state = jax.tree.map(lambda new, old: jnp.where(fresh, new, old), init_state(program, numbers, data.features), state)
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
        with matmul_precision(program.precision, mesh.devices.flat[0].platform):
            return sharded(*arguments)

    return jax.jit(chunk, donate_argnums=0)


class Slots:
    """A fixed number of slots of one program, with the inputs of the runs in them on host and devices.

    state: the TrainState of all slots, leading axis [slots], on the devices.
    """

    def __init__(self, program: Program, count: int):
        mesh = make_mesh(count)
        self.program, self.count = program, count
        self.sharding = NamedSharding(mesh, PartitionSpec("slots"))
        self.chunk = make_chunk(program, mesh)
        self.host_inputs = None
        self.fresh, self.changed = np.zeros(count, bool), True
        self.shapes = state_shapes(program)
        self.state = self.put(jax.tree.map(lambda leaf: np.zeros((count, *leaf.shape), leaf.dtype), self.shapes))

    def put(self, tree):
        """A copy of host arrays on the devices: on a CPU device_put may share their memory, and they change later."""
        return jax.device_put(jax.tree.map(np.copy, tree), self.sharding)

    def place(self, slot: int, run: Run) -> None:
        """Put a run into a slot; it begins from its initial weights at the next step."""
        numbers, data = traced_numbers(run), traced_data(run, make_dataset(run))
        if self.host_inputs is None:  # Empty slots hold some run's inputs with a budget of no update.
            self.host_inputs = jax.tree.map(lambda leaf: np.stack([leaf] * self.count), (numbers | {"num_steps": np.int32(0)}, data))
        jax.tree.map(lambda stack, leaf: stack.__setitem__(slot, leaf), self.host_inputs, (numbers, data))
        self.fresh[slot], self.changed = True, True

    def clear(self, slot: int) -> None:
        """Leave a slot empty: it takes part in no further update."""
        self.host_inputs[0]["num_steps"][slot], self.changed = 0, True

    def step(self, n_updates: int) -> dict[str, jax.Array]:
        """Train every slot for up to `n_updates`, then evaluate; metrics by name, each [slots]."""
        if self.changed:
            self.inputs, self.changed = self.put(self.host_inputs), False
        self.state, metrics = self.chunk(self.state, self.put(self.fresh), *self.inputs, np.int32(n_updates))
        self.fresh[:] = False
        return metrics

    def matrices(self, slot: int) -> tuple[np.ndarray, np.ndarray]:
        """The input table [V, D] and the output matrix [V, D] of the run in a slot, as its network uses them."""
        # Whole arrays to the host first: an index into one that lies on several devices would have them communicate.
        params = {name: np.asarray(leaf)[slot] for name, leaf in self.state.params.items() if not isinstance(leaf, dict)}
        features = self.host_inputs[1].features
        embedding_VD, unembedding_DV = matrices(self.program, params, None if features is None else features[slot])
        return np.asarray(embedding_VD), np.asarray(unembedding_DV).T

    def arrays(self) -> dict[str, np.ndarray]:
        """The state of all slots as flat named arrays, for a checkpoint."""
        return {f"state_{i:03d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(self.state))}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take up the state that `arrays` gave; the runs must have been placed again before."""
        leaves = [arrays[f"state_{i:03d}"] for i in range(len(jax.tree.leaves(self.shapes)))]
        self.state = self.put(jax.tree.unflatten(jax.tree.structure(self.shapes), leaves))
        self.fresh[:] = False
