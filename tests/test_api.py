"""`import grok` and its six names: what they return, where they leave it, and what they refuse."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import grok
from grok.store import results
from grok.training import sweep

ROOT = Path(__file__).parent.parent


def python(code: str, folder: Path) -> str:
    """What a fresh Python prints that runs some code in a folder."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_names_are_documented():
    assert grok.__all__ == ["Experiment", "GrokError", "Run", "grid", "load", "train"]
    for name in grok.__all__:
        assert getattr(grok, name).__doc__ and f"\n{name} " in grok.__doc__


def test_import_takes_little_time_and_loads_no_library(tmp_path):
    code = "import grok, sys; print({'jax', 'pandas', 'numpy', 'matplotlib'} & set(sys.modules))"
    assert python(code, tmp_path) == "set()"
    seconds = []
    for statement in ("pass", "import grok") * 3:
        begun = time.perf_counter()
        python(statement, tmp_path)
        seconds.append(time.perf_counter() - begun)
    assert min(seconds[1::2]) - min(seconds[::2]) < 0.3


def test_a_list_of_runs_gives_what_the_sweep_gives(tiny, tmp_path, quick_sweeps):
    runs = grok.grid(tiny, weight_decay=[0.0, 0.3], seed=range(2))
    trained = grok.train(runs)
    experiment = grok.Experiment(name="same", runs=runs)
    same = results.load(sweep.train_experiment(experiment, sweep.Options(tmp_path)))
    pd.testing.assert_frame_equal(trained.curves, same.curves)
    pd.testing.assert_frame_equal(trained.runs, same.runs)
    assert len(trained.runs) == 4 and set(trained.runs["weight_decay"]) == {0.0, 0.3}
    assert trained.folder.is_dir() and trained.arrays(3)["embedding"].shape[1] == tiny.d_model
    assert "99% validation at" in str(trained)


def test_a_run_is_trained_into_the_folder_that_is_named_and_not_twice(tiny, tmp_path, quick_sweeps):
    folder = tmp_path / "below" / "mine"
    trained = grok.train(tiny, folder)
    written = (folder / "runs.parquet").stat().st_mtime_ns
    again = grok.train(tiny, str(folder))
    assert trained.folder == again.folder == folder
    assert (folder / "runs.parquet").stat().st_mtime_ns == written
    pd.testing.assert_frame_equal(grok.load(folder).curves, trained.curves)
    with pytest.raises(grok.GrokError, match="holds a different experiment named 'mine'"):
        grok.train(tiny.replace(seed=1), folder)


def test_its_figures_are_drawn_into_its_folder(tiny, tmp_path, quick_sweeps):
    trained = grok.train(grok.Experiment(name="mine", runs=[tiny]), tmp_path / "mine")
    paths = trained.draw()
    assert tmp_path / "mine" / "learning_curves.png" in paths
    assert all(path.exists() for path in paths)


def test_a_folder_that_nobody_named_goes_when_python_ends(tmp_path):
    code = """
import grok
run = grok.Run(structure="Z5", n_layers=1, n_heads=1, d_model=4, num_steps=1)
print(grok.train(run).folder)
"""
    folder = Path(python(code, tmp_path))
    assert folder.name == "trained" and not folder.exists() and not folder.parent.exists()


def test_results_of_the_repository_load_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded = grok.load("results/figure3")
    assert len(loaded.runs) > 1 and loaded.folder == ROOT / "results" / "figure3"
    (tmp_path / "results" / "figure3").mkdir(parents=True)
    with pytest.raises(grok.GrokError, match="^results/figure3 holds no results"):
        grok.load("results/figure3")


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda p: p.stem)
def test_a_notebook_elsewhere_finds_the_results_that_it_names(path, tmp_path, monkeypatch):
    """It may be copied to any folder, beside no checkout."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    text = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    named = re.findall(r'grok\.load\("([^"]+)"\)', text)
    assert named or "grok.train(" in text
    monkeypatch.chdir(tmp_path)
    for folder in named:
        assert len(grok.load(folder).runs)
    assert "cwd()" not in text and "StopIteration" not in text and ".parent" not in text


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("x+y", "run 0 of experiment 'trained' is a str, not a Run"),
        (5, "needs a list of runs"),
        ([grok.Run(), {"seed": 3}], "run 1 of experiment 'trained' is a dict, not a Run"),
        ([], "has no runs"),
        (grok.Run(operation="x+*y"), "position 3"),
        (grok.Run(operation="x/y", structure="Z12"), "prime"),
    ],
)
def test_what_cannot_be_trained_is_refused(what, said, tmp_path):
    with pytest.raises(grok.GrokError, match=said):
        grok.train(what, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_stop_is_a_keyboard_interrupt_that_says_where_everything_is(tiny, tmp_path, monkeypatch):
    def stopped(*_):
        raise sweep.Interrupted("SIGINT", 130)

    monkeypatch.setattr(sweep, "train_experiment", stopped)
    with pytest.raises(KeyboardInterrupt, match=f"all is saved in {tmp_path}/mine"):
        grok.train(tiny, tmp_path / "mine")
