"""What a sweep makes of its runs before it trains them, and when it saves."""

import math
from types import SimpleNamespace

import pytest

from grok.experiment import Experiment
from grok.task import dataset
from grok.training import saving
from grok.training.jobs import by_program, make_jobs
from grok.training.sweep import Options, train_experiment


def test_runs_with_the_same_data_share_it_and_no_others(tiny):
    runs = [
        tiny,
        tiny.replace(seed=5, learning_rate=3e-4),
        tiny.replace(split_seed=1),
        tiny.replace(corrupted_labels=3),
        tiny.replace(values="random"),
        tiny.replace(values="onehot"),
    ]
    jobs = make_jobs(runs, range(6))
    kept = [id(job.dataset) for job in jobs.values()]
    assert kept[0] == kept[1] and len(set(kept)) == 5
    assert [job.run for job in jobs.values()] == runs
    assert by_program(jobs)[jobs[0].program][:4] == [0, 1, 2, 3]
    assert list(make_jobs(runs, range(1, 6, 2))) == [1, 3, 5], "a process has its share alone"


def test_the_dataset_of_a_run_is_made_once(tiny, tmp_path, quick_sweeps, monkeypatch):
    made = []
    split = dataset.split
    monkeypatch.setattr(dataset, "split", lambda *told: made.append(told) or split(*told))
    runs = [tiny.replace(num_steps=5, eval_every=5, seed=seed) for seed in range(3)]
    train_experiment(Experiment(name="once", runs=runs), Options(tmp_path, slots=2))
    assert len(made) == 3


@pytest.mark.parametrize(
    "every, took, pause", [(5.0, 0.0, 5.0), (5.0, 0.5, 25.0), (60.0, 0.5, 60.0), (0.0, 9.0, 0.0)]
)
def test_what_takes_long_is_done_less_often(monkeypatch, every, took, pause):
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(saving, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    clock = saving.Clock(every, last=-math.inf)
    assert clock.due(), "never done yet"
    with clock.timed():
        now.seconds += took
    now.seconds += max(pause - 0.1, 0)
    assert clock.due() == (pause == 0)
    now.seconds += 0.2
    assert clock.due()
