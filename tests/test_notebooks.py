"""Every notebook runs from the root and from its own folder, and is kept with its outputs and without anyone's paths."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|usr|var|opt|mnt|work|Users|private)\b")


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path):
    """It is run on a copy in memory; a cell that fails raises. Odd ones begin in notebooks/, even ones at the root."""
    notebook = nbformat.read(path, as_version=4)
    start = (ROOT, ROOT / "notebooks")[int(path.stem[0]) % 2]
    before = path.read_bytes()
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(start)}}
    ).execute()
    assert path.read_bytes() == before
    committed = nbformat.read(path, as_version=4)
    for new, old in zip(code_cells(notebook), code_cells(committed)):
        assert kinds(new) == kinds(old), new.source


def kinds(cell) -> set[str]:
    """What a cell put out: text, pictures, tables; not warnings and progress."""
    shown = [output for output in cell.outputs if output.get("name") != "stderr"]
    return {kind for output in shown for kind in output.get("data", {"text": None})}


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == [
        "1_grokking_curve",
        "2_circle",
        "3_s5_cosets",
        "4_your_operation",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_as_it_ran(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), (
        "run it from the top"
    )
    assert any("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs)
    assert not [
        output for cell in cells for output in cell.outputs if output.output_type == "error"
    ]
    text = "\n".join(cell.source for cell in notebook.cells)
    text += "\n".join(
        output.get("text", "")
        + str({k: v for k, v in output.get("data", {}).items() if not k.startswith("image")})
        for cell in cells
        for output in cell.outputs
    )
    assert not MACHINE_PATH.search(text)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_computes_with_lives_in_the_package(path):
    """Notebooks call; they define no functions and no classes."""
    source = "\n".join(cell.source for cell in code_cells(nbformat.read(path, as_version=4)))
    assert not re.search(r"^\s*(def|class) ", source, re.MULTILINE) and "lambda" not in source
