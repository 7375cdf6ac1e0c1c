"""Beyond the paper: updates to generalise by how elements and positions are written."""

import textwrap
from typing import NamedTuple

import numpy as np
import pandas as pd

from grok.figures.parts import style
from grok.figures.parts.gallery import figure
from grok.measure import findings
from grok.measure.findings.encodings import POSITIONS, named_runs
from grok.measure.findings.runs import tasks
from grok.measure.findings.words import pretty

LOOKS = dict(zip(POSITIONS, zip(style.PALETTE, "osDX")))
NAME_WIDTH = 28  # characters
SMALL = 6
# Inches: a mark's line, a line of a name, between rows, the title and ticks of a panel.
MARK, NAME_LINE, GAP, HEAD = 0.053, 0.09, 0.035, 0.55


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


class Block(NamedTuple):
    """The tasks over one structure: they share their rows. panels: (title, runs) of each column."""

    rows: dict[str, Row]
    panels: list[tuple[str, pd.DataFrame]]

    @property
    def height(self) -> float:
        return max(row.bottom for row in self.rows.values())


@figure(
    "encodings",
    "encodings",
    caption="Updates to 99% validation accuracy: a row a way to write elements, a mark a way to "
    "write positions. Small dots: runs; large marks: medians with their interval (Kaplan-Meier; of "
    "fewer than 7 runs their range); open triangles: not reached by then, large ones where half of "
    "the runs or more never got there; at the right, how many of the runs got there, where some "
    "did and some did not.",
)
def encodings(results):
    runs = named_runs(results)
    if runs.empty:
        picture, [[axes]] = style.panels(height=2.2)
        style.say(axes, "no run has been evaluated yet")
        return picture
    medians = findings.of(results).table("times")
    blocks = [block_of(here) for _, here in runs.groupby("structure", sort=False)]
    columns = max(len(block.panels) for block in blocks)
    heights = [block.height + HEAD for block in blocks]
    picture, _ = style.panels(width=style.DOUBLE, height=sum(heights))
    picture.clear()
    grid = picture.add_gridspec(len(blocks), columns, height_ratios=heights)
    for line, block in enumerate(blocks):
        axes = [picture.add_subplot(grid[line, i]) for i in range(len(block.panels))]
        draw_block(axes, block, medians)
    used = [name for name in LOOKS if name in set(runs["positions"])]
    handles = [handle_of(picture.axes[0], name) for name in used]
    picture.legend(handles=handles, loc="outside upper center", ncols=4)
    return picture


def handle_of(axes, name: str):
    """A line of the legend."""
    colour, marker = LOOKS[name]
    words = f"positions {name}"
    return axes.plot([], [], marker=marker, color=colour, markersize=4, label=words)[0]


def block_of(runs: pd.DataFrame) -> Block:
    """The panels of the tasks over one structure: a column a task and decay, with decay first."""
    panels = []
    for operation, name, here in tasks(runs):
        for decays in sorted(here["decays"].unique(), reverse=True):
            title = f"{pretty(operation)} {name}\n{'with' if decays else 'without'} decay"
            panels.append((title, here[here["decays"] == decays]))
    return Block(rows_of(runs), panels)


def rows_of(runs: pd.DataFrame) -> dict[str, Row]:
    """The rows of every panel by encoding, top to bottom, as high as their marks or names need."""
    rows, top = {}, 0.0
    for name, here in runs.groupby("encoding", sort=False):
        words = textwrap.fill(name, NAME_WIDTH)
        used = [positions for positions in POSITIONS if positions in set(here["positions"])]
        height = max(len(used) * MARK, (words.count("\n") + 1) * NAME_LINE) + GAP
        first = top + (height - (len(used) - 1) * MARK) / 2
        marks = {positions: first + i * MARK for i, positions in enumerate(used)}
        rows[name] = Row(words, top, top + height, marks)
        top += height
    return rows


def draw_block(axes: list, block: Block, medians: pd.DataFrame) -> None:
    """The panels of a block; the first names the rows."""
    everything = pd.concat([runs for _, runs in block.panels])
    for column, (ax, (title, runs)) in enumerate(zip(axes, block.panels)):
        ax.set_ylim(block.height, 0)
        ax.set_title(title, fontsize=7, pad=3)
        updates_axis(ax, everything)
        draw_panel(ax, block.rows, runs, medians)
        names = [row.words if column == 0 else "" for row in block.rows.values()]
        style.name_ticks(ax.yaxis, [row.centre for row in block.rows.values()], names)


def updates_axis(axes, runs: pd.DataFrame) -> None:
    """Updates on a logarithmic axis that holds every run of a block, named where there is room."""
    left, right = runs[["crossed", "last"]].min(axis=None) / 1.5, runs["last"].max() * 1.5
    ticks = [10**e for e in range(8) if left <= 10**e <= right]
    if len(ticks) < 2:
        ticks = [m * 10**e for e in range(8) for m in (1, 3) if left <= m * 10**e <= right]
    axes.set(xscale="log", xlim=(left, right))
    axes.set_xlabel("Steps to 99%", fontsize=SMALL)
    style.name_ticks(axes.xaxis, ticks, [f"{tick:,}" for tick in ticks])


def draw_panel(axes, rows: dict[str, Row], runs: pd.DataFrame, medians: pd.DataFrame) -> None:
    """The runs of a task with decay, or those without."""
    across = axes.get_yaxis_transform()
    axes.tick_params(labelsize=SMALL)
    axes.tick_params(axis="y", length=0)
    edges = [row.bottom for row in rows.values()][:-1]
    axes.hlines(edges, 0, 1, transform=across, color="0.88", linewidth=0.5)
    for (name, positions), here in runs.groupby(["encoding", "positions"]):
        median = row_of(medians, here.iloc[0])
        draw_runs(axes, rows[name].marks[positions], here, median, *LOOKS[positions])


def row_of(medians: pd.DataFrame, run: pd.Series) -> pd.Series:
    """The median of the runs that are like one, from the findings."""
    keys = ["operation", "structure", "encoding", "positions", "weight_decay"]
    return medians[(medians[keys] == run[keys]).all(axis=1)].iloc[0]


def draw_runs(axes, y: float, runs: pd.DataFrame, median: pd.Series, colour, marker) -> None:
    """One line of a panel: the runs, their median, and how many crossed where some did not."""
    never = runs["crossed"].isna()
    axes.scatter(runs["crossed"], [y] * len(runs), s=3, color=colour, alpha=0.5, linewidths=0)
    if len(runs) > 1 and not never.all():
        right = min(median["high"], axes.get_xlim()[1])
        axes.hlines(y, median["low"], right, color=colour, linewidth=0.9)
    axes.plot(median["median"], y, marker=marker, color=colour, markersize=3.2, markeredgewidth=0)
    at, size = runs["last"][never], 5
    if np.isnan(median["median"]):
        at, size = [runs["last"].max()], 12
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
        words, across = f"{len(runs) - never.sum()}/{len(runs)}", axes.get_yaxis_transform()
        axes.text(1.02, y, words, transform=across, fontsize=4, color=colour, va="center")
