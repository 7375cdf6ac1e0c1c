"""The benchmark's counts against the program's own matrix products, and the choice of slots."""

import contextlib
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grok.experiment import GrokError, Run, grid
from grok.task.dataset import make_dataset
from grok.training import bench, capacity, devices, profile
from grok.training.program import program_of, traced_data, traced_numbers, used_precision
from grok.training.update import batch_loss, init_state

CASES = [
    Run(),
    Run(operation="xy", structure="S5"),
    Run(structure="Z31", d_model=32, n_layers=3),
    Run(structure="Z31", d_model=32, token_format="eos"),
]


def matrix_products(jaxpr) -> int:
    """Multiplications in all matrix products of a traced program, and of functions inside it."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (lhs_contracted, _), _ = equation.params["dimension_numbers"]
            lhs = equation.invars[0].aval.shape
            contracted = 1
            for axis in lhs_contracted:
                contracted *= lhs[axis]
            total += contracted * equation.outvars[0].aval.size
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else [value]:
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    total += matrix_products(inner)
    return total


@pytest.mark.parametrize(
    "run",
    CASES,
    ids=lambda run: f"{run.operation} {run.structure} {run.n_layers} {run.token_format}",
)
def test_counted_operations_are_those_of_the_forward_pass_three_times(run):
    program = program_of(run)
    numbers, data = jax.tree.map(
        jnp.asarray, (traced_numbers(run), traced_data(run, make_dataset(run)))
    )
    params = jax.eval_shape(lambda: init_state(program, numbers)).params
    traced = jax.make_jaxpr(lambda p: batch_loss(program, p, numbers, data, jnp.int32(0)))(params)
    assert bench.update_gflop(program) == pytest.approx(
        6 * matrix_products(traced.jaxpr) / 1e9, rel=0.03
    )


def test_on_a_cpu_there_is_a_slot_a_device_but_none_without_a_run(tiny):
    program = program_of(tiny)
    devices = len(jax.local_devices())
    assert capacity.choose_slots(program, grid(tiny, seed=range(10))) == devices
    assert capacity.choose_slots(program, [tiny]) == 1


class Gpu:
    """A device that is no CPU, with memory for a number of slots of a program."""

    platform = "gpu"

    def __init__(self, program, slots):
        self.bytes = slots * capacity.bytes_a_slot(program)

    def memory_stats(self):
        return {"bytes_limit": self.bytes}


def test_elsewhere_runs_memory_and_a_busy_device_bound_the_slots(tiny, monkeypatch):
    program, paper = program_of(tiny), program_of(Run())
    runs = grid(tiny, seed=range(4000))
    monkeypatch.setattr(jax, "local_devices", lambda: [Gpu(program, 10**6)])
    assert capacity.choose_slots(program, runs) == 1024
    assert capacity.choose_slots(program, runs[:5]) == 5
    assert 200 < capacity.choose_slots(paper, runs) < 400
    monkeypatch.setattr(jax, "local_devices", lambda: [Gpu(program, 40)])
    assert capacity.choose_slots(program, runs) == int(40 * capacity.MEMORY_SHARE)


def test_neither_training_nor_the_benchmark_tries_slots_that_memory_does_not_hold(
    tiny, monkeypatch
):
    program, runs = program_of(tiny), grid(tiny, seed=range(4000))
    monkeypatch.setattr(jax, "local_devices", lambda: [Gpu(program, 100), Gpu(program, 100)])
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(bench, "time_updates", lambda *_: {"ms_per_run": 1.0, "compile_s": 1.0})
    assert capacity.choose_slots(program, runs) == 2 * 70
    assert list(bench.time_sweeps(program, runs)) == [2 * count for count in (1, 64, 70)]


def test_a_gpu_that_is_there_and_not_used_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(devices, "NVIDIA_DEVICE", tmp_path)
    with jax_platforms(None), pytest.raises(GrokError, match="JAX does not use it: install"):
        devices.check_devices()
    with jax_platforms("cpu"):
        devices.check_devices()


@contextlib.contextmanager
def jax_platforms(names):
    before = jax.config.jax_platforms
    jax.config.update("jax_platforms", names)
    try:
        yield
    finally:
        jax.config.update("jax_platforms", before)


def test_a_gpus_compiler_options_are_known_here_and_yield_to_the_users_flags(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    options = devices.compiler_options("gpu")
    assert options and devices.compiler_options("cpu") is None
    assert jax.jit(lambda x: x + 1, compiler_options=options)(1) == 2
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_enable_triton_gemm=true")
    assert devices.compiler_options("gpu") is None


@pytest.mark.parametrize("platform", ["rocm", "nonsense"])
def test_a_device_that_is_asked_for_and_not_there_gives_one_line(platform):
    code = "from grok.training import devices\ntry: devices.start_devices()\n"
    code += "except Exception as error: print(type(error).__name__, error)"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"JAX_PLATFORMS": platform},
        capture_output=True,
        text=True,
    )
    said = f"GrokError JAX finds no device of JAX_PLATFORMS={platform}: unset JAX_PLATFORMS"
    assert found.stdout.startswith(said)


def test_every_command_that_computes_says_in_a_line_that_there_is_no_device(
    write_results, tiny, tmp_path
):
    """Also those that do not train, and a figure for which networks are computed."""
    (tmp_path / "handbuilt").mkdir()
    rows = np.random.default_rng(0).normal(size=(9, 8)).astype(np.float32)
    kept = {"embedding": rows, "unembedding": rows, "labels": np.array(list("0123456o="))}
    folder = write_results([tiny], [kept])
    commands = [
        ("skipgram", "x+y", "--structure", "Z5", "--name", "s", "--results", tmp_path),
        ("scores", folder),
        ("figures", "handbuilt", "--results", tmp_path),
    ]
    said = "JAX finds no device of JAX_PLATFORMS=rocm: unset JAX_PLATFORMS, or set it to cpu"
    how = {"env": os.environ | {"JAX_PLATFORMS": "rocm"}, "text": True}
    how |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    begun = [
        subprocess.Popen([sys.executable, "-m", "grok", *map(str, command)], **how)
        for command in commands
    ]
    for process in begun:
        output, _ = process.communicate(timeout=300)
        assert process.returncode in (1, 2) and "Traceback" not in output, output
        assert said in output.splitlines()[-1], process.args


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"process_id": 0}, "need --coordinator"),
        ({"num_processes": 2}, "need --coordinator"),
        ({"coordinator": "127.0.0.1:1", "num_processes": 2, "process_id": 2}, "between 0 and 1"),
    ],
)
def test_half_of_what_joining_other_processes_needs_is_refused(arguments, said):
    with pytest.raises(GrokError, match=said):
        devices.start_devices(**arguments)


def test_the_report_has_every_key_and_compares_like_with_like(tiny, monkeypatch):
    timing = {True: {1: 2.0, 2: 1.5}, False: {1: 4.0, 2: 3.0}}

    def timed(program, runs, count):
        return {
            "ms_per_run": timing[program.shared_prefix][count],
            "evaluation_ms": 15.0,
            "compile_s": 1.0,
        }

    monkeypatch.setattr(bench, "time_updates", timed)
    monkeypatch.setattr(bench, "choose_slots", lambda program, runs: 2)
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_enable_command_buffer=+WHILE")
    found = bench.measure(tiny.replace(precision="bf16"))
    used = used_precision("bf16", "cpu")
    assert (found["precision"], found["xla_flags"]) == (
        used,
        "--xla_gpu_enable_command_buffer=+WHILE",
    ), "what this CPU used"
    asked = {
        "single_ms",
        "sweep_ms_per_run",
        "plain_single_ms",
        "matmul_gflops",
        "update_gflop",
        "floor_ms",
        "peak_memory_mb",
        "compile_s",
        "device",
    }
    assert asked <= set(found) and set(bench.EXPLANATIONS) <= set(found)
    assert (
        found["single_ms"],
        found["sweep_ms_per_run"],
        found["plain_single_ms"],
        found["plain_sweep_ms_per_run"],
    ) == (2.0, 1.5, 4.0, 3.0)
    assert found["floor_ms"] == pytest.approx(1e3 * found["update_gflop"] / found["matmul_gflops"])
    assert found["evaluation_share"] == pytest.approx(15.0 / (200 * 1.5))


def test_a_timed_program_has_trained_and_been_evaluated(tiny, quick_sweeps):
    found = capacity.time_updates(program_of(tiny), [tiny], 1, repeats=1, seconds=0.001)
    assert (
        set(found) == {"ms_per_run", "evaluation_ms", "compile_s"}
        and found["evaluation_ms"] > 0
        and found["compile_s"] > 0
    )


# --- Where the time of an update goes ---

PROGRAM = """HloModule chunk

%product (a: f32[2,3], b: f32[3,4]) -> f32[2,4] {
  %a = f32[2,3]{1,0} parameter(0)
  %b = f32[3,4]{1,0} parameter(1)
  ROOT %dot.1 = f32[2,4]{1,0} dot(%a, %b), lhs_contracting_dims={1}, rhs_contracting_dims={0}
}

%other (state: (f32[2,3])) -> (f32[2,3]) {
  %state.1 = (f32[2,3]{1,0}) parameter(0)
}

%body (state: (f32[2,3], f32[3,4])) -> (f32[2,3], f32[3,4]) {
  %state = (f32[2,3]{1,0}, f32[3,4]{1,0}) parameter(0)
  %x = f32[2,3]{1,0} get-tuple-element(%state), index=0
  %w = f32[3,4]{1,0} get-tuple-element(%state), index=1
  %copy.2 = f32[3,4]{1,0} copy(%w)
  %fused = f32[2,4]{1,0} fusion(%x, %copy.2), calls=%product, metadata={op_name="while/jvp(A)/wo"}
  %half = bf16[2,4]{1,0} convert(%fused), metadata={op_name="while/jvp(A)/block0.finish/ln1/mul"}
  %step = f32[3,4]{1,0} add(%w, %copy.2), metadata={op_name="while/body/add"}
  ROOT %tuple = (f32[2,3]{1,0}, f32[3,4]{1,0}) tuple(%x, %step)
}

ENTRY %main (state: (f32[2,3], f32[3,4])) -> (f32[2,3], f32[3,4]) {
  %start = (f32[2,3]{1,0}, f32[3,4]{1,0}) parameter(0)
  %first = (f32[2,3]{1,0}) while(%start), condition=%going, body=%other
  ROOT %while = (f32[2,3]{1,0}, f32[3,4]{1,0}) while(%start), condition=%going, body=%body
}
"""


def test_the_loops_of_an_update_are_counted_by_kind_and_bytes():
    assert profile.loops_of_an_update(PROGRAM) == {
        "copy.2": (profile.COPIES, 4 * (12 + 12)),
        "fused": (profile.PRODUCTS, 4 * (6 + 12 + 8)),
        "half": ("LayerNorm", 4 * 8 + 2 * 8),
        "step": (profile.OPTIMISER, 4 * (12 + 12 + 12)),
    }


def test_a_profile_shares_out_the_time_of_the_loops_that_ran(tiny):
    found = profile.measure(tiny)
    assert found["ms"] == pytest.approx(sum(row["ms"] for row in found["kinds"].values()))
    assert found["slots"] == len(jax.local_devices())
    products = found["kinds"][profile.PRODUCTS]
    # Ten maps of the network forward; a gradient for each operand but the first one's.
    assert products["loops"] >= 15
    assert 0 < products["ms"] < found["ms"]
