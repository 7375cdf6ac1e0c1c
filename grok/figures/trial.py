"""What `python -m grok try` shows of its one run: its curve, its table filling in, its t-SNE."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from grok.analysis import projection
from grok.figures import animation
from grok.figures.parts import curves, style, tsne
from grok.figures.parts.gallery import figure
from grok.measure import growth
from grok.store.snapshots import Moment

MOMENTS = 4


@figure(
    "trial",
    "try",
    caption="Above: accuracies, and t-SNE of the output layer's rows at the end. Below: every "
    "equation x o y, training rows grey, validation rows blue where right and pale where not.",
)
def trial(results):
    """The curve and the t-SNE above, the table at a few kept moments below."""
    grown = growth.follow(results, 0)
    places = [f"table {i}" for i in range(MOMENTS)]
    picture = Figure(figsize=(style.DOUBLE, 4.6), layout="constrained")
    above = ["curve", "curve", "t-SNE", "t-SNE"]
    rows: list[Any] = [above, places]
    axes: dict[str, Axes] = picture.subplot_mosaic(rows, height_ratios=[1.2, 1])
    curves.draw_curves(axes["curve"], results, "accuracy")
    last = grown.W_MnD[-1]
    shades = tsne.colouring(last, grown.group)
    tsne.scatter(axes["t-SNE"], projection.coordinates(last), shades)
    axes["t-SNE"].set_xlabel(shades.words)
    chosen = as_it_fills(grown.moments)
    for place in places[len(chosen) :]:
        axes[place].set_visible(False)
    for place, i in zip(places, chosen):
        animation.table(axes[place], grown)(i)
        axes[place].set_title(f"update {grown.updates[i]:,}", fontsize=7)
        right = 100 * grown.moments[i].val_accuracy
        axes[place].set_xlabel(f"{right:.1f}% of validation right", fontsize=6)
        axes[place].set(xticks=[], yticks=[])
    return picture


def as_it_fills(moments: list[Moment]) -> list[int]:
    """Which moments to show: the first, the last, and those nearest to equal steps of accuracy."""
    accuracy_M = np.array([moment.val_accuracy for moment in moments])
    steps = np.linspace(accuracy_M[0], accuracy_M[-1], MOMENTS)[1:-1]
    between = {int(np.abs(accuracy_M - step).argmin()) for step in steps}
    return sorted(between | {0, len(moments) - 1})
