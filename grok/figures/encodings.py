"""Beyond the paper: updates to generalise by how elements and positions are written."""

import textwrap
from typing import NamedTuple

import numpy as np
import pandas as pd

from grok.analysis import survival
from grok.figures.parts import encoding_times, style
from grok.figures.parts.encoding_times import POSITIONS, TASK
from grok.figures.parts.gallery import figure

LOOKS = dict(zip(POSITIONS, zip(style.PALETTE, "osDX")))
NAME_WIDTH = 28  # characters
SMALL = 6
MARK, NAME_LINE, GAP, HEAD = (
    0.053,
    0.09,
    0.035,
    0.37,
)  # inches: a mark's line, a line of a name, between rows, the title and ticks of a panel


class Row(NamedTuple):
    """A value encoding: its place in every panel and the height of each of its position encodings.

    Heights are inches from the top.
    """

    words: str
    top: float
    bottom: float
    marks: dict[str, float]

    @property
    def centre(self) -> float:
        return (self.top + self.bottom) / 2


@figure(
    "encodings",
    "encodings",
    table=encoding_times.markdown,
    caption="Updates to 99% validation accuracy: a row a way to write elements, a mark a way to "
    "write positions. Small dots: runs; large marks: medians with "
    "95% intervals (Kaplan-Meier; of fewer than 7 runs their range); open triangles: not reached "
    "by then, large ones where half "
    "of the runs or more never got there; at the right, how many of the runs got there, where some "
    "did and some did not.",
)
def encodings(results):
    runs = encoding_times.named_runs(results)
    if runs.empty:
        picture, [[axes]] = style.panels(height=2.2)
        style.say(axes, "no run has been evaluated yet")
        return picture, ""
    rows, tasks = rows_of(runs), list(runs.groupby(TASK, sort=False))
    decays = sorted(runs["decays"].unique(), reverse=True)
    bottom = max(row.bottom for row in rows.values())
    picture, axes = style.panels(
        len(decays), len(tasks), width=style.DOUBLE, height=bottom + HEAD, sharex="col", sharey=True
    )
    axes[0, 0].set_ylim(bottom, 0)
    style.name_ticks(
        axes[0, 0].yaxis,
        [row.centre for row in rows.values()],
        [row.words for row in rows.values()],
    )
    for across, (task, of_task) in zip(axes.T, tasks):
        updates_axis(across[-1], of_task)
        across[0].set_title(" ".join(map(style.pretty, task)), fontsize=8)
        for ax, decay in zip(across, decays):
            draw_panel(ax, rows, of_task[of_task["decays"] == decay])
    for ax, decay in zip(axes[:, 0], decays):
        ax.set_ylabel("with weight decay" if decay else "without weight decay")
    handles = [
        axes[0, 0].plot(
            [],
            [],
            marker=marker,
            color=colour,
            markersize=4,
            linewidth=1,
            label=f"positions {name}",
        )[0]
        for name, (colour, marker) in LOOKS.items()
        if name in set(runs["positions"])
    ]
    picture.legend(handles=handles, loc="outside upper center", ncols=4)
    return picture, encoding_times.prediction(results, runs)


def rows_of(runs: pd.DataFrame) -> dict[str, Row]:
    """The rows of every panel by encoding, top to bottom, as high as their marks or names need."""
    rows, top = {}, 0.0
    for name, here in runs.groupby("encoding", sort=False):
        words = textwrap.fill(name, NAME_WIDTH)
        used = [positions for positions in POSITIONS if positions in set(here["positions"])]
        height = max(len(used) * MARK, (words.count("\n") + 1) * NAME_LINE) + GAP
        first = top + (height - (len(used) - 1) * MARK) / 2
        rows[name] = Row(
            words,
            top,
            top + height,
            {positions: first + i * MARK for i, positions in enumerate(used)},
        )
        top += height
    return rows


def updates_axis(axes, runs: pd.DataFrame) -> None:
    """Updates on a logarithmic axis that holds every run of a task, named where there is room."""
    left, right = runs[["crossed", "last"]].min(axis=None) / 1.5, runs["last"].max() * 1.5
    multiples = (1, 3) if right < 300 * left else (1,)
    ticks = [m * 10**e for e in range(8) for m in multiples if left <= m * 10**e <= right]
    axes.set(xscale="log", xlim=(left, right), xlabel="Steps to 99% validation")
    style.name_ticks(axes.xaxis, ticks, [f"{tick:,}" for tick in ticks])


def draw_panel(axes, rows: dict[str, Row], runs: pd.DataFrame) -> None:
    """The runs of a task with decay, or those without."""
    across = axes.get_yaxis_transform()
    axes.tick_params(labelsize=SMALL)
    axes.tick_params(axis="y", length=0)
    axes.hlines(
        [row.bottom for row in rows.values()][:-1],
        0,
        1,
        transform=across,
        color="0.88",
        linewidth=0.5,
    )
    for (name, positions), here in runs.groupby(["encoding", "positions"]):
        draw_runs(axes, rows[name].marks[positions], here, *LOOKS[positions])
    for name in rows.keys() - set(runs["encoding"]):
        axes.text(
            0.5,
            rows[name].centre,
            "not run",
            transform=across,
            fontsize=5.5,
            color=style.GREY,
            ha="center",
            va="center",
        )


def draw_runs(axes, y: float, runs: pd.DataFrame, colour: str, marker: str) -> None:
    """One line of a panel: the runs, their median, and how many crossed where some did not."""
    never = runs["crossed"].isna()
    axes.scatter(runs["crossed"], [y] * len(runs), s=3, color=colour, alpha=0.5, linewidths=0)
    median = survival.median_time(runs["crossed"], runs["last"])
    if len(runs) > 1 and not never.all():
        axes.hlines(
            y, median.low, min(median.high, axes.get_xlim()[1]), color=colour, linewidth=0.9
        )
    axes.plot(median.value, y, marker=marker, color=colour, markersize=3.2, markeredgewidth=0)
    at, size = ([runs["last"].max()], 12) if np.isnan(median.value) else (runs["last"][never], 5)
    axes.scatter(
        at,
        [y] * len(at),
        marker=">",
        s=size,
        facecolors="white",
        edgecolors=colour,
        linewidths=0.6,
        zorder=3,
    )
    if 0 < never.sum() < len(runs):
        axes.text(
            1.02,
            y,
            f"{len(runs) - never.sum()}/{len(runs)}",
            transform=axes.get_yaxis_transform(),
            fontsize=4,
            color=colour,
            va="center",
        )
