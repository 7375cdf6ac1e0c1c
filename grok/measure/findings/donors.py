"""The networks that lent their table to others: what they had learned, how well, at what cost.

A run with `values=file` names its table by the path of a results folder's arrays.
"""

import re
from pathlib import Path

import pandas as pd

from grok.experiment import GrokError, Run
from grok.measure.findings.words import pretty
from grok.store.descriptions import read_description
from grok.store.outcomes import THRESHOLD
from grok.store.results import load

TABLE = re.compile(r"(.*)/arrays/run_(\d+)\.npz(?::(un)?embedding)?")


def table_names(paths) -> dict[str, str]:
    """What tables from files are, by their paths: 'table of x+y'.

    The short path stands where that does not tell them apart, or cannot be found out.
    """
    named = {path: described(path) for path in paths}
    return {
        path: words if words and list(named.values()).count(words) == 1 else f"table {short(path)}"
        for path, words in named.items()
    }


def described(path_and_matrix: str) -> str | None:
    """The words for a table from a file: what its network had learned, None where nobody knows.

    The words say so where the network had not generalised.
    """
    found = TABLE.fullmatch(path_and_matrix)
    runs = runs_of(found[1]) if found else []
    if not found or int(found[2]) >= len(runs):
        return None
    run = runs[int(found[2])]
    operation = pretty(run.get("operation", Run().operation))
    if run.get("label", "").startswith("skip-gram"):
        return f"skip-gram of {operation}"
    accuracy = outcome(path_and_matrix, "final_val_accuracy")
    return f"{'output table' if found[3] else 'table'} of {operation}" + (
        f" at {100 * accuracy:.0f}%" if accuracy < THRESHOLD else ""
    )


def runs_of(folder: str) -> list[dict]:
    """The runs of a results folder, as its experiment.json has them; none if it is unreadable."""
    try:
        description = read_description(Path(folder))
    except GrokError:
        return []
    return description["experiment"]["runs"] if description else []


def outcome(path_and_matrix: str, column: str) -> float:
    """A number that runs.parquet has of the run whose table this is; NaN where not at hand."""
    found = TABLE.fullmatch(path_and_matrix)
    if not found:
        return float("nan")
    try:
        runs = load(found[1]).runs.set_index("run")
    except GrokError:
        return float("nan")
    return float(runs[column].get(int(found[2]), float("nan")))


def updates(runs: pd.DataFrame) -> pd.Series:
    """How many updates the network took that lent each run its table; 0 for a run of no donor.

    Raises GrokError where the donor's results are not at hand.
    """
    known = {"": 0.0}
    for path in runs["table"].unique():
        if path and pd.isna(known.setdefault(path, outcome(path, "stopped_at"))):
            raise GrokError(
                f"the results beside {path} are not at hand, so that the updates behind this "
                "table cannot be counted: start grok in the folder that holds them"
            )
    return runs["table"].map(known)


def short(path: str) -> str:
    """A table's path without what all tables of results folders share: 'figure3 run_0000'."""
    return re.sub(r"^.*?([^/]+)/arrays/([^/]+)\.npz", r"\1 \2", path)
