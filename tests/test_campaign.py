"""All results from one command: the order, what failures and signals do, and what is run beside the trainings."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grok import campaign
from grok.__main__ import main, make_parser

ROOT = Path(__file__).parent.parent


@pytest.fixture
def steps(monkeypatch):
    """The steps that are run, each a list of words; `steps.status` gives a step's exit status (default 0). Nothing is run."""

    class Steps(list):
        status = {}

        def run(self, step):
            self.append(step)
            return next(
                (status for words, status in self.status.items() if words in " ".join(step)), 0
            )

    made = Steps()
    monkeypatch.setattr(campaign, "run", made.run)
    return made


def trained(steps) -> list[str]:
    return [Path(step[1]).stem for step in steps if step[0] == "train"]


def test_every_config_is_trained_once_and_what_it_reads_comes_first(steps, tmp_path):
    configs = tmp_path / "configs"
    configs.mkdir()
    for path in (ROOT / "configs").glob("*.py"):
        (configs / path.name).touch()
    (configs / "a_new_one.py").touch()
    assert campaign.make_all("small", tmp_path / "results", ["--anew"], configs) == 0
    names = trained(steps)
    assert (
        sorted(names) == sorted({path.stem for path in configs.glob("*.py")} - {"quickstart"})
        and names[-1] >= "a_new_one"
    )
    assert steps[-1] == ["figures", "--results", str(tmp_path / "results")], "once all is measured"
    assert names[:3] == ["figure1_left", "figure2_right", "figure1_center"]
    assert all(step[-1] == "--anew" and "--scale" in step for step in steps if step[0] == "train")
    words = [" ".join(step) for step in steps]
    place = {
        word: next(i for i, step in enumerate(words) if word in step)
        for word in (
            "figure2_right",
            "skipgram_Z31",
            "encodings.py",
            "flatness",
            "figure7.py",
            "scores",
        )
    }
    assert (
        place["figure2_right"] < place["encodings.py"]
        and place["skipgram_Z31"] < place["encodings.py"]
        and place["figure7.py"] < place["flatness"]
    )


@pytest.mark.parametrize("scale, suffix", [("small", ""), ("paper", "_paper")])
def test_measurements_follow_their_training_unless_their_table_is_there(
    steps, tmp_path, scale, suffix
):
    (tmp_path / f"figure3{suffix}").mkdir()
    (tmp_path / f"figure3{suffix}" / "scores.parquet").touch()
    campaign.make_all(scale, tmp_path, [], ROOT / "configs")
    assert [step for step in steps if step[0] in ("scores", "flatness")] == [
        ["flatness", str(tmp_path / f"figure7{suffix}")],
        ["scores", str(tmp_path / f"embeddings{suffix}")],
    ]


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_the_skipgram_table_is_the_one_that_encodings_reads(scale):
    """The command is one that made the committed table, and the config names that table."""
    [name] = [word for word in campaign.SKIPGRAM[scale] if word.startswith("skipgram")]
    text = (ROOT / "configs" / "encodings.py").read_text()
    assert f'"{name}"' in text
    assert (
        " ".join(["skipgram", *campaign.SKIPGRAM[scale]])
        in json.loads((ROOT / "results" / name / "experiment.json").read_text())["sessions"][0][
            "command"
        ]
    )
    assert make_parser().parse_args(["skipgram", *campaign.SKIPGRAM[scale]]).name == name


def test_a_failure_is_named_at_the_end_and_stops_nothing_but_its_own(steps, tmp_path, capsys):
    steps.status = {"figure7.py": 2, "scores": 1}
    assert campaign.make_all("small", tmp_path, [], ROOT / "configs") == 1
    assert trained(steps) == campaign.in_order(ROOT / "configs")
    assert not [step for step in steps if step[0] == "flatness"], "nothing to measure"
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and all(line.startswith("grok: failed: python -m grok ") for line in said)
    assert "scores" in said[0] and "figure7.py" in said[1] and "scores" in said[2]


@pytest.mark.parametrize(
    "status, code", [(75, 75), (130, 130), (-signal.SIGTERM, 143), (-signal.SIGINT, 130)]
)
def test_a_step_that_was_asked_to_stop_stops_the_whole(steps, tmp_path, capsys, status, code):
    steps.status = {"figure1_center": status}
    assert campaign.make_all("small", tmp_path, [], ROOT / "configs") == code
    assert trained(steps) == ["figure1_left", "figure2_right", "figure1_center"]
    assert re.fullmatch(r"grok: stopped[^\n]*\n", capsys.readouterr().err)


def test_the_command_line_hands_on_what_follows_two_dashes(monkeypatch):
    calls = []
    monkeypatch.setattr(campaign, "make_all", lambda *arguments: calls.append(arguments) or 1)
    assert main(["results", "--scale", "paper", "--", "--anew", "--time-limit", "60"]) == 1
    assert main(["results", "--scale", "small", "--"]) == 1
    assert calls == [
        ("paper", Path("results"), ["--anew", "--time-limit", "60"]),
        ("small", Path("results"), []),
    ]


def test_sigterm_reaches_the_step(tmp_path):
    """A process that waits for a step which saves and leaves with 75 when it is asked to stop, as training does."""
    step = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(75)); print('ready', flush=True); time.sleep(60)"
    code = f"import sys; from grok import campaign; import subprocess as s; P = s.Popen; s.Popen = lambda a: P([a[0], '-c', {step!r}]); sys.exit(campaign.run([]))"
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
