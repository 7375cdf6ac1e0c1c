"""Best accuracy within the budget against the share of the table that is trained on."""

import numpy as np
import pandas as pd

from grok.analysis import survival
from grok.figures.parts import data, style

COLUMNS = ("train_fraction", "seed", "best_train_accuracy", "best_val_accuracy")


def fraction_axes(axes) -> None:
    style.accuracy_axis(axes)
    axes.set_xlim(0, 100)
    axes.set_xlabel("Training data (%)")


def best_accuracies(runs: pd.DataFrame, split: str, by: str = "train_fraction") -> pd.DataFrame:
    """Mean best accuracy on `split` in per cent, with interval or range, a row a value of `by`."""
    rows = []
    for value, here in runs.groupby(by, sort=True):
        estimate = survival.mean_or_range(100 * here[f"best_{split}_accuracy"].astype(float))
        rows.append((value, *np.clip(estimate, 0, 100)))
    return pd.DataFrame(rows, columns=["at", "mean", "low", "high"])


def draw_best(axes, runs: pd.DataFrame, split: str, colour: str, label: str) -> None:
    """Runs as dots, their mean as a line, its interval or their range as a band."""
    axes.scatter(
        100 * runs["train_fraction"],
        100 * runs[f"best_{split}_accuracy"],
        s=5,
        color=colour,
        alpha=0.5,
        linewidths=0,
    )
    line = best_accuracies(runs, split)
    style.band(axes, 100 * line["at"], line["low"], line["high"], colour)
    axes.plot(100 * line["at"], line["mean"], color=colour, label=label)


def finished(results) -> pd.DataFrame:
    """The runs that came to an end: only of these is the best accuracy within the budget known."""
    return data.ended(data.runs_with(results, "operation", *COLUMNS))
