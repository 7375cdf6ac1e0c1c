"""Figure 2, left: how optimisers and regularisers change the data that generalisation needs."""

from grok.figures.parts import data, fractions, style
from grok.figures.parts.gallery import figure

COLUMNS = 3


@figure(
    "figure2_left",
    "figure2_left",
    caption="Figure 2 left: best accuracy within the budget; dots are runs, lines their means.",
)
def figure2_left(results):
    runs = fractions.finished(results)
    names = data.group_names(results.runs)
    labels = list(dict.fromkeys(names)) or [""]
    rows = -(-len(labels) // COLUMNS)
    picture, axes = style.panels(
        rows, min(COLUMNS, len(labels)), width=style.DOUBLE, height=1.65, sharex=True, sharey=True
    )
    for ax in axes.flat[len(labels) :]:
        ax.set_visible(False)
    for ax, label in zip(axes.flat, labels):
        fractions.fraction_axes(ax)
        ax.set_title(label, fontsize=7, pad=3)
        panel(ax, runs[names.loc[runs.index] == label])
    style.outer_labels(axes)
    handles, words = axes[0, 0].get_legend_handles_labels()
    picture.legend(handles, words, loc="outside upper center", ncols=2) if handles else None
    return picture, data.spread(
        "Bands", runs.groupby([names.loc[runs.index], "train_fraction"]).size(), "mean"
    )


def panel(axes, runs) -> None:
    """One intervention: best training and validation accuracy against the data fraction."""
    if runs.empty:
        style.say(axes, "no run has ended yet")
        return
    fractions.draw_best(axes, runs, "train", style.TRAIN, "training")
    fractions.draw_best(axes, runs, "val", style.VALIDATION, "validation")
