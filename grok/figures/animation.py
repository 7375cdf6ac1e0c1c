"""A run over training as a picture that moves: one frame a kept moment, axes fixed.

A view prepares its axes once and returns a function that shows moment i, so that only what moves is
drawn anew. Each kind of structure has its own views; see VIEWS.
"""

import textwrap
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.animation import FFMpegWriter
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from PIL import Image

from grok import files
from grok.analysis import fourier
from grok.experiment import GrokError
from grok.figures.parts import curves, style
from grok.measure import growth
from grok.measure.findings.words import pretty
from grok.measure.growth import Growth
from grok.store import results
from grok.task.dataset import TRAIN, UNDEFINED

PANEL_WIDTH, PANEL_HEIGHT, DPI = 2.6, 2.7, 110  # inches, inches, pixels an inch
COLOURS = 64  # of a GIF: enough for flat pictures, and a third of the bytes of 256
PLAYER_RATE = 25  # frames a second of an MP4 file
LAST_FRAME = 2.0  # seconds for which a GIF stays on its last frame before it begins again
# What an equation is in the picture of the table; undefined ones stay white.
CELLS = {
    "undefined": "#FFFFFF",
    "training, wrong": "#8C8C8C",
    "training, right": "#D0D0D0",
    "validation, wrong": "#F6D5B0",
    "validation, right": style.BLUE,
}

Show = Callable[[int], None]


# --- The views ---


def curve(axes: Axes, grown: Growth) -> Show:
    """The accuracies of the run, and a cursor at the moment."""
    found = grown.results.curve(grown.run)
    found = found[found["step"] > 0]
    style.step_axis(axes, found["step"].max())
    style.accuracy_axis(axes)
    for split, colour in (("train", style.TRAIN), ("val", style.VALIDATION)):
        name = {"train": "training", "val": "validation"}[split]
        axes.plot(
            found["step"],
            100 * found[f"{split}_accuracy"],
            color=colour,
            linestyle=curves.DASHES[split],
            label=name,
        )
    style.legend_above(axes)
    cursor = axes.axvline(1, color=style.GREY, linewidth=0.8)

    def show(i: int) -> None:
        cursor.set_xdata([max(grown.updates[i], 1)] * 2)

    return show


def table(axes: Axes, grown: Growth) -> Show:
    """Every equation x o y as a square: trained on or not, answered right or not."""
    try:
        found = growth.table(grown)
    except GrokError as error:
        return words(axes, str(error))
    picture = axes.imshow(
        np.zeros(found.kind_nn.shape),
        cmap=ListedColormap(list(CELLS.values())),
        vmin=-0.5,
        vmax=len(CELLS) - 0.5,
        interpolation="nearest",
    )
    axes.set_ylabel("x")
    is_val = (found.kind_nn != UNDEFINED) & (found.kind_nn != TRAIN)

    def show(i: int) -> None:
        right = found.right_Mnn[i]
        picture.set_data(cells(found.kind_nn, right))
        share = 100 * right[is_val].mean()
        axes.set_xlabel(f"y\ngrey: training; blue: validation, right: {share:.1f}%")

    return show


def cells(kind_nn, right_nn) -> np.ndarray:
    """The place in CELLS of every equation, [n, n]."""
    place = np.where(kind_nn == TRAIN, 1, 3) + right_nn
    return np.where(kind_nn == UNDEFINED, 0, place)


def circle(axes: Axes, grown: Growth) -> Show:
    """The plane of the strongest key frequency, each element joined to its neighbour there."""
    axis = growth.axis(grown)
    found = growth.planes(grown, axis.order)
    key, n = found.keys[0], len(axis.order)
    step = fourier.turn_step(n, key)
    draw = follow_points(axes, of_one_size(found), (key * np.arange(n) % n) / n, step)
    joined = f"n·{axis.order[step]}" if axis.is_log else f"n + {step}"
    kind = "frequency" if found.is_key else "strongest frequency, not key,"

    def show(i: int) -> None:
        draw(i)
        axes.set_xlabel(
            f"{kind} {key} of {axis.words}; n joined to {joined}\n"
            f"{100 * found.share_MP[i, 0]:.0f}% of the rows' variance"
        )

    return show


def of_one_size(found: growth.Planes) -> np.ndarray:
    """The points of the first plane, [M, T, 2], at root mean square 1: decay shrinks all rows."""
    points_MT2 = found.points_MPT2[:, 0]
    size_M = np.sqrt((points_MT2**2).mean((1, 2), keepdims=True))
    return points_MT2 / np.where(size_M > 0, size_M, 1)


def pca(axes: Axes, grown: Growth) -> Show:
    """The rows on their first two principal components of each moment."""
    return points(axes, grown, growth.components(grown), "principal components 1 and 2")


def tsne(axes: Axes, grown: Growth) -> Show:
    """t-SNE of the rows at each moment."""
    return points(axes, grown, growth.tsne(grown), "t-SNE")


def points(axes: Axes, grown: Growth, points_Mn2, name: str) -> Show:
    """Points coloured by what the best moment shows: places on the circle, or cosets."""
    at_best = grown.W_MnD[grown.best]
    if grown.group.is_ring:
        axis = growth.axis(grown)
        key = growth.planes(grown, axis.order).keys[0]
        value_n = np.zeros(grown.group.order)
        value_n[axis.order] = key * np.arange(len(axis.order)) % len(axis.order) / len(axis.order)
        shades = f"colour: {key} × {axis.words}"
    else:
        cosets = growth.best_cosets(at_best, grown.group)
        value_n, shades = cosets.label_n / (cosets.label_n.max() + 1), f"colour: {cosets.words}"
    draw = follow_points(axes, points_Mn2, value_n, step=None)
    axes.set_xlabel(textwrap.fill(f"{name}; {shades}", 38))
    return draw


def follow_points(axes: Axes, points_Mn2, value_n, step: int | None) -> Show:
    """Points [M, n, 2] by a cyclic colour in [0, 1), each joined to the one `step` further on."""
    axes.set_xticks([])
    axes.set_yticks([])
    reach = 1.08 * np.abs(points_Mn2).max()
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
    axes.spines[["top", "right"]].set_visible(True)
    lines = LineCollection([], colors="0.75", linewidths=0.6, zorder=0)
    axes.add_collection(lines, autolim=False)
    x_n, y_n = points_Mn2[0].T
    dots = axes.scatter(x_n, y_n, s=14, c=value_n, cmap="twilight_shifted", vmin=0, vmax=1)
    dots.set(linewidths=0.3, edgecolors="0.3")

    def show(i: int) -> None:
        dots.set_offsets(points_Mn2[i])
        if step:
            lines.set_segments(list(zip(points_Mn2[i], np.roll(points_Mn2[i], -step, 0))))

    return show


def spectrum(axes: Axes, grown: Growth) -> Show:
    """Shares of variance by frequency beside permuted rows, or by irrep beside random ones."""
    if grown.group.is_ring:
        found = growth.frequencies(grown, growth.axis(grown).order)
        axes.set_xlabel("frequency")
        band_MK2 = np.repeat(np.stack([found.low, found.high], -1)[:, None], len(found.names), 1)
    else:
        found = growth.irrep_shares(grown)
        axes.set_xlabel("irreps")
        band_MK2 = np.repeat(np.stack([found.low, found.high], -1)[None], len(found.share), 0)
        style.name_ticks(axes.xaxis, range(1, len(found.names) + 1), found.names)
        axes.tick_params(axis="x", rotation=90, labelsize=6)
    place = np.arange(1, len(found.names) + 1)
    bars = axes.bar(place, found.share[0], color=style.BLUE, width=0.85)
    null = LineCollection([], colors=style.VERMILION, linewidths=1)
    axes.add_collection(null, autolim=False)
    axes.set_ylim(0, 105 * found.share.max())
    axes.set_ylabel("% of variance (red: by chance)")

    def show(i: int) -> None:
        for bar, share in zip(bars, found.share[i]):
            bar.set_height(100 * share)
        lines = []
        for x, heights in zip(place, 100 * band_MK2[i]):
            for height in heights:  # the least and the greatest by chance
                lines.append([(x - 0.5, height), (x + 0.5, height)])
        null.set_segments(lines)

    return show


def cosines(axes: Axes, grown: Growth) -> Show:
    """Cosines of all pairs of rows, in the order of the circle or of the cosets."""
    if grown.group.is_ring:
        axis = growth.axis(grown)
        key, n = growth.planes(grown, axis.order).keys[0], len(axis.order)
        order = axis.order[np.argsort(key * np.arange(n) % n, kind="stable")]
        axes.set_xlabel(f"cosines, in the order of {key} × {axis.words}")
    else:
        cosets = growth.best_cosets(grown.W_MnD[grown.best], grown.group)
        order = np.argsort(cosets.label_n, kind="stable")
        axes.set_xlabel("cosines, coset by coset")
    found = growth.cosines(grown)[:, order][:, :, order]
    picture = axes.imshow(found[0], cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    return lambda i: picture.set_data(found[i])


def words(axes: Axes, text: str) -> Show:
    """Words in the place of what is not there."""
    axes.set_axis_off()
    style.say(axes, text)
    return lambda i: None


VIEWS = {
    "curve": curve,
    "table": table,
    "circle": circle,
    "pca": pca,
    "tsne": tsne,
    "spectrum": spectrum,
    "cosines": cosines,
}
OF_RINGS, OF_GROUPS = ("curve", "table", "circle"), ("curve", "table", "pca")


# --- The film ---


def animate(folder: Path, run: int, views: list[str], out: Path, per_second: int) -> Path:
    """Draw a run over training as an animation, GIF or MP4 by the ending of `out`; returns `out`.

    views: names of VIEWS, side by side; none for those of the structure. Raises GrokError.
    """
    write = writer(out)
    unknown = [name for name in views if name not in VIEWS]
    if unknown:
        raise GrokError(f"there is no view {unknown[0]!r}: choose from {', '.join(VIEWS)}")
    grown = growth.follow(results.load(folder), run)
    if len(grown.moments) < 2:
        raise GrokError(
            f"run {run} in {folder} was kept at its end alone, so nothing moves: "
            "train it with --snapshots"
        )
    with matplotlib.rc_context(style.LOOK):
        picture, show = film(grown, views or (OF_RINGS if grown.group.is_ring else OF_GROUPS))
        with files.disk_errors(out.parent, "--out FILE"), files.replacing(out) as side:
            write(side, picture, show, len(grown.moments), per_second)
    return out


def film(grown: Growth, views) -> tuple[Figure, Show]:
    """A figure with the views side by side under a title, and the function that shows moment i."""
    picture, [axes] = style.panels(1, len(views), PANEL_WIDTH * len(views), PANEL_HEIGHT)
    shows = [VIEWS[name](ax, grown) for name, ax in zip(views, axes)]
    run = grown.results.experiment_run(grown.run)
    task = f"{pretty(run.operation)} over {run.structure}, run {grown.run}"
    title = picture.suptitle("", fontsize=8)

    def show(i: int) -> None:
        title.set_text(f"{task}: {grown.moments[i].words.replace(chr(10), ', ')}")
        for view in shows:
            view(i)

    settle(picture, show, len(grown.moments) - 1)
    return picture, show


def settle(picture: Figure, show: Show, last: int) -> None:
    """Lay the figure out as its last frame needs it, for good: nothing jumps from then on."""
    picture.set_dpi(DPI)
    show(last)
    FigureCanvasAgg(picture).draw()
    picture.set_layout_engine("none")


def writer(out: Path) -> Callable:
    """What writes frames to a file of this ending. Raises GrokError where nothing does."""
    if out.suffix == ".gif":
        return write_gif
    if out.suffix != ".mp4":
        raise GrokError(f"{out} is no animation: let its name end in .gif or .mp4")
    if not FFMpegWriter.isAvailable():
        raise GrokError("an .mp4 needs the program ffmpeg: install it, or write a .gif")
    return write_mp4


def write_gif(path: Path, picture: Figure, show: Show, count: int, per_second: int) -> None:
    """All frames with one palette, so that only what moves is written anew."""
    canvas, frames = FigureCanvasAgg(picture), []
    for i in range(count):
        show(i)
        canvas.draw()
        frames.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    first, *others = with_one_palette(frames)
    duration = [1000 / per_second] * (count - 1) + [1000 * LAST_FRAME]
    first.save(path, format="GIF", save_all=True, append_images=others, duration=duration, loop=0)


def with_one_palette(frames: list[np.ndarray]) -> list[Image.Image]:
    """Frames [height, width, 3] in at most COLOURS colours, chosen from all of them.

    Any one frame may lack a colour. Pillow fits an image to the palette of another only roughly, so
    the frames are reduced as one tall image.
    """
    height, width, _ = frames[0].shape
    tall = Image.fromarray(np.concatenate(frames)).quantize(COLOURS, dither=Image.Dither.NONE)
    tops = range(0, tall.height, height)
    return [tall.crop((0, top, width, top + height)) for top in tops]


def write_mp4(path: Path, picture: Figure, show: Show, count: int, per_second: int) -> None:
    """H.264 at a rate that every player knows; each frame is repeated as often as needed."""
    film_writer = FFMpegWriter(fps=per_second, extra_args=["-f", "mp4", "-r", str(PLAYER_RATE)])
    with film_writer.saving(picture, path, DPI):
        for i in range(count):
            show(i)
            film_writer.grab_frame()
