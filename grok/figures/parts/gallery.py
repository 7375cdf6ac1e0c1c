"""The registered figures, which results folder feeds which, and drawing only what has changed.

A PNG carries the fingerprint of what it was drawn from, which tells whether it is current even on a
fresh clone, where the times of files mean nothing.
"""

import difflib
import functools
import hashlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from grok import files
from grok.experiment import GrokError
from grok.figures.parts import data, style
from grok.store import results

INPUTS = ("experiment.json", "*.parquet", "arrays/*.npz")


class NothingToDraw(GrokError):
    """A figure has nothing to show for these results, and should not be missed."""


@dataclass(frozen=True)
class Entry:
    """A figure of the gallery.

    sources: the experiments whose results it can be drawn from; none for those of all others.
    caption: what it shows, in a sentence; the facts of the results follow it in the picture.
    function: from what `load` gives for the folder (without `load` from nothing) to the picture and
        to what else its caption says.
    table: from the same to its numbers in Markdown, which are written beside it.
    """

    name: str
    sources: tuple[str, ...]
    caption: str
    function: Callable
    load: Callable | None
    table: Callable | None = None

    def draw(self, folder: Path) -> list[Path]:
        """Draw into a results folder; returns the files. GrokError where that cannot be."""
        mark = fingerprint(
            self, folder
        )  # first, so that results which change meanwhile count as not drawn yet
        tables = [self.write_table(folder)] if self.table else []
        return style.save(self.picture(folder), folder, self.name, mark) + tables

    def write_table(self, folder: Path) -> Path:
        """Write the figure's numbers beside it; returns the path."""
        path = folder / f"{self.name}.md"
        with files.disk_errors(folder), files.replacing(path) as side:
            side.write_text(self.table(self.load(folder)))
        return path

    def paths(self, folder: Path) -> list[Path]:
        """The files that it consists of in a results folder, PNG first."""
        return style.paths(folder, self.name) + ([folder / f"{self.name}.md"] if self.table else [])

    def picture(self, folder: Path) -> Figure:
        """The figure with its caption, not saved anywhere."""
        loaded = self.load(folder) if self.load else None
        picture, note = self.function(loaded) if self.load else self.function()
        facts = data.facts(loaded) if isinstance(loaded, results.Results) else ""
        style.add_caption(picture, " ".join(filter(None, [self.caption, note, facts])))
        return picture


ENTRIES: dict[str, Entry] = {}


def figure(
    name: str,
    *sources: str,
    caption: str,
    load: Callable | None = results.load,
    table: Callable | None = None,
) -> Callable:
    """Decorator that enters a function into the gallery and gives it the project's look."""

    def enter(function):
        @functools.wraps(function)
        def styled(*arguments):
            with matplotlib.rc_context(style.LOOK):
                return function(*arguments)

        ENTRIES[name] = Entry(name, sources, caption, styled, load, table)
        return styled

    return enter


def entries_of(folder_name: str) -> list[Entry]:
    """The figures of a results folder, by the longest experiment name that its own begins with.

    What follows that name must start with a sign: 'quickstart-seed=3' or 'figure1_left_paper'.
    """
    source = source_of(folder_name)
    if source is None:
        return [entry for entry in ENTRIES.values() if not entry.sources]
    return [entry for entry in ENTRIES.values() if source in entry.sources]


def source_of(folder_name: str) -> str | None:
    """The longest registered experiment name that a folder's name begins with."""
    sources = {source for entry in ENTRIES.values() for source in entry.sources}
    begun = [
        s
        for s in sources
        if folder_name.startswith(s) and not folder_name[len(s) : len(s) + 1].isalnum()
    ]
    return max(begun, key=len, default=None)


# --- Is it up to date? ---


def fingerprint(entry: Entry, folder: Path) -> str:
    """Hash of a figure's code and of everything in the results folder that a figure may read."""
    digest = hashlib.sha256()
    for module in modules_of(inspect.getmodule(entry.function)):
        digest.update(inspect.getsource(module).encode())
    for path in input_files(folder) if entry.load else ():
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def modules_of(module) -> list:
    """A figure's module and the modules of this package that it uses, which shape its looks."""
    found = {module.__name__: module}
    pending = [module]
    for user in pending:
        for used in vars(user).values():
            if (
                inspect.ismodule(used)
                and used.__name__.startswith(f"{__package__}.")
                and used.__name__ not in found
            ):
                found[used.__name__] = used
                pending.append(used)
    return [found[name] for name in sorted(found)]


def input_files(folder: Path) -> list[Path]:
    """Tables and arrays of a results folder and its parts, without the local files of weights."""
    folders = [folder, *folder.glob("part-*")]
    return sorted(
        path
        for part in folders
        for pattern in INPUTS
        for path in part.glob(pattern)
        if not path.stem.endswith("_params")
    )


def is_current(entry: Entry, folder: Path) -> bool:
    """Whether a figure's files are there and were drawn from what the folder holds now."""
    paths = entry.paths(folder)
    if not all(path.exists() for path in paths):
        return False
    try:
        with Image.open(paths[0]) as image:
            return image.info.get(style.FINGERPRINT) == fingerprint(entry, folder)
    except OSError:
        return False


# --- Drawing many ---


def draw(folder: Path) -> list[Path]:
    """Draw every figure of a results folder that is out of date; returns the files of all.

    A figure that these results do not allow is named on standard error and left out; one that has
    nothing to show for them is left out.
    """
    folder, paths = Path(folder), []
    for entry in entries_of(folder.name):
        try:
            paths += entry.paths(folder) if is_current(entry, folder) else entry.draw(folder)
        except NothingToDraw:
            continue
        except GrokError as error:
            print(f"grok: {entry.name} not drawn: {error}", file=sys.stderr)
    return paths


def draw_all(root: Path, names: list[str]) -> int:
    """Draw the figures called `names` anew, or without names all that are out of date; returns 0.

    It prints a line a figure. A name is that of a figure or of a results folder; any other raises
    GrokError before anything is drawn.
    """
    root = Path(root)
    for entry, folder in named_tasks(root, names) if names else all_tasks(root):
        print(f"{entry.name}: {attempt(entry, folder, anew=bool(names))}", flush=True)
    return 0


def attempt(entry: Entry, folder: Path, anew: bool) -> str:
    """Draw a figure if need be, and say in a line what came of it."""
    try:
        if entry.load and not folder.is_dir():
            raise GrokError(
                f"there is no {folder}; "
                f"to make it: python -m grok train configs/{entry.sources[0]}.py"
            )
        if not anew and is_current(entry, folder):
            return f"unchanged, {style.paths(folder, entry.name)[0]}"
        return f"drawn, {entry.draw(folder)[0]}"
    except NothingToDraw as reason:
        return f"nothing to draw: {reason}"
    except GrokError as error:
        return f"not drawn: {error}"


def results_folders(root: Path) -> list[Path]:
    """The folders of `root` that hold an experiment, or are named like the source of a figure."""
    if not root.is_dir():
        return []
    described = {
        path.parent
        for pattern in ("*/experiment.json", "*/part-*/experiment.json")
        for path in root.glob(pattern)
    }
    described = {path.parent if path.name.startswith("part-") else path for path in described}
    return sorted(
        path
        for path in root.iterdir()
        if path.is_dir() and (path in described or source_of(path.name))
    )


def all_tasks(root: Path) -> list[tuple[Entry, Path]]:
    """Every figure with every folder that feeds it, or with its own missing folder."""
    tasks = [
        (entry, folder) for folder in results_folders(root) for entry in entries_of(folder.name)
    ]
    fed = {entry.name for entry, _ in tasks}
    return tasks + [
        (entry, root / entry.sources[0])
        for entry in ENTRIES.values()
        if entry.sources and entry.name not in fed
    ]


def named_tasks(root: Path, names: list[str]) -> list[tuple[Entry, Path]]:
    """The tasks that names of figures or folders ask for. GrokError for an unknown name."""
    tasks = all_tasks(root)
    known = {entry.name for entry, _ in tasks} | {folder.name for _, folder in tasks}
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=3) or sorted(known)
            raise GrokError(
                f"there is no figure and no results folder '{name}': "
                f"did you mean {', '.join(close)}?"
            )
    return [
        (entry, folder) for entry, folder in tasks if entry.name in names or folder.name in names
    ]
