"""What was saved survives kills, torn files and full disks, and resuming from it is exact."""

import signal
import time

import numpy as np
import pandas as pd
import pytest

from grok.experiment import Experiment, GrokError, Run
from grok.store import results
from grok.training.checkpoint import Checkpoints
from grok.training.sweep import Interrupted, Options, train_experiment

KILLS = 10
# After a failed read Orbax closes its event loop while TensorStore's threads still answer into it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
CONFIG = """
from grok.experiment import Experiment, Run

network = dict(n_layers=1, n_heads=2, d_model=8, d_ff=16)
base = Run(operation="x+y", structure="Z7", batch_size=8, eval_every=4, stop_after=0, **network)
lengths = (120, 70, 103, 61)
runs = [base.replace(seed=seed, num_steps=steps) for seed, steps in enumerate(lengths)]
experiment = Experiment(name="tiny", runs=runs)
"""
DATA = "**/d/*"
DAMAGES = {  # what may be wrong with a checkpoint: the files, and what happened to them
    "truncated data": (
        f"arrays/{DATA}",
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    ),
    "flipped byte": (
        f"arrays/{DATA}",
        lambda path: path.write_bytes(
            path.read_bytes()[:-9] + bytes([path.read_bytes()[-9] ^ 1]) + path.read_bytes()[-8:]
        ),
    ),
    "missing data": (f"arrays/{DATA}", lambda path: path.unlink()),
    "empty manifest": ("arrays/manifest.ocdbt", lambda path: path.write_bytes(b"")),
    "truncated facts": ("facts/metadata", lambda path: path.write_text(path.read_text()[:-20])),
    "changed facts": (
        "facts/metadata",
        lambda path: path.write_text(path.read_text().replace('"group": 1', '"group": 0')),
    ),
    "missing facts": ("facts/metadata", lambda path: path.unlink()),
}


def state(number):
    rng = np.random.default_rng(number)
    return {
        "state_000": rng.normal(size=(2, 40)).astype(np.float32),
        "state_001": np.array([number, 7], np.int32),
        "curve_run": np.zeros(0, np.int32),
        "curve_metrics": np.array([[np.nan, np.inf, -0.0]], np.float32),
    }


def facts(number):
    return {
        "group": 1,
        "lanes": [3, -1],
        "queue": [4, 5],
        "run_updates": number,
        "outcomes": {"0": {"status": "grokked", "steps_to_val_99": None, "final_val_loss": 0.1}},
    }


@pytest.fixture
def folder(tmp_path):
    """The folder of three checkpoints, saved one after the other."""
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    for number in (1, 2, 3):
        checkpoints.save(state(number), facts(number))
    checkpoints.close()
    return tmp_path / "checkpoints"


def restored(folder):
    checkpoints = Checkpoints(folder)
    try:
        return checkpoints.restore()
    finally:
        checkpoints.close()


def assert_is(checkpoint, number):
    arrays, found = checkpoint
    assert found == facts(number)
    assert arrays.keys() == state(number).keys()
    for name, array in state(number).items():
        assert arrays[name].shape == array.shape and (
            arrays[name].dtype == array.dtype or not array.size
        )
        assert np.asarray(arrays[name]).tobytes() == array.tobytes(), name


def damage(checkpoint, kind):
    pattern, act = DAMAGES[kind]
    files = list(checkpoint.glob(pattern))
    assert files, f"{pattern} matches no file of a checkpoint"
    for path in files:
        before = path.read_bytes()
        act(path)
        assert not path.exists() or path.read_bytes() != before


# --- Files ---


def test_a_checkpoint_is_read_as_it_was_saved_and_two_are_kept(folder):
    assert_is(restored(folder), 3)
    assert sorted(path.name for path in folder.iterdir()) == ["2", "3"]


def test_no_checkpoint_at_all_is_no_mistake(tmp_path):
    assert restored(tmp_path / "checkpoints") is None


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_checkpoint_gives_way_to_the_one_before_it(folder, kind):
    damage(folder / "3", kind)
    with pytest.warns(UserWarning, match="checkpoint 3 in .* is damaged .*using the one before it"):
        found = restored(folder)
    assert_is(found, 2)
    checkpoints = Checkpoints(folder)
    checkpoints.save(state(9), facts(9))
    checkpoints.close()
    assert_is(restored(folder), 9)


def test_damaged_checkpoints_only_are_refused_in_one_line(folder):
    damage(folder / "3", "truncated data")
    damage(folder / "2", "truncated facts")
    for _ in range(2):  # the same command again must not find an empty folder and begin anew
        with (
            pytest.warns(UserWarning),
            pytest.raises(
                GrokError, match="no checkpoint in .* can be read: move the results folder away"
            ) as refusal,
        ):
            restored(folder)
        assert "\n" not in str(refusal.value)


def test_a_checkpoint_that_was_being_written_is_ignored(folder):
    (folder / "3").rename(folder / "3.orbax-checkpoint-tmp")
    assert_is(restored(folder), 2)


def test_a_full_disk_gives_one_line_and_keeps_the_last_checkpoint(folder, monkeypatch):
    """TensorStore reports it with a ValueError of its own, from a thread, at the next save."""
    full = ValueError(
        'RESOURCE_EXHAUSTED: Error writing "state_037/0" in OCDBT database: Failed to write '
        "389524 bytes to file 5: No space left on device [os_error_code='28']"
    )

    def fail(*_arguments, **_options):
        raise full

    for step in ("wait_until_finished", "save", "close"):
        checkpoints = Checkpoints(folder)
        with monkeypatch.context() as patch:
            patch.setattr(checkpoints.manager, step, fail)
            with pytest.raises(GrokError, match="disk that holds .* is full") as refusal:
                checkpoints.close() if step == "close" else checkpoints.save(state(4), facts(4))
        assert "\n" not in str(refusal.value)
        checkpoints.close()
    assert_is(restored(folder), 3)


# --- A sweep whose checkpoint is torn ---


@pytest.mark.usefixtures("quick_sweeps")
def test_a_sweep_goes_on_exactly_from_the_checkpoint_before_a_torn_one(tmp_path):
    base = Run(
        operation="x+y",
        structure="Z7",
        n_layers=1,
        n_heads=2,
        d_model=8,
        d_ff=16,
        batch_size=8,
        num_steps=30,
        eval_every=10,
    )
    experiment = Experiment(name="tiny", runs=(base, base.replace(seed=1)))
    undisturbed = results.load(
        train_experiment(experiment, Options(tmp_path / "undisturbed", slots=1))
    )
    for _ in range(2):
        with pytest.raises(Interrupted):
            train_experiment(experiment, Options(tmp_path / "torn", slots=1, time_limit=0))
    checkpoints = tmp_path / "torn" / "tiny" / "checkpoints"
    assert sorted(path.name for path in checkpoints.iterdir()) == ["1", "2"]
    damage(checkpoints / "2", "truncated data")
    with pytest.warns(UserWarning, match="checkpoint 2 in .* is damaged"):
        found = results.load(train_experiment(experiment, Options(tmp_path / "torn", slots=1)))
    assert [session["run_updates_before"] for session in found.description["sessions"]] == [
        0,
        10,
        10,
    ], "it went on from the first"
    pd.testing.assert_frame_equal(found.runs, undisturbed.runs, check_exact=True)
    pd.testing.assert_frame_equal(found.curves, undisturbed.curves, check_exact=True)


# --- Kills ---


def newest(checkpoints):
    """The number of the newest finished checkpoint."""
    return max((int(path.name) for path in checkpoints.glob("*") if path.name.isdigit()), default=0)


def kill_after(process, checkpoints, saved, seconds):
    """SIGKILL a process `seconds` after it saves `saved` checkpoints more, or after its start."""
    begun, deadline = newest(checkpoints), time.monotonic() + 60
    while newest(checkpoints) < begun + saved:
        assert process.poll() is None and time.monotonic() < deadline, "it ended, or does nothing"
        time.sleep(0.005)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, (
        "it ended before it could be killed: train for longer"
    )


def run_updates_of_newest(checkpoints):
    """The updates that were done when the newest checkpoint was saved, from its curves."""
    kept = Checkpoints(checkpoints)
    arrays, _ = kept.read(newest(checkpoints))
    kept.close()
    return pd.Series(arrays["curve_step"]).groupby(arrays["curve_run"]).max().sum()


@pytest.mark.slow
def test_killed_ten_times_gives_the_files_of_an_undisturbed_run(tmp_path, start_grok):
    (tmp_path / "tiny.py").write_text(CONFIG)

    def start(name):
        return start_grok(
            "train",
            tmp_path / "tiny.py",
            "--results",
            tmp_path / name,
            "--checkpoint-every",
            "0",
            "--slots",
            "2",
            "--no-figures",
        )

    undisturbed = start("undisturbed")
    assert undisturbed.wait(timeout=100) == 0
    rng = np.random.default_rng(0)
    for saved in rng.permutation([0, 0, 1, 1, 2, 2, 3, 3, 4, 5])[:KILLS]:
        seconds = rng.uniform(0.2, 4) if saved == 0 else rng.uniform(0, 0.3)
        kill_after(start("killed"), tmp_path / "killed" / "tiny" / "checkpoints", saved, seconds)
    saved = run_updates_of_newest(tmp_path / "killed" / "tiny" / "checkpoints")
    last = start("killed")
    assert last.wait(timeout=100) == 0, last.communicate()[1]

    expected, found = (results.load(tmp_path / name / "tiny") for name in ("undisturbed", "killed"))
    pd.testing.assert_frame_equal(found.runs, expected.runs, check_exact=True)
    pd.testing.assert_frame_equal(found.curves, expected.curves, check_exact=True)
    for number in range(4):
        np.testing.assert_array_equal(
            found.arrays(number)["unembedding"], expected.arrays(number)["unembedding"]
        )
    assert KILLS - 2 <= len(found.description["sessions"]) <= KILLS + 1
    assert found.description["sessions"][-1]["run_updates_before"] == saved > 0, (
        "it went on from the newest checkpoint"
    )
    assert {path.name for path in found.folder.iterdir()} == {
        path.name for path in expected.folder.iterdir()
    }, "nothing half-written is left"
