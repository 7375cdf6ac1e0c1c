"""A measured table bears a mark of the runs it was measured from, so that an old one is known."""

import hashlib
from pathlib import Path

import pandas as pd

from grok.store.outcomes import OUTCOMES, TRAINED
from grok.store.results import Results
from grok.store.tables import read_table, write_table

MEASURED_FROM = "measured_from"  # name of a mark among the attributes of a measured table


def write_measured(loaded: Results, name: str, frame: pd.DataFrame) -> Path:
    """Write <name>.parquet, what was measured of loaded results; returns its path.

    The table keeps the mark of the runs that it was measured from (see `is_current`).
    """
    marked = frame.copy(deep=False)
    marked.attrs = {MEASURED_FROM: mark(loaded.runs)}
    return write_table(loaded.folder, name, marked)


def is_current(loaded: Results, path: Path) -> bool:
    """Whether a measured table tells of the runs as they are now.

    It must have rows of every run that came to its end and did not diverge, and the mark of these
    runs. A table from before there were marks needs the rows alone.
    """
    try:
        table = read_table(path)
    except (OSError, ValueError):
        return False
    runs = loaded.runs
    now = mark(runs)
    measurable = runs["run"][runs["status"].isin(TRAINED)]
    whole = "run" in table and measurable.isin(table["run"]).all()
    return bool(whole and table.attrs.get(MEASURED_FROM, now) == now)


def mark(runs: pd.DataFrame) -> str:
    """A digest of what came of runs. It changes when a run is added or trained further."""
    told = runs.reindex(columns=["run", *OUTCOMES])
    told = told.replace({"status": {"collapsed": "budget"}})  # its former name in older marks
    content = told.to_json(orient="values", double_precision=15)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
