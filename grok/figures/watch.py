"""The curves of a running experiment, drawn again and again: in the terminal, or as a PNG."""

import math
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TextIO

import matplotlib
import numpy as np

from grok import files
from grok.figures.parts import curves, style
from grok.store import outcomes, results
from grok.store.results import Results

MOST_RUNS = 4  # with a curve each on a terminal: the runs in training now, or the last that ended
LEAST_COLUMNS, LEAST_ROWS = 40, 12
PNG = "watch.png"
PNG_EVERY = 30.0  # seconds: drawing takes one, which training in the same process waits for
CLEAR = "\x1b[H\x1b[2J"  # to the top left, then an empty screen
SPLITS = {"train": "training", "val": "validation"}


class Watcher:
    """Shows an experiment's curves whenever it is asked to.

    On a terminal it redraws them in place, with the package plotext. Elsewhere it draws a PNG into
    the results folder, at most every `png_every` seconds, and says once where that is.
    """

    def __init__(self, folder: Path, screen: TextIO | None = None, png_every: float = PNG_EVERY):
        self.folder, self.png_every = Path(folder), png_every
        self.screen = screen or sys.stdout
        self.in_place = is_able(self.screen)
        self.last_png: float | None = None

    def show(self) -> Results:
        """Draw what the tables hold now; returns it. Raises GrokError where there is nothing."""
        loaded = results.load(self.folder)
        if self.in_place:
            size = shutil.get_terminal_size()
            print(CLEAR + screenful(loaded, size.columns, size.lines - 2), file=self.screen)
            self.screen.flush()
        else:
            self.draw_png(loaded)
        return loaded

    def draw_png(self, loaded: Results) -> None:
        now = time.monotonic()
        is_recent = self.last_png is not None and now - self.last_png < self.png_every
        if is_recent and not loaded.complete:
            return
        path = save_png(loaded)
        if self.last_png is None:
            print(f"curves: {path}, redrawn while it trains", file=self.screen, flush=True)
        self.last_png = now


def watch(folder: Path, every: float, screen: TextIO | None = None) -> None:
    """Redraw an experiment's curves every so many seconds until it is complete.

    Raises GrokError where nothing has been trained.
    """
    if has_only_begun(folder):
        print(f"{folder}: no curves yet, waiting", file=screen or sys.stdout, flush=True)
    while has_only_begun(folder):
        time.sleep(every)
    watcher = Watcher(folder, screen, png_every=every)
    while not watcher.show().complete:
        time.sleep(every)


def has_only_begun(folder: Path) -> bool:
    """Whether an experiment is being trained and was not evaluated yet."""
    parts = [folder, *folder.glob("part-*")]
    begun = any((part / "experiment.json").exists() for part in parts)
    return begun and not any((part / "curves.parquet").exists() for part in parts)


def is_able(screen: TextIO) -> bool:
    """Whether curves can be drawn in place: a terminal that moves its cursor, and plotext."""
    if not screen.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return False
    try:
        import plotext  # noqa: F401
    except ImportError:
        return False
    return True


# --- In the terminal ---


def screenful(loaded: Results, columns: int, rows: int) -> str:
    """Accuracies of the runs in training, by log updates, with a line that says how far it is."""
    import plotext

    columns, rows = max(columns, LEAST_COLUMNS), max(rows, LEAST_ROWS)
    plotext.terminal.limit(False, False)
    picture = plotext.figure
    picture.clear()
    picture.theme("clear")
    picture.plot_size(columns, rows - 1)
    picture.ruler("y").lim(0, 100)
    chosen = in_training(loaded)
    evaluated = loaded.curves[(loaded.curves["step"] > 0) & loaded.curves["run"].isin(chosen)]
    # The logarithm is taken here: plotext's own fails where there is one evaluation alone.
    last = math.log10(max(evaluated["step"].max(), 10)) if len(evaluated) else 1.0
    tens = list(range(int(last) + 1))
    picture.ruler("x").lim(0, last).ticks(tens, [f"{10**ten:,}" for ten in tens])
    for run in chosen:
        curve = evaluated[evaluated["run"] == run]
        for split, marker in (("train", "·"), ("val", "braille")):
            shown = curve.dropna(subset=f"{split}_accuracy")
            if shown.empty:
                continue
            x, y = np.log10(shown["step"]), 100 * shown[f"{split}_accuracy"]
            signal = picture.signal(x.tolist(), y.tolist(), marker=marker)
            signal.lines(True).label(f"run {run} {SPLITS[split]}")
            picture.draw(signal)
    return f"{headline(loaded)[:columns]}\n{picture.build()}"


def headline(loaded: Results) -> str:
    """How far an experiment is, in a line: its runs that ended, and the updates done."""
    n_ended = int(loaded.runs["status"].isin(outcomes.ENDED).sum())
    planned = len(loaded.description["experiment"]["runs"])
    updates = int(loaded.runs["stopped_at"].fillna(0).sum())
    return (
        f"{loaded.folder.name}: {n_ended} of {planned} runs ended, {updates:,} updates; "
        "accuracy in %"
    )


def in_training(loaded: Results) -> list[int]:
    """The runs to show: those in training, or where none is, the last that ended."""
    running = loaded.runs[loaded.runs["status"] == "running"]["run"]
    shown = running if len(running) else loaded.runs[loaded.runs["stopped_at"] > 0]["run"]
    return [int(run) for run in shown[-MOST_RUNS:]]


# --- As a PNG ---


def save_png(loaded: Results) -> Path:
    """Draw all runs' accuracies (or losses) into the results folder; returns the path."""
    path = loaded.folder / PNG
    with matplotlib.rc_context(style.LOOK), files.disk_errors(loaded.folder):
        metric = "loss" if curves.answers_nothing(loaded) else "accuracy"
        picture = style.as_written(curves.curves_figure(loaded, metric))
        with files.replacing(path) as side:
            picture.savefig(side, format="png")
    return path
