"""`grok page`: gather findings, experiments and networks, and write them into one HTML file."""

import concurrent.futures
import importlib.resources
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import threadpoolctl

from grok import files
from grok.experiment import GrokError
from grok.page import experiments, networks, scoreboard
from grok.page.networks import Wish
from grok.page.pack import deflated, dumps
from grok.store import results
from grok.store.results import Results

MOST_BYTES = 11_500_000  # of the page; networks that would exceed it are left out, and named
SCRIPTS = (  # in the order in which they are read
    "unpack",
    "state",
    "plots",
    "scoreboard",
    "columns",
    "table",
    "experiments",
    "pictures",
    "network",
    "main",
)
FEW = 8  # networks are made in this process; more are shared among several
FIRST_FEW = 40  # networks of an experiment come before the rest of any other


@dataclass
class Page:
    """What goes into the page: lines of its index, blocks of data by name, and what is missing."""

    experiments: list[dict] = field(default_factory=list)
    findings: list[dict] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    blocks: dict[str, str] = field(default_factory=dict)
    size: int = 0

    def add(self, name: str, text: str) -> None:
        self.blocks[name] = text
        self.size += len(text) + len(name) + 60

    def has_room_for(self, text: str) -> bool:
        return self.size + len(text) < MOST_BYTES


def build(folders: list[Path], out: Path) -> list[str]:
    """Write the page of results folders, or of folders that hold some, to `out`.

    Returns what could not be shown, a line each. Raises GrokError where nothing can.
    """
    page = Page(size=len(html(Page())))
    page.add("plotly", deflated(plotly().encode()))
    loaded = gather(page, [path for folder in folders for path in results_in(folder)], out)
    if not page.experiments:
        raise GrokError("\n".join(["no results can be shown", *page.missing]).replace("\n", "; "))
    add_networks(page, loaded)
    with files.disk_errors(out.parent, "--out FILE"), files.replacing(out) as side:
        side.write_text(html(page), encoding="utf-8")
    return page.missing


def results_in(folder: Path) -> list[Path]:
    """The results folders that a folder is or holds. GrokError where there is none."""
    found = experiments.folders_in(folder) if folder.is_dir() else []
    if not found:
        raise GrokError(f"{folder} holds no results: train them with python -m grok train")
    return found


def plotly() -> str:
    """Plotly's JavaScript, which its Python package carries."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise GrokError("the page needs the package plotly: pip install 'grok[page]'") from None
    return get_plotlyjs()


def gather(page: Page, folders: list[Path], out: Path) -> dict[str, Results]:
    """Put the tables and findings of all folders into the page; returns the results by name."""
    loaded = {}
    for folder in folders:
        name = folder.name if folder.name not in loaded else str(folder)
        try:
            loaded[name] = results.load(folder)
            page.add(f"experiment/{name}", experiments.block(loaded[name], name))
        except GrokError as error:
            page.missing.append(f"{name}: {error}")
            loaded.pop(name, None)
            continue
        page.experiments.append({"name": name, "runs": len(loaded[name].runs), "networks": []})
        try:
            page.findings += scoreboard.rows(loaded[name], name, out)
        except GrokError as error:
            page.missing.append(f"{name}: {error}")
    page.findings.sort(key=scoreboard.place)
    return loaded


# --- Networks ---


def add_networks(page: Page, loaded: dict[str, Results]) -> None:
    """Put networks into the page, the most telling first, until it is full."""
    names = {found.folder: name for name, found in loaded.items()}
    lines = {line["name"]: line["networks"] for line in page.experiments}
    ordered = in_order([networks.wishes(found) for found in loaded.values()])
    left_out = dict.fromkeys(lines, 0)
    for wish, made in blocks(ordered):
        name = names[wish.folder]
        if isinstance(made, str):
            page.missing.append(f"{name}, run {wish.run}: {made}")
        elif not page.has_room_for(made[1]):
            left_out[name] += 1
        else:
            lines[name].append(made[0])
            page.add(f"network/{name}/{wish.run}", made[1])
    for line in page.experiments:
        line["networks"].sort(key=lambda network: network["run"])
        line["left_out"] = left_out[line["name"]]
        if line["left_out"]:
            page.missing.append(
                f"{line['name']}: {line['left_out']} networks are left out, for the page would be "
                "too large; a page of this folder alone has more"
            )


def in_order(wished: list[list[Wish]]) -> list[Wish]:
    """First of each task with snapshots, others with snapshots, some of each folder, the rest."""

    def rank(place: int, wish: Wish) -> int:
        if wish.has_snapshots:
            return 0 if wish.first else 1
        return 2 if place < FIRST_FEW else 3

    ranked = []
    for of_one in wished:
        for place, wish in enumerate(of_one):
            ranked.append((rank(place, wish), wish))
    return [wish for _, wish in sorted(ranked, key=lambda pair: pair[0])]


def blocks(wished: list[Wish]) -> Iterator[tuple[Wish, tuple[dict, str] | str]]:
    """Each wish with its network, in order; many are made by several processes."""
    if len(wished) <= FEW:
        yield from ((wish, networks.block(wish)) for wish in wished)
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    with concurrent.futures.ProcessPoolExecutor(
        len(os.sched_getaffinity(0)), context, initializer=one_thread
    ) as pool:
        yield from zip(wished, pool.map(networks.block, wished, chunksize=4))


def one_thread() -> None:
    """Keep a process to one core: there are as many processes as cores."""
    threadpoolctl.threadpool_limits(1)


# --- The file ---


def html(page: Page) -> str:
    """The file: markup, style, index, blocks of data and scripts."""
    static = importlib.resources.files(__package__) / "static"
    index = {
        "experiments": page.experiments,
        "findings": page.findings,
        "missing": page.missing,
    }
    # A "</" would end the element that holds it.
    blocks_text = "\n".join(
        f'<script type="text/plain" id="{name}">{text}</script>'
        for name, text in page.blocks.items()
    )
    scripts = "\n".join((static / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)
    parts = {
        "STYLE": (static / "page.css").read_text(encoding="utf-8"),
        "INDEX": dumps(index).replace("</", "<\\/"),
        "BLOCKS": blocks_text,
        "SCRIPTS": scripts,
    }
    text = (static / "page.html").read_text(encoding="utf-8")
    for name, part in parts.items():
        text = text.replace(f"<!--{name}-->", part, 1)
    return text
