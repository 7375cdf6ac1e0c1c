"""The dictionary of columns, grok/store/README.md, names what is in the tables, and all of it."""

import dataclasses
import re
from pathlib import Path

import pandas as pd
import pytest

from grok.experiment import Run
from grok.measure import mechanism
from grok.store import outcomes
from grok.store.tables import METRICS

ROOT = Path(__file__).parent.parent
FIELDS = {spec.name: spec.metadata["help"] for spec in dataclasses.fields(Run)}


def described(heading):
    """The rows of the tables below a heading of the dictionary: name -> what it is."""
    text = (ROOT / "grok/store/README.md").read_text(encoding="utf-8")
    (section,) = [part for part in text.split("\n## ") if part.startswith(heading)]
    return dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE))


def test_the_fields_of_a_run_are_described_as_in_the_help_of_train():
    found = described("`runs.parquet`")
    assert {name: found[name] for name in FIELDS} == FIELDS


def test_every_status_is_described():
    assert set(described("Status")) == {"queued", "running", *outcomes.ENDED}


@pytest.mark.parametrize(
    "path",
    sorted(ROOT.glob("results/*/*.parquet")),
    ids=lambda path: f"{path.parent.name}-{path.stem}",
)
def test_every_column_of_kept_results_is_described(path):
    columns = set(pd.read_parquet(path).columns)
    found = set(described(f"`{path.name}`")) | ({"run"} if path.stem == "runs" else set())
    assert columns <= found
    if path.stem != "runs":  # older tables of runs lack the fields that came in later
        assert columns == found


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("runs", [*FIELDS, "n_train", *outcomes.OUTCOMES]),
        ("curves", ["run", "step", *METRICS]),
        ("mechanism", mechanism.COLUMNS + mechanism.NULL_COLUMNS),
        ("phases", mechanism.PHASES),
    ],
)
def test_columns_that_are_written_today_are_described_in_their_order(name, columns):
    assert list(described(f"`{name}.parquet`")) == columns
