"""The flatness of trained networks is that of the loss that training saw."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from jax.flatten_util import ravel_pytree

from grok.analysis.sharpness import hessian_vector
from grok.experiment import Experiment, GrokError
from grok.measure import flatness
from grok.measure.symmetry import initial_params
from grok.store import results
from grok.task.dataset import make_dataset
from grok.training import sweep
from grok.training.losses import LOSSES
from grok.training.program import make_program, traced_data
from grok.training.update import forward


def test_flatness_is_measured_on_the_training_loss_of_the_kept_parameters(
    tmp_path, tiny, quick_sweeps, monkeypatch
):
    base = tiny.replace(num_steps=20, keep_params=True)
    experiment = Experiment(name="flat", runs=(base, base.replace(seed=1)))
    folder = sweep.train_experiment(experiment, sweep.Options(root=tmp_path))
    loaded = results.load(folder)
    for number, run in enumerate(experiment.runs):
        loss = float(flatness.training_loss(run)(loaded.params(number)))
        assert loss == pytest.approx(loaded.runs["final_train_loss"][number], rel=1e-5)
    table = pd.read_parquet(flatness.measure(folder))
    assert table["run"].tolist() == [0, 1]
    assert (table["sharpness"] > 0).all() and np.isfinite(table).all(axis=None)
    assert table["val_accuracy"].tolist() == loaded.runs["final_val_accuracy"].tolist()


@pytest.mark.parametrize("fields", [{}, {"n_layers": 1, "loss": "stablemax"}, {"norm": "sphere"}])
def test_the_hessian_of_the_fast_path_is_that_of_the_plain_one(tiny, fields):
    """The plain path is differentiated by JAX alone, and in forward mode."""
    run = tiny.replace(**fields)
    dataset, params = make_dataset(run), initial_params(run)
    program = replace(make_program(run, dataset), shared_prefix=False)
    data = jax.tree.map(jnp.asarray, traced_data(run, dataset))
    target_BA = program.tokens.targets(dataset.answer_N[dataset.train_rows])

    def plain(params):
        logits_BAV = forward(program, params, dataset.train_rows, data)
        return LOSSES[run.loss](logits_BAV, target_BA).mean()

    x, unravel = ravel_pytree(params)
    v = jax.random.normal(jax.random.key(0), x.shape)
    expected = jax.jvp(jax.grad(lambda flat: plain(unravel(flat))), (x,), (v,))[1]
    found = hessian_vector(flatness.training_loss(run), params, v)
    assert np.linalg.norm(found - expected) < 1e-4 * np.linalg.norm(expected)


def test_runs_share_a_loss_where_they_share_their_rows(tiny):
    loss_of = lambda **fields: flatness.training_loss(flatness.same_rows(tiny.replace(**fields)))
    assert loss_of(seed=1) is loss_of(seed=2, label="again")
    assert loss_of(split_seed=1) is not loss_of(split_seed=2)
    assert loss_of(values="random", seed=1) is not loss_of(values="random", seed=2)


def test_without_kept_parameters_there_is_a_line_that_says_so(tmp_path, tiny, quick_sweeps):
    experiment = Experiment(name="bare", runs=(tiny.replace(num_steps=2),))
    folder = sweep.train_experiment(experiment, sweep.Options(root=tmp_path))
    with pytest.raises(GrokError, match="no parameters of run 0 .*keep_params"):
        flatness.measure(folder)
