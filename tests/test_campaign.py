"""All results from one command: the order, failures, signals, and what is run beside trainings."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grok import campaign, config
from grok.__main__ import main
from grok.commands.parser import make_parser
from grok.experiment import SCALES, GrokError
from grok.store import marks, provenance, results

ROOT = Path(__file__).parent.parent


@pytest.fixture
def steps(monkeypatch):
    """The steps that are run, each a list of words; nothing is run.

    `steps.status` gives a step's exit status by some of its words (default 0).
    """

    class Steps(list):
        status = {}

        def run(self, step, deadline):
            self.append(step)
            return next(
                (status for words, status in self.status.items() if words in " ".join(step)), 0
            )

    made = Steps()
    monkeypatch.setattr(campaign, "run", made.run)
    monkeypatch.chdir(ROOT)
    return made


def options(tmp_path, **more):
    return campaign.Options(root=tmp_path, **more)


def trained(steps) -> list[str]:
    return [Path(step[1]).stem for step in steps if step[0] == "train"]


def write_config(folder, name, text=""):
    """A config of two tiny runs."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(
        "from grok.experiment import Experiment, Run, grid\n"
        f"experiment = Experiment(name='{name}', runs=grid(Run({TINY}), seed=[0, 1]))\n{text}"
    )


TINY = "structure='Z7', n_layers=1, n_heads=2, d_model=8, d_ff=16, num_steps=40, eval_every=20"


def test_every_config_is_trained_once_and_what_it_reads_comes_first(steps, tmp_path):
    assert campaign.make_all(options(tmp_path, arguments=("--anew",))) == 0
    every = {path.stem for path in (ROOT / "configs").glob("*.py")}
    names = trained(steps)
    assert sorted(names) == sorted(every - {"quickstart", "recipes"})
    assert steps[-1] == ["figures", "--results", str(tmp_path)], "once all is measured"
    assert names[0] == "figure3"
    assert all(step[-1] == "--anew" and "--scale" in step for step in steps if step[0] == "train")
    words = [" ".join(step) for step in steps]

    def place(word):
        return next(i for i, step in enumerate(words) if word in step)

    assert place("figure2_right.py") < place("encodings.py")
    assert place("skipgram") < place("encodings.py")
    assert place("figure7.py") < place("flatness")


def test_a_config_that_the_order_does_not_know_comes_last(steps, tmp_path):
    for name in ("a_new_one", "figure6"):
        write_config(tmp_path / "configs", name)
    assert campaign.make_all(options(tmp_path, configs=tmp_path / "configs")) == 0
    assert trained(steps) == ["figure6", "a_new_one"]


@pytest.mark.parametrize("scale, suffix", [("small", ""), ("night", "_night"), ("paper", "_paper")])
def test_measurements_follow_their_training(steps, tmp_path, scale, suffix):
    only = ("figure3", "figure7")
    campaign.make_all(options(tmp_path, scale=scale, only=only))
    assert trained(steps) == list(only)
    assert [step[:2] for step in steps if step[0] in ("scores", "flatness")] == [
        ["scores", str(tmp_path / f"figure3{suffix}")],
        ["flatness", str(tmp_path / f"figure7{suffix}")],
    ]


def test_only_tables_that_tell_of_the_runs_as_they_are_now_stay(steps, tmp_path, write_results):
    """One of two tables is there; then the experiment grows, and both are out of date."""
    after = """after = {
        "{folder}/scores.parquet": "scores {folder}",
        "{folder}/sharpness.parquet": "flatness {folder}",
    }"""
    write_config(tmp_path / "configs", "written", after)
    made = options(tmp_path, configs=tmp_path / "configs")
    runs = config.load(tmp_path / "configs" / "written.py", "small").experiment.runs
    folder = write_results(runs, [{}, {}])
    for number, measured in ((2, ["flatness"]), (3, ["scores", "flatness"])):
        runs = (*runs, *[runs[0].replace(seed=seed) for seed in range(2, number)])
        folder = write_results(runs, [{}] * number)
        if number == 2:
            loaded = results.load(folder)
            marks.write_measured(loaded, "scores", loaded.runs[["run"]])
        write_config(tmp_path / "configs", "written", after)
        grow = tmp_path / "configs" / "written.py"
        grow.write_text(grow.read_text().replace("seed=[0, 1]", f"seed=range({number})"))
        steps.clear()
        campaign.make_all(made)
        assert [step[0] for step in steps] == [*measured, "figures"]


def test_train_only_neither_measures_nor_draws(steps, tmp_path):
    campaign.make_all(options(tmp_path, only=("figure7", "encodings"), train_only=True))
    assert [step[0] for step in steps] == ["train", "skipgram", "train"]


@pytest.mark.parametrize("scale", SCALES)
def test_the_skipgram_table_is_the_one_that_encodings_reads(scale, monkeypatch):
    """The command is one that made the committed table, and the config names that table."""
    monkeypatch.chdir(ROOT)
    found = config.load("configs/encodings.py", scale)
    [(file, command)] = found.before.items()
    name = file.split("/")[1]
    tables = {run.table for run in found.experiment.runs}
    assert f"results/{name}/arrays/run_0000.npz" in tables
    made = json.loads((ROOT / "results" / name / "experiment.json").read_text())
    assert command.split(" --results")[0] in made["sessions"][0]["command"]
    assert make_parser().parse_args(shlex.split(command)).name == name


def test_a_failure_is_named_at_the_end_and_stops_nothing_but_its_own(steps, tmp_path, capsys):
    steps.status = {"figure7.py": 2, "scores": 1}
    only = ("figure3", "figure7", "figure6")
    assert campaign.make_all(options(tmp_path, only=only)) == 1
    assert trained(steps) == list(only)
    assert not [step for step in steps if step[0] == "flatness"], "nothing to measure"
    failed = [line for line in capsys.readouterr().err.splitlines() if "failed" in line]
    assert len(failed) == 2
    assert all(line.startswith("grok: failed: python -m grok ") for line in failed)
    assert "scores" in failed[0] and "figure7.py" in failed[1]


def test_a_config_with_a_mistake_is_named_and_the_others_are_made(steps, tmp_path, capsys):
    write_config(tmp_path / "configs", "good")
    write_config(tmp_path / "configs", "bad", "experiment = 1 / 0")
    assert campaign.make_all(options(tmp_path, configs=tmp_path / "configs")) == 1
    assert trained(steps) == ["good"]
    said = capsys.readouterr().err
    assert "ZeroDivisionError" in said and "grok: failed: python -m grok train" in said


@pytest.mark.parametrize(
    "status, code", [(75, 75), (130, 130), (-signal.SIGTERM, 143), (-signal.SIGINT, 130)]
)
def test_a_step_that_was_asked_to_stop_stops_the_whole(steps, tmp_path, capsys, status, code):
    steps.status = {"figure2_right": status}
    assert campaign.make_all(options(tmp_path)) == code
    assert trained(steps)[-1] == "figure2_right" and len(trained(steps)) < 5
    assert capsys.readouterr().err.endswith("grok: stopped; the same command goes on from there\n")


def test_an_unknown_name_is_refused_before_anything_is_made(steps, tmp_path):
    with pytest.raises(GrokError, match="there is no config figure33: --only takes figure3, "):
        campaign.make_all(options(tmp_path, only=("figure3", "figure33")))
    assert not steps


def test_the_command_line_says_what_to_make(monkeypatch):
    calls = []
    monkeypatch.setattr(campaign, "make_all", lambda options: calls.append(options) or 1)
    words = "results --scale night --only figure3 --only figure6 --time-limit 60 --train-only"
    assert main([*words.split(), "--", "--slots", "2"]) == 1
    assert main(["results"]) == 1
    assert calls == [
        campaign.Options(
            scale="night",
            arguments=("--slots", "2"),
            only=("figure3", "figure6"),
            time_limit=60.0,
            train_only=True,
        ),
        campaign.Options(),
    ]


def test_an_interrupted_campaign_says_how_far_it_is_and_trains_nothing_twice(tmp_path, start_grok):
    """Real trainings: SIGTERM in the second of three configs, then the same command again."""
    for name in ("a", "b", "c"):
        write_config(tmp_path / "configs", name)
    endless = tmp_path / "configs" / "b.py"
    endless.write_text(endless.read_text().replace("num_steps=40", "num_steps=10**6"))
    root = tmp_path / "results"
    where = ["--configs", tmp_path / "configs", "--results", root, "--train-only", "--cores", "1"]
    first = start_grok("results", *where, "--", "--checkpoint-every", "0.2")
    while not (root / "b" / "curves.parquet").exists() and first.poll() is None:
        time.sleep(0.1)
    first.terminate()
    said = first.communicate(timeout=120)[1]
    assert first.returncode == 75, said
    assert results.load(root / "a").complete
    assert not (root / "c").exists()
    assert re.search(r"^a +complete +2 runs$", said, re.MULTILINE)
    assert re.search(r"^b +under way +0 of 2 runs, at most \d+\.\d hours at ", said, re.MULTILINE)
    assert re.search(r"^c +waits +0 of 2 runs, at most ", said, re.MULTILINE)
    before = results.load(root / "b").runs["stopped_at"].sum()
    steps = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(campaign, "run", lambda step, _: steps.append(step) or 75)
        campaign.make_all(campaign.Options(root=root, configs=tmp_path / "configs"))
    assert trained(steps) == ["b"] and before > 0


def test_the_time_limit_holds_for_all_of_it(tmp_path, monkeypatch):
    """A step under way at the limit is asked to save and leave; none begins after it."""
    code = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(75));"
    monkeypatch.setattr(
        subprocess,
        "Popen",
        lambda command, make=subprocess.Popen: make([command[0], "-c", code + "time.sleep(60)"]),
    )
    monkeypatch.chdir(ROOT)
    start = time.monotonic()
    only = ("figure3", "figure6")
    assert campaign.make_all(options(tmp_path, only=only, time_limit=1.0)) == 75
    assert 1 <= time.monotonic() - start < 30
    assert campaign.run(["train"], deadline=time.monotonic()) == 75


def test_sigterm_reaches_the_step(tmp_path):
    """A process waits for a step that, as training does, saves and leaves with 75 when asked to."""
    step = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(75)); "
        "print('ready', flush=True); time.sleep(60)"
    )
    code = (
        "import sys; from grok import campaign; import subprocess as s; P = s.Popen; "
        f"s.Popen = lambda a: P([a[0], '-c', {step!r}]); sys.exit(campaign.run([]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        start = time.monotonic()
        process.send_signal(signal.SIGINT)  # as of Ctrl-C: the step has its own
        process.terminate()
        assert process.wait(timeout=30) == 75 and time.monotonic() - start < 30


def test_the_time_left_is_told_by_sessions_on_such_a_device(tmp_path, monkeypatch):
    sessions = [
        {"platform": "gpu", "seconds": 10.0, "run_updates": 9000},
        {"platform": "cpu", "seconds": 100.0, "run_updates": 10_000, "run_updates_before": 9000},
        {"platform": "cpu"},  # under way, or killed
    ]
    assert campaign.speed(sessions, "cpu") == 10.0 and campaign.speed(sessions, "gpu") == 900.0
    assert campaign.speed(sessions[:1], "cpu") is None and campaign.speed([], "gpu") is None
    monkeypatch.setattr(provenance, "NVIDIA_DEVICE", tmp_path)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    assert campaign.this_platform() == "gpu"
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert campaign.this_platform() == "cpu"
