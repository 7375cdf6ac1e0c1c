"""Learning curves of all runs: of the quickstart, and of any experiment without a figure."""

import math
import textwrap
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from grok.figures.parts import style
from grok.figures.parts.gallery import figure
from grok.measure.findings.runs import legend_names, runs_with

MOST_NAMES = 16
SHORT_NAME = 22  # characters of which two stand side by side in a legend
LONGEST_LINE = 48  # characters of a name in a line of the legend
MOST_LINES = 3  # of a name
LEGEND_ROWS, ROW = 2, 0.15  # rows for which a picture has room, and what each more takes, in inches
MANY_RUNS = 12
# Evaluations of a run. Longer curves that collapse and recover would be a solid mass of ink.
MANY_POINTS = 150
WINDOWS = 15  # to a factor of ten in updates
DASHES: dict[str, Any] = {"train": (0, (3, 1.5)), "val": "solid"}


@figure(
    "learning_curves",
    caption="Every run on its full training and validation tables: accuracy, or loss where nothing "
    "answers equations.",
)
def learning_curves(results):
    return curves_figure(results, "loss" if answers_nothing(results) else "accuracy")


@figure(
    "quickstart",
    "quickstart",
    caption="The same split and the same initial weights, with and without weight decay.",
)
def quickstart(results):
    return curves_figure(results, "accuracy")


@figure(
    "quickstart_loss",
    "quickstart",
    caption="Cross-entropy of the same runs; a gap is a loss of exactly 0 in float32.",
)
def quickstart_loss(results):
    return curves_figure(results, "loss")


def answers_nothing(results) -> bool:
    """Whether runs were evaluated, but have no accuracy, as skip-gram's vectors."""
    results.need_curves("train_accuracy")
    return len(results.curves) > 0 and results.curves["train_accuracy"].isna().all()


def curves_figure(results, metric: str):
    """A figure of one column with the accuracy or loss curves of all runs."""
    picture, [[axes]] = style.panels(height=2.5)
    draw_curves(axes, results, metric)
    make_room(picture, axes)
    return picture


def make_room(picture, axes) -> None:
    """Let a picture grow with the rows of its legend, so that the axes keep their height."""
    legend = axes.get_legend()
    names = [text.get_text() for text in legend.get_texts()] if legend else []
    lines = sum(name.count("\n") + 1 for name in names)
    more = max(0, math.ceil(lines / columns_for(names)) - LEGEND_ROWS)
    width, height = picture.get_size_inches()
    picture.set_size_inches(width, height + more * ROW)


def columns_for(names: list[str]) -> int:
    """Columns of a legend with these names."""
    return 1 if max(map(len, names), default=0) > SHORT_NAME else 2


def are_long(curves: pd.DataFrame) -> bool:
    """Whether a run has more than MANY_POINTS evaluations."""
    return bool((curves[curves["step"] > 0].groupby("run").size() > MANY_POINTS).any())


def draw_curves(axes, results, metric: str) -> None:
    """All runs' `metric` against updates: training dashed, validation solid.

    A colour stands for a name in the legend. metric: 'accuracy' or 'loss'.
    """
    runs = runs_with(results, "weight_decay", "operation")
    curves = results.curves
    results.need_curves(f"train_{metric}", f"val_{metric}")
    curves = curves[curves["step"] > 0]
    style.step_axis(axes, curves["step"].max() if len(curves) else 10)
    style.accuracy_axis(axes) if metric == "accuracy" else loss_axis(axes, results)
    if curves.empty:
        style.say(axes, "no run has been evaluated yet")
        return
    names = legend_names(runs)
    colours = legend_colours(runs, names)
    width = 0.6 if len(runs) > MANY_RUNS else 1.2
    draw_lines(
        axes,
        curves,
        runs["run"],
        [colours[name] for name in names],
        metric,
        width,
        by_windows=are_long(curves),
    )
    style.legend_above(axes, legend_handles(colours), columns_for(list(colours)))


def draw_lines(
    axes,
    curves: pd.DataFrame,
    numbers,
    colours,
    metric: str,
    width: float,
    by_windows: bool = False,
) -> None:
    """Both curves of each of the runs `numbers` in its colour, by evaluations or by windows."""
    for number, colour in zip(numbers, colours):
        curve = curves[curves["run"] == number]
        for split, dashes in DASHES.items():
            column = f"{split}_{metric}"
            shown = (
                windows(curve, column) if by_windows else curve.assign(median=values(curve, column))
            )
            if "low" in shown:
                style.band(axes, shown["step"], shown["low"], shown["high"], colour)
            axes.plot(
                shown["step"], shown["median"], color=colour, linestyle=dashes, linewidth=width
            )


def windows(curve: pd.DataFrame, column: str) -> pd.DataFrame:
    """A curve by windows of equal width in log updates: step, and median, low, high as drawn.

    Windows are counted back from the last update, so that the last one, which holds most
    evaluations, is a whole one.
    """
    parts = curve.groupby(-np.floor(WINDOWS * np.log10(curve["step"].max() / curve["step"])))
    found = pd.DataFrame(
        {
            "step": parts["step"].median(),
            **{
                name: getattr(parts[column], how)()
                for name, how in (("median", "median"), ("low", "min"), ("high", "max"))
            },
        }
    )
    return found.assign(
        **{name: drawable(found[name], column) for name in ("median", "low", "high")}
    )


def values(curve: pd.DataFrame, column: str) -> np.ndarray:
    """A column of a curve as it is drawn."""
    return drawable(curve[column], column)


def drawable(metric, column: str) -> np.ndarray:
    """Values as they are drawn: accuracies in per cent, losses without zeros and infinities."""
    metric = np.asarray(metric, float)
    if column.endswith("accuracy"):
        return 100 * metric
    return np.where(np.isfinite(metric) & (metric > 0), metric, np.nan)


def loss_axis(axes, results) -> None:
    """Losses of answers go to zero, so their axis is logarithmic; those of skip-gram stay above."""
    axes.set_ylabel("Loss")
    axes.set_yscale("linear" if answers_nothing(results) else "log")


def legend_colours(runs: pd.DataFrame, names_R: pd.Series) -> dict:
    """A colour for each name: by decay where that is the difference, else the palette, or a ramp.

    names_R: the name of each of the runs.
    """
    names = list(dict.fromkeys(names_R))
    decays = {name: set(runs["weight_decay"][names_R == name] > 0) for name in names}
    if len(names) == 2 and sorted(map(list, decays.values())) == [[False], [True]]:
        return {
            name: style.WITH_DECAY if decays[name] == {True} else style.WITHOUT_DECAY
            for name in names
        }
    if len(names) <= len(style.PALETTE):
        return dict(zip(names, style.PALETTE))
    return dict(zip(names, style.ramp(len(names))))


def legend_handles(colours: dict) -> list[Line2D]:
    """A line for each name and one for each kind of line.

    Of many names some are evenly chosen, and the last name says how many more there are.
    """
    names = list(colours)
    if len(names) > MOST_NAMES:
        names = [names[i] for i in np.linspace(0, len(names) - 1, MOST_NAMES).round().astype(int)]
    solid = [Line2D([], [], color=colours[name], label=in_lines(name)) for name in names]
    if len(names) < len(colours):
        more = f"and {len(colours) - len(names)} more between"
        solid.append(Line2D([], [], linestyle="none", label=more))
    kinds = [
        Line2D(
            [],
            [],
            color=style.GREY,
            linestyle=dashes,
            label={"train": "training", "val": "validation"}[split],
        )
        for split, dashes in DASHES.items()
    ]
    return solid + kinds


def in_lines(name: str) -> str:
    """A name in as many lines as it takes, or as there may be."""
    return textwrap.fill(name, LONGEST_LINE, max_lines=MOST_LINES, placeholder=" …")
