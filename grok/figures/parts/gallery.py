"""The registered figures, which results folder feeds which, and drawing only what has changed.

A PNG carries the fingerprint of what it was drawn from, which tells whether it is current even on a
fresh clone, where the times of files mean nothing.
"""

import difflib
import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from grok.experiment import GrokError
from grok.figures.parts import data, style
from grok.measure import findings
from grok.measure.findings import fingerprint, registry, scoreboard
from grok.store import results


class NothingToDraw(GrokError):
    """A figure has nothing to show for these results, and should not be missed."""


@dataclass(frozen=True)
class Entry:
    """A figure of the gallery.

    sources: the experiments whose results it can be drawn from; none for those of all others.
    needs: a table, where a figure is drawn from any results that hold it.
    caption: what it shows, in a sentence, for lists and pages.
    function: from the results to the picture, or from nothing where it `reads_results` not.
    """

    name: str
    sources: tuple[str, ...]
    caption: str
    function: Callable
    reads_results: bool = True
    needs: str = ""

    def draw(self, folder: Path) -> list[Path]:
        """Draw into a results folder; returns the files. GrokError where that cannot be."""
        # The mark comes first, so that results which change meanwhile count as not drawn yet.
        mark = self.mark(folder)
        return style.save(self.picture(folder), folder, self.name, mark)

    def picture(self, folder: Path) -> Figure:
        """The figure with its line of facts, not saved anywhere."""
        if not self.reads_results:
            return style.as_written(self.function())
        loaded = results.load(folder)
        picture = self.function(loaded)
        style.add_caption(picture, data.facts(findings.of(loaded)))
        return style.as_written(picture)

    def mark(self, folder: Path) -> str:
        """A hash of the figure's code and of all that it reads: data and findings."""
        kept = [folder / registry.FILE] if (folder / registry.FILE).exists() else []
        paths = fingerprint.data_files(folder) + kept if self.reads_results else []
        return fingerprint.of(self.function.__module__, paths, folder)


ENTRIES: dict[str, Entry] = {}
# Experiments of this package whose figures stand in the place of those of any experiment.
OURS = {*registry.THEMES, "figure1_right", "figure4", "handbuilt", "try"}


def figure(
    name: str, *sources: str, caption: str, reads_results: bool = True, needs: str = ""
) -> Callable:
    """Decorator that enters a function into the gallery and gives it the project's look."""

    def enter(function):
        @functools.wraps(function)
        def styled(*arguments):
            with matplotlib.rc_context(style.LOOK):
                return function(*arguments)

        ENTRIES[name] = Entry(name, sources, caption, styled, reads_results, needs)
        return styled

    return enter


def entries_of(folder: Path | str) -> list[Entry]:
    """The figures of a results folder, by the longest experiment name that its own begins with.

    Also those of a table that it holds, and those of any experiment, beside a user's own figure.
    """
    folder = Path(folder)
    source = source_of(folder.name)
    found = []
    for entry in ENTRIES.values():
        by_name = source in entry.sources if entry.sources else source not in OURS
        if (folder / entry.needs).exists() if entry.needs else by_name:
            found.append(entry)
    return found


def source_of(folder_name: str) -> str | None:
    """The longest registered experiment name that a folder's name begins with."""
    sources = {source for entry in ENTRIES.values() for source in entry.sources}
    return registry.longest(sources, folder_name)


def is_current(entry: Entry, folder: Path) -> bool:
    """Whether a figure's files are there and were drawn from what the folder holds now."""
    png, pdf = style.paths(folder, entry.name)
    if not (png.exists() and pdf.exists()):
        return False
    try:
        with Image.open(png) as image:
            return image.info.get(style.FINGERPRINT) == entry.mark(folder)
    except OSError:
        return False


def listing() -> str:
    """All figures in Markdown: name, what each shows, the config whose results it is drawn from."""
    lines = ["| figure | what it shows | results of |\n", "| --- | --- | --- |\n"]
    for entry in sorted(ENTRIES.values(), key=lambda entry: entry.name):
        configs = [f"`{source}`" for source in entry.sources if entry.reads_results]
        of = ", ".join(configs) or ("none" if entry.sources else "any other experiment")
        of = f"any with `{entry.needs}`" if entry.needs else of
        lines.append(f"| `{entry.name}` | {entry.caption} | {of} |\n")
    return "".join(lines)


# --- Drawing many ---


def draw(folder: Path) -> list[Path]:
    """Draw every figure of a results folder that is out of date; returns the files of all.

    A figure that these results do not allow is named on standard error and left out; one that has
    nothing to show for them is left out.
    """
    folder, paths = Path(folder), []
    for entry in entries_of(folder):
        try:
            findings.refresh(folder)
            current = is_current(entry, folder)
            paths += style.paths(folder, entry.name) if current else entry.draw(folder)
        except NothingToDraw:
            continue
        except Exception as error:
            print(f"grok: {entry.name} not drawn: {reason(error)}", file=sys.stderr)
    return paths


def reason(error: Exception) -> str:
    """Why a figure is not drawn, in a line: a bad folder or a mistake stops no other figure."""
    if isinstance(error, GrokError):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def draw_all(root: Path, names: list[str]) -> int:
    """Draw the figures called `names` anew, or without names all that are out of date.

    Returns the exit status: 1 where a figure that has results, or was named, could not be drawn.
    It prints a line a figure. A name is that of a figure or of a results folder; any other raises
    GrokError before anything is drawn. The findings of a folder are made current first.
    """
    root = Path(root)
    status = 0
    for entry, folder in named_tasks(root, names) if names else all_tasks(root):
        try:
            said = attempt(entry, folder, anew=bool(names))
        except Exception as error:
            said = f"not drawn: {reason(error)}"
            status = 1 if names or folder.is_dir() else status
        print(f"{entry.name}: {said}", flush=True)
    return status


def attempt(entry: Entry, folder: Path, anew: bool) -> str:
    """Draw a figure if need be; say in a line what came of it. Raises what `reason` explains."""
    try:
        if entry.reads_results and not folder.is_dir():
            source = entry.sources[0]
            command = "try OPERATION" if source == "try" else f"train configs/{source}.py"
            raise GrokError(f"there is no {folder}; to make it: python -m grok {command}")
        if entry.reads_results:
            scoreboard.current(folder)
        if not anew and is_current(entry, folder):
            return f"unchanged, {style.paths(folder, entry.name)[0]}"
        return f"drawn, {entry.draw(folder)[0]}"
    except NothingToDraw as error:
        return f"nothing to draw: {error}"


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
    tasks = [(entry, folder) for folder in results_folders(root) for entry in entries_of(folder)]
    fed = {entry.name for entry, _ in tasks}
    return tasks + [
        (entry, root / entry.sources[0])
        for entry in ENTRIES.values()
        if entry.sources and entry.name not in fed
    ]


def name_in(root: Path, name: str) -> str:
    """The name of a results folder that is given by its path; any other name as it is."""
    path = Path(name)
    return path.name if path.resolve().parent == root.resolve() else name


def named_tasks(root: Path, names: list[str]) -> list[tuple[Entry, Path]]:
    """The tasks that names of figures or folders ask for. GrokError for an unknown name.

    A folder may also be given by its path, as to every other command.
    """
    tasks = all_tasks(root)
    names = [name_in(root, name) for name in names]
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
