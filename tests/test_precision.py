"""Matrix products are computed as asked on a GPU, and in full float32 elsewhere.

Read from the code that is lowered for a GPU.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grok.measure import flatness, symmetry
from grok.task.dataset import make_dataset
from grok.training import devices, slots, update
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
        if "stablehlo.dot_general" in line and "xf32>" in line
    ]
    assert found
    return found


def filled(run) -> slots.Slots:
    """Two slots with a run in one."""
    here = slots.Slots(program_of(run), 2)
    here.place(0, run)
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


@pytest.mark.parametrize("asked", ASKED)
def test_a_cpu_computes_all_alike_and_the_results_say_so(tiny, asked, quick_sweeps):
    here, plain = filled(tiny.replace(precision=asked)), filled(tiny)
    found, expected = here.step(20), plain.step(20)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name])
    assert devices.device_facts()["precisions"][asked] == "float32"
    assert used_precision(asked, "gpu") == asked


def test_outside_of_training_a_gpu_computes_in_full_float32(tiny):
    run = tiny.replace(
        values="fourier", frequencies=2
    )  # a network whose input table is a matrix product too
    program, data, params = program_of(run), symmetry.device_data(run), symmetry.initial_params(run)
    parts = {
        "symmetry": symmetry.logits_of_table.trace(program, params, data),
        "matrices": jax.jit(update.matrices, static_argnums=0).trace(
            program, params, data.features
        ),
        "flatness": jax.jit(jax.grad(flatness.training_loss(run))).trace(
            jax.tree.map(jnp.asarray, params)
        ),
    }
    for name, traced in parts.items():
        for line in products(traced.lower(lowering_platforms=("cuda",))):
            assert re.search(EXPECTED["float32"], line), (name, line)
    assert make_dataset(run).features is not None
