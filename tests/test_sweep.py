"""A sweep gives every run what it would have had alone, whatever the slots, mates and stops."""

import contextlib
import errno
import functools
import gc
import itertools
import json
import logging.handlers
import os
import queue
import shutil
import signal
import socket
import time
import weakref

import jax
import numpy as np
import pandas as pd
import pytest

from grok import config
from grok.experiment import Experiment, GrokError, Note, Run
from grok.store import outcomes, results, tables
from grok.store.matrices import answered_right
from grok.task.dataset import TRAIN, UNDEFINED, make_dataset
from grok.training import program, slots, update
from grok.training.checkpoint import Checkpoints
from grok.training.progress_bar import Progress
from grok.training.schedule import evaluation_steps, snapshot_due
from grok.training.slots import Slots
from grok.training.stopping import Stop
from grok.training.sweep import Interrupted, Options, train_experiment

pytestmark = pytest.mark.usefixtures("quick_sweeps")

BASE = Run(
    operation="x+y",
    structure="Z7",
    n_layers=1,
    n_heads=2,
    d_model=8,
    d_ff=16,
    batch_size=8,
    num_steps=60,
    eval_every=20,
    stop_after=2,
    keep_params=True,
)
LONG = BASE.replace(
    seed=3, operation="x*y", train_fraction=0.4, num_steps=100, learning_rate=3e-3, weight_decay=0.1
)
SHORT = BASE.replace(seed=1, num_steps=47)
SHORTEST = BASE.replace(seed=2, split_seed=1, num_steps=3)
GROKS = BASE.replace(operation="1", learning_rate=3e-4, num_steps=500)
DIVERGES = BASE.replace(learning_rate=1e30, num_steps=400)
FIRST_GROUP = (GROKS, DIVERGES, LONG, SHORTEST, SHORT)
OTHER_WIDTH = (
    BASE.replace(d_model=12, num_steps=25),
    BASE.replace(d_model=12, seed=9, num_steps=21, snapshots="log"),
)
quick_jit = functools.partial(
    jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0}
)
quick_update, quick_evaluate = quick_jit(update.update), quick_jit(update.evaluate)
MIXED = (*FIRST_GROUP[:2], OTHER_WIDTH[0], *FIRST_GROUP[2:], OTHER_WIDTH[1])


def sweep(root, *runs, slots, name="sweep", **options):
    """Train runs in this process; returns the results."""
    return results.load(
        train_experiment(
            Experiment(name=name, runs=runs),
            Options(root, slots=slots, **options),
        )
    )


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, quick_sweeps):
    """Two signatures, seven runs, two slots; what JAX compiled, and the stretches of updates."""
    with compilations() as compiled, stretches() as trained:
        loaded = sweep(tmp_path_factory.mktemp("mixed"), *MIXED, slots=2)
    return loaded, compiled, trained


@contextlib.contextmanager
def compilations():
    """What JAX says it compiles of the slots' programs meanwhile, a line each."""
    said, compiled = queue.SimpleQueue(), []
    listener = logging.handlers.QueueHandler(said)
    logging.getLogger("jax").addHandler(listener)
    try:
        with jax.log_compiles():
            yield compiled
    finally:
        logging.getLogger("jax").removeHandler(listener)
    lines = [said.get().getMessage() for _ in range(said.qsize())]
    compiled += [line for line in lines if "XLA compilation of jit(chunk)" in line]


@contextlib.contextmanager
def stretches():
    """The stretches of updates done meanwhile: the updates of all slots before, and the length."""
    done, original = [], Slots.step

    def step(self, n_updates):
        begun = (self.host_inputs[0]["num_steps"] > 0) & ~self.fresh
        steps = np.where(begun, np.asarray(self.state.step), 0)  # an empty slot's says nothing
        slots = sorted(zip(steps.tolist(), self.fresh.tolist()))  # a run may change its slot
        done.append((slots, int(n_updates)))
        return original(self, n_updates)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Slots, "step", step)
        yield done


def numbers_of(loaded, *runs):
    """The numbers under which runs stand in results."""
    listed = [loaded.experiment_run(n) for n in loaded.runs["run"]]
    return [listed.index(run) for run in runs]


def curve_of(loaded, run):
    """The curve of a run without its number."""
    [number] = numbers_of(loaded, run)
    return loaded.curve(number).drop(columns="run").reset_index(drop=True)


# --- One program a signature ---


def test_each_signature_is_compiled_once_whatever_the_runs_and_their_numbers(mixed):
    assert len(mixed[1]) == 2, mixed[1]


# --- When runs are evaluated, and when they end ---


def test_evaluations_are_those_of_the_schedule_up_to_the_stop(mixed):
    loaded = mixed[0]
    early = [1, 2, 5, 10, 20]
    assert curve_of(loaded, LONG)["step"].tolist() == [*early, 40, 60, 80, 100]
    assert curve_of(loaded, SHORT)["step"].tolist() == [*early, 40, 47]
    assert curve_of(loaded, SHORTEST)["step"].tolist() == [1, 2, 3]
    assert curve_of(loaded, OTHER_WIDTH[0])["step"].tolist() == [*early, 25]
    for number, row in enumerate(loaded.runs.itertuples()):
        run = loaded.experiment_run(number)
        schedule = [
            step
            for step in evaluation_steps(run.num_steps, run.eval_every)
            if step <= row.stopped_at
        ]
        assert loaded.curve(number)["step"].tolist() == schedule and schedule[-1] == row.stopped_at


def test_a_run_that_groks_leaves_after_stop_after_evaluations_of_the_cadence(mixed):
    loaded = mixed[0]
    row = loaded.runs.iloc[numbers_of(loaded, GROKS)[0]]
    cadence = curve_of(loaded, GROKS).query("step % 20 == 0")
    assert row["status"] == "grokked" and row["stopped_at"] < GROKS.num_steps
    above = (cadence["val_accuracy"] >= 0.99).tolist()
    assert above[-2:] == [True, True] and not any(
        a and b for a, b in zip(above[:-2], above[1:-1])
    ), "no earlier, no later"


def test_a_diverged_run_is_marked_and_the_others_go_on(mixed):
    loaded = mixed[0]
    status = dict(zip(loaded.runs["run"], loaded.runs["status"]))
    assert [
        status[n] for n in numbers_of(loaded, DIVERGES, LONG, SHORT, SHORTEST, *OTHER_WIDTH)
    ] == ["diverged"] + ["budget"] * 5
    assert loaded.runs["stopped_at"][numbers_of(loaded, DIVERGES)[0]] == 20, (
        "it left at the end of its first chunk"
    )
    assert np.isfinite(curve_of(loaded, LONG).drop(columns="val_mirrored_accuracy")).all(axis=None)


def test_fixed_sweep_totals_are_recorded(mixed):
    loaded = mixed[0]
    [session] = loaded.description["sessions"]
    assert (
        session["run_updates"]
        == loaded.runs["stopped_at"].sum()
        == loaded.curves.groupby("run")["step"].max().sum()
    )
    assert loaded.complete and (loaded.folder / "checkpoints").is_dir()


@pytest.mark.parametrize(
    ("snapshots", "kept"),
    [("", []), ("log", [1, 2, 5, 10, 20, 40, 100]), ("20", [20, 40, 60, 80, 100, 120])],
)
def test_snapshots_are_kept_on_a_logarithmic_axis_or_at_a_spacing(snapshots, kept):
    run = BASE.replace(num_steps=120, snapshots=snapshots)
    steps = evaluation_steps(run.num_steps, run.eval_every)
    assert [step for step in steps if snapshot_due(step, run)] == kept


def test_arrays_are_those_of_the_last_update_and_of_the_snapshots(mixed):
    loaded = mixed[0]
    [kept] = numbers_of(loaded, OTHER_WIDTH[1])
    files = {path.name for path in (loaded.folder / "arrays").iterdir()}
    assert files == {f"run_{n:04d}{what}.npz" for n in range(7) for what in ("", "_params")} | {
        f"run_{kept:04d}{what}_step_{step:08d}.npz"
        for step in (1, 2, 5, 10, 20)
        for what in ("", "_params")
    }
    assert (
        loaded.snapshot_steps(kept) == loaded.snapshot_steps(kept, params=True) == [1, 2, 5, 10, 20]
    )
    for step in (2, 20):
        np.testing.assert_array_equal(
            loaded.params(kept, step)["embedding"], loaded.arrays(kept, step)["embedding"]
        )
    norm = np.sqrt(
        sum((leaf.astype(float) ** 2).sum() for leaf in jax.tree.leaves(loaded.params(kept, 10)))
    )
    assert norm == pytest.approx(loaded.curve(kept).set_index("step")["weight_norm"][10], rel=1e-5)
    for number in range(7):
        arrays, last = loaded.arrays(number), loaded.curve(number).iloc[-1]
        assert (
            arrays["embedding"].shape
            == arrays["unembedding"].shape
            == (9, loaded.experiment_run(number).d_model)
        )
        assert arrays["labels"].tolist() == [*"0123456", "o", "="]
        np.testing.assert_allclose(
            np.linalg.norm(arrays["embedding"]), last["embedding_norm"], rtol=1e-5
        )
        np.testing.assert_allclose(
            np.linalg.norm(arrays["unembedding"]), last["unembedding_norm"], rtol=1e-5
        )
        with np.load(loaded.folder / "arrays" / f"run_{number:04d}_params.npz") as params:
            np.testing.assert_array_equal(params["unembedding"].T, arrays["unembedding"])
            np.testing.assert_allclose(
                np.sqrt(sum((params[name].astype(float) ** 2).sum() for name in params)),
                last["weight_norm"],
                rtol=1e-5,
            )


def test_tables_can_be_read_from_the_first_evaluation_on(tmp_path):
    seen = []

    def look(folder):
        loaded = results.load(folder)
        assert loaded.runs["status"].notna().all() and not loaded.complete
        seen.append(loaded.curves.groupby("run")["step"].max().to_dict())

    sweep(tmp_path, SHORT, SHORTEST, slots=1, on_tables=look)
    assert seen == [{0: 1}, {0: 47, 1: 3}], "the first evaluation, and at the end"
    seen.clear()
    sweep(tmp_path, SHORT, slots=1, name="again", on_tables=look, checkpoint_every=0.0)
    assert seen[0] == {0: 1} and seen[1:] == [{0: 20}, {0: 40}, {0: 47}, {0: 47}]


def test_the_bits_kept_with_the_matrices_are_the_accuracies_of_the_curves(mixed):
    loaded = mixed[0]
    for number in range(7):
        kind_N = make_dataset(loaded.experiment_run(number)).kind_N
        curve = loaded.curve(number).set_index("step")
        for step in (None, *loaded.snapshot_steps(number)):
            right_N = answered_right(loaded, number, step).reshape(-1)
            expected = curve.loc[curve.index.max() if step is None else step]
            for name, rows in (("train_accuracy", kind_N == TRAIN), ("val_accuracy", kind_N > 1)):
                share = np.float32(right_N[rows].sum()) / np.float32(rows.sum())
                assert share == expected[name], (number, step, name)
            assert not right_N[kind_N == UNDEFINED].any()


# --- A run is the same in any company ---


def test_a_lane_is_the_single_run_for_100_updates(mixed, on_device):
    """The reference knows no slots, no chunks and no vmap: one jitted update after the other."""
    alone = on_device(LONG)
    state, rows = alone.state, []
    for step in range(1, 101):
        state = quick_update(alone.program, state, alone.numbers, alone.data)
        if step in (1, 2, 5, 10, 20, 40, 60, 80, 100):
            rows.append(
                {"step": step}
                | {
                    name: float(value)
                    for name, value in quick_evaluate(alone.program, state, alone.data).items()
                    if name in tables.METRICS
                }
            )
    found = curve_of(mixed[0], LONG)
    pd.testing.assert_frame_equal(
        found.astype(float),
        pd.DataFrame(rows)[found.columns.tolist()].astype(float),
        rtol=1e-5,
        atol=1e-5,
    )
    arrays = mixed[0].arrays(*numbers_of(mixed[0], LONG))
    np.testing.assert_allclose(arrays["embedding"], state.params["embedding"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        arrays["unembedding"], state.params["unembedding"].T, rtol=1e-5, atol=1e-5
    )


def test_the_same_slots_with_other_mates_and_another_order_give_the_same_bits(mixed, tmp_path):
    other = sweep(tmp_path, SHORT, BASE.replace(seed=11, num_steps=33), LONG, DIVERGES, slots=2)
    for run in (SHORT, LONG, DIVERGES):
        pd.testing.assert_frame_equal(
            curve_of(other, run), curve_of(mixed[0], run), check_exact=True
        )
        a, b = (loaded.arrays(*numbers_of(loaded, run)) for loaded in (other, mixed[0]))
        np.testing.assert_array_equal(a["embedding"], b["embedding"])


def test_what_is_on_the_device_does_not_change_with_the_arrays_it_came_from(on_device):
    """On a CPU device_put shares memory aligned to 64 bytes, so chance would decide."""
    memory = np.zeros(1000, np.uint8)
    fresh = memory[-memory.ctypes.data % 64 :][:2].view(bool)
    on_devices = Slots(on_device(BASE).program, 2).put(fresh)
    fresh[:] = True
    assert not np.asarray(on_devices).any()


@pytest.mark.parametrize("slots", [1, 3])
def test_other_numbers_of_slots_agree(mixed, tmp_path, slots):
    other = sweep(tmp_path, *FIRST_GROUP, slots=slots)
    for run in FIRST_GROUP:
        pd.testing.assert_frame_equal(
            curve_of(other, run), curve_of(mixed[0], run), rtol=1e-5, atol=1e-5
        )
        assert (
            other.runs["status"][numbers_of(other, run)[0]]
            == mixed[0].runs["status"][numbers_of(mixed[0], run)[0]]
        )


def test_a_program_is_compiled_once_and_forgotten_when_another_one_trains(tmp_path):
    runs = [BASE.replace(num_steps=20, seed=seed) for seed in range(3)]
    slots.make_chunk.cache_clear()
    with compilations() as compiled:
        sweep(tmp_path, *runs, slots=2)
    assert len(compiled) == 1, compiled
    with compilations() as compiled:
        sweep(tmp_path, *runs, slots=2, name="again")
    assert not compiled
    held = weakref.ref(slots.make_chunk(program.program_of(runs[0]), slots.make_mesh(2)))
    slots.make_chunk(program.program_of(OTHER_WIDTH[0]), slots.make_mesh(2))
    gc.collect()
    assert held() is None, "programs that no longer train are forgotten"


# --- Every intervention of the paper in one sweep ---


@pytest.fixture(scope="module")
def interventions(tmp_path_factory, quick_sweeps):
    """The settings of Figure 2 left on a tiny task, two seeds of each, in three slots."""
    settings = {
        run.label: run for run in config.load("configs/figure2_left.py", "paper").experiment.runs
    }
    tiny = {
        "operation": "x+y",
        "structure": "Z7",
        "train_fraction": 0.6,
        "n_layers": 1,
        "n_heads": 2,
        "d_model": 8,
        "d_ff": 16,
        "num_steps": 20,
        "eval_every": 20,
        "stop_after": 0,
        "keep_params": True,
    }
    runs = [run.replace(**tiny, seed=seed) for run in settings.values() for seed in (0, 1)]
    return sweep(tmp_path_factory.mktemp("interventions"), *runs, slots=3)


INTERVENTIONS = (
    "Adam, full batch",
    "Adam, minibatch",
    "Adam, full batch, update noise",
    "Adam, dropout 0.1",
    "AdamW, decay 1",
    "AdamW, decay 1 towards init",
    "Adam, learning rate 0.0003",
    "Adam, learning rate 0.003",
    "Adam, weight noise 0.01",
    "SGD with momentum, decay 1e-3",
    "SAM, decay 1",
    "Muon, decay 1",
    "AdamW, decay 1, cosine",
)


def test_the_interventions_are_those_of_figure_2_left_and_all_differ(interventions):
    assert tuple(dict.fromkeys(interventions.runs["label"])) == INTERVENTIONS
    assert (interventions.runs["stopped_at"] == 20).all()
    first = [
        interventions.params(number)["unembedding"]
        for number in range(0, len(interventions.runs), 2)
    ]
    assert all(np.abs(a - b).max() > 1e-4 for a, b in itertools.combinations(first, 2))


@pytest.mark.parametrize("label", INTERVENTIONS)
def test_every_intervention_in_a_sweep_is_its_run_alone(interventions, on_device, label):
    [number, _] = interventions.runs["run"][interventions.runs["label"] == label]
    alone = on_device(interventions.experiment_run(number))
    state = alone.state
    for _ in range(20):
        state = quick_update(alone.program, state, alone.numbers, alone.data)
    leaves = jax.tree_util.tree_leaves_with_path(state.params)
    name = functools.partial(jax.tree_util.keystr, simple=True, separator="/")
    expected = {name(path): leaf for path, leaf in leaves}
    with np.load(interventions.folder / "arrays" / f"run_{number:04d}_params.npz") as found:
        assert set(found) == set(expected)
        for name in expected:
            np.testing.assert_allclose(
                found[name], expected[name], rtol=1e-5, atol=1e-5, err_msg=name
            )
    last = interventions.curve(number).iloc[-1]
    plain = program.program_of(
        interventions.experiment_run(0)
    )  # no evaluation depends on how a network was trained
    evaluated = quick_evaluate(plain, state, alone.data)
    for name in tables.METRICS:
        np.testing.assert_allclose(last[name], evaluated[name], rtol=1e-5, atol=1e-5, err_msg=name)


# --- Stops and resumption ---


@pytest.fixture(autouse=True)
def signals_of_a_terminal():
    """A process that a shell starts in the background ignores SIGINT, and so would its sweep."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def stop_at(patch, number, advance):
    """Send this process a signal at the given call of Progress.advance."""
    calls, original = [], Progress.advance

    def counting(*arguments):
        calls.append(arguments)
        if len(calls) == advance:
            os.kill(os.getpid(), number)
        return original(*arguments)

    patch.setattr(Progress, "advance", counting)


def test_stopped_and_resumed_is_bit_identical_to_undisturbed(mixed, tmp_path, monkeypatch):
    """Stopped by the time limit in the first chunk, then by SIGTERM, then by SIGINT."""
    again = functools.partial(sweep, tmp_path, *MIXED, slots=2)
    with pytest.raises(Interrupted, match="time limit") as stop, stretches() as trained:
        again(time_limit=0)
    assert stop.value.code == 75
    partial = results.load(tmp_path / "sweep")
    assert set(partial.runs["status"]) == {"running", "diverged", "queued"} and not partial.complete
    for number, advance, code in ((signal.SIGTERM, 3, 75), (signal.SIGINT, 13, 130)):
        with (
            monkeypatch.context() as patch,
            pytest.raises(Interrupted, match=number.name) as stop,
            stretches() as more,
        ):
            stop_at(patch, number, advance)
            again()
        assert stop.value.code == code
        trained += more
    with stretches() as more:
        resumed = again()
    undisturbed = mixed[0]
    assert trained + more == mixed[2], "nothing was trained twice"
    sessions = resumed.description["sessions"]
    assert [session["run_updates_before"] for session in sessions] == [0] + [
        session["run_updates"] for session in sessions[:-1]
    ]
    assert len(sessions) == 4 and sessions[-1]["run_updates"] == resumed.runs["stopped_at"].sum()
    pd.testing.assert_frame_equal(resumed.runs, undisturbed.runs, check_exact=True)
    pd.testing.assert_frame_equal(resumed.curves, undisturbed.curves, check_exact=True)
    for path in (undisturbed.folder / "arrays").iterdir():
        with np.load(path) as expected, np.load(resumed.folder / "arrays" / path.name) as found:
            assert expected.files == found.files
            for name in expected.files:
                np.testing.assert_array_equal(found[name], expected[name])


def test_the_layout_is_recorded_and_another_one_noted_when_resuming(tmp_path):
    with pytest.raises(Interrupted):
        sweep(tmp_path, SHORT, SHORTEST, slots=2, time_limit=0)
    with pytest.warns(
        Note, match="go on with 1 slots .* not with 2 slots .*: from here they differ"
    ):
        loaded = sweep(tmp_path, SHORT, SHORTEST, slots=1)
    before, after = [session["layout"] for session in loaded.description["sessions"]]
    assert before == after | {"slots_a_device": 2} and after["slots_a_device"] == 1
    assert after["device"] == jax.local_devices()[0].device_kind
    assert after["cores"] == len(os.sched_getaffinity(0))


STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


@pytest.fixture
def heeded():
    """SIGHUP is not ignored, as it is in a suite that nohup started."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", STOPPING[1:], ids=lambda number: number.name)
def test_a_signal_before_the_first_chunk_stops_cleanly(tmp_path, monkeypatch, heeded, number):
    """The terminal may be gone with it, so that nothing can be said."""
    before = [signal.getsignal(each) for each in STOPPING]

    def gone(*_arguments, **_options):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("grok.training.stopping.print", gone, raising=False)
    restore = Checkpoints.restore
    monkeypatch.setattr(
        Checkpoints,
        "restore",
        lambda self: (os.kill(os.getpid(), number), restore(self))[1],
    )
    with pytest.raises(Interrupted, match=number.name) as stop:
        sweep(tmp_path, BASE, SHORT, slots=2)
    assert stop.value.code == 75
    assert [signal.getsignal(each) for each in STOPPING] == before


def test_a_signal_that_is_ignored_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with Stop(None):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_complete_results_are_not_trained_again(mixed, monkeypatch):
    runs = [mixed[0].experiment_run(n) for n in range(7)]
    monkeypatch.setattr(Progress, "advance", lambda *_: pytest.fail("trained"))
    again = sweep(mixed[0].folder.parent, *runs, slots=2)
    pd.testing.assert_frame_equal(again.runs, mixed[0].runs, check_exact=True)


def test_a_changed_config_with_an_old_checkpoint_is_refused(tmp_path):
    with pytest.raises(Interrupted):
        sweep(tmp_path, BASE, slots=2, time_limit=0)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(
        GrokError, match="different experiment.*its run 0 has learning_rate=0.001, not 0.002"
    ):
        sweep(tmp_path, BASE.replace(learning_rate=2e-3), slots=2)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_mistake_in_any_run_shows_before_anything_is_written(tmp_path):
    with pytest.raises(GrokError, match="leaves no validation row"):
        sweep(tmp_path / "results", BASE, BASE.replace(train_fraction=0.999), slots=1)
    assert not (tmp_path / "results").exists()


# --- An experiment that has grown ---


def assert_same_runs(loaded, whole, runs):
    """Outcomes, curves and final matrices of runs are those of other results, bit by bit."""
    columns = list(outcomes.OUTCOMES)
    for run in runs:
        [here], [there] = numbers_of(loaded, run), numbers_of(whole, run)
        assert loaded.runs.loc[here, columns].equals(whole.runs.loc[there, columns]), run
        pd.testing.assert_frame_equal(curve_of(loaded, run), curve_of(whole, run), check_exact=True)
        for name, array in whole.arrays(there).items():
            np.testing.assert_array_equal(loaded.arrays(here)[name], array)
        assert loaded.snapshot_steps(here) == whole.snapshot_steps(there)


def test_runs_added_to_complete_results_are_all_that_is_trained(mixed, tmp_path):
    old = (LONG, OTHER_WIDTH[1], SHORT)
    sweep(tmp_path, *old, slots=2)
    files = {path: path.read_bytes() for path in tmp_path.rglob("run_*.npz")}
    with stretches() as trained:
        grown = sweep(tmp_path, *MIXED, slots=2)
    assert [grown.experiment_run(number) for number in range(3)] == list(old), "the old numbers"
    assert grown.complete and len(grown.runs) == len(MIXED)
    assert all(path.read_bytes() == content for path, content in files.items())
    new = [run for run in MIXED if run not in old]
    assert_same_runs(grown, mixed[0], MIXED)
    updates = sum(grown.runs["stopped_at"][number] for number in numbers_of(grown, *new))
    first, last = grown.description["sessions"]
    assert last["run_updates_before"] == first["run_updates"]
    assert last["run_updates"] == first["run_updates"] + updates and trained
    assert sweep(tmp_path, *reversed(MIXED), slots=2).description == grown.description, "all done"


def test_an_experiment_may_grow_while_some_of_it_is_under_way(mixed, tmp_path, monkeypatch):
    """Stopped in the second program; grown by runs of both, it first ends what it had begun."""
    old = (SHORTEST, SHORT, OTHER_WIDTH[1])
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        stop_at(patch, signal.SIGTERM, 8)
        sweep(tmp_path, *old, slots=2)
    partial = results.load(tmp_path / "sweep").runs
    assert dict(zip(partial["run"], partial["status"]))[2] == "running", partial
    with stretches() as trained:
        grown = sweep(tmp_path, *MIXED, slots=2)
    assert (20, False) in trained[0][0], "it goes on where it was"
    assert_same_runs(grown, mixed[0], MIXED)


def test_a_checkpoint_of_other_runs_than_the_folders_is_refused(tmp_path, monkeypatch):
    """As when the experiment.json of a former training is put back beside newer checkpoints."""
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        stop_at(patch, signal.SIGTERM, 3)
        sweep(tmp_path, SHORTEST, LONG, OTHER_WIDTH[0], slots=2)
    path = tmp_path / "sweep" / "experiment.json"
    description = json.loads(path.read_text())
    description["experiment"]["runs"].reverse()
    path.write_text(json.dumps(description))
    with pytest.raises(GrokError, match="checkpoints is of other runs than .*run 0 differs"):
        sweep(tmp_path, SHORTEST, LONG, OTHER_WIDTH[0], slots=2)


def test_runs_under_way_wait_where_there_are_fewer_slots_now(mixed, tmp_path, monkeypatch):
    runs = (LONG, SHORT, GROKS)
    noted = pytest.warns(Note, match="go on with 1 slots a device")
    for count, advance, said in ((3, 3, contextlib.nullcontext()), (1, 2, noted)):
        with monkeypatch.context() as patch, said, pytest.raises(Interrupted):
            stop_at(patch, signal.SIGTERM, advance)
            sweep(tmp_path, *runs, slots=count)
    assert (results.load(tmp_path / "sweep").runs["stopped_at"] > 0).all()
    with stretches() as trained:
        whole = sweep(tmp_path, *runs, slots=1)
    assert not any(fresh for [(_, fresh)], _ in trained), "none began anew"
    for run in runs:
        pd.testing.assert_frame_equal(
            curve_of(whole, run), curve_of(mixed[0], run), rtol=1e-5, atol=1e-5
        )


def test_unfinished_results_from_elsewhere_keep_the_runs_that_ended(mixed, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        stop_at(patch, signal.SIGTERM, 3)
        sweep(tmp_path, SHORTEST, LONG, OTHER_WIDTH[0], slots=2)
    folder = tmp_path / "sweep"
    before = results.load(folder)
    assert before.runs["status"].tolist() == ["budget", "running", "queued"]
    shutil.rmtree(folder / "checkpoints")  # as in a clone of what was committed
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        stop_at(patch, signal.SIGTERM, 1)
        sweep(tmp_path, SHORTEST, LONG, OTHER_WIDTH[0], slots=2)
    aside = pd.read_parquet(folder / "previous" / "curves.parquet")
    pd.testing.assert_frame_equal(aside, before.curves)
    whole = sweep(tmp_path, SHORTEST, LONG, OTHER_WIDTH[0], slots=2)
    _, second, third = [session["run_updates_before"] for session in whole.description["sessions"]]
    assert (second, third) == (3, 3 + 20), "of the shortest, and of the first chunk of the long one"
    assert_same_runs(whole, mixed[0], (SHORTEST, LONG, OTHER_WIDTH[0]))


# --- Real processes ---

CONFIG = """
from grok.experiment import Experiment, Run, grid

network = dict(n_layers=1, n_heads=2, d_model=8, d_ff=16)
base = Run(operation="x+y", structure="Z7", batch_size=8, eval_every=20, stop_after=0, **network)
experiment = Experiment(name="tiny", runs=grid(base, num_steps=[%s], seed=[0, 1]))
"""


def wait_for(condition, process, seconds=240):
    """Wait until something has happened in a process that must be alive meanwhile."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


def test_a_running_sweep_can_be_read_refuses_a_second_process_and_stops_at_ctrl_c(
    tmp_path, start_grok
):
    config, folder = tmp_path / "tiny.py", tmp_path / "results" / "tiny"
    config.write_text(CONFIG % "10**6")
    arguments = (
        "train",
        config,
        "--results",
        tmp_path / "results",
        "--checkpoint-every",
        "0.2",
        "--slots",
        "2",
    )
    first = start_grok(*arguments)
    wait_for((folder / "curves.parquet").exists, first)
    second = start_grok(*arguments)
    out, err = second.communicate(timeout=240)
    assert (second.returncode, out) == (2, "")
    assert err == (
        f"grok: another process is training into {folder}: "
        "wait for it, or choose another place with --results DIR\n"
    )

    seen = results.load(folder)
    wait_for(lambda: len(results.load(folder).curves) > len(seen.curves), first)
    assert seen.runs["status"].tolist() == ["running", "running"] and not seen.complete

    first.send_signal(signal.SIGINT)
    out, err = first.communicate(timeout=240)
    assert first.returncode == 130
    assert "Traceback" not in err
    command = " ".join(map(str, ["python -m grok", *arguments]))
    said = f"grok: stopped by SIGINT; all is saved. To go on: {command}"
    assert err.splitlines()[-1] == said
    [session] = results.load(folder).description["sessions"]
    assert session["run_updates"] == results.load(folder).runs["stopped_at"].sum() > 0


def test_two_processes_give_what_one_gives(tmp_path, start_grok):
    config = tmp_path / "tiny.py"
    config.write_text(CONFIG % "30, 47")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    common = (
        "train",
        config,
        "--results",
        tmp_path / "two",
        "--no-figures",
        "--checkpoint-every",
        0,
        "--coordinator",
        address,
        "--num-processes",
        2,
        "--process-id",
    )
    for process in [start_grok(*common, i) for i in (0, 1)]:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
    merged = results.load(tmp_path / "two" / "tiny")
    runs = tuple(
        BASE.replace(num_steps=num_steps, seed=seed, stop_after=0, keep_params=False)
        for num_steps in (30, 47)
        for seed in (0, 1)
    )
    alone = sweep(tmp_path / "one", *runs, slots=2, name="tiny")
    assert (
        merged.complete
        and json.loads((merged.folder / "part-1" / "experiment.json").read_text())["sessions"][0][
            "processes"
        ]
        == 2
    )
    pd.testing.assert_frame_equal(merged.runs, alone.runs, rtol=1e-5, atol=1e-5)
    pd.testing.assert_frame_equal(merged.curves, alone.curves, rtol=1e-5, atol=1e-5)
    for number in range(4):
        np.testing.assert_allclose(
            merged.arrays(number)["unembedding"],
            alone.arrays(number)["unembedding"],
            rtol=1e-5,
            atol=1e-5,
        )
