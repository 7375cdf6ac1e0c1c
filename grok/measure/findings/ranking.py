"""Which network of a task is the clearest: one rule, for every figure and page.

A network is looked at where its validation accuracy was highest among the updates that are kept,
for it may collapse after it has grokked. Those that had generalised there are ranked, or where none
had, all that ended.

The rule: over Z/n the clearer network has the shorter number line in the t-SNE of its output rows
(the paper's Figure 3 joins n to n + 8), by residues or by discrete logarithms, whichever axis its
spectrum shows. Over another group it has the cosets whose z lies further below chance.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from grok.analysis import fourier, groups, logarithm
from grok.analysis.projection import coordinates
from grok.analysis.similarity import number_line
from grok.measure.findings import runs
from grok.measure.findings.words import pretty
from grok.store.array_files import arrays_name
from grok.store.matrices import element_rows
from grok.store.outcomes import TRAINED
from grok.store.snapshots import Moment, best, moments
from grok.task.operations import Structure

LEAST_FOR_TYPICAL = 3
CLEAREST, TYPICAL = "clearest", "typical"
KEYS_KEPT = 6


class Network(NamedTuple):
    """A trained network at its best kept moment: its output rows [n, d] and their structure."""

    run: int
    moment: Moment
    W: np.ndarray
    group: Structure


def network(results, run: int) -> Network:
    moment = best(moments(results, run))
    return Network(run, moment, *element_rows(results, run, step=moment.step))


def ranked(results, measure=None) -> list[dict]:
    """A row a network that came to its end, ranked within its task, the clearest first.

    measure: from a network and its row to further fields of the row. rank counts from 1 and is 0
    where other networks of the task have generalised and this one has not. role: 'clearest', of
    three or more also 'typical', the median one.
    """
    known = runs.runs_with(results, "operation", "structure", "snapshots")
    if "label" in known and (known["label"] == "").any():
        known = known[known["label"] == ""]  # the others are trained in ways of their own
    rows = []
    for operation, name, here in runs.tasks(known[known["status"].isin(TRAINED)]):
        task = {"operation": operation, "structure": name}
        found = []
        for run, snapshots in zip(here["run"], here["snapshots"]):
            if not results.kept(arrays_name(int(run))):
                continue  # its matrices did not come along
            seen = network(results, int(run))
            row = task | described(seen) | {"snapshots": snapshots != ""}
            found.append(row | (measure(seen, row) if measure else {}))
        rows += with_ranks(found)
    return rows


def with_ranks(found: list[dict]) -> list[dict]:
    """The networks of a task with rank, `of` (how many are ranked) and role, in order of rank."""
    able = [row for row in found if row["generalised"]]
    left_out = [row for row in found if not row["generalised"]] if able else []
    able = sorted(able or found, key=lambda row: row["clarity"])
    roles = dict.fromkeys(range(len(able)), "")
    if len(able) >= LEAST_FOR_TYPICAL:
        roles[len(able) // 2] = TYPICAL
    roles[0] = CLEAREST
    placed = [row | {"rank": i + 1, "role": roles[i]} for i, row in enumerate(able)]
    placed += [row | {"rank": 0, "role": ""} for row in left_out]
    return [row | {"of": len(able)} for row in placed]


def described(seen: Network) -> dict:
    """When a network is looked at, how clear it is, and by which frequencies or subgroup."""
    moment = seen.moment
    row = {
        "run": seen.run,
        "step": np.nan if moment.step is None else moment.step,
        "update": moment.update,
        "train": moment.train_accuracy,
        "val": moment.val_accuracy,
        "generalised": moment.generalised,
    }
    return row | (of_ring(seen) if seen.group.is_ring else of_group(seen))


def of_ring(seen: Network) -> dict:
    """Axis, key frequencies (strongest first), and the shortest number line in t-SNE."""
    order = logarithm.element_order(seen.W)
    line = number_line(coordinates(seen.W)[order])
    keys = fourier.key_frequencies(seen.W[order])
    return {
        "clarity": line.length,
        "axis": "additive" if len(order) == seen.group.order else "logarithmic",
        "step_of_line": line.step,
        "keys": [int(k) for k in keys[:KEYS_KEPT]],
        "n_keys": len(keys),
    }


def of_group(seen: Network) -> dict:
    """The subgroup whose left or right cosets fit best, and their z."""
    row = groups.best_subgroup(groups.coset_scores(seen.W, seen.group))
    return {
        "clarity": float(row.z),
        "subgroup": int(row.subgroup),
        "subgroup_order": int(row.order),
        "side": row.side,
    }


def chosen(table: pd.DataFrame, followed: bool = False) -> list[dict]:
    """The clearest network of each task, as rows of the table that `ranked` gives.

    followed: where some runs of an experiment kept snapshots, the clearest among these.
    """
    if followed and len(table) and table["snapshots"].any():
        table = table[table["snapshots"]]
    if table.empty:
        return []
    found = []
    for _, here in table.groupby(["structure", "operation"], sort=False):
        able = here[here["generalised"]]
        rows = able if len(able) else here
        found.append(rows.sort_values("clarity", kind="stable").iloc[0].to_dict())
    return found


def step_of(row: dict) -> int | None:
    """The snapshot at which a network is looked at; None for the run's end."""
    return None if np.isnan(row["step"]) else int(row["step"])


def title_of(row: dict) -> str:
    """The task and the run of a network, 'x+y Z97, run 2'."""
    return f"{pretty(row['operation'])} {row['structure']}, run {row['run']}"
