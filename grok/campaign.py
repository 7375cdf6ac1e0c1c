"""All results from one command (`make results`): every config in an order in which each finds what it reads.

Each step is a command of its own, as in `python -m grok train configs/figure7.py`. One that fails is named at the end
and does not stop the others; Ctrl-C, SIGTERM and a time limit stop the whole, and the same command goes on from there.
"""

import shlex
import signal
import subprocess
import sys
from pathlib import Path

from grok.experiment import results_name

LEFT_OUT = ("quickstart",)  # make train
ORDER = (
    "figure1_left",
    "figure2_right",
    "figure1_center",
    "figure2_left",
    "figure3",
    "figure6",
    "figure7",
    "weight_decay",
    "init_scale",
    "phase_map",
    "encodings",
    "embeddings",
)  # encodings reads tables of figure2_right
AFTER = {
    "figure3": ("scores", "scores"),
    "figure7": ("flatness", "sharpness"),
    "embeddings": ("scores", "scores"),
}  # config -> command, the table it leaves
SKIPGRAM = {  # scale -> how the skip-gram table is made that configs/encodings.py reads
    "small": (
        "x+y",
        "--structure",
        "Z31",
        "--train-fraction",
        "0.8",
        "--d-model",
        "32",
        "--name",
        "skipgram_Z31",
    ),
    "paper": ("x+y", "--structure", "Z97", "--name", "skipgram_x_plus_y"),
}
STOPPED = (
    130,
    75,
    -signal.SIGINT,
    -signal.SIGTERM,
)  # exit status of a command that was asked to stop


class Stopped(Exception):
    """A step was asked to stop, and so is all that would follow. `code` is the exit status."""

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code


def in_order(configs: Path) -> list[str]:
    """The names of all configs but LEFT_OUT: those of ORDER first, then whatever else there is."""
    found = sorted(path.stem for path in configs.glob("*.py") if path.stem not in LEFT_OUT)
    return [name for name in ORDER if name in found] + [name for name in found if name not in ORDER]


def make_all(scale: str, root: Path, arguments: list[str], configs: Path = Path("configs")) -> int:
    """Make the results of all configs at a scale under `root`; `arguments` go to every training. Returns the exit status."""
    failed = []
    try:
        for name in in_order(configs):
            failed += make(name, scale, root, arguments, configs)
        succeeds(
            ["figures", "--results", str(root)]
        )  # some show what was measured after their training
    except Stopped as stop:
        print("grok: stopped; the same command goes on from there", file=sys.stderr)
        return stop.code
    for step in failed:
        print(f"grok: failed: python -m grok {step}", file=sys.stderr)
    return 1 if failed else 0


def make(name: str, scale: str, root: Path, arguments: list[str], configs: Path) -> list[str]:
    """The steps of one config; returns those that failed. What follows a failed training is left out."""
    before = [["skipgram", *SKIPGRAM[scale], "--results", str(root)]] if name == "encodings" else []
    failed = [shlex.join(step) for step in before if not succeeds(step)]
    training = [
        "train",
        str(configs / f"{name}.py"),
        "--scale",
        scale,
        "--results",
        str(root),
        *arguments,
    ]
    if not succeeds(training):
        return [*failed, shlex.join(training)]
    folder = root / results_name(name, scale)
    command, table = AFTER.get(name, ("", ""))
    measuring = [command, str(folder)]
    if (
        command and not (folder / f"{table}.parquet").exists() and not succeeds(measuring)
    ):  # a table from before went with its networks
        failed.append(shlex.join(measuring))
    return failed


def succeeds(step: list[str]) -> bool:
    """Run a step to its end and say whether it did what it should. Raises Stopped where it was asked to stop."""
    status = run(step)
    if status in STOPPED:
        raise Stopped(status if status > 0 else 128 - status)
    return status == 0


def run(step: list[str]) -> int:
    """The exit status of a command of this package. A SIGTERM that reaches this process alone is handed on, so that the step saves.

    Ctrl-C reaches both; this process waits for the step to save.
    """
    process = None
    asked = {
        signal.SIGINT: lambda *_: None,
        signal.SIGTERM: lambda *_: process and process.terminate(),
    }
    before = {number: signal.signal(number, handler) for number, handler in asked.items()}
    try:
        process = subprocess.Popen([sys.executable, "-m", "grok", *step])
        return process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
