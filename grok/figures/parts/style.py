"""One look for all figures: sizes, colours by role, axes, markers, bands, captions, files."""

import textwrap
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.ticker import FixedFormatter, FixedLocator, LogLocator, NullFormatter

from grok import files

SINGLE, DOUBLE = 3.3, 6.8  # inches: one and two columns of a page
CAPTION_SIZE = 5.5
CAPTION_LINE = 1.3 * CAPTION_SIZE / 72  # inches
CHARACTER = 0.56 * CAPTION_SIZE / 72  # inches, mean width of a character of a caption
FINGERPRINT = "Fingerprint"

# Okabe and Ito's palette, which people with any colour vision can tell apart. Yellow comes last,
# for it is faint on white.
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000",
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK, YELLOW)
TRAIN, VALIDATION, WITH_DECAY, WITHOUT_DECAY = ORANGE, BLUE, GREEN, VERMILION
GREY = "0.45"
MARKERS = "os^DvPX*<>"

LOOK: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "savefig.dpi": 300,
    "pdf.fonttype": 42,
}


def panels(
    rows: int = 1, columns: int = 1, width: float = SINGLE, height: float = 2.2, **how
) -> tuple[Figure, np.ndarray]:
    """A figure of the given width with axes [rows, columns], each row `height` inches high."""
    picture = Figure(figsize=(width, height * rows), layout="constrained")
    return picture, picture.subplots(rows, columns, squeeze=False, **how)


# --- Axes ---


def step_axis(axes: Axes, last: float) -> None:
    """Updates on a logarithmic axis from 1 to `last`."""
    axes.set_xscale("log")
    axes.set_xlim(1, max(last, 10))
    axes.xaxis.set_major_locator(LogLocator(numticks=12))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("Optimization steps")


def accuracy_axis(axes: Axes, label: str = "Accuracy (%)") -> None:
    axes.set_ylim(-3, 103)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.set_ylabel(label)


def name_ticks(axis, positions, names) -> None:
    """Ticks at `positions` alone, also on a logarithmic axis."""
    axis.set_major_locator(FixedLocator(list(positions)))
    axis.set_major_formatter(FixedFormatter(list(names)))
    axis.set_minor_locator(FixedLocator([]))
    axis.set_minor_formatter(NullFormatter())


def outer_labels(axes: np.ndarray) -> None:
    """Keep the labels of shared axes [rows, columns] at the left and under the last panels.

    Axes.label_outer knows the last row alone, which may be hidden there.
    """
    for column in axes.T:
        *above, lowest = (ax for ax in column if ax.get_visible())
        lowest.tick_params(labelbottom=True)
        for ax in above:
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)
    for ax in axes[:, 1:].flat:
        ax.set_ylabel("")
        ax.tick_params(labelleft=False)


def say(axes: Axes, text: str) -> None:
    """Words in the place of data that are not there."""
    axes.text(
        0.5,
        0.5,
        textwrap.fill(text, 34),
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=7,
        color=GREY,
    )


def note(axes: Axes, text: str) -> None:
    """A few words at the top right inside the axes."""
    axes.text(0.98, 0.98, text, transform=axes.transAxes, ha="right", va="top", fontsize=6.5)


def legend_above(axes: Axes, handles=None, columns: int = 2) -> None:
    """A legend on top of the axes, where it hides nothing."""
    how = {} if handles is None else {"handles": handles}
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, borderaxespad=0.2, **how
    )


# --- Marks ---


def band(axes: Axes, x, low, high, colour: str) -> None:
    """An interval around a line; nothing where its ends are unknown."""
    axes.fill_between(
        np.asarray(x, float),
        np.asarray(low, float),
        np.asarray(high, float),
        color=colour,
        alpha=0.2,
        linewidth=0,
    )


def censored(axes: Axes, x, y, colour: str, size: float = 16) -> None:
    """Runs that had not got there when they were last seen: open markers that point up."""
    axes.scatter(
        x, y, marker="^", s=size, facecolors="none", edgecolors=colour, linewidths=0.8, zorder=3
    )


def interval_bar(axes: Axes, x: float, low: float, high: float, colour: str) -> None:
    """A vertical 95% interval; an infinite upper end runs out of the axes, NaN is left out."""
    if np.isfinite(low) and not np.isnan(high):
        top = high if np.isfinite(high) else max(axes.get_ylim()[1], low) * 1e3
        axes.vlines(x, low, top, color=colour, linewidth=1)


def ramp(count: int) -> np.ndarray:
    """Colours [count, 4] of an ordered series, dark to light, told apart by any colour vision."""
    return matplotlib.colormaps["viridis"](np.linspace(0, 0.9, count))


# --- Words ---


def add_caption(picture: Figure, text: str) -> None:
    """Write a caption below the picture, which grows to make room for it."""
    width, height = picture.get_size_inches()
    lines = textwrap.wrap(text, int((width - 0.1) / CHARACTER))
    room = len(lines) * CAPTION_LINE + 0.06
    picture.set_size_inches(width, height + room)
    share = room / (height + room)
    layout = picture.get_layout_engine()
    assert isinstance(layout, ConstrainedLayoutEngine), "panels() makes every figure so"
    layout.set(rect=(0, share, 1, 1 - share))
    picture.text(
        0.05 / width,
        0.03 / (height + room),
        "\n".join(lines),
        fontsize=CAPTION_SIZE,
        color="0.3",
        va="bottom",
        ha="left",
        linespacing=1.25,
    )


def as_written(picture: Figure) -> Figure:
    """A picture whose texts stand as they are: matplotlib takes a $ in a label for TeX.

    The ticks of a logarithmic axis, which are made at drawing, stay powers of ten.
    """
    for text in picture.findobj(Text):
        if "mathdefault" not in text.get_text():
            text.set_parse_math("$" not in text.get_text())
    for axes in picture.axes:
        for axis in (axes.xaxis, axes.yaxis):
            names = axis.get_major_formatter()
            if isinstance(names, FixedFormatter):
                names.seq = [name.replace(r"\$", "$").replace("$", r"\$") for name in names.seq]
    return picture


# --- Files ---


def paths(folder: Path, name: str) -> list[Path]:
    return [folder / f"{name}.png", folder / f"{name}.pdf"]


def save(picture: Figure, folder: Path, name: str, fingerprint: str) -> list[Path]:
    """Write <name>.pdf, then <name>.png, which carries the fingerprint; returns both, PNG first."""
    png, pdf = paths(folder, name)
    with files.disk_errors(folder), matplotlib.rc_context(LOOK):
        with files.replacing(pdf) as side:
            picture.savefig(side, format="pdf", metadata={"CreationDate": None})
        with files.replacing(png) as side:
            picture.savefig(side, format="png", metadata={FINGERPRINT: fingerprint})
    return [png, pdf]
