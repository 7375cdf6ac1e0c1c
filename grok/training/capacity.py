"""How many runs train side by side: a rule, and what memory holds. How fast they are: timing."""

import time
from collections.abc import Callable, Iterable

import jax
import numpy as np

from grok.experiment import Run
from grok.task.dataset import make_dataset
from grok.training.program import Program
from grok.training.slots import Slots
from grok.training.update import state_shapes

MEMORY_SHARE = 0.7
# A device that is no CPU is busy once its slots hold this much: 256 of the paper's network.
BUSY_BYTES = 6 << 30
MOST_SLOTS = 1024
BYTES_A_PARAMETER = 4 * 5  # parameter, two moments, gradient and update in float32
# What a forward and backward pass keep of each value of the residual stream and FFN: XLA computes
# most of it anew, so that it is two numbers.
BYTES_A_VALUE = 4 * 2


def choose_slots(program: Program, runs: list[Run]) -> int:
    """How many of `runs` train at once, over all local devices: a multiple of the devices used.

    On a CPU one a core: wider batches gain nothing there (see the benchmark). Elsewhere as many as
    there are runs, until the device is busy. It is a rule and no timing, since the number of slots
    decides in which order sums are taken, and so the last bits of every result.
    """
    devices = jax.local_devices()
    if devices[0].platform == "cpu":
        return min(len(runs), len(devices))
    enough = -(-len(runs) // len(devices))
    busy = min(MOST_SLOTS, -(-BUSY_BYTES // bytes_a_slot(program)))
    [per_device] = within_memory(program, [min(enough, busy)])
    return per_device * min(len(devices), len(runs))


def median_seconds(function: Callable, repeats: int) -> float:
    """The median time a function takes; it returns the device work that must be waited for."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def time_updates(
    program: Program, runs: list[Run], count: int, repeats: int = 5, seconds: float = 0.4
) -> dict[str, float]:
    """Milliseconds a run-update and a run's evaluation, seconds of compilation, with `count` slots.

    Medians over `repeats` stretches of about `seconds` each.
    """
    slots = Slots(program, count)
    for slot in range(count):
        run = runs[slot % len(runs)].replace(num_steps=10**9)
        slots.place(slot, run, make_dataset(run))
    compiled = median_seconds(lambda: slots.step(1), 1)
    evaluation = median_seconds(lambda: slots.step(0), repeats)
    trial = median_seconds(lambda: slots.step(10), 1) - evaluation
    n_updates = max(10, int(10 * seconds / max(trial, 1e-4)))
    update = (median_seconds(lambda: slots.step(n_updates), repeats) - evaluation) / n_updates
    return {
        "ms_per_run": 1e3 * update / count,
        "evaluation_ms": 1e3 * evaluation / count,
        "compile_s": compiled,
    }


def within_memory(program: Program, counts: Iterable[int]) -> list[int]:
    """Numbers of slots a device, ascending; none is higher than what its memory holds."""
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
    return BYTES_A_PARAMETER * n_params + BYTES_A_VALUE * rows * arch.n_layers * (
        4 * arch.d_model + arch.d_ff
    )
