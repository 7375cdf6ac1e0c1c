"""Watching a run: what the terminal and the PNG show, and event files that TensorBoard reads."""

import io
import re
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from grok.__main__ import main
from grok.experiment import Experiment, Run
from grok.figures import watch
from grok.store import event_files, outcomes, results, sessions, tables

RUN = Run(operation="x+y", structure="Z7", n_layers=1, n_heads=2, d_model=8, d_ff=16)
STEPS = (1, 2, 5, 10, 20, 50, 100)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def running(tmp_path):
    """(updates done, complete) -> the folder of three runs: one ended, one in training, one waits.

    The validation accuracy of the run in training is 0 until update 10 and 1 from then on.
    """
    runs = tuple(RUN.replace(seed=seed, num_steps=100) for seed in range(3))
    folder = tmp_path / "running"
    sessions.begin(folder, Experiment(name="running", runs=runs), {"processes": 1})

    def write(done, complete=False):
        rows, curves = [], []
        for number, (run, until) in enumerate(zip(runs, (100, done, 0))):
            steps = np.array([step for step in STEPS if step <= until], int)
            metrics_MC = np.full((len(steps), len(tables.METRICS)), 0.25)
            metrics_MC[:, tables.METRICS.index("val_accuracy")] = steps >= 10
            metrics_MC[:, tables.METRICS.index("val_mirrored_accuracy")] = np.nan
            metrics_MC[:, tables.METRICS.index("val_loss")] = 1 / np.maximum(steps, 1)
            curves.append(tables.curves_table(np.full(len(steps), number), steps, metrics_MC))
            outcome = outcomes.outcome(curves[-1], run, False, until == 100)
            rows.append({"run": number} | vars(run) | outcome)
        tables.write_tables(folder, tables.runs_table(rows), pd.concat(curves))
        if complete:
            sessions.finish(folder, {"seconds": 1.0})
        return folder

    return write


def is_braille(character):
    return "\u2801" <= character <= "\u28ff"


def plain(text):
    """A screen without its colours and cursor movements, as lines."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text).splitlines()


def test_a_terminal_shows_the_run_in_training_and_how_far_it_is(running):
    text = watch.screenful(results.load(running(50)), 80, 24)
    lines = plain(text)
    assert len(lines) == 24 and max(map(len, lines)) == 80
    assert lines[0] == "running: 1 of 3 runs ended, 150 updates; accuracy in %"
    assert "run 1 validation" in text and "run 0" not in text and "run 2" not in text
    assert lines[-1].split() == ["1", "10"]
    # Validation stands at the bottom at update 1, and at the top at 50, which is the last column.
    bottom, top = lines[-3], lines[2]
    assert [is_braille(bottom[4]), is_braille(bottom[-2])] == [True, False]
    assert [is_braille(top[30]), is_braille(top[-2])] == [False, True]


def test_runs_that_ended_are_shown_where_none_trains(running):
    text = watch.screenful(results.load(running(100)), 80, 24)
    assert "run 0 validation" in text and "run 1 training" in text and "run 2" not in text


@pytest.mark.parametrize("done", [0, 1])
def test_a_curve_of_no_or_one_evaluation_is_no_mistake(running, done):
    assert "1 of 3 runs ended" in watch.screenful(results.load(running(done)), 10, 5)


def test_a_terminal_is_redrawn_until_the_experiment_is_complete(running, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    folder, screen, naps = running(1), Terminal(), []

    def sleep(seconds):
        naps.append(seconds)
        running(100, complete=len(naps) == 2)

    monkeypatch.setattr(watch.time, "sleep", sleep)
    watch.watch(folder, 3.0, screen)
    assert naps == [3.0, 3.0] and screen.getvalue().count(watch.CLEAR) == 3
    assert not (folder / watch.PNG).exists()


def test_a_run_that_was_not_evaluated_yet_is_waited_for(running, monkeypatch):
    folder, screen = running(1), Terminal()
    monkeypatch.setenv("TERM", "xterm")
    for name in ("runs", "curves"):
        (folder / f"{name}.parquet").unlink()
    monkeypatch.setattr(watch.time, "sleep", lambda seconds: running(100, complete=True))
    watch.watch(folder, 3.0, screen)
    first, rest = screen.getvalue().split("\n", 1)
    assert first == f"{folder}: no curves yet, waiting" and "2 of 3 runs ended" in rest


@pytest.mark.parametrize("terminal", ["a pipe", "a dumb one", "no plotext"])
def test_elsewhere_a_png_is_drawn_and_said_once(running, monkeypatch, terminal):
    monkeypatch.setenv("TERM", "dumb" if terminal == "a dumb one" else "xterm")
    if terminal == "no plotext":
        monkeypatch.setitem(sys.modules, "plotext", None)
    screen = io.StringIO() if terminal == "a pipe" else Terminal()
    folder = running(20)
    watcher = watch.Watcher(folder, screen, png_every=60.0)
    watcher.show()
    path, first = folder / "watch.png", (folder / "watch.png").read_bytes()
    running(50)
    watcher.show()
    assert path.read_bytes() == first, "it was drawn a moment ago"
    running(100, complete=True)
    watcher.show()
    assert path.read_bytes() != first, "what is complete is drawn at once"
    assert screen.getvalue() == f"curves: {path}, redrawn while it trains\n"
    with Image.open(path) as image:
        image.verify()


def test_there_must_be_something_to_watch(tmp_path, capsys):
    assert main(["watch", str(tmp_path / "none")]) == 2
    assert "holds no results: train them" in capsys.readouterr().err


# --- Event files ---


def scalars(folder, run):
    """{metric: [(step, value)]} as TensorBoard itself reads them."""
    read = EventAccumulator(str(folder / "tensorboard" / f"run_{run:04d}"))
    read.Reload()
    found = {}
    for name in read.Tags()["scalars"]:
        found[name] = [(event.step, event.value) for event in read.Scalars(name)]
    return found


def check_all(folder, runs):
    loaded = results.load(folder)
    for run in runs:
        curve, found = loaded.curve(run), scalars(folder, run)
        assert set(found) == set(curve.columns[curve.notna().all()]) - {"run", "step"}
        for name, points in found.items():
            assert points == list(zip(curve["step"], curve[name])), (run, name)


def test_event_files_hold_the_tables_whether_written_at_once_or_bit_by_bit(running):
    writer, folder = event_files.EventFiles(), running(5)
    for done in (5, 5, 20, 100):
        running(done)
        writer.update(folder)
    assert not writer.writers, "files of runs that ended are closed"
    check_all(folder, (0, 1))
    assert "val_mirrored_accuracy" not in scalars(folder, 0), "it is not a number here"
    assert not (folder / "tensorboard" / "run_0002").exists()
    again = event_files.EventFiles()  # another session, from the tables it resumed with
    again.update(folder)
    check_all(folder, (0, 1))


CONFIG = """
from grok.experiment import Experiment, Run, grid

base = Run(operation="x+y", structure="Z7", n_layers=1, n_heads=2, d_model=8, d_ff=16,
           num_steps=40, eval_every=20)
experiment = Experiment(name="tiny", runs=grid(base, seed=[0, 1]))
"""


@pytest.mark.usefixtures("quick_sweeps", "devices_ready")
def test_training_watches_itself_and_writes_event_files(tmp_path, capsys):
    config = tmp_path / "tiny.py"
    config.write_text(CONFIG)
    arguments = ["train", str(config), "--results", str(tmp_path), "--no-figures"]
    assert main([*arguments, "--watch", "--tensorboard"]) == 0
    folder = tmp_path / "tiny"
    check_all(folder, (0, 1))
    assert f"curves: {folder / 'watch.png'}" in capsys.readouterr().out


@pytest.mark.usefixtures("quick_sweeps", "devices_ready")
def test_a_mistake_of_what_looks_on_does_not_stop_training(tmp_path, capsys):
    config = tmp_path / "tiny.py"
    config.write_text(CONFIG)
    (tmp_path / "tiny" / "watch.png").mkdir(parents=True)
    arguments = ["train", str(config), "--results", str(tmp_path), "--no-figures"]
    assert main([*arguments, "--watch"]) == 0
    assert "grok: cannot write to" in capsys.readouterr().err
    assert results.load(tmp_path / "tiny").complete


@pytest.mark.usefixtures("devices_ready")
def test_without_the_package_event_files_say_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    config = tmp_path / "tiny.py"
    config.write_text(CONFIG)
    arguments = ["train", str(config), "--results", str(tmp_path), "--tensorboard"]
    assert main(arguments) == 2
    assert "pip install 'grok[tensorboard]'" in capsys.readouterr().err
