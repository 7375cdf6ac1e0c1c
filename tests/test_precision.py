"""Matrix products are computed as asked on a GPU; a CPU has float32, and bf16 if it can.

For a GPU it is read from the code that is lowered for one.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grok.experiment import Experiment, GrokError
from grok.measure import flatness, symmetry
from grok.model import layers
from grok.task.dataset import make_dataset
from grok.training import devices, program, slots, sweep, update
from grok.training.program import matmul_precision, program_of, used_precision

ASKED = ("float32", "tf32", "bf16")
ALGORITHM = (
    r"lhs_precision_type = {0}, rhs_precision_type = {0}, "
    r"accumulation_type = f32, .* num_primitive_operations = 1,"
)
EXPECTED = {
    "float32": re.escape("[HIGHEST, HIGHEST] : "),
    "tf32": ALGORITHM.format("tf32"),
    "bf16": ALGORITHM.format("bf16"),
}


def products(lowered) -> list[str]:
    """The matrix products of floats in a lowered program, a line each."""
    found = [
        line
        for line in lowered.as_text().splitlines()
        if "stablehlo.dot_general" in line and re.search(r"xb?f(32|16)>", line)
    ]
    assert found
    return found


def filled(run) -> slots.Slots:
    """Two slots with a run in one."""
    here = slots.Slots(program_of(run), 2)
    here.place(0, run, make_dataset(run))
    return here


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("kind", [{}, {"optimizer": "muon"}, {"dropout": 0.1}])
def test_a_gpu_trains_and_evaluates_in_the_precision_that_a_run_asks_for(
    tiny, monkeypatch, asked, kind
):
    monkeypatch.setattr(
        slots, "matmul_precision", lambda precision, platform: matmul_precision(precision, "gpu")
    )
    here = filled(tiny.replace(precision=asked, seed=7, **kind))
    traced = slots.make_chunk.__wrapped__(here.program, here.sharding.mesh).trace(
        here.state, here.fresh, *here.host_inputs, np.int32(1)
    )
    for line in products(traced.lower(lowering_platforms=("cuda",))):
        assert re.search(EXPECTED[asked], line), line


@pytest.fixture
def cpu(monkeypatch, tmp_path):
    """flags -> a CPU that has them, as Linux tells them."""

    def with_flags(flags: str) -> None:
        facts = tmp_path / "cpuinfo"
        facts.write_text(f"processor\t: 0\nflags\t\t: fpu {flags} sse\nbugs\t: amx_bf16\n")
        monkeypatch.setattr(program, "CPU_FACTS", facts)
        program.cpu_multiplies_bf16.cache_clear()
        slots.make_chunk.cache_clear()  # it may hold what another CPU computes

    yield with_flags
    slots.make_chunk.cache_clear()
    program.cpu_multiplies_bf16.cache_clear()


@pytest.mark.parametrize(
    ("flags", "bf16"), [("avx512_bf16", True), ("amx_bf16", True), ("avx512f", False)]
)
def test_a_cpu_computes_bf16_where_it_has_the_instructions_and_the_results_say_so(cpu, flags, bf16):
    cpu(flags)
    used = {"float32": "float32", "tf32": "float32", "bf16": "bf16" if bf16 else "float32"}
    assert devices.device_facts()["precisions"] == used
    assert [used_precision(asked, "gpu") for asked in ASKED] == list(ASKED)


@pytest.fixture(scope="module")
def in_float32(tiny):
    """The metrics of a run in float32 after 20 updates."""
    return jax.device_get(filled(tiny).step(20))


def test_without_the_instructions_bf16_is_float32_to_the_bit(tiny, cpu, in_float32):
    cpu("avx512f")
    found = filled(tiny.replace(precision="bf16")).step(20)
    for name in in_float32:
        np.testing.assert_array_equal(found[name], in_float32[name])


def rounded(x):
    """x rounded to bf16, ties to even, by its bits; wide again for exact sums."""
    bits = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    kept = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16
    return kept.astype(np.uint32).view(np.float32).astype(np.float64)


@pytest.mark.parametrize("shape", [(7, 8, 24), (7, 24, 8)])
def test_bf16_rounds_the_operands_of_linear_maps_and_sums_in_float32(shape):
    rows, n_in, n_out = shape
    rng = np.random.default_rng(0)
    x, kernel, grad = (
        rng.normal(size=size).astype(np.float32)
        for size in ((rows, n_in), (n_in, n_out), (rows, n_out))
    )
    with jax.default_matmul_precision(program.DOT_ALGORITHMS["bf16"]):
        out, backward = jax.jit(jax.vjp, static_argnums=0)(layers.linear, x, kernel)
        grads = jax.jit(backward)(grad)
    expected = (
        rounded(x) @ rounded(kernel),
        rounded(grad) @ rounded(kernel).T,
        rounded(x).T @ rounded(grad),
    )
    for found, wanted, exact in zip(
        (out, *grads), expected, (x @ kernel, grad @ kernel.T, x.T @ grad)
    ):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
        assert np.abs(found - exact).max() > 1e-3


def test_bf16_keeps_the_hidden_layer_as_products_take_it():
    rng = np.random.default_rng(5)
    x, kernel, grad = (
        rng.normal(size=size).astype(np.float32) for size in ((7, 8), (8, 24), (7, 24))
    )
    with jax.default_matmul_precision(program.DOT_ALGORITHMS["bf16"]):
        hidden, backward = jax.jit(jax.vjp, static_argnums=0)(layers.linear_relu, x, kernel)
        grads = jax.jit(backward)(jnp.bfloat16(grad))
    assert hidden.dtype == jnp.bfloat16
    products = rounded(x) @ rounded(kernel)
    # The last bit of bf16 may differ where the sums in float32 lie between two of its numbers.
    np.testing.assert_allclose(np.float64(hidden), np.maximum(products, 0), rtol=2.0**-8)
    masked = np.where(products > 0, rounded(grad), 0)
    for found, wanted in zip(grads, (masked @ rounded(kernel).T, rounded(x).T @ masked)):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_keeping_the_hidden_layer_in_bf16_changes_no_number(tiny, on_device, monkeypatch):
    here = on_device(tiny.replace(precision="bf16"))

    def grads():
        compiled = jax.jit(
            lambda params: update.gradient(here.program, params, here.numbers, here.data, 0),
            compiler_options={"xla_backend_optimization_level": 0},
        )
        with jax.default_matmul_precision(program.DOT_ALGORITHMS["bf16"]):
            return compiled(here.state.params)

    found = grads()
    monkeypatch.setattr(
        layers, "linear_relu", lambda x, kernel: jnp.maximum(layers.linear(x, kernel), 0)
    )
    jax.tree.map(np.testing.assert_array_equal, found, grads())


def test_bf16_rounds_the_gradient_that_rows_bring_and_not_the_rows():
    table, index = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32), [0, 3, 3, 1]
    grad = np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32)
    with jax.default_matmul_precision(program.DOT_ALGORITHMS["bf16"]):
        rows, backward = jax.vjp(layers.take_rows, jnp.asarray(table), jnp.asarray(index))
        found = backward(jnp.asarray(grad))[0]
    np.testing.assert_array_equal(rows, table[index])
    expected = np.zeros((5, 3))
    np.add.at(expected, index, rounded(grad))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_what_is_no_product_of_two_activations_stays_in_float32():
    """The sums of a LayerNorm's gradient are products on a CPU, which bf16 must leave alone."""
    x, grad = np.random.default_rng(3).normal(size=(2, 64, 8)).astype(np.float32)
    scale, bias = np.random.default_rng(4).normal(size=(2, 8)).astype(np.float32)
    with jax.default_matmul_precision(program.DOT_ALGORITHMS["bf16"]):
        _, backward = jax.vjp(layers.layer_norm, x, scale, bias)
        grad_x, grad_scale, grad_bias = jax.jit(backward)(grad)
    inverse_std = 1 / np.sqrt(x.var(-1, keepdims=True, dtype=np.float64) + 1e-5)
    normed = (np.float64(x) - x.mean(-1, keepdims=True)) * inverse_std
    scaled = np.float64(grad) * scale
    along_x = normed * (scaled * normed).mean(-1, keepdims=True)
    expected_x = inverse_std * (scaled - scaled.mean(-1, keepdims=True) - along_x)
    np.testing.assert_allclose(grad_x, expected_x, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(grad_scale, (grad * normed).sum(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(grad_bias, grad.sum(0, dtype=np.float64), rtol=1e-5, atol=1e-5)


def test_a_run_in_bf16_on_a_cpu_differs_and_stays_close(tiny, cpu, in_float32):
    cpu("avx512_bf16")
    [found, _] = filled(tiny.replace(precision="bf16")).step(20)["train_loss"]
    [expected, _] = in_float32["train_loss"]
    assert found != expected
    np.testing.assert_allclose(found, expected, rtol=0.02)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"precision": "tf32"}, "only a GPU computes in TF32"),
        ({"precision": "bf16", "dropout": 0.1}, "a CPU trains runs with dropout in float32 alone"),
    ],
)
def test_what_a_cpu_cannot_compute_is_refused_before_anything_is_saved(
    tiny, cpu, tmp_path, fields, said
):
    cpu("avx512_bf16")
    experiment = Experiment(name="refused", runs=(tiny, tiny.replace(**fields)))
    with pytest.raises(GrokError, match=said):
        sweep.train_experiment(experiment, sweep.Options(root=tmp_path))
    assert not (tmp_path / "refused").exists()
    cpu("avx512f")
    for run in experiment.runs[1:]:
        if run.precision == "bf16":
            program.check_precision(program_of(run), "cpu")
        program.check_precision(program_of(run), "gpu")


KINDS = [
    {},
    {"optimizer": "sam"},
    {"optimizer": "sgd"},
    {"norm": "pre", "positions": "learned"},
    {"positions": "rotary", "activation": "gelu"},
    {"decay_form": "to_init", "weight_noise": 0.1, "update_noise": 0.1},
    {"precision": "bf16"},
    {"values": "fourier", "frequencies": 2},
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_chunk_lowers_for_cuda_without_what_is_slow_or_differs_from_run_to_run(
    tiny, monkeypatch, kind
):
    monkeypatch.setattr(
        slots, "matmul_precision", lambda precision, platform: matmul_precision(precision, "gpu")
    )
    here = filled(tiny.replace(**{"weight_decay": 1.0} | kind))
    traced = slots.make_chunk.__wrapped__(here.program, here.sharding.mesh).trace(
        here.state, here.fresh, *here.host_inputs, np.int32(1)
    )
    text = traced.lower(lowering_platforms=("cuda",)).as_text()
    assert not re.search(r"f64|callback", text)
    for line in text.splitlines():
        assert "stablehlo.scatter" not in line, line
        if "stablehlo.custom_call" in line:
            assert re.search(r"@(Sharding|SPMD|shape_assertion)", line), line
    assert text.count("stablehlo.while") == 2  # updates, blocks of the evaluation


def test_outside_of_training_a_gpu_computes_in_full_float32(tiny):
    run = tiny.replace(
        values="fourier", frequencies=2
    )  # a network whose embedding matrix is a matrix product too
    static, data, params = program_of(run), symmetry.device_data(run), symmetry.initial_params(run)
    parts = {
        "symmetry": symmetry.logits_of_table.trace(static, params, data),
        "matrices": jax.jit(update.matrices, static_argnums=0).trace(static, params, data.features),
        "flatness": jax.jit(jax.grad(flatness.training_loss(run))).trace(
            jax.tree.map(jnp.asarray, params)
        ),
    }
    for name, traced in parts.items():
        for line in products(traced.lower(lowering_platforms=("cuda",))):
            assert re.search(EXPECTED["float32"], line), (name, line)
    assert make_dataset(run).features is not None
