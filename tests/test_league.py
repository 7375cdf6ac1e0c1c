"""The league: statistics, the rule of tuning, standings and verdicts, against planted times."""

import numpy as np
import pandas as pd
import pytest
from test_figures import curve_of

from grok import config
from grok.analysis import survival
from grok.experiment import Experiment, GrokError, Run, grid
from grok.measure import cost, findings
from grok.measure.findings.finding import IN_PART, NOT_REPRODUCED, REPRODUCED
from grok.store import array_files, outcomes, provenance, results, sessions, tables, tuning

BASE = Run(operation="x+y", structure="Z31", num_steps=10_000, stop_after=20)
NEVER = np.inf


@pytest.fixture(autouse=True)
def nobody(monkeypatch):
    monkeypatch.setattr(provenance, "git", lambda *arguments: None)


def written(folder, runs, val_at):
    """A results folder whose runs reach 99% validation at these updates."""
    sessions.begin(folder, Experiment(name=folder.name, runs=tuple(runs)), {"processes": 1})
    curves = [curve_of(number, 100, at) for number, at in enumerate(val_at)]
    rows = [
        {"run": number, **vars(run), **outcomes.outcome(curve, run, False, True)}
        for number, (run, curve) in enumerate(zip(runs, curves))
    ]
    tables.write_tables(folder, tables.runs_table(rows), pd.concat(curves, ignore_index=True))
    sessions.finish(folder, {"seconds": 1.0})
    return results.load(folder)


# --- Statistics ---


def test_ratio_of_medians_takes_never_as_later_than_all():
    others = np.array([100.0, 200.0, 400.0, 800.0, 1600.0])
    ratio = survival.ratio_of_medians(others / 4, others)
    assert ratio.value == pytest.approx(0.25) and ratio.low <= 0.25 <= ratio.high
    some = np.where(others > 500, np.nan, others)
    assert survival.ratio_of_medians(some, others).value == 1
    assert survival.ratio_of_medians(some, others).high == np.inf
    none = np.full(5, np.nan)
    assert survival.ratio_of_medians(others, none).value == 0
    assert np.isnan(survival.ratio_of_medians(none, none).value)


def test_holm_corrects_by_how_many_are_left():
    """Holm (1979): 0.01 x 3, then 0.02 x 2, then 0.03 x 1 but no less than the one before."""
    found = survival.holm([0.03, np.nan, 0.01, 0.02])
    np.testing.assert_allclose(found, [0.04, np.nan, 0.03, 0.04])
    assert survival.holm([0.9, 0.8]).max() == 1


# --- Tuning ---


def test_the_best_cell_has_the_least_median_then_the_most_runs(tmp_path, monkeypatch):
    first = BASE.replace(label="a; x+y")
    cells = grid(first, learning_rate=[1e-3, 2e-3, 3e-3], seed=[0, 1])
    runs = cells + [run.replace(label="b; x+y") for run in cells]
    times = [2000, 2000, 500, 1000, NEVER, 200] + [NEVER, NEVER, NEVER, 500, NEVER, NEVER]
    loaded = written(tmp_path / "results" / "tried", runs, times)
    best = tuning.best_settings(loaded)
    assert best["a; x+y"] == first.replace(learning_rate=2e-3)
    assert best["b; x+y"] == first.replace(label="b; x+y", learning_rate=2e-3)

    (tmp_path / "tried.py").write_text(
        "from grok.experiment import Experiment, Run\n"
        "run = Run(label='a; x+y', learning_rate=7.0, seed=3)\n"
        "experiment = Experiment(name='tried', runs=[run, run.replace(label='new')])\n"
    )
    monkeypatch.chdir(tmp_path)
    found = config.tuned("tried.py", "small")
    assert [run.learning_rate for run in found] == [2e-3, 2e-3]
    assert {run.seed for run in found} == {0}


def test_what_is_tuned_by_half_is_not_in_the_contest(tmp_path, monkeypatch):
    """Of two labels one has a run that waits. With no label tuned, each stands at its first run."""
    monkeypatch.chdir(tmp_path)
    whole, half = (BASE.replace(label=f"{name}; x+y", seed=3) for name in "ab")
    loaded = written(tmp_path / "results" / "league_tuning", [whole, half], [500, 500])
    (tmp_path / "tried.py").write_text(
        "from grok.experiment import Experiment, Run\n"
        "runs = [Run(label=label, learning_rate=7.0) for label in ('a; x+y', 'b; x+y')]\n"
        "experiment = Experiment(name='league_tuning', runs=runs)\n"
    )
    tables.write_tables(
        loaded.folder, loaded.runs.assign(status=["grokked", "running"]), loaded.curves
    )
    assert config.tuned("tried.py", "small") == [whole.replace(seed=0)]
    assert findings.of(results.load(loaded.folder)).table("cells")["chosen"].tolist() == [True]

    tables.write_tables(loaded.folder, loaded.runs.assign(status="running"), loaded.curves)
    assert [run.learning_rate for run in config.tuned("tried.py", "small")] == [7.0, 7.0]


def test_every_method_of_the_league_has_the_same_grid():
    runs = config.load("configs/league_tuning.py", "small").experiment.runs
    by_label = pd.Series([run.label for run in runs]).value_counts()
    table = pd.DataFrame([vars(run) for run in runs])
    for label, here in table.groupby("label"):
        n_decays = here["weight_decay"].nunique()
        assert here["learning_rate"].nunique() == 3, label
        assert n_decays == (1 if "without" in label or "constant norm" in label else 2), label
        assert by_label[label] % (2 * 3 * n_decays) == 0, label
    scored = config.load("configs/league.py", "small").experiment.runs
    assert {run.label for run in scored} <= set(by_label.index)
    assert not {run.seed for run in scored} & {run.seed for run in runs}
    shared = ("structure", "train_fraction", "split_seed", "batch_size", "n_layers", "d_model")
    tasks = table["label"].str.partition("; ")[2]
    assert (table.groupby(tasks)[[*shared, "operation", "num_steps"]].nunique() == 1).all(axis=None)


# --- Standings ---


@pytest.fixture
def contest(tmp_path):
    """AdamW and three methods on two tasks, ten seeds."""
    seeds = range(10)
    base = np.array([1000, 1200, 1500, 2000, 2500, 1000, 1200, 1500, 2000, 2500])
    times = {
        "AdamW; x+y": base,
        "Muon; x+y": base // 4,
        "Grokfast-EMA; x+y": base,
        "sphere; x+y": base // 4,
        "AdamW; x/y": base,
        "Muon; x/y": base // 4,
        "Grokfast-EMA; x/y": 2 * base,
        "sphere; x/y": np.full(10, NEVER),
    }
    runs = [BASE.replace(label=label, seed=seed) for label in times for seed in seeds]
    return written(tmp_path / "league", runs, np.concatenate([*times.values()]))


def test_verdicts_of_the_league(contest):
    found = findings.of(contest)
    assert found["muon"].verdict == REPRODUCED
    assert found["grokfast"].verdict == NOT_REPRODUCED
    assert found["sphere"].verdict == IN_PART
    assert found["hard_to_beat"].verdict == NOT_REPRODUCED
    rows = found.table("standings").set_index(["method", "task"])
    assert found["sphere"].here == "x+y 10 (AdamW 10); x/y 0 (10)"
    assert rows.loc[("Muon", "x+y"), "p_lasting"] < 0.05
    assert rows.loc[("sphere", "x/y"), "lasting_reached"] == 0
    assert 0.2 < rows.loc[("Muon", "x+y"), "ratio_lasting_value"] < 0.3
    assert rows.loc[("Muon", "x+y"), "plateau"] > 1.5
    assert all(len(each.here) <= 60 for each in found.findings.values())


def test_a_plateau_can_only_be_removed_where_adamw_has_one(tmp_path):
    """On xy AdamW's validation crosses with its training, so that the task says nothing."""
    times = {
        "AdamW; x+y": 2000,
        "Egalitarian GD; x+y": 2000,
        "AdamW; xy": 100,
        "Egalitarian GD; xy": 100,
    }
    runs = [BASE.replace(label=label, seed=seed) for label in times for seed in range(4)]
    val_at = np.repeat([*times.values()], 4)
    found = findings.of(written(tmp_path / "league", runs, val_at))
    rows = found.table("standings").set_index(["method", "task"])["plateau"]
    assert rows["AdamW", "xy"] == 1 and rows["AdamW", "x+y"] > 1.5
    assert found["egalitarian"].verdict == NOT_REPRODUCED
    assert "xy" not in found["egalitarian"].here


def test_the_updates_of_a_donor_count_as_those_of_the_method(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    lender = tmp_path / "results" / "lender"
    lent = written(lender, [BASE.replace(seed=7), BASE.replace(seed=8)], [2000, 4000])
    tables.write_tables(lender, lent.runs.assign(stopped_at=[3_000, 5_000]), lent.curves)
    labels = [str(element) for element in range(31)]
    array_files.write_arrays(
        lender,
        array_files.arrays_name(1),
        array_files.matrix_arrays(np.zeros((31, 128)), np.zeros((31, 128)), labels),
    )
    borrowed = BASE.replace(values="file", table="results/lender/arrays/run_0001.npz")
    runs = [BASE.replace(label="AdamW; x+y", seed=seed) for seed in range(4)]
    runs += [borrowed.replace(label="grokked table; x+y", seed=seed) for seed in range(4)]
    loaded = written(tmp_path / "results" / "league", runs, [5000] * 4 + [1000] * 3 + [NEVER])
    row = findings.of(loaded).table("standings").set_index("method").loc["grokked table"]
    assert row["donor"] == 5_000
    assert row["first_value"] == 1_000 + 5_000
    assert row["ratio_first_value"] == pytest.approx(6_000 / 5_000)

    (lender / "experiment.json").unlink()
    with pytest.raises(GrokError, match="results/lender/arrays/run_0001.npz are not at hand"):
        findings.of(results.load("results/league"))


def test_a_run_that_falls_back_is_counted(tmp_path):
    from grok.measure.findings.league import fallen

    accuracy = {0: [0.5, 0.99, 0.95, 1.0], 1: [0.5, 0.99, 0.8, 1.0], 2: [0.8, 0.85, 0.5, 0.99]}
    curves = pd.DataFrame(
        [{"run": run, "val_accuracy": value} for run, seen in accuracy.items() for value in seen]
    )
    assert fallen(curves) == {1}


def test_cost_is_measured_once_a_program(contest, monkeypatch):
    timed = []
    monkeypatch.setattr(
        cost, "time_updates", lambda program, *_: timed.append(program) or {"ms_per_run": 0.5}
    )
    cost.measure(contest.folder)
    again = results.load(contest.folder)
    assert len(timed) == 1
    assert findings.of(again).table("standings")["ms"].eq(0.5).all()
