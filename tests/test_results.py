"""A results folder: what goes in comes out, outcomes mean what they say, nothing is lost."""

import errno
import fcntl
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from grok import files
from grok.experiment import Experiment, GrokError, Note, Run
from grok.measure import flatness, scores, symmetry
from grok.store import (
    array_files,
    descriptions,
    marks,
    outcomes,
    provenance,
    results,
    sessions,
    snapshots,
    tables,
)

ROOT = Path(__file__).parent.parent
NAN, NEVER = float("nan"), None
DEVICE = {"device": "1 x cpu", "processes": 1}


@pytest.fixture
def experiment(tiny):
    return Experiment(
        name="two",
        runs=(tiny, tiny.replace(seed=1, d_ff=None, batch_size=0, norm="pre", learning_rate=3e-4)),
    )


def curve(run, steps, val_accuracy, train_accuracy=1.0):
    """Rows of curves.parquet for one run; metrics that a test leaves out count upwards."""
    metrics_MC = np.arange(len(steps) * len(tables.METRICS)).reshape(-1, len(tables.METRICS)) / 8
    table = tables.curves_table(np.full(len(steps), run), np.array(steps), metrics_MC)
    return table.assign(
        val_accuracy=np.float32(val_accuracy), train_accuracy=np.float32(train_accuracy)
    )


def rows(experiment, curves, numbers=None):
    """Rows of runs.parquet for the runs `numbers` of an experiment that has trained to its end."""
    found = []
    for number in numbers or range(len(experiment.runs)):
        run = experiment.runs[number]
        found.append(
            {"run": number}
            | vars(run)
            | {"n_train": 24}
            | outcomes.outcome(curves[curves["run"] == number], run, False, True)
        )
    return tables.runs_table(found)


def save(folder, experiment, numbers=None, complete=True):
    """Everything that training the runs `numbers` would write; returns runs and curves."""
    assert sessions.begin(folder, experiment, DEVICE)
    numbers = numbers or range(len(experiment.runs))
    curves = pd.concat(
        [curve(n, [1, 2, 100], [0.1, 0.99, 0.5 + n / 2]) for n in numbers], ignore_index=True
    )
    runs = rows(experiment, curves, numbers)
    tables.write_tables(folder, runs, curves)
    for n in numbers:
        array_files.write_arrays(
            folder,
            f"run_{n:04d}",
            {"embedding": np.full((9, 8), n, np.float32), "labels": np.array(list("0123456o="))},
        )
    if complete:
        sessions.finish(folder, {"seconds": 1.0, "run_updates": 200})
    return runs, curves


def contents(folder):
    """Every file below a folder with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --- Round trip ---


def test_what_is_written_is_read_back(tmp_path, experiment):
    runs, curves = save(tmp_path / "two", experiment)
    array_files.write_arrays(tmp_path / "two", "run_0001_step_00000020", {"embedding": np.eye(3)})
    loaded = results.load(tmp_path / "two")
    pd.testing.assert_frame_equal(loaded.runs, runs, check_exact=True)
    pd.testing.assert_frame_equal(loaded.curves, curves, check_exact=True)
    pd.testing.assert_frame_equal(
        loaded.curve(1).reset_index(drop=True),
        curves[curves["run"] == 1].reset_index(drop=True),
        check_exact=True,
    )
    assert [loaded.experiment_run(n) for n in (0, 1)] == list(experiment.runs)
    assert (loaded.arrays(1)["embedding"] == 1).all() and loaded.arrays(1)[
        "labels"
    ].tolist() == list("0123456o=")
    np.testing.assert_array_equal(loaded.arrays(1, step=20)["embedding"], np.eye(3))
    assert loaded.complete


def test_runs_parquet_has_the_promised_columns(tmp_path, experiment):
    save(tmp_path / "two", experiment)
    promised = """run operation structure train_fraction seed split_seed optimizer weight_decay
        learning_rate batch_size num_steps stopped_at status
        steps_to_train_99 steps_to_val_99 steps_to_val_99_sustained
        final_train_accuracy final_val_accuracy best_val_accuracy"""
    assert set(promised.split()) <= set(pd.read_parquet(tmp_path / "two" / "runs.parquet").columns)


def test_experiment_json_says_who_made_the_numbers(tmp_path, experiment):
    save(tmp_path / "two", experiment)
    description = json.loads((tmp_path / "two" / "experiment.json").read_text())
    assert description["complete"] is True
    [session] = description["sessions"]
    assert session["command"].startswith("python -m grok") and session["device"] == "1 x cpu"
    assert session["versions"]["jax"] == __import__("jax").__version__
    assert session["started"].endswith("+00:00") and (
        session["seconds"],
        session["run_updates"],
    ) == (1.0, 200)


def git(folder, *arguments):
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *who, "-C", folder, *arguments], check=True, capture_output=True)


def test_the_commit_is_that_of_the_code_and_never_of_a_repository_around_it(tmp_path, monkeypatch):
    copy = tmp_path / "downloads" / "grok-main"
    (copy / "grok").mkdir(parents=True)
    (copy / "grok" / "__init__.py").write_text("")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "another project, with a copy in it")
    monkeypatch.setattr(provenance, "ROOT", copy)
    nothing = {"commit": None, "uncommitted_changes": None}
    assert provenance.checkout() == nothing
    git(copy, "init")
    assert provenance.checkout() == nothing
    git(copy, "add", ".")
    git(copy, "commit", "-m", "the code")
    (copy / "grok" / "__init__.py").write_text("# changed")
    found = provenance.checkout()
    assert re.fullmatch("[0-9a-f]{40}", found["commit"]) and found["uncommitted_changes"] is True


def test_curves_are_ordered_by_run_and_step():
    table = tables.curves_table(
        np.array([1, 0, 1, 0]), np.array([2, 2, 1, 1]), np.arange(40).reshape(4, 10)
    )
    assert table[["run", "step"]].to_numpy().tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert table["train_loss"].tolist() == [30, 10, 20, 0]


# --- Outcomes ---

TEN_ABOVE = [0.2, *[0.995] * 10, 0.5, 0.6]


@pytest.mark.parametrize(
    ("val_accuracy", "first", "sustained"),
    [
        ([0.1, 0.5, 0.98], NEVER, NEVER),
        ([0.1, 0.99, 1.0], 20, 20),
        ([0.1, np.float32(98.99) / 100, 0.99], 30, 30),
        ([0.1, 1.0, 0.5, 1.0, 1.0], 20, 40),  # a dip: the first crossing is not the sustained one
        ([0.1, 1.0, 1.0, 0.5], 20, NEVER),  # collapsed at the end, without ten in a row
        (TEN_ABOVE, 20, 20),  # ten in a row count, whatever comes later
        ([0.2, *[0.995] * 9, 0.5, 0.6], 20, NEVER),  # nine do not
        ([1.0, *TEN_ABOVE], 10, 30),
        ([NAN, NAN], NEVER, NEVER),
        ([], NEVER, NEVER),
    ],
)
def test_first_and_sustained_crossing(tiny, val_accuracy, first, sustained):
    steps = 10 * np.arange(1, len(val_accuracy) + 1)
    found = outcomes.outcome(
        curve(0, steps, val_accuracy), tiny.replace(num_steps=10_000), False, True
    )
    assert (found["steps_to_val_99"], found["steps_to_val_99_sustained"]) == (first, sustained)


def test_the_share_99_of_100_counts_as_99_percent(tiny):
    accuracy = np.float32(99) / np.float32(100)
    assert outcomes.outcome(curve(0, [10], [accuracy]), tiny, False, True)["steps_to_val_99"] == 10


@pytest.mark.parametrize(
    ("val_accuracy", "diverged", "stopped", "status"),
    [
        ([], False, False, "queued"),
        ([0.1, 0.2], False, False, "running"),
        ([0.1, 1.0], False, False, "running"),  # above 99% now is not yet an end
        ([0.1, 1.0], False, True, "grokked"),
        ([0.1, 0.2], False, True, "budget"),
        ([0.1, 1.0, 0.9], False, False, "running"),  # it may yet come back
        ([0.1, 1.0, 0.9], False, True, "collapsed"),
        (TEN_ABOVE, False, True, "grokked"),
        ([0.1, NAN], True, True, "diverged"),
        ([1.0] * 12 + [NAN], True, True, "diverged"),
    ],
)
def test_status(tiny, val_accuracy, diverged, stopped, status):
    steps = 2 * np.arange(1, len(val_accuracy) + 1)
    found = outcomes.outcome(
        curve(0, steps, val_accuracy), tiny.replace(num_steps=1000), diverged, stopped
    )
    assert found["status"] == status
    assert found["stopped_at"] == (steps[-1] if len(steps) else 0)


def test_final_and_best_values(tiny):
    table = curve(0, [1, 2, 3], [0.2, 0.9, 0.4], [0.5, 0.99, 0.98]).assign(
        val_loss=[3.0, 1.0, 2.0], train_loss=[0.3, 0.1, 0.2]
    )
    found = outcomes.outcome(table, tiny, False, True)
    expected = {
        "steps_to_train_99": 2,
        "final_train_accuracy": 0.98,
        "final_val_accuracy": 0.4,
        "final_train_loss": 0.2,
        "final_val_loss": 2.0,
        "best_train_accuracy": 0.99,
        "best_val_accuracy": 0.9,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_a_time_that_was_never_reached_is_missing_on_disk_not_the_budget(tmp_path, experiment):
    curves = pd.concat(
        [curve(0, [1, 100], [0.1, 0.2], 0.5), curve(1, [1, 100], [0.1, 1.0])], ignore_index=True
    )
    tables.write_tables(tmp_path, rows(experiment, curves), curves)
    read = pd.read_parquet(tmp_path / "runs.parquet")
    for name in ("steps_to_train_99", "steps_to_val_99", "steps_to_val_99_sustained"):
        assert read[name].isna().tolist() == [True, False], name
        assert read[name].dtype == "Int64", name


def test_the_closing_table_names_what_varies(tmp_path, tiny):
    """Two runs that differ never read the same, whether or not they have labels."""
    lines = tiny.replace(label="slow"), tiny.replace(label="slow", norm="pre", seed=1)
    runs = [tiny, tiny.replace(learning_rate=3e-4, seed=1), tiny.replace(d_ff=None), *lines]
    folder = tmp_path / "five"
    save(folder, Experiment(name="five", runs=tuple(runs)))
    told = results.closing_table(results.load(folder)).splitlines()[1:]
    task = f"{tiny.operation} {tiny.structure} 50% adamw decay 1 seed"
    for line, name in zip(
        told,
        (
            f"{task} 0, d_ff 16, learning_rate 0.001",
            f"{task} 1, d_ff 16, learning_rate 0.0003",
            f"{task} 0, d_ff default, learning_rate 0.001",
            "slow, norm post, seed 0",
            "slow, norm pre, seed 1",
        ),
        strict=True,
    ):
        assert f" {name} " in line


def test_the_closing_table_says_never(experiment):
    curves = pd.concat(
        [curve(0, [1, 100], [0.1, 0.2], 0.5), curve(1, [1, 100], [0.1, 1.0])], ignore_index=True
    )
    described = {"experiment": descriptions.specification(experiment)}
    loaded = results.Results(Path("two"), described, rows(experiment, curves), curves)
    _, never, crossed = results.closing_table(loaded).splitlines()
    assert never.count("never") == 2 and "20.0%" in never and "budget" in never
    assert "never" not in crossed and "100.0%" in crossed and "grokked" in crossed
    assert "NA" not in never


# --- The same folder again ---


def test_results_of_former_fields_load_and_resume(tmp_path, experiment):
    kept = tuple(run.replace(snapshots="log", keep_params=True) for run in experiment.runs)
    today = Experiment(name="two", runs=(kept[0], kept[1].replace(snapshots="")))
    folder = tmp_path / "two"
    runs, _ = save(folder, today, complete=False)
    description = json.loads((folder / "experiment.json").read_text())
    description["experiment"]["keep_params"] = True
    for run in description["experiment"]["runs"]:
        del run["keep_params"]
        if "snapshots" in run:
            run["snapshots"] = True
    (folder / "experiment.json").write_text(json.dumps(description))
    former = runs.drop(columns="keep_params").assign(snapshots=[True, False])
    tables.write_table(folder, "runs", former)

    loaded = results.load(folder)
    assert [loaded.experiment_run(number) for number in (0, 1)] == list(today.runs)
    assert loaded.runs["snapshots"].tolist() == ["log", ""]
    assert sessions.begin(folder, today, DEVICE)  # goes on instead of refusing another experiment
    fewer = Experiment(name="two", runs=(kept[0].replace(snapshots=""), today.runs[1]))
    with pytest.raises(GrokError, match="its run 0 has snapshots='log', not ''"):
        sessions.begin(folder, fewer, DEVICE)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda e: Experiment(name="two", runs=(e.runs[0], e.runs[1].replace(seed=7))),
            "its run 1 has seed=1, not 7",
        ),
        (
            lambda e: Experiment(name="two", runs=(e.runs[0].replace(weight_decay=0.5), e.runs[1])),
            "its run 0 has weight_decay=1.0, not 0.5",
        ),
        (
            lambda e: Experiment(name="two", runs=e.runs[:1]),
            "its run 1 (x+y Z7 50% adamw decay 1 seed 1) is not among these runs",
        ),
        (
            lambda e: Experiment(name="two", runs=e.runs, scale="paper"),
            "its scale is 'small', not 'paper'",
        ),
        (
            lambda e: Experiment(
                name="two", runs=tuple(run.replace(keep_params=True) for run in e.runs)
            ),
            "its run 0 has keep_params=False, not True",
        ),
    ],
)
@pytest.mark.parametrize("anew", [False, True])
def test_a_different_experiment_of_the_same_name_is_refused(
    tmp_path, experiment, change, said, anew
):
    save(tmp_path / "two", experiment, complete=False)
    before = contents(tmp_path)
    with pytest.raises(GrokError) as refusal:
        sessions.begin(tmp_path / "two", change(experiment), DEVICE, anew)
    assert (
        said in str(refusal.value)
        and "--name" in str(refusal.value)
        and "\n" not in str(refusal.value)
    )
    assert contents(tmp_path) == before


def test_complete_results_are_left_alone(tmp_path, experiment):
    save(tmp_path / "two", experiment)
    before = contents(tmp_path)
    assert sessions.begin(tmp_path / "two", experiment, DEVICE) is False
    assert contents(tmp_path) == before


def test_unfinished_results_are_continued(tmp_path, experiment):
    runs, _ = save(tmp_path / "two", experiment, complete=False)
    assert sessions.begin(tmp_path / "two", experiment, DEVICE) is True
    loaded = results.load(tmp_path / "two")
    pd.testing.assert_frame_equal(loaded.runs, runs)
    assert not loaded.complete and len(loaded.description["sessions"]) == 2


@pytest.mark.parametrize("committed", [True, False], ids=["committed", "made here"])
def test_complete_results_go_only_when_their_replacement_is_complete(
    tmp_path, experiment, committed
):
    folder = tmp_path / "two"
    save(folder, experiment)
    if committed:  # As on a fresh clone, which has no local checkpoints.
        (folder / "checkpoints").rmdir()
        before = contents(folder)
        assert sessions.begin(folder, experiment, DEVICE) is False
        assert contents(folder) == before
    kept = contents(folder)
    assert sessions.begin(folder, experiment, DEVICE, anew=True) is True
    assert contents(folder / "previous") == kept
    assert (
        not (folder / "runs.parquet").exists()
        and not descriptions.read_description(folder)["complete"]
    )
    assert sessions.begin(folder, experiment, DEVICE) is True, "an interrupted replacement goes on"
    assert contents(folder / "previous") == kept
    sessions.finish(folder, {"seconds": 1.0, "run_updates": 1})
    assert not (folder / "previous").exists()


def test_starting_a_replacement_over_keeps_the_complete_results(tmp_path, experiment):
    folder = tmp_path / "two"
    save(folder, experiment)
    kept = contents(folder)
    assert sessions.begin(folder, experiment, DEVICE, anew=True)
    tables.write_tables(folder, *save_tables(experiment))
    assert sessions.begin(folder, experiment, DEVICE, anew=True), (
        "stopped before its end, and started over"
    )
    assert contents(folder / "previous") == kept


def test_a_move_to_previous_that_was_cut_short_loses_nothing(tmp_path, experiment, monkeypatch):
    folder = tmp_path / "two"
    save(folder, experiment)
    kept = set(contents(folder).values())
    rename, moved = type(folder).rename, []

    def killed_after_the_first(path, target):
        if moved:
            raise KeyboardInterrupt
        moved.append(path)
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(type(folder), "rename", killed_after_the_first)
        with pytest.raises(KeyboardInterrupt):
            sessions.begin(folder, experiment, DEVICE, anew=True)
    sessions.begin(folder, experiment, DEVICE, anew=True)
    assert kept <= set(contents(folder).values())


@pytest.mark.parametrize("complete", [True, False], ids=["complete", "cut short"])
def test_what_people_wrote_stays_in_its_place(tmp_path, experiment, complete):
    folder = tmp_path / "two"
    save(folder, experiment)
    (folder / "README.md").write_text("what was found")
    (folder / "scores.parquet").write_bytes(b"scores of the old networks")
    assert sessions.begin(folder, experiment, DEVICE, anew=True)
    assert (folder / "README.md").read_text() == "what was found"
    assert (
        not (folder / "scores.parquet").exists()
        and (folder / "previous" / "scores.parquet").exists()
    )
    if not complete:
        assert sessions.begin(folder, experiment, DEVICE, anew=True), (
            "stopped before its end, and started over"
        )
    sessions.finish(folder, {"seconds": 1.0, "run_updates": 1})
    assert (folder / "README.md").read_text() == "what was found"
    assert not (folder / "previous").exists() and not (folder / "scores.parquet").exists()


def save_tables(experiment):
    curves = curve(0, [1], [0.5])
    return rows(experiment, curves, [0]), curves


# --- Disks and locks ---


def full(*_arguments, **_options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    "broken",
    [(os, "replace"), (pd.DataFrame, "to_parquet"), (np, "savez_compressed")],
    ids=lambda broken: broken[1],
)
def test_a_full_disk_gives_one_line_and_loses_nothing(tmp_path, experiment, monkeypatch, broken):
    folder = tmp_path / "two"
    runs, curves = save(folder, experiment, complete=False)
    before = contents(folder)
    monkeypatch.setattr(*broken, full)
    writers = {
        "replace": [
            lambda: tables.write_tables(folder, runs, curves),
            lambda: descriptions.write_description(folder, {}),
        ],
        "to_parquet": [lambda: tables.write_tables(folder, runs, curves)],
        "savez_compressed": [
            lambda: array_files.write_arrays(folder, "run_0000", {"embedding": np.zeros(3)})
        ],
    }
    for write in writers[broken[1]]:
        with pytest.raises(
            GrokError, match="disk that holds .* is full; what was saved before is intact"
        ) as refusal:
            write()
        assert "\n" not in str(refusal.value)
        assert contents(folder) == before, "no file changed, none left half-written"


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_place_that_cannot_be_written_gives_one_line(tmp_path, place):
    (tmp_path / "file").write_text("not a folder")
    with (
        pytest.raises(GrokError, match="cannot write to .*--results DIR"),
        files.claim(tmp_path / place),
    ):
        pass
    assert contents(tmp_path) == {"file": b"not a folder"}


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO, errno.ESTALE, errno.EINVAL])
def test_whatever_a_disk_refuses_is_one_line_without_an_option_that_is_not_there(
    tmp_path, experiment, monkeypatch, number
):
    save(tmp_path, experiment)
    monkeypatch.setattr(files, "PAUSES", ())

    def refuse(*_):
        raise OSError(number, os.strerror(number), "some/file")

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(GrokError) as refusal:
        marks.write_measured(results.load(tmp_path), "scores", pd.DataFrame({"run": [0]}))
    said = f"cannot write to {tmp_path} ({os.strerror(number)}): choose one that can be written to"
    assert str(refusal.value) == said
    monkeypatch.setattr(files.tempfile, "TemporaryFile", lambda dir: refuse())
    with pytest.raises(GrokError, match="cannot write to"):
        files.check_writable(tmp_path)


def test_a_busy_network_drive_is_given_time(tmp_path, monkeypatch):
    replace, busy, pauses = os.replace, [errno.EBUSY, errno.ESTALE], []

    def slow(*paths):
        if busy:
            number = busy.pop(0)
            raise OSError(number, os.strerror(number))
        return replace(*paths)

    monkeypatch.setattr(files.os, "replace", slow)
    monkeypatch.setattr(files.time, "sleep", pauses.append)
    with files.replacing(tmp_path / "file") as side:
        side.write_text("whole")
    assert (tmp_path / "file").read_text() == "whole" and pauses == list(files.PAUSES[:2])


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_trains_with_a_note(tmp_path, monkeypatch, number):
    def no_locks(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.fcntl, "flock", no_locks)
    with pytest.warns(Note, match="has no locks .*: see to it"), files.claim(tmp_path / "two"):
        assert (tmp_path / "two").is_dir()


def test_a_lock_that_is_freed_late_is_waited_for(tmp_path, monkeypatch):
    """A network drive keeps the lock of a process that died for a while."""
    flock, held, pauses = fcntl.flock, [True, True], []

    def late(*arguments):
        if held:
            held.pop()
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return flock(*arguments)

    monkeypatch.setattr(files.fcntl, "flock", late)
    monkeypatch.setattr(files.time, "sleep", pauses.append)
    with files.claim(tmp_path / "two"):
        assert pauses == list(files.PAUSES[:2])


@pytest.fixture
def case_blind(monkeypatch):
    """A file system that takes names which differ in case alone for one."""
    exists = Path.exists

    def blind(path, **how):
        if exists(path, **how):
            return True
        here = os.listdir(path.parent) if exists(path.parent) else []
        return path.name.lower() in [name.lower() for name in here]

    monkeypatch.setattr(Path, "exists", blind)


def test_names_that_differ_in_case_alone_overwrite_nothing(tmp_path, case_blind):
    """Two experiments, and two files."""
    with files.claim(tmp_path / "Tiny"):
        pass
    with (
        pytest.raises(GrokError, match="tiny is the same as Tiny to this file system"),
        files.claim(tmp_path / "tiny"),
    ):
        pass
    (tmp_path / "Page.html").write_text("one")
    with (
        pytest.raises(GrokError, match=r"page\.html is the same as Page\.html"),
        files.replacing(tmp_path / "page.html") as side,
    ):
        side.write_text("another")
    assert (tmp_path / "Page.html").read_text() == "one"
    with files.replacing(tmp_path / "Page.html") as side:
        side.write_text("anew")
    assert (tmp_path / "Page.html").read_text() == "anew"


def test_a_claimed_folder_is_refused_to_a_second(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PAUSES", ())
    with files.claim(tmp_path / "two"):
        with (
            pytest.raises(GrokError, match="another process is training into"),
            files.claim(tmp_path / "two"),
        ):
            pass
        with files.claim(tmp_path / "other"):
            pass
    with files.claim(tmp_path / "two"):
        pass


# --- Reading what is not whole ---


def test_results_that_are_still_being_made_can_be_read(tmp_path, experiment):
    assert sessions.begin(tmp_path / "two", experiment, DEVICE)
    with pytest.raises(GrokError, match="holds no results"):
        results.load(tmp_path / "two")
    curves = curve(0, [1, 2], [0.1, 0.2])
    found = [
        {"run": n} | vars(run) | outcomes.outcome(curves[curves["run"] == n], run, False, False)
        for n, run in enumerate(experiment.runs)
    ]
    tables.write_tables(tmp_path / "two", tables.runs_table(found), curves)
    loaded = results.load(tmp_path / "two")
    assert loaded.runs["status"].tolist() == ["running", "queued"]
    assert loaded.runs["final_val_accuracy"].isna().tolist() == [False, True]
    assert len(loaded.curve(0)) == 2 and loaded.curve(1).empty and not loaded.complete
    with pytest.raises(GrokError, match="no arrays of run 1"):
        loaded.arrays(1)
    with pytest.raises(GrokError, match="has no run 2"):
        loaded.arrays(2)


@pytest.mark.parametrize("name", ["experiment.json", "runs.parquet", "curves.parquet"])
def test_a_torn_file_gives_one_line(tmp_path, experiment, name):
    save(tmp_path / "two", experiment)
    path = tmp_path / "two" / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(GrokError, match="cannot be read") as refusal:
        results.load(tmp_path / "two")
    assert "\n" not in str(refusal.value)


def array_file(content):
    """The bytes of an .npy file, which NumPy opens as something that holds no arrays by name."""
    file = io.BytesIO()
    np.save(file, np.arange(3))
    return file.getvalue()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda whole: b"",
        lambda whole: whole[:-20],
        lambda whole: whole[:100],
        lambda whole: b"no arrays at all",
        lambda whole: whole[:90] + b"####" + whole[94:],
        array_file,
    ],
    ids=["empty", "cut at the end", "cut early", "text", "a spoilt entry", "one array"],
)
def test_torn_arrays_give_one_line_that_names_the_file(tmp_path, experiment, spoil):
    save(tmp_path / "two", experiment)
    path = tmp_path / "two" / "arrays" / "run_0001.npz"
    path.write_bytes(spoil(path.read_bytes()))
    loaded = results.load(tmp_path / "two")
    assert loaded.arrays(0)["embedding"].shape == (9, 8)
    with pytest.raises(GrokError, match=f"{re.escape(str(path))} cannot be read") as refusal:
        loaded.arrays(1)
    assert "\n" not in str(refusal.value)


def edit(folder, change):
    """Change the content of a folder's experiment.json."""
    path = folder / "experiment.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))


def newer(description):
    description["experiment"]["runs"][1]["flavour"] = "sweet"
    return description


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda _: {}, "experiment.json does not describe an experiment: restore the file"),
        (lambda _: [], "does not describe an experiment"),
        (lambda _: None, "does not describe an experiment"),
        (lambda found: found | {"experiment": None}, "does not describe an experiment"),
        (lambda found: found | {"sessions": []}, "does not describe an experiment"),
        (newer, "run 1 in .*experiment.json has the field 'flavour', which this version"),
    ],
)
def test_a_description_of_another_kind_gives_one_line(tmp_path, experiment, change, said):
    save(tmp_path, experiment)
    edit(tmp_path, change)
    for read in (results.load, lambda folder: sessions.begin(folder, experiment, DEVICE)):
        with pytest.raises(GrokError, match=said) as refusal:
            read(tmp_path)
        assert "\n" not in str(refusal.value)


def closing(loaded):
    return results.closing_table(loaded)


def moments(loaded):
    return snapshots.moments(loaded, 0)


@pytest.mark.parametrize(
    ("name", "column", "use"),
    [
        ("runs", "run", results.load),
        ("curves", "step", results.load),
        ("runs", "status", closing),
        ("runs", "steps_to_val_99", closing),
        ("curves", "val_accuracy", moments),
        ("curves", "val_fresh_accuracy", scores.memorised_runs),
        ("curves", "val_accuracy", lambda loaded: list(symmetry.equivariance_curve(loaded, 0))),
        ("runs", "final_val_accuracy", lambda loaded: flatness.measure(loaded.folder)),
    ],
)
def test_a_table_without_a_column_gives_one_line_that_names_both(
    tmp_path, experiment, name, column, use
):
    save(tmp_path, experiment)
    path = tmp_path / f"{name}.parquet"
    pd.read_parquet(path).drop(columns=column).to_parquet(path)
    with pytest.raises(GrokError, match=rf"{name}\.parquet has no column {column}: .*--anew"):
        use(tmp_path if use is results.load else results.load(tmp_path))


def test_a_field_that_came_in_later_is_that_of_the_description(tmp_path, experiment):
    save(tmp_path, experiment)
    path = tmp_path / "runs.parquet"
    pd.read_parquet(path).drop(columns=["norm", "values"]).to_parquet(path)
    loaded = results.load(tmp_path)
    assert list(loaded.runs["norm"]) == ["post", "pre"]
    assert list(loaded.runs["values"]) == ["learned", "learned"]


def test_a_run_that_the_description_does_not_know_gives_one_line(tmp_path, experiment):
    save(tmp_path, experiment)
    edit(tmp_path, lambda found: found | {"experiment": {**found["experiment"], "runs": [{}]}})
    with pytest.raises(GrokError, match="has a run 1, of which experiment.json does not know"):
        results.load(tmp_path)


@pytest.mark.parametrize("name", ["runs", "curves"])
def test_a_lost_table_of_complete_results_gives_the_line_that_helps(tmp_path, experiment, name):
    save(tmp_path, experiment)
    (tmp_path / f"{name}.parquet").unlink()
    with pytest.raises(GrokError, match=rf"has lost its {name}\.parquet: restore .* --anew"):
        results.load(tmp_path)


def test_runs_that_equal_another_are_not_counted(tmp_path, tiny):
    experiment = Experiment(name="two", runs=[tiny, tiny.replace(seed=1)])
    save(tmp_path, experiment)

    def alike(found):
        found["experiment"]["runs"][1] = found["experiment"]["runs"][0]
        return found

    edit(tmp_path, alike)
    with pytest.warns(Note, match="1 of 2 runs equal an earlier one: left out"):
        loaded = results.load(tmp_path)
    assert list(loaded.runs["run"]) == [0] and set(loaded.curves["run"]) == {0}


def test_a_folder_that_holds_nothing_gives_one_line(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(GrokError, match="holds no results: train them"):
            results.load(folder)


@pytest.mark.parametrize("given", ["two", "results/two/runs.parquet", "results"])
def test_a_folder_that_is_nearly_right_is_told_the_right_one(
    tmp_path, experiment, monkeypatch, given
):
    monkeypatch.chdir(tmp_path)
    save(Path("results") / "two", experiment)
    with pytest.raises(GrokError, match=f"^{given} holds no results: did you mean results/two"):
        results.load(given)


def test_parts_of_several_processes_are_merged(tmp_path, tiny):
    experiment = Experiment(name="five", runs=tuple(tiny.replace(seed=seed) for seed in range(5)))
    whole, curves = save(tmp_path / "alone", experiment)
    save(tmp_path / "five" / "part-0", experiment, [0, 2, 4])
    (tmp_path / "five" / "part-1").mkdir()
    assert results.load(tmp_path / "five").runs["run"].tolist() == [0, 2, 4]
    assert not results.load(tmp_path / "five").complete, (
        "the other process has only just claimed its folder"
    )
    save(tmp_path / "five" / "part-1", experiment, [1, 3], complete=False)
    assert not results.load(tmp_path / "five").complete
    sessions.finish(tmp_path / "five" / "part-1", {"seconds": 1.0, "run_updates": 1})
    merged = results.load(tmp_path / "five")
    assert merged.complete
    pd.testing.assert_frame_equal(merged.runs, whole, check_exact=True)
    pd.testing.assert_frame_equal(merged.curves, curves, check_exact=True)
    assert [int(merged.arrays(n)["embedding"][0, 0]) for n in range(5)] == [0, 1, 2, 3, 4]
    assert merged.experiment_run(3) == Run(**vars(experiment.runs[3]))


def test_a_training_goes_on_with_the_files_that_it_began_with_or_not_at_all(tmp_path, tiny):
    """Another table in the place of the one that a run reads is refused, also when measuring."""
    path, folder = tmp_path / "t.npz", tmp_path / "two"
    read = np.arange(56, dtype=np.float32).reshape(7, 8)

    def put(embedding, **more):
        arrays = {"embedding": embedding, "labels": np.array(list("0123456")), **more}
        np.savez(path, **arrays)

    put(read)
    reads = tiny.replace(values="file", table=str(path))
    one, two = (Experiment(name="two", runs=runs) for runs in ((reads,), (reads, tiny)))
    save(folder, one, complete=False)
    said = r"t.npz has changed since .*two was trained on it: .* or train anew .* with --anew"
    before = contents(folder)
    put(read + 1)
    added = Experiment(name="two", runs=(reads, reads.replace(seed=1)))
    with pytest.raises(GrokError, match=said):
        sessions.begin(folder, added, DEVICE)
    with pytest.raises(GrokError, match=said):
        scores.matrices_part(results.load(folder), 0, snapshots.Moment(None, 100, 1.0, 0.5))
    assert contents(folder) == before

    assert sessions.begin(folder, two, DEVICE), "what is added reads no file"
    put(read, unembedding=read)  # the same rows in another file
    assert sessions.begin(folder, two, DEVICE)
    put(read + 1)
    assert sessions.begin(folder, two, DEVICE, anew=True)
    description = descriptions.description_of(folder)
    expected = hashlib.sha256((read + 1).tobytes()).hexdigest()
    assert description["tables"] == {str(path): expected}


def test_the_files_of_every_part_count(tmp_path, tiny):
    """Each of two processes reads a file of its own; then both read one that changed between."""
    rows = np.arange(56, dtype=np.float32).reshape(7, 8)
    labels = np.array(list("0123456"))

    def put(name, embedding):
        np.savez(tmp_path / name, embedding=embedding, labels=labels)
        return tiny.replace(values="file", table=str(tmp_path / name))

    runs = (put("a.npz", rows), put("b.npz", rows))
    apart = Experiment(name="apart", runs=runs)
    for part in (0, 1):
        save(tmp_path / "apart" / f"part-{part}", apart, [part])
    loaded = results.load(tmp_path / "apart")
    assert [loaded.rebuilt_run(run) for run in (0, 1)] == list(runs)
    put("b.npz", rows + 1)
    assert loaded.rebuilt_run(0) == runs[0]
    with pytest.raises(GrokError, match=r"b\.npz has changed since .*apart was trained on it"):
        results.load(tmp_path / "apart").rebuilt_run(1)

    together = Experiment(name="together", runs=(runs[0], runs[0].replace(seed=1)))
    save(tmp_path / "together" / "part-0", together, [0])
    put("a.npz", rows + 1)
    save(tmp_path / "together" / "part-1", together, [1])
    with pytest.raises(GrokError, match=r"a\.npz changed between the processes .* --anew"):
        results.load(tmp_path / "together")


def test_a_run_that_lost_what_it_had_is_collapsed_in_older_tables_too(tmp_path, experiment):
    reached = [curve(0, [1, 100], [0.1, 0.2]), curve(1, [1, 60, 120], [0.1, 1.0, 0.3])]
    curves = pd.concat(reached, ignore_index=True)
    device = {"device": "1 x cpu"}
    sessions.begin(tmp_path, experiment, device)
    runs = rows(experiment, curves)
    assert runs["status"].tolist() == ["budget", "collapsed"]
    tables.write_tables(tmp_path, runs, curves)
    now = results.load(tmp_path)
    path = marks.write_measured(now, "scores", pd.DataFrame({"run": [0, 1]}))

    tables.write_tables(tmp_path, runs.assign(status="budget"), curves)
    older = results.load(tmp_path)
    pd.testing.assert_frame_equal(older.runs, now.runs)
    assert marks.is_current(older, path), "a name is no new outcome"
    outcomes_by_run, _ = sessions.ended_runs(tmp_path)
    assert outcomes_by_run[1]["status"] == "collapsed"


# --- What was measured of results ---


def test_a_measured_table_is_current_until_a_run_is_added_or_goes_on(tmp_path, experiment):
    save(tmp_path, experiment)
    before = results.load(tmp_path)
    path = tmp_path / "scores.parquet"
    assert not marks.is_current(before, path), "it is not there"
    scores = pd.DataFrame({"run": [0, 1, 1], "score": ["gini", "gini", "axis"]})
    assert marks.write_measured(before, "scores", scores) == path
    pd.testing.assert_frame_equal(pd.read_parquet(path), scores)
    assert marks.is_current(results.load(tmp_path), path)

    curves = pd.concat([curve(n, [1, 2, 100, 120], 0.9) for n in (0, 1)])
    tables.write_tables(tmp_path, rows(experiment, curves), curves)
    assert not marks.is_current(results.load(tmp_path), path), "both runs went on"

    marks.write_measured(results.load(tmp_path), "scores", scores.query("run == 1"))
    assert not marks.is_current(results.load(tmp_path), path), "run 0 is not in it"
    path.write_bytes(path.read_bytes()[:-9])
    assert not marks.is_current(results.load(tmp_path), path), "it is torn"


def test_a_table_without_a_mark_is_current_if_it_has_every_run_that_did_not_diverge(
    tmp_path, experiment
):
    save(tmp_path, experiment)
    tables.write_table(tmp_path, "sharpness", pd.DataFrame({"run": [1]}))
    loaded, path = results.load(tmp_path), tmp_path / "sharpness.parquet"
    assert not marks.is_current(loaded, path)
    loaded.runs.loc[0, "status"] = "diverged"
    assert marks.is_current(loaded, path)


def test_kept_runs_are_those_with_final_matrices_and_other_files_are_none(tmp_path, experiment):
    save(tmp_path / "two", experiment)
    loaded = results.load(tmp_path / "two")
    for name in ("run_0000", "run_0001", "run_0001_step_00000010", "run_0001_params", "run_0000b"):
        array_files.write_arrays(loaded.folder, name, {"a": np.zeros(1)})
    array_files.write_arrays(loaded.folder, "run_0000_mechanism", {"a": np.zeros(1)})
    assert loaded.runs_kept() == {0: False, 1: True}


@pytest.mark.parametrize(
    "folder",
    sorted(path.parent for path in ROOT.glob("results/*/arrays")),
    ids=lambda folder: folder.name,
)
def test_the_kept_runs_of_every_committed_folder_can_be_read(folder):
    loaded = results.load(folder)
    kept = loaded.runs_kept()
    assert kept and set(kept) <= set(range(len(loaded.description["experiment"]["runs"])))
    for run in list(kept)[:2]:
        assert {"embedding", "unembedding", "labels"} <= set(loaded.arrays(run))


COUNT_THREADS = """
import os, sys
from grok.store import results
count = lambda: len(os.listdir("/proc/self/task"))
before = count()
assert len(results.load(sys.argv[1]).curves)
print(count() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted on Linux")
def test_reading_results_leaves_no_thread_behind():
    """A thread of pyarrow that is left may abort Python as it ends: 1 of 15 commands did."""
    command = [sys.executable, "-c", COUNT_THREADS, "results/figure3"]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert said.stdout == "0\n"
