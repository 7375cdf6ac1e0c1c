"""Figure 2, left: how optimisers and regularisers change the data that generalisation needs."""

import pandas as pd

from grok.figures.parts import fractions, style
from grok.figures.parts.gallery import figure
from grok.measure import findings
from grok.measure.findings.fractions import finished
from grok.measure.findings.runs import legend_names

COLUMNS = 5


@figure(
    "figure2_left",
    "figure2_left",
    caption="Figure 2 left: best accuracy within the budget, a panel a setting. Dots are runs, "
    "lines their means, bands the interval of the mean, or the range of few runs.",
)
def figure2_left(results):
    runs, means = finished(results), findings.of(results).table("best", "label", "split")
    names = legend_names(results.runs)
    labels = list(dict.fromkeys(names)) or [""]
    rows = -(-len(labels) // COLUMNS)
    picture, axes = style.panels(
        rows, min(COLUMNS, len(labels)), width=style.DOUBLE, height=1.4, sharex=True, sharey=True
    )
    for ax in axes.flat[len(labels) :]:
        ax.set_visible(False)
    for ax, label in zip(axes.flat, labels):
        fractions.fraction_axes(ax)
        ax.set_title(label.replace(", ", ",\n", 1), fontsize=6, pad=3)
        panel(ax, runs[names.loc[runs.index] == label], means[means["label"] == label])
    style.outer_labels(axes)
    handles, words = axes[0, 0].get_legend_handles_labels()
    picture.legend(handles, words, loc="outside upper center", ncols=2) if handles else None
    return picture


def panel(axes, runs: pd.DataFrame, means: pd.DataFrame) -> None:
    """One intervention: best training and validation accuracy against the data fraction."""
    if runs.empty:
        style.say(axes, "no run has ended yet")
        return
    fractions.draw_best(axes, runs, means, "train", style.TRAIN, "training")
    fractions.draw_best(axes, runs, means, "val", style.VALIDATION, "validation")
