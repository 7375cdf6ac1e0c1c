"""Best accuracy within the budget against the share of the table that is trained on."""

import pandas as pd

from grok.figures.parts import style


def fraction_axes(axes) -> None:
    style.accuracy_axis(axes)
    axes.set_xlim(0, 100)
    axes.set_xlabel("Training data (%)")


def draw_best(axes, runs: pd.DataFrame, means: pd.DataFrame, split: str, colour: str, label: str):
    """Runs as dots, their mean as a line, its interval or their range as a band.

    means: rows of findings.fractions.best, of both splits.
    """
    axes.scatter(
        100 * runs["train_fraction"],
        100 * runs[f"best_{split}_accuracy"],
        s=5,
        color=colour,
        alpha=0.5,
        linewidths=0,
    )
    line = means[means["split"] == split].sort_values("at")
    style.band(axes, 100 * line["at"], line["low"], line["high"], colour)
    axes.plot(100 * line["at"], line["mean"], color=colour, label=label)
