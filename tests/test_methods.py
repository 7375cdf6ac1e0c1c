"""The accelerators of grokking compose with sweeps and resume exactly, each as its run alone."""

import functools

import jax
import numpy as np
import pandas as pd
import pytest

from grok.experiment import Experiment, Run
from grok.store import results
from grok.training.program import program_of
from grok.training.sweep import Interrupted, Options, train_experiment
from grok.training.update import update

pytestmark = pytest.mark.usefixtures("quick_sweeps")

BASE = Run(
    operation="x+y",
    structure="Z7",
    train_fraction=0.6,
    n_layers=1,
    n_heads=2,
    d_model=8,
    d_ff=16,
    num_steps=40,
    eval_every=20,
    stop_after=0,
    keep_params=True,
)
METHODS = {  # several at once, so that few programs are compiled
    "EMA, StableMax, low rank": {
        "gradient_filter": "grokfast_ema",
        "loss": "stablemax",
        "decay_form": "low_rank",
    },
    "MA, SGD, mixed attention": {
        "gradient_filter": "grokfast_ma",
        "filter_window": 30,
        "optimizer": "sgd",
        "attention_mix": 0.0,
        "positions": "rotary",
    },
    "orthogonal, SAM, constant norm": {
        "gradient_filter": "orthogonal",
        "optimizer": "sam",
        "constant_norm": True,
        "dropout": 0.1,
    },
    "norm only, exact softmax, cosine": {
        "optimizer": "muon_norm_only",
        "loss": "softmax_exact",
        "schedule": "cosine",
    },
    "egalitarian, sphere": {
        "optimizer": "egalitarian",
        "norm": "sphere",
        "logit_scale": 10.0,
        "update_noise": 0.1,
        "weight_decay": 0.0,
    },
}
STRENGTHS = {
    "EMA, StableMax, low rank": {"filter_strength": 5.0, "filter_memory": 0.5},
    "MA, SGD, mixed attention": {"attention_mix": 0.7},
    "egalitarian, sphere": {"logit_scale": 3.0},
}
RUNS = tuple(
    BASE.replace(label=label, seed=seed, **changes | (STRENGTHS.get(label, {}) if seed else {}))
    for label, changes in METHODS.items()
    for seed in (0, 1)
)
quick_update = functools.partial(
    jax.jit,
    static_argnums=0,
    compiler_options={"xla_backend_optimization_level": 0},
)(update)


def sweep(folder, **options):
    experiment = Experiment(name="methods", runs=RUNS)
    train_experiment(experiment, Options(folder, slots=2, **options))
    return results.load(folder / "methods")


@pytest.fixture(scope="module")
def swept(tmp_path_factory, quick_sweeps):
    return sweep(tmp_path_factory.mktemp("methods"))


def test_strengths_share_a_program():
    for label in STRENGTHS:
        first, second = (run for run in RUNS if run.label == label)
        assert program_of(first) == program_of(second)
    assert len({program_of(run) for run in RUNS}) == len(METHODS)


@pytest.mark.parametrize("number", range(1, len(RUNS), 2), ids=lambda number: RUNS[number].label)
def test_every_method_in_a_sweep_is_its_run_alone(swept, on_device, number):
    alone = on_device(RUNS[number])
    state = alone.state
    for _ in range(BASE.num_steps):
        state = quick_update(alone.program, state, alone.numbers, alone.data)
    jax.tree.map(
        lambda found, expected: np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-4),
        swept.params(number),
        state.params,
    )
    start = on_device(RUNS[number]).state.params["embedding"]
    assert np.abs(swept.params(number)["embedding"] - start).max() > 1e-4


def test_stopped_and_resumed_is_bit_identical(swept, tmp_path):
    """Stopped after every chunk, so in the middle of a window of gradients too."""
    for _ in range(4 * len(RUNS)):
        try:
            resumed = sweep(tmp_path, time_limit=0)
        except Interrupted:
            continue
        break
    assert len(resumed.description["sessions"]) > len(METHODS)
    pd.testing.assert_frame_equal(resumed.curves, swept.curves, check_exact=True)
    for number in range(len(RUNS)):
        jax.tree.map(np.testing.assert_array_equal, resumed.params(number), swept.params(number))
