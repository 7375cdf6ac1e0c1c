"""Every notebook runs from any folder, and is kept with its outputs and without anyone's paths."""

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BAR = "application/vnd.jupyter.widget-view+json"
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|root|tmp|usr|var|opt|mnt|work|Users|private)\b")


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    """It is run on a copy in memory, from an empty folder; a cell that fails raises."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for a grok that is not installed
    notebook = nbformat.read(path, as_version=4)
    before = path.read_bytes()
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=place).execute()
    assert path.read_bytes() == before
    assert not list(tmp_path.iterdir()), "it leaves nothing where it runs"
    committed = nbformat.read(path, as_version=4)
    for new, old in zip(code_cells(notebook), code_cells(committed), strict=True):
        assert kinds(new) == kinds(old), new.source
        if "grok.train(" in new.source:
            assert any(BAR in output.get("data", {}) for output in new.outputs)


def kinds(cell) -> set[str]:
    """What a cell put out: text, pictures, tables; not warnings and progress."""
    shown = [output.get("data", {"text": None}) for output in told(cell)]
    return {kind for data in shown if BAR not in data for kind in data}


def told(cell) -> list:
    """The outputs of a cell without standard error."""
    return [output for output in cell.outputs if output.get("name") != "stderr"]


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == [
        "1_grokking_curve",
        "2_circle",
        "3_s5_cosets",
        "4_your_operation",
        "5_mechanism",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_as_it_ran(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), (
        "run it from the top"
    )
    outputs = [output for cell in cells for output in cell.outputs]
    assert "error" not in {output.output_type for output in outputs}
    parts, kinds = [cell.source for cell in notebook.cells], set()
    for output in outputs:
        data = output.get("data", {})
        kinds |= data.keys()
        parts.append(output.get("text", ""))
        parts += [str(value) for kind, value in data.items() if not kind.startswith("image")]
    assert "image/png" in kinds
    text = "\n".join(parts)
    assert not MACHINE_PATH.search(text)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_notebook_computes_with_lives_in_the_package(path):
    """Notebooks call; they define no functions and no classes."""
    source = "\n".join(cell.source for cell in code_cells(nbformat.read(path, as_version=4)))
    assert not re.search(r"^\s*(def|class) ", source, re.MULTILINE) and "lambda" not in source
