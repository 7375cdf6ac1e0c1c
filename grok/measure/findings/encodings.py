"""Ways to write elements and positions: which of them generalise, and when."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from grok.analysis import survival
from grok.measure.findings import donors, encoding_order, finding, runs, words
from grok.measure.findings.finding import Finding, Table
from grok.measure.findings.words import pretty

TASK = ["operation", "structure"]
COLUMNS = (
    *TASK,
    "weight_decay",
    "seed",
    "positions",
    "values",
    "bins",
    "base",
    "frequencies",
    "table",
    "train_table",
    "tied",
    "stopped_at",
    "num_steps",
    "steps_to_val_99",
)
VALUES = {
    "learned": "learned table",
    "onehot": "one-hot",
    "random": "random, fixed",
    "scalar": "scalar",
    "bins": "{bins} bins",
    "digits": "digits, base {base}",
    "fourier": "Fourier, k ≤ {frequencies}",
    "file": "{table}, {use}",
}
PAPER = "learned table (paper)"
POSITIONS = ("sinusoidal", "learned", "rotary", "none")  # the paper's first


# --- Names ---


def encoding_name(run: dict, tables: dict[str, str]) -> str:
    """How a run writes elements in and out, in words; tables: path of a table -> what it is."""
    if run["values"] == "learned" and not run["tied"]:
        return PAPER
    facts = run | {
        "table": tables.get(run["table"]),
        "use": "trained on" if run["train_table"] else "frozen",
    }
    return VALUES[run["values"]].format(**facts) + ", tied" * bool(run["tied"])


# --- Times ---


def find(results) -> Iterator[Finding | Table]:
    known = named_runs(results)
    rows = times(known)
    yield Table("times", rows)
    correlated = encoding_order.correlations(results, known)
    yield Table("predicted", correlated)
    yield frozen(rows)
    yield wrong_group(known)
    yield learned_positions(rows)
    yield no_positions(known)
    yield encoding_order.respects_differences(correlated)


def named_runs(results) -> pd.DataFrame:
    """The runs that have begun, with encoding (in words), decays, crossed and last (updates)."""
    begun, crossed, last = runs.crossings(runs.runs_with(results, *COLUMNS), "val")
    tables = donors.table_names(begun["table"][begun["table"] != ""].unique())
    names = [encoding_name(run, tables) for run in begun.to_dict("records")]
    return begun.assign(
        encoding=pd.Series(names, index=begun.index, dtype=object),
        decays=begun["weight_decay"] > 0,
        crossed=crossed,
        last=last,
    )


def times(known: pd.DataFrame) -> list[dict]:
    """Updates to 99% validation, a row a task, value encoding, position encoding and decay.

    median, low, high: Kaplan-Meier, 95% (survival.median_time); of few runs their range.
    """
    keys = [*TASK, "encoding", "positions", "weight_decay"]
    rows = []
    for key, here in known.groupby(keys, sort=False):
        median = survival.median_time(here["crossed"], here["last"])
        rows.append(
            dict(zip(keys, key, strict=True))
            | {"runs": len(here), "never": int(here["crossed"].isna().sum())}
            | {"median": median.value, "low": median.low, "high": median.high}
            | {"last": here["last"].max()}
        )
    return rows


# --- Claims ---


def one(rows: list[dict], task: tuple, encoding: str, positions: str, decays: bool) -> dict | None:
    """The row of a task, encoding and decay; None where it was not run."""
    for row in rows:
        alike = (row["operation"], row["structure"]) == task and row["encoding"] == encoding
        if alike and row["positions"] == positions and (row["weight_decay"] > 0) == decays:
            return row
    return None


def tasks_of(rows: list[dict]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((row["operation"], row["structure"]) for row in rows))


def time_words(row: dict) -> str:
    return "never" if np.isnan(row["median"]) else words.number(row["median"])


def frozen(rows: list[dict]) -> Finding:
    """Whether a grokked table of the same operation, frozen, generalises without decay.

    It counts for a task where the median run gets there, and with a learned table does not.
    """
    said, freed, tried = [], 0, []
    for task in tasks_of(rows):
        name = f"table of {pretty(task[0])}, frozen"
        fixed = one(rows, task, name, POSITIONS[0], decays=False)
        learned = one(rows, task, PAPER, POSITIONS[0], decays=False)
        if fixed and learned:
            tried += [fixed, learned]
            freed += not np.isnan(fixed["median"]) and np.isnan(learned["median"])
            said.append(f"{pretty(task[0])} {time_words(fixed)}")
    return Finding(
        "frozen",
        "a grokked table, frozen, generalises without decay",
        "",
        "; ".join(said) + " (learned: never)" if said else "–",
        finding.by_count(freed, len(said)),
        float(freed),
        unit="tasks",
        **totals(tried),
    )


def totals(rows: list[dict]) -> dict[str, Any]:
    """Runs, seeds and censored runs of rows of `times`."""
    return {
        "runs": sum(row["runs"] for row in rows),
        "seeds": max((row["runs"] for row in rows), default=0),
        "censored": sum(row["never"] for row in rows),
    }


def wrong_group(known: pd.DataFrame) -> Finding:
    """Whether a frozen table of the additive group prevents x/y, and one of x/y the others."""
    over, frozen_ = known["operation"] == "x/y", known["encoding"].str.endswith(", frozen")
    of_sum = known["encoding"].str.match(r"table of x[+-]y, ")
    of_ratio = known["encoding"].str.match(r"table of x/y, ")
    ring = known["structure"].str.startswith("Z")
    wrong = (over & of_sum) | (~over & of_ratio & ring)
    return prevented(
        "wrong_group",
        "a frozen table of the other group prevents generalisation",
        known[frozen_ & wrong],
    )


def no_positions(known: pd.DataFrame) -> Finding:
    """Whether, without positions, operations whose operands must be told apart stay below 99%."""
    ordered = known["operation"].isin(["x/y", "xy"])
    return prevented(
        "no_positions",
        "without positions x/y and xy do not generalise",
        known[(known["positions"] == "none") & ordered & known["decays"]],
    )


def prevented(id: str, claim: str, known: pd.DataFrame) -> Finding:
    """A claim that none of these runs gets to 99%."""
    crossed = int(known["crossed"].notna().sum())
    share = survival.wilson_interval(crossed, len(known))
    return Finding(
        id,
        claim,
        "",
        words.share(share, crossed, len(known)) + " got there" if len(known) else "–",
        finding.by_count(len(known) - crossed, len(known)),
        *share,
        unit="share of runs at 99%",
        **runs.size(known),
        censored=len(known) - crossed,
    )


def learned_positions(rows: list[dict]) -> Finding:
    """Whether learned positions generalise sooner than sinusoids, with decay, task by task."""
    said, sooner, tried = [], 0, []
    for task in tasks_of(rows):
        both = [one(rows, task, PAPER, name, decays=True) for name in ("learned", POSITIONS[0])]
        pair = [row for row in both if row is not None]
        if len(pair) == len(both):
            tried += pair
            sooner += pair[0]["median"] < np.nan_to_num(pair[1]["median"], nan=np.inf)
            said.append(" against ".join(map(time_words, pair)))
    return Finding(
        "learned_positions",
        "learned positions generalise sooner than sinusoids",
        "",
        "; ".join(said) or "–",
        finding.by_count(sooner, len(said)),
        float(sooner),
        unit="tasks",
        **totals(tried),
    )
