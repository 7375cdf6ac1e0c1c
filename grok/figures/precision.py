"""Beyond the paper: when networks reach 99% validation accuracy, by precision of products."""

import numpy as np

from grok.figures.parts import style
from grok.figures.parts.gallery import figure
from grok.measure import findings
from grok.measure.findings.precision import REFERENCE, is_its_own
from grok.measure.findings.runs import TIMES, crossings, runs_with
from grok.measure.findings.words import interval

LOOKS = {
    "float32": (style.BLACK, "solid"),
    "tf32": (style.BLUE, "dashed"),
    "bf16": (style.VERMILION, "dotted"),
}


@figure(
    "precision",
    "precision",
    caption="Share of runs that have reached 99% validation accuracy (Kaplan-Meier, 95% bands) and "
    "the median update at which they do.",
)
def precision(results):
    found = findings.of(results)
    _, crossed, last = crossings(runs_with(results, "precision", *TIMES), "val")
    picture, [[axes]] = style.panels(height=2.5)
    style.accuracy_axis(axes, "Runs at 99% validation (%)")
    style.step_axis(axes, last.max(initial=10))
    if not found.tables["medians"]:
        style.say(axes, "no run has been evaluated yet")
        return picture
    if np.isfinite(crossed).any():
        axes.set_xlim(left=max(np.nanmin(crossed) / 3, 1))
    reached = found.table("reached")
    for row in found.tables["medians"]:
        here = reached[reached["precision"] == row["precision"]]
        draw_share(axes, here, row, name_of(results, row["precision"]))
    style.legend_above(axes, columns=1)
    return picture


def name_of(results, precision: str) -> str:
    """A precision in the legend; one that the device did not have says in what it was computed."""
    own = precision == REFERENCE or is_its_own(results, precision)
    return precision if own else f"{precision} (computed in {REFERENCE})"


def draw_share(axes, reached, row: dict, name: str) -> None:
    """The share of the runs of one precision that have crossed, a step line with its band."""
    colour, dashes = LOOKS[row["precision"]]
    low, high = 100 * reached["low"], 100 * reached["high"]
    axes.plot(
        reached["step"],
        100 * reached["share"],
        color=colour,
        linestyle=dashes,
        drawstyle="steps-post",
        label=f"{name}, {median_words(row)}",
    )
    axes.fill_between(
        reached["step"], low, high, step="post", color=colour, alpha=0.12, linewidth=0
    )


def median_words(row: dict) -> str:
    """The median with its interval, in words."""
    if np.isnan(row["median"]):
        return "median not reached"
    return f"median {interval(findings.Estimate(row['median'], row['low'], row['high']))}"
