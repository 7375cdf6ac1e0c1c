"""Commands that draw: figures, animate, watch, page."""

from pathlib import Path

from grok.commands.parser import FOLDER, RESULTS, argument, command, positive_float, positive_int
from grok.experiment import GrokError


@command(
    "figures",
    "draw figures from results; without names, all whose results have changed",
    argument("names", metavar="NAME", nargs="*", help="figures to draw anew"),
    argument("--list", action="store_true", help="print what figures there are, in Markdown"),
    RESULTS,
)
def figures(options) -> int:
    from grok import figures
    from grok.measure.findings import pages

    if options.list:
        print(figures.listing(), end="")
        return 0
    status = figures.draw_all(options.results, options.names)
    try:
        for page in pages.renew_all(options.results):
            print(f"renewed, {page}")
    except (GrokError, OSError) as error:
        print(f"pages not renewed: {error}")
        return 1
    return status


@command(
    "animate",
    "draw a run that kept snapshots as a picture that moves, GIF or MP4",
    FOLDER,
    argument("--run", metavar="N", type=int, default=0, help="which run"),
    argument(
        "--views",
        metavar="NAMES",
        type=lambda text: text.split(","),
        default=[],
        help="curve, table, circle, pca, tsne, spectrum, cosines; several with commas between "
        "(default: curve,table,circle, and curve,table,pca where there are no circles)",
    ),
    argument("--per-second", metavar="N", type=positive_int, default=5, help="moments a second"),
    argument("--out", metavar="FILE", type=Path, required=True, help="a .gif or an .mp4"),
)
def animate(options) -> None:
    from grok.figures import animation

    made = animation.animate(
        options.folder, options.run, options.views, options.out, options.per_second
    )
    print(made)


@command(
    "watch",
    "redraw the curves of a running experiment until it is complete",
    FOLDER,
    argument("--every", metavar="SECONDS", type=positive_float, default=5.0, help="between them"),
)
def watch(options) -> None:
    from grok.figures.watch import watch

    watch(options.folder, options.every)


@command(
    "page",
    "write one HTML file with findings, runs and networks, to open in a browser",
    argument(
        "folders",
        metavar="FOLDER",
        nargs="*",
        type=Path,
        help="results folders, or folders that hold some (default: results)",
    ),
    argument(
        "--out",
        metavar="FILE",
        type=Path,
        default=Path("results/page.html"),
        help="the file to write",
    ),
)
def page(options) -> None:
    from grok.page import build

    missing = build.build(options.folders or [Path("results")], options.out)
    print(*missing, options.out, sep="\n")
