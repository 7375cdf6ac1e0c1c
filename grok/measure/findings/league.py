"""The league: each method at its tuned cell against tuned AdamW, seed by seed."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from grok.analysis import survival
from grok.measure.findings import donors, finding, runs
from grok.measure.findings.finding import Finding, Table
from grok.measure.findings.league_tuning import method_and_task
from grok.measure.findings.words import count, interval

REFERENCE = "AdamW"
TIMES = {"first": "steps_to_val_99", "lasting": "steps_to_val_99_sustained"}
FALLEN = 0.9  # validation accuracy below which a run that had crossed 99% has fallen back
PLATEAU = 1.5  # updates to 99% validation over those to 99% training, at most, without a plateau
SIGNIFICANT = 0.05
GRADIENTS = {"sam": 2}  # evaluations of the gradient an update, where it is not one
WITHOUT = "without decay"
SOONER = {  # finding -> method, claim, the source's figure, whether it is of tasks without decay
    "grokfast": ("Grokfast-EMA", "Grokfast-EMA groks sooner", "39,890 → 910 on x·y mod 97", False),
    "muon": ("Muon", "Muon groks sooner", "epoch 153 → 103", False),
    "sphere": ("sphere", "the sphere groks sooner over Z/p", "more than 20 times", False),
    "even": ("even attention", "even attention groks sooner", "sooner (arXiv 2603.05228)", False),
    "table": (
        "grokked table",
        "a grokked table saves more than its donor costs",
        "sooner, from a weaker donor (2504.13292)",
        False,
    ),
    "low_rank": ("low-rank decay", "low-rank decay groks sooner", "sooner (2606.04405)", False),
    "orthogonal": ("⊥Grad", "⊥Grad groks without decay", "it does (Prieto et al.)", True),
    "stablemax": ("StableMax", "StableMax groks without decay", "it does (Prieto et al.)", True),
    "exact": ("exact softmax", "collapse alone holds grokking up", "it does (Prieto et al.)", True),
}
PLATEAUS = {
    "egalitarian": ("Egalitarian GD", "egalitarian descent has no plateau", "arXiv 2510.04930"),
    "constant_norm": ("constant norm", "a constant norm has no plateau", "Omnigrok"),
}


def find(results) -> Iterator[Finding | Table]:
    results.need_runs("label", "status", "optimizer", "table", *runs.TIMES, *TIMES.values())
    costs = runs.beside(results, "costs.parquet", "run", "ms_per_update")
    known = named(results).merge(costs[["run", "ms_per_update"]], on="run", how="left")
    rows = standings(known)
    yield Table("standings", rows)
    table = pd.DataFrame(rows)
    yield best_of_all(table, known)
    for id, (method, claim, source, without) in SOONER.items():
        rows, runs_of_method = (of(each, method, without) for each in (table, known))
        yield sooner(id, claim, source, rows, runs_of_method, of(table, REFERENCE, without))
    late = tasks_with_plateau(table)
    for id, (method, claim, source) in PLATEAUS.items():
        rows, runs_of_method = (of(each, method, False) for each in (table, known))
        yield no_plateau(id, claim, source, rows, runs_of_method, late)


def of(table: pd.DataFrame, method: str, without: bool) -> pd.DataFrame:
    """The rows of a method, on the tasks without decay or on the others."""
    if table.empty:
        return table
    return table[(table["method"] == method) & (table["task"].str.contains(WITHOUT) == without)]


def named(results) -> pd.DataFrame:
    """The runs of methods whose runs on a task have all ended, with what they are.

    That is their method, their task, whether they fell back, and the updates of the network from
    which they have their table.
    """
    known = runs.ended(results.runs)
    unfinished = set(results.runs["label"][~results.runs["run"].isin(known["run"])])
    known = known[~known["label"].isin(unfinished)]
    said = [method_and_task(label) for label in known["label"]]
    fell = fallen(results.curves)
    return known.assign(
        method=[method for method, _ in said],
        task=[task for _, task in said],
        fell=[run in fell for run in known["run"]],
        donor=donors.updates(known),
    )


def fallen(curves: pd.DataFrame) -> set[int]:
    """The runs that are below FALLEN at some evaluation after their first one at 99%."""
    crossed = (curves["val_accuracy"] >= 0.99).groupby(curves["run"]).cummax()
    return set(curves["run"][crossed & (curves["val_accuracy"] < FALLEN)])


# --- Standings ---


def standings(known: pd.DataFrame) -> list[dict]:
    """A row a task and method; p values are corrected over the methods of a task."""
    rows = []
    for task, here in known.groupby("task", sort=False):
        reference = here[here["method"] == REFERENCE].set_index("seed")
        found = [
            standing(task, method, mine.set_index("seed"), reference)
            for method, mine in here.groupby("method", sort=False)
        ]
        for which in TIMES:
            corrected = survival.holm([row[f"p_{which}"] for row in found])
            for row, p in zip(found, corrected):
                row[f"p_{which}"] = float(p)
        rows += found
    return rows


def standing(task: str, method: str, mine: pd.DataFrame, reference: pd.DataFrame) -> dict:
    """One method on one task; ratios are to AdamW over the seeds that both have.

    The updates of a donor count as those of the method.
    """
    row = {"task": task, "method": method, "runs": len(mine), "fell": int(mine["fell"].sum())}
    row |= {"budget": int(mine["num_steps"].max()), "ms": float(mine["ms_per_update"].median())}
    row |= {"gradients": GRADIENTS.get(mine["optimizer"].iloc[0], 1)}
    row |= {"plateau": plateau(mine), "donor": int(mine["donor"].iloc[0])}
    common = mine.index.intersection(reference.index)
    for which, column in TIMES.items():
        times, last = times_of(mine, column)
        median = survival.median_time(times, last)
        row |= {f"{which}_{name}": value for name, value in median._asdict().items()}
        row[f"{which}_reached"] = int(np.isfinite(times).sum())
        ratio, p = survival.UNKNOWN, np.nan
        if method != REFERENCE and len(common):
            arm, other = (times_of(each.loc[common], column) for each in (mine, reference))
            ratio = survival.ratio_of_medians(arm[0], other[0])
            p = survival.paired_logrank(arm, other)
        row |= {f"ratio_{which}_{name}": value for name, value in ratio._asdict().items()}
        row[f"p_{which}"] = p
    return row


def times_of(mine: pd.DataFrame, column: str) -> tuple[np.ndarray, np.ndarray]:
    """Times to a crossing, NaN for never, and the update up to which a run was followed.

    Both count from the donor's first update, where a run has its table from another network.
    """
    donor = mine["donor"].to_numpy(float)
    times = mine[column].to_numpy(float) + donor
    return times, mine["num_steps"].to_numpy(float) + donor


def plateau(mine: pd.DataFrame) -> float:
    """Median of the updates to 99% validation over those to 99% training; infinite for never."""
    trained = mine["steps_to_train_99"].astype(float)
    found = mine["steps_to_val_99"].astype(float) / trained
    return float(np.median(found.fillna(np.inf)))


# --- Findings ---


def is_sooner(table: pd.DataFrame, which: str) -> pd.Series:
    """Where a method is sooner than AdamW: ratio below 1, corrected p below 5%."""
    return (table[f"ratio_{which}_value"] < 1) & (table[f"p_{which}"] < SIGNIFICANT)


def best_of_all(table: pd.DataFrame, known: pd.DataFrame) -> Finding:
    """Chou (2025): a fairly tuned AdamW is hard to beat. Reproduced where no method is sooner."""
    wins = table[is_sooner(table, "lasting")] if len(table) else table
    tasks = table["task"].nunique() if len(table) else 0
    counts = wins.groupby("method")["task"].nunique() if len(wins) else pd.Series(dtype=int)
    everywhere = sorted(counts[counts == tasks].index)
    here = f"{count(len(counts), 'method')} sooner on some task, {len(everywhere)} on all {tasks}"
    verdict = finding.NOT_TESTED
    if len(table) > tasks:
        verdict = finding.IN_PART if len(counts) else finding.REPRODUCED
        verdict = finding.NOT_REPRODUCED if everywhere else verdict
    return Finding(
        "hard_to_beat",
        "no method beats an AdamW tuned as well",
        "hard to beat (Chou 2025, an MLP)",
        here if len(table) else "–",
        verdict,
        **runs.size(known),
    )


def sooner(
    id: str,
    claim: str,
    source: str,
    table: pd.DataFrame,
    known: pd.DataFrame,
    reference: pd.DataFrame,
) -> Finding:
    """Whether a method lastingly gets to 99% before tuned AdamW: on every task, some or none."""
    value = survival.Estimate(np.nan, np.nan, np.nan)
    if len(table) == 1:
        value = survival.Estimate(
            *(table[f"ratio_lasting_{name}"].iloc[0] for name in survival.Estimate._fields)
        )
    return Finding(
        id,
        claim,
        source,
        how_far(table, reference),
        finding.by_count(int(is_sooner(table, "lasting").sum()) if len(table) else 0, len(table)),
        *value,
        unit="median updates over those of tuned AdamW",
        **runs.size(known),
        censored=int(known["steps_to_val_99_sustained"].isna().sum()) if len(known) else 0,
    )


def how_far(table: pd.DataFrame, reference: pd.DataFrame) -> str:
    """The ratio to AdamW's median on a single task that has one, else how many lastingly got there.

    reference: the rows of AdamW. The table of standings has the ratios on every task.
    """
    if table.empty:
        return "–"
    row, *others = table.itertuples()
    if not others and np.isfinite(row.ratio_lasting_value) and row.ratio_lasting_value > 0:
        ratio = survival.Estimate(
            row.ratio_lasting_value, row.ratio_lasting_low, row.ratio_lasting_high
        )
        return f"×{interval(ratio, '.2f')}"
    adamw = dict(zip(reference["task"], reference["lasting_reached"]))
    counts = [
        f"{row.task.removesuffix(' ' + WITHOUT)} {row.lasting_reached} ({adamw.get(row.task, '–')})"
        for row in table.itertuples()
    ]
    return "; ".join(counts).replace("(", f"({REFERENCE} ", 1)


def tasks_with_plateau(table: pd.DataFrame) -> list[str]:
    """The tasks on which AdamW's validation follows late, so that a plateau can be removed."""
    if table.empty:
        return []
    reference = table[table["method"] == REFERENCE]
    return list(reference["task"][reference["plateau"] > PLATEAU])


def no_plateau(
    id: str, claim: str, source: str, table: pd.DataFrame, known: pd.DataFrame, late: list[str]
) -> Finding:
    """Whether validation follows training at once: on every task of `late`, some or none."""
    if len(table):
        table, known = (each[each["task"].isin(late)] for each in (table, known))
    gone = int((table["plateau"] <= PLATEAU).sum()) if len(table) else 0
    words = [f"{row.task} ×{row.plateau:.1f}" for row in table.itertuples()]
    return Finding(
        id,
        claim,
        source,
        ("validation over training: " + "; ".join(words)).replace("inf", "∞") if words else "–",
        finding.by_count(gone, len(table)),
        unit="updates to 99% validation over those to 99% training",
        **runs.size(known),
        censored=int(known["steps_to_val_99"].isna().sum()) if len(known) else 0,
    )
