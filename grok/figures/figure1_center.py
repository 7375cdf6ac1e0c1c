"""Figure 1, centre: updates to 99% against the share of the table that is trained on."""

import numpy as np

from grok.analysis import survival
from grok.figures.parts import data, style, times
from grok.figures.parts.gallery import figure

STEEP_RANGE = 0.05  # the paper speaks of 25-30% data, where its curve is steepest
LEAST_FRACTIONS = 3
PAPER = "paper: 40 to 50%"


@figure("figure1_center", "figure1_center", caption="Figure 1 centre: medians (Kaplan-Meier).")
def figure1_center(results):
    runs = data.runs_with(results, "train_fraction", *times.COLUMNS)
    picture, [[axes]] = style.panels(height=2.7)
    axes.set_xlabel("Training data (%)")
    times.times_axis(axes, runs)
    if data.crossings(runs, "val")[0].empty:
        style.say(axes, "no run has been evaluated yet")
        return picture, ""
    for split in times.SPLITS:
        times.draw_times(axes, runs, "train_fraction", split, lambda fraction: 100 * fraction)
    note = draw_growth(axes, runs)
    style.legend_above(axes, columns=3)
    return picture, " ".join(
        filter(
            None,
            [times.spread(runs, "train_fraction"), note, "Open triangles: not reached by then."],
        )
    )


def draw_growth(axes, runs) -> str:
    """The exponential law at the steep end as a dashed line; returns its slope in words."""
    begun, crossed, last = data.crossings(runs, "val")
    fractions = begun["train_fraction"].to_numpy(float)
    chosen = steep_end(fractions, np.isfinite(crossed))
    if not chosen.any():
        return "No slope: no run reached 99% validation accuracy."
    law = survival.fit_growth(fractions[chosen], crossed[chosen], last[chosen])
    if np.isnan(law.value):
        return "No slope: too few runs reached 99% validation accuracy."
    ends = 100 * np.array([fractions[chosen].min(), fractions[chosen].max()])
    axes.plot(
        ends,
        np.exp(law.intercept + law.slope * ends),
        color=style.BLACK,
        linestyle="dashed",
        linewidth=1.2,
        label="fit",
        zorder=4,
    )
    return (
        f"Each 1% less data between {ends[1]:.3g}% and {ends[0]:.3g}% costs {law.value:+.0f}% "
        "updates "
        f"(95% interval {law.low:+.0f} to {law.high:+.0f}; {PAPER} on S5 near 25 to 30% data)."
    ).replace("-", "−")


def steep_end(fractions: np.ndarray, crossed: np.ndarray) -> np.ndarray:
    """Which runs [n] the slope is fitted to.

    They reach from the least fraction at which any run crossed to 5 points above the least at which
    most runs did, or to the third such fraction where the grid is coarser.
    """
    reached = np.unique(fractions[crossed])
    if not reached.size:
        return np.zeros(len(fractions), bool)
    mostly = [at for at in reached if crossed[fractions == at].mean() > 0.5] or reached
    last = max(mostly[min(LEAST_FRACTIONS, len(mostly)) - 1], mostly[0] + STEEP_RANGE)
    return (fractions >= reached[0]) & (fractions <= last + 1e-9)
