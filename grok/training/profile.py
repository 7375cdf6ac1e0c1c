"""Where the time of an update goes on a CPU: `python -m grok bench --profile`.

XLA's compiled program names every loop that it runs, the shapes that the loop reads and writes, and
the operation of ours that it comes from. JAX's profiler says how long each of them took.
"""

import collections
import math
import re
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from grok.experiment import GrokError, Run, grid
from grok.task.dataset import make_dataset
from grok.training.capacity import choose_slots
from grok.training.devices import device_facts
from grok.training.program import program_of
from grok.training.slots import Slots

UPDATES = 100  # with 20 some products are recorded for a fifth of their time
BYTES = {"f32": 4, "s32": 4, "u32": 4, "bf16": 2, "pred": 1, "s8": 1, "u8": 1}
SHAPE = re.compile(rf"\b({'|'.join(BYTES)})\[([\d,]*)\]")
COMPUTATION = re.compile(r"^(?:ENTRY )?%([\w.\-]+) \(.*?^}", re.DOTALL | re.MULTILINE)
INSTRUCTION = re.compile(
    r"^\s+(?:ROOT )?%([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\((.*?)\)", re.MULTILINE
)
FREE = {"parameter", "constant", "get-tuple-element", "tuple", "bitcast", "while"}
# kind -> what the name of an operation has if it is of that kind; the first that fits
KINDS = {
    "LayerNorm": r"/ln\d|/final_norm",
    "ReLU and residuals": r"\.finish|\.heads",
    "attention: projections, taken rows, softmax": r"Transformer",
    "order of the batch and loss": r"jvp",
}
OPTIMISER = "Adam and decay"
COPIES = "copies, and operands turned for a product"
PRODUCTS = "matrix products"


class Loop(NamedTuple):
    """One compiled loop of an update: its kind, and the bytes of its operands and results."""

    kind: str
    n_bytes: int


def n_bytes(shapes: str) -> int:
    """The bytes of all arrays whose shapes stand in a text, as XLA writes them."""
    total = 0
    for dtype, extent in SHAPE.findall(shapes):
        sizes = [int(n) for n in extent.split(",") if n]
        total += BYTES[dtype] * math.prod(sizes)
    return total


def loops_of_an_update(hlo: str) -> dict[str, Loop]:
    """Name -> loop, of the body of the loop over updates in a compiled chunk."""
    computations = {found[1]: found[0] for found in COMPUTATION.finditer(hlo)}
    bodies = set(re.findall(r"body=%([\w.\-]+)", hlo))
    body = max((computations[name] for name in bodies), key=lambda text: text.count("jvp"))
    shapes: dict[str, str] = {}
    loops: dict[str, Loop] = {}
    for line in body.splitlines():
        found = INSTRUCTION.match(line)
        if not found:
            continue
        name, shape, opcode, operands = found.groups()
        shapes[name] = shape
        if opcode in FREE:
            continue
        read = sum(n_bytes(shapes.get(each, "")) for each in re.findall(r"%([\w.\-]+)", operands))
        called = re.search(r"calls=%([\w.\-]+)", line)
        inner = computations[called[1]] if called else line
        loops[name] = Loop(kind_of(line, inner, opcode), read + n_bytes(shape))
    return loops


def kind_of(line: str, inner: str, opcode: str) -> str:
    """The kind of a loop, from its line in the program and the computation that it calls."""
    if " dot(" in inner:
        return PRODUCTS
    name = re.search(r'op_name="([^"]*)"', line)
    if opcode == "copy" or not name:  # XLA's own
        return COPIES
    for kind, pattern in KINDS.items():
        if re.search(pattern, name[1]):
            return kind
    return OPTIMISER


def seconds_by_name(slots: Slots) -> dict[str, float]:
    """How long each compiled loop took in UPDATES updates of all slots, by its name."""
    options = jax.profiler.ProfileOptions()
    options.host_tracer_level, options.python_tracer_level = 3, 0
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            jax.block_until_ready(slots.step(UPDATES))
        [path] = Path(folder).rglob("*.xplane.pb")
        profile = jax.profiler.ProfileData.from_file(str(path))
        seconds: dict[str, float] = collections.defaultdict(float)
        for plane in profile.planes:
            for line in plane.lines:
                for event in line.events:
                    seconds[event.name] += event.duration_ns / 1e9
    return seconds


def by_kind(loops: dict[str, Loop], seconds: dict[str, float], updates: int) -> dict[str, dict]:
    """Milliseconds, number of loops and MB an update of each kind of loop."""
    kinds = (PRODUCTS, *KINDS, OPTIMISER, COPIES)
    rows = {kind: {"ms": 0.0, "loops": 0, "mb": 0.0} for kind in kinds}
    for name, loop in loops.items():
        row = rows[loop.kind]
        row["ms"] += 1e3 * seconds.get(name, 0.0) / updates
        row["loops"] += 1
        row["mb"] += loop.n_bytes / 1e6
    return rows


def measure(run: Run) -> dict:
    """Milliseconds of one core, loops and MB an update, by kind, in a sweep of a run a core."""
    if jax.default_backend() != "cpu":
        raise GrokError("bench --profile reads the loops of a CPU's program: set JAX_PLATFORMS=cpu")
    runs = grid(run, seed=range(len(jax.local_devices())))
    program, facts = program_of(run), device_facts()
    slots = Slots(program, choose_slots(program, runs))
    for slot in range(slots.count):
        slots.place(slot, runs[slot].replace(num_steps=10**9), make_dataset(run))
    inputs = slots.put(slots.fresh), *slots.put(slots.host_inputs), np.int32(UPDATES)
    chunk: Any = slots.chunk
    slots.chunk = compiled = chunk.lower(slots.state, *inputs).compile()
    jax.block_until_ready(slots.step(1))
    seconds = seconds_by_name(slots)
    rows = by_kind(loops_of_an_update(compiled.as_text()), seconds, UPDATES * slots.count)
    found = {"kinds": rows, "ms": sum(row["ms"] for row in rows.values()), "slots": slots.count}
    return found | facts | {"precision": facts["precisions"][run.precision]}
