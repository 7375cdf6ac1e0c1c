"""The command line: what it prints, how overrides reach the runs, one line for each mistake."""

import csv
import dataclasses
import errno
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from grok.__main__ import main
from grok.experiment import Experiment, Run
from grok.store import results, sessions
from grok.task.operations import NAMED
from grok.training import sweep

ROOT = Path(__file__).parent.parent
CONFIG = """
from grok.experiment import Experiment, Run

net = dict(n_layers=1, n_heads=2, d_model=8)
base = Run(operation="x+y", structure="Z7", **net, num_steps=30, eval_every=10)


def experiment(scale):
    seeds = range(2 if scale == "small" else 5)
    return Experiment(name="tiny", scale=scale, runs=[base.replace(seed=seed) for seed in seeds])
"""


@pytest.fixture
def config(tmp_path, devices_ready):
    """The path of a config of two tiny runs."""
    path = tmp_path / "tiny.py"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def asked(monkeypatch):
    """What a command asks the sweep for, (experiment, options) a call; nothing is trained."""
    calls = []

    def record(experiment, options):
        calls.append((experiment, options))
        raise sweep.Interrupted("the test", 75)

    monkeypatch.setattr(sweep, "train_experiment", record)
    return calls


def refused(capsys, *arguments):
    """The line on standard error with which a command is refused."""
    status = main(list(map(str, arguments)))
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert re.fullmatch(r"grok: [^\n]+\n", err), err
    return err


# --- Operations and tables ---


def test_operations_lists_all_with_domain_and_rows(capsys):
    assert main(["operations"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.split(r"\s{2,}|\s(?=rows)", lines[0].strip())[:3] == ["operation", "domain", "rows"]
    found = {re.search(r"^\s*(.*?)\s+x, y in", line)[1]: line for line in lines[1:]}
    assert len(found) == len(NAMED)
    for name, rows, structure in (
        ("x+y", 9409, "Z97"),
        ("x/y", 9312, "Z97"),
        ("x/y if y odd else x-y", 9409, "Z97"),
        ("xyx^-1", 14400, "S5"),
        ("x^3+xy^2+y", 9409, "Z97"),
    ):
        assert re.search(rf"in {structure}\b.* {rows} ", found[name]), found[name]


def test_a_table_is_csv_of_element_indices(capsys):
    assert main(["table", "x/y", "--structure", "Z7"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == ["x", "y", "z"]
    assert {tuple(map(int, row)) for row in rows[1:]} == {
        (z * y % 7, y, z) for y in range(1, 7) for z in range(7)
    }
    assert len(rows) == 1 + 7 * 6


def test_an_expression_may_begin_with_a_minus_sign(capsys):
    assert main(["table", "-x+y", "--structure", "Z3"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert [tuple(map(int, row)) for row in rows[1:4]] == [(0, 0, 0), (0, 1, 1), (0, 2, 2)]
    assert "unrecognized arguments: -n" in refused(capsys, "table", "x+y", "-n")


def test_the_table_of_a_group_is_not_that_of_a_ring(capsys):
    assert main(["table", "xy", "--structure", "S3"]) == 0
    rows = np.loadtxt(io.StringIO(capsys.readouterr().out), int, delimiter=",", skiprows=1)
    assert rows.shape == (36, 3)
    answers = np.full((6, 6), -1)
    answers[rows[:, 0], rows[:, 1]] = rows[:, 2]
    assert (np.sort(answers, axis=1) == np.arange(6)).all()
    assert (answers != answers.T).any(), "S3 does not commute"


def test_a_reader_that_stops_early_is_no_error(start_grok):
    process = start_grok("table", "x*y", "--structure", "Z199")
    assert process.stdout.readline() == "x,y,z\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=30) in (0, 1)


# --- Help ---


def test_help_shows_every_field_with_its_unit_and_default(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["train", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for spec in dataclasses.fields(Run):
        flag = "--" + spec.name.replace("_", "-")
        text = re.search(rf" {flag}[ ,](.*?)(?= --[a-z]|$)", said)
        assert text, f"{flag} is missing"
        assert " ".join(spec.metadata["help"].split())[:60] in said, flag
    for flag, default in (
        ("--num-steps N most updates the run may take", "100000"),
        ("--learning-rate X peak learning rate", "0.001"),
        ("--operation TEXT expression", "'x/y'"),
    ):
        assert flag in said and f"(default: {default})" in said[said.index(flag) :][:200]
    for flag in (
        "--results DIR",
        "--time-limit SECONDS",
        "--coordinator HOST:PORT",
        "--modulus N",
        "--slots N",
    ):
        assert flag in said


def test_help_lists_the_commands(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(
        re.search(rf"^\s+{command}\s+\w", said, re.MULTILINE)
        for command in ("operations", "table", "train", "figures", "bench")
    )


# --- Overrides ---


def test_overrides_are_typed_and_name_the_folder(config, asked, capsys):
    status = main(
        [
            "train",
            str(config),
            *[
                "--modulus",
                "31",
                "--num-steps",
                "200",
                "--weight-decay",
                "1",
                "--d-ff",
                "24",
                "--snapshots",
                "100",
                "--keep-params",
                "--norm",
                "pre",
                "--label",
                "long",
            ],
        ]
    )
    [(experiment, _)] = asked
    assert status == 75
    for run, seed in zip(experiment.runs, (0, 1), strict=True):
        expected = Run(
            operation="x+y",
            structure="Z31",
            n_layers=1,
            n_heads=2,
            d_model=8,
            num_steps=200,
            eval_every=10,
            weight_decay=1.0,
            d_ff=24,
            snapshots="100",
            keep_params=True,
            norm="pre",
            label="long",
            seed=seed,
        )
        assert run == expected and type(run.weight_decay) is float and type(run.num_steps) is int
    assert experiment.name.startswith("tiny-")
    assert set(experiment.name.removeprefix("tiny-").split("-")) == {
        "structure=Z31",
        "num_steps=200",
        "weight_decay=1.0",
        "d_ff=24",
        "snapshots=100",
        "keep_params=True",
        "norm=pre",
        "label=long",
    }
    assert "stopped by the test; all is saved. To go on: python -m grok" in capsys.readouterr().err


def test_no_override_keeps_the_name_and_scale_reaches_the_config(config, asked):
    main(["train", str(config)])
    main(["train", str(config), "--scale", "paper", "--name", "other", "--b1", "0.5"])
    (small, _), (paper, _) = asked
    assert (small.name, small.scale, [run.seed for run in small.runs]) == ("tiny", "small", [0, 1])
    assert (paper.name, paper.scale, [run.seed for run in paper.runs]) == (
        "other",
        "paper",
        [0, 1, 2, 3, 4],
    )


def test_an_override_that_makes_runs_equal_leaves_one_and_says_so(config, asked, capsys):
    main(["train", str(config), "--seed", "7"])
    assert asked[0][0].runs[0].seed == 7 and len(asked[0][0].runs) == 1
    said = "grok: note: 1 of 2 runs of 'tiny-seed=7' equal an earlier one: left out"
    assert said in capsys.readouterr().err.splitlines()


def test_how_to_train_reaches_the_sweep(config, asked):
    main(
        [
            "train",
            str(config),
            "--slots",
            "3",
            "--time-limit",
            "90",
            "--checkpoint-every",
            "5",
            "--anew",
            "--results",
            "elsewhere",
        ]
    )
    main(["train", str(config)])
    (_, given), (_, default) = asked
    assert given == sweep.Options(
        Path("elsewhere"), slots=3, time_limit=90.0, checkpoint_every=5.0, anew=True
    )
    assert default == sweep.Options(
        Path("results"), slots=None, time_limit=None, checkpoint_every=60.0, anew=False
    )


# --- Mistakes ---


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--operation x+*y", "'x+*y', position 3"),
        ("--operation x^2+", "'x^2+', position 5"),
        ("--operation __import__('os')", "position 1"),
        ("--structure Q8", "Q8"),
        ("--seed 2147483648", "must be below"),
        ("--structure Z1", "Z1"),
        ("--structure S", "'S'"),
        ("--operation x/y --modulus 12", "prime"),
        ("--train-fraction 0.001", "leaves no training row"),
        ("--train-fraction 0.999", "leaves no validation row"),
        ("--train-fraction 1.5", "train_fraction=1.5 must lie in (0, 1)"),
        ("--n-heads 3", "n_heads=3 does not divide d_model=8"),
        ("--corrupted-labels 25", "corrupted_labels=25 exceeds the 24 training rows"),
        ("--n-headz 3", "--n-headz"),
        ("--seeds 3", "--seeds"),
        ("--num-steps ten", "--num-steps"),
        ("--num-steps 10.5", "--num-steps"),
        ("--learning-rate fast", "--learning-rate"),
        ("--learning-rate nan", "learning_rate=nan must be finite"),
        ("--learning-rate -1", "learning_rate=-1.0 must be above 0"),
        ("--optimizer sofia", "sofia"),
        ("--optimizer adam --weight-decay 1", "adam has no weight decay"),
        ("--slots 0", "--slots"),
        ("--scale huge", "--scale"),
        ("--time-limit", "--time-limit"),
    ],
)
def test_a_mistake_in_an_override_gives_one_line_and_leaves_nothing(
    config, capsys, tmp_path, flags, said
):
    err = refused(capsys, "train", config, "--results", tmp_path / "results", *flags.split())
    assert said in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.py"], "nothing half-written"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not define an experiment"),
        ("experiment = 3", "does not define an experiment"),
        ("def experiment(:\n    pass", "line 1: SyntaxError"),
        ("import numpy\n\nexperiment = numpy.missing", "line 3: AttributeError"),
        (
            "from grok.experiment import Run\nexperiment = Run(n_heads=3)",
            "n_heads=3 does not divide d_model=128",
        ),
        (
            "from grok.experiment import Experiment\nexperiment = Experiment(name='none', runs=[])",
            "'none' has no runs",
        ),
        (
            "from grok.experiment import Run\ndef experiment(scale):\n    return [Run()]",
            "does not define an experiment",
        ),
    ],
)
def test_a_config_that_defines_no_experiment_gives_one_line(config, capsys, tmp_path, text, said):
    config.write_text(text)
    err = refused(capsys, "train", config, "--results", tmp_path / "results")
    assert said in err and str(config) in err
    assert not (tmp_path / "results").exists()


def test_a_missing_config_gives_one_line_and_the_nearest_name(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert "did you mean configs/quickstart.py?" in refused(
        capsys, "train", "configs/quikstart.py", "--results", tmp_path / "results"
    )
    assert "there is no config" in refused(capsys, "train", tmp_path / "none.py")
    assert "there is no config" in refused(capsys, "train", tmp_path)
    (tmp_path / "notes.txt").write_text("not Python")
    assert "is no Python file" in refused(capsys, "train", tmp_path / "notes.txt")


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_results_folder_that_cannot_be_written_gives_one_line(config, capsys, tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    assert "cannot write to" in refused(capsys, "train", config, "--results", tmp_path / place)
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_different_experiment_under_the_same_name_gives_one_line(config, capsys, tmp_path):
    other = Experiment(name="tiny", runs=[Run(seed=5), Run(seed=6)])
    sessions.begin(tmp_path / "results" / "tiny", other, {})
    before = (tmp_path / "results" / "tiny" / "experiment.json").read_bytes()
    err = refused(capsys, "train", config, "--results", tmp_path / "results")
    assert "holds a different experiment named 'tiny': its run 0 has" in err and "--name" in err
    assert (tmp_path / "results" / "tiny" / "experiment.json").read_bytes() == before
    assert not (tmp_path / "results" / "tiny" / "runs.parquet").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "COMMAND"),
        (["tabel", "x+y"], "tabel"),
        (["table"], "EXPR"),
        (["table", "x+"], "position 3"),
        (["table", "x/y", "--structure", "Z12"], "prime"),
        (["table", "x+y", "--structure", "K4"], "K4"),
        (["table", "x+y", "--modulus", "7"], "--modulus"),
        (["figures", "no_such_figure"], "no_such_figure"),
    ],
)
def test_a_mistake_in_another_command_gives_one_line(capsys, arguments, said):
    assert said in refused(capsys, *arguments)


def test_ctrl_c_before_training_gives_one_line(config, capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep, "train_experiment", interrupted)
    assert main(["train", str(config)]) == 130
    assert re.fullmatch(
        r"\n?grok: stopped; what was saved is intact[^\n]*\n", capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 63794462512 bytes."),
        MemoryError("Unable to allocate 59.4 GiB for an array with shape (4000, 4000, 999)"),
        MemoryError(),
    ],
)
def test_what_memory_does_not_hold_gives_one_line(config, monkeypatch, capsys, error):
    def too_much(*_):
        raise error

    monkeypatch.setattr(sweep, "train_experiment", too_much)
    assert main(["train", str(config)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("grok: memory does not hold this (") and "smaller structure" in line


def test_a_mistake_of_our_own_is_not_hidden(config, monkeypatch):
    monkeypatch.setattr(sweep, "train_experiment", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["train", str(config)])


def test_a_real_process_ends_with_status_2_and_one_line(start_grok, tmp_path):
    process = start_grok(
        "train", "configs/quickstart.py", "--operation", "x+*y", "--results", tmp_path / "results"
    )
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert err == "grok: operation 'x+*y', position 3: expected x, y, a number or '(', found '*'\n"
    assert not (tmp_path / "results").exists()


# --- Terminals ---


def shell(line: str, **environment):
    """What `python -m grok LINE` does in a shell."""
    return subprocess.run(
        f"{sys.executable} -m grok {line}",
        shell=True,
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_output_that_cannot_be_written_gives_one_line():
    done = shell("table x*y --structure Z50 > /dev/full")
    said = "grok: the output cannot be written (No space left on device)\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize(
    ("line", "status"),
    [("table x+y >&-", 0), ("table x+ 2>&-", 2), ("table x+ 2>/dev/full", 2), (">&- 2>&-", 2)],
)
def test_a_closed_or_full_terminal_changes_nothing(line, status):
    done = shell(line)
    assert done.returncode == status and "Traceback" not in done.stderr


def test_a_file_that_cannot_be_used_is_named_in_one_line(config, monkeypatch, capsys):
    def broken(*_):
        raise PermissionError(errno.EACCES, "Permission denied", "some/file")

    monkeypatch.setattr(sweep, "train_experiment", broken)
    assert refused(capsys, "train", config) == "grok: some/file: Permission denied\n"


NOT_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_a_terminal_gets_what_it_can_show_and_files_are_utf8(tiny, write_results, tmp_path):
    folder = write_results([tiny.replace(label="λ = 1")], [{}])
    config = tmp_path / "written.py"
    config.write_text(
        "from grok.experiment import Experiment, Run\n"
        f"experiment = Experiment(name='written', runs=[{tiny.replace(label='λ = 1')!r}])\n",
        encoding="utf-8",
    )
    line = f"train {config} --results {folder.parent} --no-figures"
    done = shell(line, **NOT_UTF8)
    assert done.returncode == 0 and "? = 1" in done.stdout, done.stderr
    done = shell(f"findings {folder}", **NOT_UTF8)
    assert done.returncode == 0, done.stderr
    assert "λ = 1" in shell(line, PYTHONUTF8="1").stdout


def test_a_name_that_the_locale_cannot_write_gives_one_line(tmp_path, config):
    done = shell(f"train {config} --label λ --results {tmp_path / 'r'}", **NOT_UTF8)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "is no text in this locale: set LC_ALL=C.UTF-8" in done.stderr


def test_ctrl_c_is_not_lost_in_a_callback(tmp_path):
    """As in that of XLA's garbage collector, where an exception is dropped."""
    path = tmp_path / "config.py"
    path.write_text(
        "import gc, signal\n"
        "gc.callbacks.append(lambda *_: signal.raise_signal(signal.SIGINT))\n"
        "gc.collect()\n" + CONFIG
    )
    done = shell(f"train {path} --results {tmp_path}")
    said = "\ngrok: stopped; what was saved is intact, the same command goes on from there\n"
    assert (done.returncode, done.stderr) == (130, said)


def test_ctrl_c_is_answered_before_any_module_is_imported():
    """What is imported before the handler is set ends in a traceback when it is interrupted."""
    code = "import sys, grok.__main__; print([m for m in sys.modules if m.startswith('grok')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['grok', 'grok.__main__']"


def test_complete_results_are_left_alone_with_a_word(tiny, config, capsys, write_results, tmp_path):
    folder = write_results([tiny], [{}])
    (folder / "checkpoints").rmdir()  # as in a fresh clone
    path = tmp_path / "written.py"
    path.write_text(
        "from grok.experiment import Experiment, Run\n"
        f"experiment = Experiment(name='written', runs=[{tiny!r}])\n"
    )
    before = (folder / "experiment.json").read_bytes()
    arguments = ["train", str(path), "--results", str(tmp_path), "--no-figures"]
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == f"grok: note: {folder} is complete: --anew trains it again\n"
    assert "x+y Z7" in out and (folder / "experiment.json").read_bytes() == before


def test_results_without_configs_is_one_line(capsys, tmp_path):
    err = refused(capsys, "results", "--configs", tmp_path, "--results", tmp_path)
    assert "there is no config in" in err and "--configs DIR" in err


# --- The main job ---


def test_make_train_trains_draws_and_says_where(tmp_path, quick_compilation):
    """With this interpreter for .venv, and .venv taken as made, so that nothing is installed."""
    arguments = (
        f"--modulus 7 --d-model 8 --n-heads 2 --num-steps 30 --eval-every 10 --results {tmp_path}"
    )
    environment = os.environ | {
        name.upper(): str(value) for name, value in quick_compilation.items()
    }
    command = [
        "make",
        "--no-print-directory",
        "-o",
        ".venv/.done",
        "train",
        f"IN={sys.executable}",
        f"ARGS={arguments}",
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    [folder] = tmp_path.iterdir()
    assert folder.name == "quickstart-d_model=8-n_heads=2-num_steps=30-eval_every=10-structure=Z7"
    table, lines = done.stdout.splitlines()[:3], done.stdout.splitlines()[3:]
    places = [Path(line) for line in lines if line.startswith(str(tmp_path))]
    story = [line for line in lines if not line.startswith(str(tmp_path))]
    assert (
        "AdamW, decay 1" in table[1]
        and "Adam, no decay" in table[2]
        and table[1].endswith("30 budget")
    )
    assert all(place.exists() and folder in (place, *place.parents) for place in places)
    assert story, "it ends with what was seen, in words"
    names = {place.name for place in places}
    assert {"runs.parquet", "curves.parquet", "arrays"} <= names
    assert {
        f"quickstart{kind}.{suffix}" for kind in ("", "_loss", "_tsne") for suffix in ("png", "pdf")
    } <= names
    assert (folder / "quickstart.png").read_bytes().startswith(b"\x89PNG") and (
        folder / "quickstart.pdf"
    ).read_bytes().startswith(b"%PDF")
    loaded = results.load(folder)
    assert (
        loaded.complete
        and loaded.runs["optimizer"].tolist() == ["adamw", "adam"]
        and set(loaded.runs["structure"]) == {"Z7"}
    )
    first = loaded.curves[loaded.curves["step"] == 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        first.iloc[[0]].drop(columns="run"),
        first.iloc[[1]].drop(columns="run").set_index(pd.Index([0])),
        rtol=1e-3,
    )


def test_make_alone_lists_the_targets():
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert all(
        f"make {target} " in listed
        for target in ("setup", "train", "test", "figures", "results", "bench")
    )
