"""Hashes of code and data: is what was made from them still current?

Code counts as a hash of the module and of every module of this package that it imports, directly or
through others. So a change in the mathematics renews whatever rests on it.
"""

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]
# It decides which figures are drawn, and when; what they show does not pass through it.
APART = PACKAGE / "figures" / "parts" / "gallery.py"
DATA = ("experiment.json", "*.parquet", "arrays/*.npz")


def of(module: str, paths: Iterable[Path], root: Path) -> str:
    """A hash of a module's code and of the files `paths` below `root`."""
    digest = hashlib.sha256(code(module).encode())
    for path in paths:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def data_files(folder: Path) -> list[Path]:
    """Tables and arrays of a results folder and its parts, without the local files of weights."""
    found: list[Path] = []
    for part in (folder, *folder.glob("part-*")):
        for pattern in DATA:
            found += part.glob(pattern)
    return sorted(path for path in found if not path.stem.endswith("_params"))


@functools.cache
def code(module: str) -> str:
    """A hash of the source of a module, such as 'grok.figures.figure3', and of all it rests on."""
    digest = hashlib.sha256()
    for path in sources(module):
        digest.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def sources(module: str) -> list[Path]:
    """The files of a module and of every module of this package that it imports, in order."""
    own = file_of(module)
    assert own is not None, f"{module} is no module of this package"
    pending, found = [own], {own}
    for path in pending:
        files = (file_of(name) for name in imported(path))
        used = {file for file in files if file is not None} - found - {APART}
        found |= used
        pending += sorted(used)
    return sorted(found)


def file_of(module: str) -> Path | None:
    """The file of a module of this package; None for a name that is no module, or another's.

    The package's own __init__ is left out: it only hands out what others define.
    """
    top, *below = module.split(".")
    if top != PACKAGE.name or not below:
        return None
    path = PACKAGE.joinpath(*below)
    if path.with_suffix(".py").is_file():
        return path.with_suffix(".py")
    return path / "__init__.py" if (path / "__init__.py").is_file() else None


def imported(path: Path) -> set[str]:
    """The dotted names that a file imports from this package, also inside functions.

    `from grok.a import b` names grok.a.b where that is a module, and grok.a where it is not.
    """
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                names.add(inner if file_of(inner) else node.module)
    return {name for name in names if name.split(".")[0] == PACKAGE.name}
