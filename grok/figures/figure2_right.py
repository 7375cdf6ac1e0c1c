"""Figure 2, right: how much data each operation needs."""

import numpy as np

from grok.analysis import survival
from grok.figures.parts import data, fractions, style
from grok.figures.parts.gallery import figure
from grok.store.results import THRESHOLD

TASK = ["operation", "structure"]
LINES = ("solid", (0, (3, 1.5)), (0, (1, 1)))


@figure(
    "figure2_right",
    "figure2_right",
    caption="Figure 2 right: best validation accuracy within the budget (mean over seeds), and the "
    "least "
    "fraction tried at which it passes 99% (median over seeds), which also names the lines.",
)
def figure2_right(results):
    runs = fractions.finished(results)
    picture, [[left, right]] = style.panels(
        1, 2, width=style.DOUBLE, height=3.0, gridspec_kw={"width_ratios": [3, 2]}
    )
    fractions.fraction_axes(left)
    left.set_ylabel("Best validation accuracy (%)")
    right.set(xlim=(0, 104), xlabel="Training data needed (%)")
    if runs.empty:
        style.say(left, "no run has ended yet")
        style.name_ticks(right.yaxis, [], [])
        return picture, ""
    needs = {key: need(here) for key, here in runs.groupby(TASK, sort=False)}
    order = sorted(
        needs, key=lambda key: (np.isnan(needs[key].value), needs[key].value, -runs_mean(runs, key))
    )
    for place, key in enumerate(order):
        look = {
            "color": style.PALETTE[place % 8],
            "linestyle": LINES[place // 8 % 3],
            "marker": style.MARKERS[place % len(style.MARKERS)],
        }
        here = of(runs, key)
        draw_operation(left, here, look)
        draw_need(right, place, needs[key], 100 * here["train_fraction"].max(), look)
    style.name_ticks(
        right.yaxis,
        range(len(order)),
        [f"{style.pretty(operation)}  {structure}" for operation, structure in order],
    )
    right.set_ylim(len(order) - 0.4, -0.6)
    words = [
        data.spread(
            "Bands and bars", runs.groupby([*TASK, "train_fraction"]).size(), "mean or median"
        )
    ]
    words += ["Open triangles: never within what was tried."] * any(
        np.isnan(n.value) for n in needs.values()
    )
    return picture, " ".join(filter(None, words))


def of(runs, key):
    operation, structure = key
    return runs[(runs["operation"] == operation) & (runs["structure"] == structure)]


def runs_mean(runs, key) -> float:
    return of(runs, key)["best_val_accuracy"].mean()


def need(runs) -> survival.Estimate:
    """The fraction at which an operation's runs first pass 99%, a survival estimate over seeds."""
    return survival.crossing_fraction(
        runs["train_fraction"], runs["best_val_accuracy"] >= THRESHOLD, runs["seed"]
    )


def draw_operation(axes, runs, look: dict) -> None:
    """Best validation accuracy: the mean over seeds as a line, its interval or range as a band."""
    line = fractions.best_accuracies(runs, "val")
    style.band(axes, 100 * line["at"], line["low"], line["high"], look["color"])
    axes.plot(100 * line["at"], line["mean"], linewidth=1, markersize=3, **look)


def draw_need(axes, place: int, estimate: survival.Estimate, largest: float, look: dict) -> None:
    """A row of the right panel: median and interval, or a triangle at the largest fraction."""
    never = np.isnan(estimate.value)
    at = largest if never else 100 * estimate.value
    low, high = 100 * estimate.low, min(100 * estimate.high, 100)
    if not never or low < at:
        axes.hlines(place, low, high, color=look["color"], linewidth=1)
    marker = ">" if never else look["marker"]
    axes.plot(
        at,
        place,
        marker=marker,
        color=look["color"],
        markerfacecolor="none" if never else look["color"],
        markersize=5,
    )
