"""The flatness of trained networks is that of the loss that training saw."""

import numpy as np
import pandas as pd
import pytest

from grok.experiment import Experiment, GrokError
from grok.measure import flatness
from grok.store import results
from grok.training import sweep


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
    alone = pd.read_parquet(flatness.measure(folder, curvature=False))
    assert alone["sharpness"].tolist() == table["sharpness"].tolist()
    assert alone[["eigenvalue", "trace"]].isna().all(axis=None)


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
