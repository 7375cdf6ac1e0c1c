"""The slots of a static signature: runs side by side on the local devices, in one compiled program.

A slot is a place on a device where one run trains. Runs are independent: there is no communication
between slots or devices. What a run does depends, to the bit, neither on which slot it has nor on
its neighbours, but on how many slots its device has: another width of the batch sums in another
order.
"""

import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from grok.experiment import Run
from grok.task.dataset import Dataset
from grok.training.devices import compiler_options
from grok.training.program import (
    Program,
    matmul_precision,
    traced_data,
    traced_numbers,
)
from grok.training.update import evaluate, init_state, matrices, state_shapes, train


def make_mesh(slots: int) -> Mesh:
    """As many local devices as divide the slots evenly."""
    devices = jax.local_devices()
    count = max(n for n in range(1, len(devices) + 1) if slots % n == 0)
    return Mesh(np.array(devices[:count]), ("slots",))


@functools.lru_cache(maxsize=1)
def make_chunk(program: Program, mesh: Mesh) -> Callable:
    """The one compiled function of a static signature: (re)initialise fresh slots, train, evaluate.

    The last one is kept: another one that trains takes its place, so that none outlives its sweep.

    chunk(state, fresh [slots], numbers, data, n_updates) -> state, metrics {name: [slots]}. Every
    leaf of state, numbers and data has a leading axis of slots, sharded over the mesh.
    """

    def lane(state, fresh, numbers, data, n_updates):
        state = jax.tree.map(
            lambda new, old: jnp.where(fresh, new, old),
            init_state(program, numbers, data.features),
            state,
        )
        state = train(program, state, numbers, data, n_updates)
        return state, evaluate(program, state, data)

    def shard(state, fresh, numbers, data, n_updates):
        bound = jnp.minimum(
            n_updates, (numbers["num_steps"] - jnp.where(fresh, 0, state.step)).max()
        )
        if len(fresh) > 1:
            return jax.vmap(lane, in_axes=(0, 0, 0, 0, None))(state, fresh, numbers, data, bound)
        # A batch axis of one would turn every matrix product into a batched one.
        single = jax.tree.map(lambda leaf: leaf[0], (state, fresh, numbers, data))
        state, fresh, numbers, data = single
        ended = lane(state, fresh, numbers, data, bound)
        return jax.tree.map(lambda leaf: leaf[None], ended)

    slots, everywhere = PartitionSpec("slots"), PartitionSpec()
    sharded = jax.shard_map(
        shard,
        mesh=mesh,
        in_specs=(slots, slots, slots, slots, everywhere),
        out_specs=slots,
        check_vma=False,
    )

    def chunk(*arguments):
        with matmul_precision(program.precision, mesh.devices.flat[0].platform):
            return sharded(*arguments)

    options = compiler_options(mesh.devices.flat[0].platform)
    return jax.jit(chunk, donate_argnums=0, compiler_options=options)


class Layout(NamedTuple):
    """What the last bits of a run depend on: it decides in which order sums are taken.

    cores: those of a CPU on which its devices compute together; 0 for other devices.
    """

    slots_a_device: int
    device: str
    cores: int

    @property
    def words(self) -> str:
        cores = f", {self.cores} cores" if self.cores else ""
        return f"{self.slots_a_device} slots a device ({self.device}{cores})"

    @classmethod
    def of(cls, kept: dict[str, Any] | None) -> "Layout | None":
        """A layout that was kept as a dictionary; None where it is not, or not all of it."""
        return cls(**kept) if kept and kept.keys() == set(cls._fields) else None


class Slots:
    """A fixed number of slots of one program, with the inputs of their runs on host and devices.

    state: the TrainState of all slots, leading axis [slots], on the devices.
    inputs: what the devices have of host_inputs; changed: whether that is out of date.
    metrics: what the last evaluation gave.
    """

    def __init__(self, program: Program, count: int):
        mesh = make_mesh(count)
        self.program, self.count = program, count
        self.sharding = NamedSharding(mesh, PartitionSpec("slots"))
        self.chunk = make_chunk(program, mesh)
        self.host_inputs: Any = None
        self.inputs: Any = None
        self.changed = True
        self.fresh = np.zeros(count, bool)
        self.metrics: dict[str, jax.Array] = {}
        self.shapes = state_shapes(program)
        self.state = self.put(
            jax.tree.map(lambda leaf: np.zeros((count, *leaf.shape), leaf.dtype), self.shapes)
        )

    @property
    def layout(self) -> Layout:
        mesh = self.sharding.mesh
        device = mesh.devices.flat[0]
        cores = len(os.sched_getaffinity(0)) if device.platform == "cpu" else 0
        return Layout(self.count // mesh.size, device.device_kind, cores)

    def put(self, tree):
        """A copy of host arrays on the devices.

        On a CPU device_put may share their memory, and they change later.
        """
        return jax.device_put(jax.tree.map(np.copy, tree), self.sharding)

    def place(self, slot: int, run: Run, dataset: Dataset) -> None:
        """Put a run into a slot; it begins from its initial weights at the next step."""
        numbers, data = traced_numbers(run), traced_data(run, dataset)
        if self.host_inputs is None:
            # Empty slots hold some run's inputs with a budget of no update.
            empty = (numbers | {"num_steps": np.int32(0)}, data)
            self.host_inputs = jax.tree.map(lambda leaf: np.stack([leaf] * self.count), empty)
        stacks, leaves = jax.tree.leaves(self.host_inputs), jax.tree.leaves((numbers, data))
        for stack, leaf in zip(stacks, leaves, strict=True):
            stack[slot] = leaf
        self.fresh[slot] = True
        self.changed = True

    def place_states(self, states: dict[int, dict[str, np.ndarray]]) -> None:
        """Let the runs in some slots go on, each from its own row of what `arrays` once gave."""
        stacks = {name: np.array(stack) for name, stack in self.arrays().items()}
        for slot, arrays in states.items():
            for name, array in arrays.items():
                stacks[name][slot] = array
        leaves = [stacks[name] for name in sorted(stacks)]
        self.state = self.put(jax.tree.unflatten(jax.tree.structure(self.shapes), leaves))
        self.fresh[list(states)] = False

    def clear(self, slot: int) -> None:
        """Leave a slot empty: it takes part in no further update."""
        self.host_inputs[0]["num_steps"][slot] = 0
        self.changed = True

    def step(self, n_updates: int) -> dict[str, jax.Array]:
        """Train every slot for up to `n_updates`; what `evaluate` gives then, each [slots, ...]."""
        if self.changed:
            self.inputs = self.put(self.host_inputs)
            self.changed = False
        self.state, self.metrics = self.chunk(
            self.state, self.put(self.fresh), *self.inputs, np.int32(n_updates)
        )
        self.fresh[:] = False
        return self.metrics

    def correct(self, slot: int) -> np.ndarray:
        """The equations that a slot's run answered right at the last evaluation, as packed bits."""
        # The whole array to the host first, as in `matrices`.
        return np.asarray(self.metrics["correct"])[slot]

    def matrices(self, slot: int) -> tuple[np.ndarray, np.ndarray]:
        """The embedding and the output matrix, each [V, D], that the network in a slot uses."""
        # Whole arrays to the host first: an index into one that lies on several devices
        # would have them communicate.
        params = {
            name: np.asarray(leaf)[slot]
            for name, leaf in self.state.params.items()
            if not isinstance(leaf, dict)
        }
        features = self.host_inputs[1].features
        embedding_VD, unembedding_DV = matrices(
            self.program, params, None if features is None else features[slot]
        )
        return np.asarray(embedding_VD), np.asarray(unembedding_DV).T

    def arrays(self) -> dict[str, np.ndarray]:
        """The state of all slots as flat named arrays, for a checkpoint."""
        return {
            f"state_{i:03d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(self.state))
        }
