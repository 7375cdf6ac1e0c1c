"""Every config at both scales: it loads, and every data set it asks for can be made."""

import re
from pathlib import Path

import pytest

from grok import config
from grok.experiment import SCALES, GrokError, Run, results_name
from grok.task.dataset import make_dataset
from grok.task.operations import operation_table

ROOT = Path(__file__).parent.parent
CONFIGS = sorted(path.stem for path in (ROOT / "configs").glob("*.py"))
OF_DATA = (
    "operation",
    "structure",
    "train_fraction",
    "split_seed",
    "corrupted_labels",
    "token_format",
    "d_model",
    "values",
    "bins",
    "base",
    "frequencies",
    "table",
    "train_table",
)  # fields that a data set depends on


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    """Configs name tables by their path from the project's own folder."""
    monkeypatch.chdir(ROOT)


def data_of(run: Run) -> Run:
    """The run that stands for all with the same data set."""
    return Run(**{name: getattr(run, name) for name in OF_DATA})


@pytest.mark.parametrize("scale", list(SCALES))
@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_loads_and_its_data_can_be_made(name, scale):
    experiment = config.load(f"configs/{name}.py", scale).experiment
    assert experiment.name == results_name(name, experiment.scale)
    assert len(set(experiment.runs)) == len(experiment.runs)
    for run in dict.fromkeys(map(data_of, experiment.runs)):
        if run.values == "file" and not Path(run.table.removesuffix(":unembedding")).exists():
            check_missing_table(run, scale)
            continue
        dataset, rows = make_dataset(run), operation_table(run.operation, run.structure).rows
        assert 0 < dataset.n_train == len(set(dataset.train_rows.tolist())) < rows, run
        assert dataset.n_train == pytest.approx(run.train_fraction * rows, abs=1), run


def check_missing_table(run: Run, scale: str) -> None:
    """Tables of larger scales lie where their networks were trained; a line names the missing."""
    assert scale != "small" and f"_{scale}/" in run.table, (
        f"{run.table} belongs to the committed results"
    )
    with pytest.raises(GrokError, match=f"^there is no table {re.escape(run.table)}$"):
        make_dataset(run)
