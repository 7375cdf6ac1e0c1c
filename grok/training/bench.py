"""The speed of training here, beside the rate of matrix products: `python -m grok bench`.

The paper's network and batch (x/y mod 97, width 128, batch 512). One run is timed on one device, a
sweep on all of them, each on the fast path and on the plain one. The floor is the arithmetic of the
fast path at the machine's own matrix rate, measured in the same call.
"""

import json
import resource
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp

from grok.experiment import Run, grid
from grok.training.capacity import choose_slots, median_seconds, time_updates, within_memory
from grok.training.devices import device_facts
from grok.training.program import Program, matmul_precision, program_of

REPEATS = 5
SLOT_COUNTS = (1, 64, 256)  # a device that is no CPU
PLAIN_SLOTS = 64


def update_gflop(program: Program) -> float:
    """10^9 floating-point operations of one fast update, from the shapes of its matrix products.

    A multiplication and an addition count two. The backward pass costs twice the forward one. With
    n elements, prefixes of p tokens, suffixes of s, a answer positions, batch B, width d and hidden
    width f: every block but the last carries n p + B s rows through keys, values, the output of
    attention and the FFN; the last only B a.
    """
    arch, n, batch = program.arch, program.tokens.n_elements, program.batch_cap
    n_suffix = len(program.tokens.suffix(0, 0))
    n_prefix = 3 if program.tokens.token_format == "eos" else 2
    d, f, answers = arch.d_model, arch.d_ff, batch * arch.n_answers
    output_and_ffn, prefix_rows, suffix_rows = d * d + 2 * d * f, n * n_prefix, batch * n_suffix
    table_rows = prefix_rows + n * (n_suffix - 1) + 1
    # Queries, keys and values of the first block: a row a token and position.
    products = table_rows * 3 * d * d
    for layer in range(arch.n_layers):
        rows = prefix_rows + suffix_rows
        carried = answers if layer == arch.n_layers - 1 else rows
        if layer:
            products += rows * 2 * d * d + carried * d * d
        products += carried * output_and_ffn
    products += answers * d * arch.vocab_size
    return 3 * 2 * products / 1e9


def matmul_gflops(precision: str) -> float:
    """The rate of the matrix product of the FFN, [1024, 128] x [128, 512]; 64 at once off a CPU."""
    many = 1 if jax.default_backend() == "cpu" else 64
    a, b = jnp.ones((many, 1024, 128)) * 0.5, jnp.ones((many, 128, 512)) * 0.5
    a, b = (a[0], b[0]) if many == 1 else (a, b)
    rounds = 100

    @jax.jit
    def products(a, b):
        with matmul_precision(precision, jax.default_backend()):
            return jax.lax.fori_loop(0, rounds, lambda _, a: a + 1e-30 * (a @ b)[..., :128], a)

    products(a, b).block_until_ready()
    operations = rounds * many * 2 * 1024 * 128 * 512
    return operations / median_seconds(lambda: products(a, b), REPEATS) / 1e9


def peak_memory() -> int:
    """The most bytes taken so far: of the device's memory, or on a CPU of this process's."""
    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get("peak_bytes_in_use", 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def time_sweeps(program: Program, runs: list[Run]) -> dict[int, dict]:
    """Slots on all devices -> their timing, said as it comes.

    On a CPU in the number of slots that is chosen, elsewhere in each of SLOT_COUNTS that memory
    holds.
    """
    counts = [choose_slots(program, runs)]
    if jax.default_backend() != "cpu":
        n_devices = len(jax.local_devices())
        counts = [count * n_devices for count in within_memory(program, SLOT_COUNTS)]
    found = {}
    for count in counts:
        found[count] = time_updates(program, runs, count)
        ms = found[count]["ms_per_run"]
        said = f"{count} slots: {ms:.4f} ms a run-update, {1e3 / ms:,.0f} a second"
        print(f"{said}, compiled in {found[count]['compile_s']:.0f} s", file=sys.stderr, flush=True)
    return found


def time_plain(program: Program, runs: list[Run], slots: int) -> dict[str, float]:
    """The same on the plain path, which a CPU alone has time for."""
    plain = replace(program, shared_prefix=False)
    [plain_slots] = within_memory(plain, [min(slots, PLAIN_SLOTS)])
    return {
        "plain_single_ms": time_updates(plain, runs, 1)["ms_per_run"],
        "plain_sweep_ms_per_run": time_updates(plain, runs, plain_slots)["ms_per_run"],
    }


def measure(run: Run) -> dict:
    """Every number of the benchmark; see the module's docstring."""
    runs = grid(run, seed=range(max(SLOT_COUNTS)))
    program, facts = program_of(runs[0]), device_facts()
    sweeps = time_sweeps(program, runs)
    single = sweeps.get(1) or time_updates(program, runs, 1)
    slots = min(sweeps, key=lambda count: sweeps[count]["ms_per_run"])
    sweep, peak = sweeps[slots], peak_memory()
    rate, gflop = matmul_gflops(run.precision), update_gflop(program)
    floor = gflop / rate * 1e3
    found = {
        "single_ms": single["ms_per_run"],
        "sweep_ms_per_run": sweep["ms_per_run"],
        "matmul_gflops": rate,
        "update_gflop": gflop,
        "floor_ms": floor,
        "single_over_floor": single["ms_per_run"] / floor,
        "sweep_over_floor": sweep["ms_per_run"] / floor,
        "evaluation_share": sweep["evaluation_ms"] / (run.eval_every * sweep["ms_per_run"]),
        "peak_memory_mb": peak / 2**20,
        "compile_s": single["compile_s"],
        "slots": slots,
        "slots_ms_per_run": {str(s): timing["ms_per_run"] for s, timing in sweeps.items()},
    }
    if jax.default_backend() == "cpu":
        found |= time_plain(program, runs, slots)
    return found | facts | {"precision": facts["precisions"][run.precision]}


EXPLANATIONS = {
    "single_ms": "ms an update, one run",
    "sweep_ms_per_run": "ms a run-update, all devices busy",
    "plain_single_ms": "ms an update, one run, plain path",
    "plain_sweep_ms_per_run": "ms a run-update in a sweep, plain path",
    "matmul_gflops": "GFLOP/s of this machine's own matrix product",
    "update_gflop": "GFLOP an update of the fast path, counted",
    "floor_ms": "ms an update if it were matrix products alone",
    "single_over_floor": "times the floor, one run",
    "sweep_over_floor": "times the floor, sweep",
    "evaluation_share": "time of evaluation over time of training at the default cadence",
    "peak_memory_mb": "most MB of memory on the fast path, of the device or (on a CPU) the process",
    "compile_s": "s until the first update",
    "slots": "runs in training at once in the sweep",
}


def main(as_json: bool, precision: str) -> None:
    found = measure(Run().replace(precision=precision))
    if as_json:
        print(json.dumps(found))
        return
    for key, words in EXPLANATIONS.items():
        if key not in found:
            continue
        print(f"{found[key]:10.3f}  {words}  ({key})")
    for slots, ms in found["slots_ms_per_run"].items():
        print(
            f"{ms:10.4f}  ms a run-update with {slots} slots, {1e3 / ms:,.0f} run-updates a second"
        )
    print(f"{found['device']}, {found['cores']} cores, {found['precision']}")
