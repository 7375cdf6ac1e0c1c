"""Figure 1, centre: updates to 99% against the share of the table that is trained on."""

import numpy as np

from grok.figures.parts import style, times
from grok.figures.parts.gallery import figure
from grok.measure import findings
from grok.measure.findings.runs import TIMES, crossings, runs_with
from grok.measure.findings.words import interval


@figure(
    "figure1_center",
    "figure1_center",
    caption="Figure 1 centre: updates to 99% against data, and the growth at the steep end.",
)
def figure1_center(results):
    runs, found = runs_with(results, "train_fraction", *TIMES), findings.of(results)
    picture, [[axes]] = style.panels(height=2.7)
    axes.set_xlabel("Training data (%)")
    times.times_axis(axes, runs)
    if crossings(runs, "val")[0].empty:
        style.say(axes, "no run has been evaluated yet")
        return picture
    for split in times.SPLITS:
        times.draw_times(
            axes, runs, found.table("times"), "train_fraction", split, lambda x: 100 * x
        )
    growth = found["growth"]
    if np.isnan(growth.value):
        style.note(axes, "no slope: too few runs got there")
    else:
        law, ours = found.tables["law"][0], (growth.value, growth.low, growth.high)
        times.draw_law(axes, law, (100 * law["from"], 100 * law["to"]), lambda x: x)
        slope = interval(findings.Estimate(*ours), "+.0f", "%")
        style.note(axes, f"dashed: {slope}\nsteps for each 1% less data")
    style.legend_above(axes)
    return picture
