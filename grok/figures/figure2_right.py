"""Figure 2, right: how much data each operation needs.

The paper draws twelve lines in one panel, which cross and hide each other. Here each has a panel of
its own, those that need least data first.
"""

import numpy as np
import pandas as pd

from grok.figures.parts import fractions, style
from grok.figures.parts.gallery import figure
from grok.measure import findings
from grok.measure.findings.fractions import finished, horizon, words
from grok.measure.findings.words import number, pretty

COLUMNS = 4


@figure(
    "figure2_right",
    "figure2_right",
    caption="Figure 2 right: best validation accuracy within the budget, a panel an operation. "
    "Dots "
    "are runs, the line their mean; the dashed line is the least data tried at which the median "
    "seed passes 99%.",
)
def figure2_right(results):
    runs, found = finished(results, "structure"), findings.of(results)
    until = horizon(results)
    label = "Validation (%)" + ("" if np.isinf(until) else f"\nin {number(until)} updates")
    needs, means = found.tables["needs"], found.table("best")
    rows = -(-max(len(needs), 1) // COLUMNS)
    picture, axes = style.panels(
        rows,
        min(COLUMNS, max(len(needs), 1)),
        width=style.DOUBLE,
        height=1.35,
        sharex=True,
        sharey=True,
    )
    for ax in axes.flat[max(len(needs), 1) :]:
        ax.set_visible(False)
    fractions.fraction_axes(axes[0, 0])
    axes[0, 0].set_ylabel(label)
    if not needs:
        style.say(axes[0, 0], "no run has ended yet")
        return picture
    for ax, need in zip(axes.flat, needs):
        fractions.fraction_axes(ax)
        ax.set_ylabel(label)
        panel(ax, of(runs, need), of(means, need), need)
    style.outer_labels(axes)
    return picture


def of(table: pd.DataFrame, task: dict) -> pd.DataFrame:
    """The rows of a task."""
    alike = table["operation"] == task["operation"]
    return table[alike & (table["structure"] == task["structure"])]


def panel(axes, runs: pd.DataFrame, means: pd.DataFrame, need: dict) -> None:
    """Best validation accuracy of an operation, and the data it needs."""
    never = np.isnan(need["need"])
    colour = style.GREY if never else style.VALIDATION
    name = f"{pretty(need['operation'])}  {need['structure']}"
    axes.set_title(f"{name}\n{words(need)} needed", fontsize=6.5, pad=3)
    fractions.draw_best(axes, runs, means, "val", colour, "validation")
    if not never:
        axes.axvline(100 * need["need"], color=style.BLACK, linestyle="dashed", linewidth=0.8)
