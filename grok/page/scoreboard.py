"""The findings as the page shows them: what findings.json of each folder says, and its links."""

import dataclasses
import os
from pathlib import Path

from grok.experiment import SCALES, GrokError
from grok.measure.findings import registry
from grok.page.pack import portable
from grok.store.results import Results


def rows(loaded: Results, name: str, out: Path) -> list[dict]:
    """The findings of results, each with its experiment, scale, figures and commands.

    Links are relative to the folder of the page. Results without findings give none. `current`:
    whether they were made from the results and by the code that are here now. Raises GrokError
    for a file that cannot be read.
    """
    folder = loaded.folder
    if not (folder / registry.FILE).exists():
        return []
    kept = registry.read(folder)
    if kept is None:
        raise GrokError(f"its findings cannot be read: python -m grok findings {folder}")
    figures = [relative(figure, out.parent) for figure in sorted(folder.glob("*.png"))]
    commands = [session.get("command") for session in loaded.description["sessions"]]
    shared = {
        "experiment": name,
        "scale": loaded.description["experiment"]["scale"],
        "figures": figures,
        "commands": list(dict.fromkeys(filter(None, commands))),
        "current": kept[1] == registry.mark_of(folder),
    }
    return [portable(dataclasses.asdict(each) | shared) for each in kept[0].findings.values()]


def place(row: dict) -> tuple[int, int]:
    """Where a finding stands: by its theme in the order of the scoreboard, large scales first."""
    theme = registry.theme_of(Path(row["experiment"]).name)
    themes = [*registry.THEMES, registry.ANY]
    return themes.index(theme), -list(SCALES).index(row["scale"])


def relative(path: Path, start: Path) -> str:
    """A path as a link from a page in `start`."""
    return Path(os.path.relpath(path, start)).as_posix()
