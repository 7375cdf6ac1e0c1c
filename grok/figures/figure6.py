"""Figure 6: generalisation when some training answers are wrong."""

import numpy as np
import pandas as pd

from grok.figures.parts import curves, style
from grok.figures.parts.gallery import figure
from grok.measure import findings
from grok.measure.findings.fractions import COLUMNS
from grok.measure.findings.runs import ended, runs_with

SPLITS = {
    "train": ("training", style.TRAIN, -0.08),
    "val": ("validation", style.VALIDATION, 0.08),
}


@figure(
    "figure6",
    "figure6",
    caption="Figure 6: k training answers replaced by those of other training rows. Left: the best "
    "accuracy so far of every run. Right: best accuracies; dots are runs, lines their means, bars "
    "the interval of the mean, or the range of few runs.",
)
def figure6(results):
    runs = runs_with(results, "corrupted_labels", *COLUMNS)
    picture, [[left, right]] = style.panels(1, 2, width=style.DOUBLE, height=2.3)
    counts = sorted(set(runs["corrupted_labels"]))
    draw_accuracies(left, results, runs, dict(zip(counts, style.ramp(len(counts)))))
    draw_best(right, ended(runs), findings.of(results).table("best", "split", "at"), counts)
    return picture


def draw_accuracies(axes, results, runs: pd.DataFrame, colours: dict) -> None:
    """The best accuracies so far, a colour a number of corrupted labels.

    The curves themselves would hide each other where they collapse and recover.
    """
    shown = results.curves[results.curves["step"] > 0]
    style.step_axis(axes, shown["step"].max() if len(shown) else 10)
    style.accuracy_axis(axes)
    if shown.empty:
        style.say(axes, "no run has been evaluated yet")
        return
    results.need_curves("train_accuracy", "val_accuracy")
    best = shown.groupby("run")[["train_accuracy", "val_accuracy"]].cummax()
    line_colours = [colours[k] for k in runs["corrupted_labels"]]
    curves.draw_lines(axes, shown.assign(**best), runs["run"], line_colours, "accuracy", width=0.8)
    axes.set_ylabel("Best accuracy so far (%)")
    handles = curves.legend_handles({f"k = {k:,}": colour for k, colour in colours.items()})
    style.legend_above(axes, handles, columns=4)


def draw_best(axes, runs: pd.DataFrame, means: pd.DataFrame, counts: list) -> None:
    """Best training and validation accuracy against the corrupted labels, equally spaced."""
    style.accuracy_axis(axes, "Best accuracy (%)")
    axes.set_xlabel("Corrupted training labels")
    style.name_ticks(axes.xaxis, range(len(counts)), [f"{k:,}" for k in counts])
    axes.set_xlim(-0.5, len(counts) - 0.5)
    if runs.empty:
        style.say(axes, "no run has ended yet")
        return
    place = {k: i for i, k in enumerate(counts)}
    at = runs["corrupted_labels"].map(place)
    for split, (words, colour, aside) in SPLITS.items():
        accuracy = 100 * runs[f"best_{split}_accuracy"]
        axes.scatter(at + aside, accuracy, s=5, color=colour, alpha=0.5, linewidths=0)
        line = means[means["split"] == split]
        x = np.array([place[k] for k in line["at"]]) + aside
        axes.vlines(x, line["low"], line["high"], color=colour, linewidth=1)
        axes.plot(x, line["mean"], color=colour, marker="o", label=words)
    style.legend_above(axes)
