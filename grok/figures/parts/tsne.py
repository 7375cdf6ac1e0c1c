"""t-SNE of output layers, coloured by the structure that the rows show best."""

from typing import NamedTuple

import numpy as np

from grok.analysis import fourier, logarithm
from grok.analysis.projection import coordinates
from grok.figures.parts import style
from grok.figures.parts.gallery import figure
from grok.measure import growth
from grok.measure.findings.runs import legend_names, runs_with
from grok.store.matrices import element_rows
from grok.store.outcomes import TRAINED
from grok.task.operations import Structure

MOST_PANELS = 4
CAPTION = "t-SNE of the output layer's rows (PCA init, seed 0)."


class Colouring(NamedTuple):
    """What tokens are coloured by.

    value_T: a number a token, NaN where it has none. period: where the numbers run round a circle.
    words: what they are. names: of the parts.
    """

    value_T: np.ndarray
    period: int | None
    words: str
    names: tuple[str, ...] = ()


def colouring(W, group: Structure) -> Colouring:
    """Colours by residue or discrete logarithm, times the strongest key frequency, or by coset."""
    if not group.is_ring:
        return coset_colouring(W, group)
    order = logarithm.element_order(W)
    place_T = np.full(group.order, np.nan)
    place_T[order] = np.arange(len(order))
    return cyclic_colouring(
        W[order], place_T, "n" if len(order) == group.order else f"log n to base {order[1]}"
    )


def cyclic_colouring(rows, place_T: np.ndarray, words: str) -> Colouring:
    """Colours by k x place, where `rows` stand by place and k is their strongest key frequency."""
    keys = fourier.key_frequencies(rows)
    k = int(keys[0]) if len(keys) else 1
    times = f"{k} × " if k > 1 else ""
    found = "" if len(keys) else " (no key frequency found)"
    return Colouring(
        k * place_T % len(rows), len(rows), f"colour: {times}{words}, mod {len(rows)}{found}"
    )


def coset_colouring(W, group: Structure) -> Colouring:
    """Colours by the cosets of the subgroup that fits best, and which that is."""
    best = growth.best_cosets(W, group)
    return Colouring(best.label_n.astype(float), None, best.words)


def scatter(axes, points, colouring: Colouring, size: float = 14) -> None:
    """Points [n, 2] coloured round the circle, or parts by colour and shape; grey without value."""
    bare(axes)
    value_T = colouring.value_T
    axes.scatter(*points[np.isnan(value_T)].T, s=size, color="0.75", marker="x", linewidths=1)
    if colouring.period:
        axes.scatter(
            *points.T,
            s=size,
            c=value_T,
            cmap="twilight_shifted",
            vmin=0,
            vmax=colouring.period,
            edgecolors="0.3",
            linewidths=0.2,
        )
        return
    for part in np.unique(value_T[~np.isnan(value_T)]).astype(int):
        colour = style.PALETTE[part % len(style.PALETTE)]
        marker = style.MARKERS[part % len(style.MARKERS)]
        name = colouring.names[part] if colouring.names else None
        axes.scatter(
            *points[value_T == part].T,
            s=size,
            color=colour,
            marker=marker,
            edgecolors="0.3",
            linewidths=0.2,
            label=name,
        )


def join(axes, points, step: int) -> None:
    """Lines from each point [n, 2] to the one `step` rows further on, cyclically."""
    token = np.arange(len(points))
    ends = points[np.stack([token, (token + step) % len(points)], axis=1)]
    axes.plot(*ends.transpose(2, 1, 0), color="0.75", linewidth=0.6, zorder=0)


def bare(axes) -> None:
    """No scales: t-SNE coordinates have no meaning of their own.

    Limits that are fixed already stay, and the axes take their shape.
    """
    axes.set_xticks([])
    axes.set_yticks([])
    free = axes.get_autoscalex_on() and axes.get_autoscaley_on()
    axes.set_aspect("equal", adjustable="datalim" if free else "box")
    axes.spines[["top", "right"]].set_visible(True)


@figure("quickstart_tsne", "quickstart", caption=CAPTION)
def quickstart_tsne(results):
    """The output layers of the first MOST_PANELS runs, side by side."""
    runs = runs_with(results, "operation", "final_val_accuracy")
    trained = runs[runs["status"].isin(TRAINED)]
    shown = trained.head(MOST_PANELS)
    picture, axes = style.panels(
        1,
        max(len(shown), 1),
        width=style.DOUBLE if len(shown) > 1 else style.SINGLE,
        height=3.1 if len(shown) < 3 else 2.1,
    )
    if shown.empty:
        style.say(axes[0, 0], "no run has ended yet")
    if len(shown) < len(trained):
        picture.suptitle(f"the first {len(shown)} of {len(trained)} runs", fontsize=7)
    names = legend_names(runs)
    for ax, (index, run) in zip(axes[0], shown.iterrows()):
        W, group = element_rows(results, run["run"])
        shades = colouring(W, group)
        scatter(ax, coordinates(W), shades)
        ax.set_xlabel(
            f"run {run['run']}: {names[index]}\n"
            f"{100 * run['final_val_accuracy']:.1f}% validation\n{shades.words}"
        )
    return picture
