"""The findings as the page shows them: what findings.json of each folder says, and its links."""

import json
import os
from pathlib import Path

from grok.page.pack import portable
from grok.store.results import Results

HEAD = ("scale", "network", "device", "commit")


def rows(loaded: Results, name: str, out: Path) -> list[dict]:
    """The findings of results, each with its experiment, figures and commands.

    Links are relative to the folder of the page. Results without findings give none. Raises
    ValueError for a findings.json that cannot be read.
    """
    folder = loaded.folder
    path = folder / "findings.json"
    if not path.exists():
        return []
    kept = json.loads(path.read_text())
    head = {key: kept.get(key) for key in HEAD}
    figures = [relative(figure, out.parent) for figure in sorted(folder.glob("*.png"))]
    commands = [session.get("command") for session in loaded.description["sessions"]]
    shared = {"figures": figures, "commands": list(dict.fromkeys(filter(None, commands)))} | head
    return [portable(shared | finding | {"experiment": name}) for finding in kept["findings"]]


def relative(path: Path, start: Path) -> str:
    """A path as a link from a page in `start`."""
    return Path(os.path.relpath(path, start)).as_posix()
