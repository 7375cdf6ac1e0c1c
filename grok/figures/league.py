"""The league: times to 99% over those of tuned AdamW, and the grids that each method was tuned on.

A column a task, a row a method.
"""

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle
from matplotlib.ticker import NullFormatter

from grok.figures.parts import style
from grok.figures.parts.gallery import figure
from grok.measure import findings
from grok.measure.findings.league import REFERENCE, TIMES

LOOKS = {"first": (style.BLUE, "o", -0.16), "lasting": (style.VERMILION, "s", 0.16)}
ROW, HEAD = 0.2, 0.75  # inches
WIDEST = (0.08, 12.0)  # ratios that are drawn; beyond, an arrow
COLOURS, NEVER = "Blues_r", "0.9"


@figure(
    "league",
    "league",
    caption="Median updates to 99% validation accuracy of each method at its tuned cell, over "
    "those of AdamW tuned alike, with 95% intervals (bootstrap over seeds): first crossing "
    "(circles) and lasting crossing (squares), filled where the log-rank test, paired by seed and "
    "corrected after Holm, has p < 0.05. Arrows: beyond the axis, or half of the runs never get "
    "there. Right: runs that lastingly get there, and how many of all fall back below 90% (↓). "
    "Where AdamW does not get there in half of its seeds, median updates stand in place of ratios.",
)
def league(results):
    rows = findings.of(results).table("standings", "task", "method")
    if rows.empty:
        picture, [[axes]] = style.panels()
        style.say(axes, "no run has ended yet")
        return picture
    methods, tasks = (list(dict.fromkeys(rows[name])) for name in ("method", "task"))
    height = HEAD + ROW * len(methods)
    picture, [panels] = style.panels(1, len(tasks), style.DOUBLE, height, sharey=True)
    for axes, task in zip(panels, tasks):
        draw_task(axes, rows[rows["task"] == task].set_index("method"), methods)
        axes.set_title(task, fontsize=8)
    style.name_ticks(panels[0].yaxis, range(len(methods)), methods)
    panels[0].set_ylim(len(methods) - 0.5, -0.5)
    picture.legend(handles=handles(panels[0]), loc="outside upper center", ncols=2)
    return picture


def handles(axes) -> list:
    """The lines of the legend."""
    words = {"first": "first crossing of 99%", "lasting": "lasting crossing"}
    return [
        axes.plot([], [], linestyle="", marker=marker, color=colour, label=words[which])[0]
        for which, (colour, marker, _) in LOOKS.items()
    ]


def draw_task(axes, rows: pd.DataFrame, methods: list[str]) -> None:
    """One column: ratios to AdamW, or updates where AdamW has no median."""
    as_ratio = bool(np.isfinite(rows.loc[REFERENCE, "lasting_value"]))
    axes.set_xscale("log")
    reference = 1.0 if as_ratio else rows["budget"].max()
    limits = WIDEST if as_ratio else (reference / 30, reference * 1.5)
    axes.set_xlim(*limits)
    axes.axvline(reference, color=style.GREY, linewidth=0.8, linestyle="dashed")
    axes.set_xlabel("Updates over AdamW's" if as_ratio else "Updates to 99%")
    for y, method in enumerate(methods):
        if method in rows.index:
            draw_method(axes, y, rows.loc[method], as_ratio)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color="0.93", linewidth=0.6)
    axes.set_axisbelow(True)


def draw_method(axes, y: int, row: pd.Series, as_ratio: bool) -> None:
    """The marks of a method with their intervals, and how many of its runs get there."""
    left, right = axes.get_xlim()
    for which in TIMES:
        colour, marker, offset = LOOKS[which]
        prefix = f"ratio_{which}" if as_ratio else which
        value, low, high = (row[f"{prefix}_{name}"] for name in ("value", "low", "high"))
        if as_ratio and row.name == REFERENCE:
            value = low = high = 1.0
        value = right * 2 if np.isnan(value) else value
        fill = colour if row[f"p_{which}"] < 0.05 else "none"
        if not left <= value <= right:
            marker = "<" if value < left else ">"
        at = np.clip(value, left * 1.08, right / 1.08)
        ends = [np.clip(end, left, right) for end in (low, high)]
        if not np.isnan(ends).any():
            axes.hlines(y + offset, *ends, color=colour, linewidth=0.9)
        look = {"facecolors": fill, "edgecolors": colour, "linewidths": 0.8, "zorder": 3}
        axes.scatter(at, y + offset, s=11, marker=marker, **look)
    words = f"{row['lasting_reached']}/{row['runs']}"
    words += f" ↓{row['fell']}" if row["fell"] else ""
    place = axes.get_yaxis_transform()
    axes.text(1.02, y, words, transform=place, fontsize=6, va="center", clip_on=False)


@figure(
    "league_tuning",
    "league_tuning",
    caption="The tuning of the league, by learning rate (across, low to high) and by decay within "
    "strength (down, low to high). Colour: median updates of the tuning seeds to the first "
    "crossing of 99%, grey where half of them or more never cross. Number: in how many seeds it "
    "lasts, where it does. Framed: the cell that was chosen.",
)
def league_tuning(results):
    rows = findings.of(results).table("cells", "task", "method")
    if rows.empty:
        picture, [[axes]] = style.panels()
        style.say(axes, "no run has ended yet")
        return picture
    methods, tasks = (list(dict.fromkeys(rows[name])) for name in ("method", "task"))
    reached = rows["first"][np.isfinite(rows["first"])]
    norm = LogNorm(reached.min(), reached.max()) if reached.nunique() > 1 else LogNorm(1, 1e4)
    picture, panels = style.panels(len(tasks), len(methods), style.DOUBLE, 1.15)
    for line, task in zip(panels, tasks):
        for axes, method in zip(line, methods):
            here = rows[(rows["task"] == task) & (rows["method"] == method)]
            draw_map(axes, here, norm)
        line[0].set_ylabel(task.replace(" without", "\nwithout"), fontsize=7)
    for axes, method in zip(panels[0], methods):
        axes.set_title(method, fontsize=6, rotation=60, ha="left", va="bottom", loc="left")
    colours = ScalarMappable(norm, COLOURS)
    bar = picture.colorbar(colours, ax=panels, location="right", shrink=0.6, pad=0.01, aspect=25)
    bar.set_label("Updates to 99%", fontsize=7)
    return picture


def draw_map(axes, here: pd.DataFrame, norm) -> None:
    """The grid of a method on a task, a square a cell."""
    axes.set(xticks=[], yticks=[])
    if here.empty:
        axes.axis("off")
        return
    others = here[["decay", "strength"]].drop_duplicates().sort_values(["strength", "decay"])
    keys = [tuple(pair) for pair in others.fillna(-1).to_numpy()]
    rates = sorted(set(here["rate"]))
    found = np.full((len(keys), len(rates)), np.nan)
    for row in here.fillna({"strength": -1}).itertuples():
        y, x = at = keys.index((row.decay, row.strength)), rates.index(row.rate)
        found[at] = row.first if np.isfinite(row.first) else np.nan
        if row.reached:
            ink = "w" if norm(found[at]) < 0.5 else "k"
            axes.text(x, y, row.reached, fontsize=5, ha="center", va="center", color=ink)
        if row.chosen:
            corner = x - 0.5, y - 0.5
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=style.VERMILION, zorder=3))
    axes.set_facecolor(NEVER)
    axes.imshow(found, norm=norm, cmap=COLOURS, aspect="auto")
