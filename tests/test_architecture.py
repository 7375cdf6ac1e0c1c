"""Data flows one way: what each module may import, read from the sources, also inside functions."""

import ast
import tomllib
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "grok"
CONFIGS = PACKAGE.parent / "configs"
MODULES = sorted(PACKAGE.rglob("*.py"))

MAY_IMPORT = {  # room -> the rooms that it may import, beside itself
    "fields": set(),
    "experiment": {"fields"},
    "files": {"experiment"},
    "campaign": {"experiment", "config", "store"},
    "task": {"experiment", "files"},
    "model": {"experiment", "task"},
    "config": {"experiment", "store"},
    "store": {"experiment", "files", "task"},
    "analysis": {"experiment", "task"},
    "training": {"experiment", "files", "task", "model", "store"},
    "measure": {"experiment", "files", "task", "model", "store", "training", "analysis"},
    "figures": {"experiment", "files", "task", "store", "analysis", "measure"},
    "page": {"experiment", "files", "store", "analysis", "measure"},
    "commands": {
        "experiment",
        "campaign",
        "config",
        "files",
        "task",
        "store",
        "training",
        "measure",
        "figures",
        "page",
    },
    "__main__": {"experiment", "commands"},
    "trained": {"experiment", "store", "training", "measure", "figures"},
    "__init__": {"experiment", "trained"},
}
ONLY_IN = {  # a library with an interface of its own -> the rooms that know it
    "flax": {"model"},
    "optax": {"training", "measure"},
    "orbax": {"training"},
    "tqdm": {"training", "measure"},
    "argparse": {"commands"},
    "matplotlib": {"figures"},
    "PIL": {"figures"},
    "sklearn": {"analysis", "measure"},
    "plotext": {"figures"},
    "plotly": {"page"},
    "tensorboardX": {"store"},
}


def name_of(path):
    """'analysis' for grok/analysis/fourier.py, 'files' for grok/files.py."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(source, package="grok"):
    """Dotted names of what a source imports; `from a import b` gives a, and a.b as a module."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(filter(None, [package if node.level else "", node.module]))
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return found


def rooms_of(names):
    """Which of the package's rooms are among dotted names."""
    here = {name_of(path) for path in MODULES}
    return {name.split(".")[1] for name in names if name.startswith("grok.")} & here


def test_the_reader_sees_every_kind_of_import():
    source = "import grok.training.update\nfrom grok import store, task as t\ndef f():\n"
    source += "    from grok.analysis.fourier import g\n    from . import figures\n"
    source += "    from .model import Transformer\n"
    assert rooms_of(imported(source)) == {
        "training",
        "store",
        "task",
        "analysis",
        "figures",
        "model",
    }
    assert "flax.linen" in imported("import flax.linen as nn")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_imports_what_lies_to_its_right(path):
    name = name_of(path)
    assert name in MAY_IMPORT, f"say in this table what grok/{name} may import"
    forbidden = rooms_of(imported(path.read_text())) - MAY_IMPORT[name] - {name}
    assert not forbidden, (
        f"{path.relative_to(PACKAGE.parent)} imports {', '.join(sorted(forbidden))}"
    )


def test_the_table_itself_has_no_circle():
    settled = set()
    for _ in MAY_IMPORT:
        settled |= {name for name in MAY_IMPORT if MAY_IMPORT[name] - {name} <= settled}
    assert settled == MAY_IMPORT.keys()


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_known_in_one_place(library):
    users = set()
    for path in MODULES:
        if library in {name.split(".")[0] for name in imported(path.read_text())}:
            users.add(name_of(path))
    assert users <= ONLY_IN[library]
    assert users, "the table names a library that nothing uses"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.name)
def test_configs_import_only_the_experiment_and_each_other(path):
    assert {"experiment"} <= rooms_of(imported(path.read_text())) <= {"experiment", "config"}
    assert ast.get_docstring(ast.parse(path.read_text())), (
        "its docstring says what it shows, what it costs and what to expect"
    )


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_text_files_are_utf8_whatever_the_locale(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", None))
        modes = [str(each.value) for each in node.args if isinstance(each, ast.Constant)]
        if (
            name in ("read_text", "write_text")
            or name == "open"
            and not any("b" in m for m in modes)
        ):
            image = isinstance(node.func, ast.Attribute) and name == "open"  # PIL's, tarfile's
            said = {keyword.arg for keyword in node.keywords}
            assert image or "encoding" in said, f"line {node.lineno} names no encoding"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_text_is_run_as_code(path):
    calls = [
        node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
    ]
    assert not {getattr(call, "id", None) for call in calls} & {
        "eval",
        "exec",
        "compile",
        "__import__",
    }


def test_an_installed_package_has_every_file_that_it_reads():
    setuptools = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"][
        "setuptools"
    ]
    [patterns] = setuptools["package-data"].values()
    packed = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    kinds = (".py", ".pyc", ".md")
    read = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in kinds}
    assert packed == read
