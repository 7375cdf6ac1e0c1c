"""Runs by how elements and positions are written: names, times, and what predicts them."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from grok.analysis import fourier, survival
from grok.experiment import GrokError, Run
from grok.figures.parts import data, style
from grok.store.results import THRESHOLD, load, read_description
from grok.task.encodings import element_features
from grok.task.operations import is_prime, structure, table

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
    """What the vectors in a file of a results folder belong to; None where that is not at hand.

    The words say so where the network had not generalised.
    """
    found = re.fullmatch(r"(.*)/arrays/run_(\d+)\.npz(?::(un)?embedding)?", path_and_matrix)
    runs = runs_of(found[1]) if found else []
    if not found or int(found[2]) >= len(runs):
        return None
    run = runs[int(found[2])]
    operation = style.pretty(run.get("operation", Run().operation))
    if run.get("label", "").startswith("skip-gram"):
        return f"skip-gram of {operation}"
    accuracy = final_accuracy(found[1], int(found[2]))
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


def final_accuracy(folder: str, run: int) -> float:
    """The validation accuracy at the end of a run of a folder; NaN where that is not at hand."""
    try:
        return (
            load(folder).runs.set_index("run")["final_val_accuracy"].astype(float).get(run, np.nan)
        )
    except GrokError:
        return np.nan


def short(table: str) -> str:
    """A table's path without what all tables of results folders share: 'figure3 run_0000'."""
    return re.sub(r"^.*?([^/]+)/arrays/([^/]+)\.npz", r"\1 \2", table)


# --- Times ---


def named_runs(results) -> pd.DataFrame:
    """The runs that have begun, with encoding (in words), decays, crossed and last (updates)."""
    begun, crossed, last = data.crossings(data.runs_with(results, *COLUMNS), "val")
    tables = table_names(begun["table"][begun["table"] != ""].unique())
    names = [encoding_name(run, tables) for run in begun.to_dict("records")]
    return begun.assign(
        encoding=names, decays=begun["weight_decay"] > 0, crossed=crossed, last=last
    )


def times(results) -> pd.DataFrame:
    """Updates to 99% validation, a row a task, value encoding, position encoding and decay.

    median, low, high: Kaplan-Meier, 95% (grok.analysis.survival.median_time). runs, never: counts;
    never_share has Wilson's interval.
    """
    keys = [*TASK, "encoding", "positions", "weight_decay"]
    rows = []
    for key, here in named_runs(results).groupby(keys, sort=False):
        never = int(here["crossed"].isna().sum())
        share = survival.wilson_interval(never, len(here))
        median = survival.median_time(here["crossed"], here["last"])
        rows.append((*key, len(here), never, *share, *median))
    return pd.DataFrame(
        rows,
        columns=[
            *keys,
            "runs",
            "never",
            "never_share",
            "never_low",
            "never_high",
            "median",
            "low",
            "high",
        ],
    )


def markdown(results) -> str:
    """`times` in Markdown: a row a value and position encoding, a column a task and decay."""
    found = times(results).sort_values(
        "weight_decay", key=lambda decay: decay == 0, kind="stable"
    )  # with decay first, as in the figure
    heads = [
        f"{style.pretty(row.operation)} {row.structure}, "
        f"{f'decay {row.weight_decay:g}' if row.weight_decay else 'no decay'}"
        for row in found.itertuples()
    ]
    cells = {
        (row.encoding, row.positions, head): cell(row)
        for row, head in zip(found.itertuples(), heads)
    }
    columns = list(dict.fromkeys(heads))
    lines = [["elements", "positions", *columns], ["---"] * (2 + len(columns))]
    for encoding in found["encoding"].unique():
        for positions in [
            name for name in POSITIONS if any((encoding, name, head) in cells for head in columns)
        ]:
            lines.append(
                [
                    encoding,
                    positions,
                    *(cells.get((encoding, positions, head), "–") for head in columns),
                ]
            )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(row) -> str:
    """A row of `times` in a few characters: median [interval] (runs that got there / runs)."""
    count = f"({row.runs - row.never}/{row.runs})"
    if np.isnan(row.median):
        return f"never {count}"
    high = "∞" if np.isinf(row.high) else format(row.high, ",.0f")
    return f"{row.median:,.0f} [{row.low:,.0f}, {high}] {count}"


# --- What predicts them ---


def log_axis(operation: str, name: str) -> np.ndarray | None:
    """The non-zero residues of a prime by discrete logarithm where the operation respects it.

    None elsewhere. x/y does: to multiply x by the primitive root g multiplies the answer by g. x+y
    does not: to add to x adds to the answer.
    """
    ring = structure(name)
    if not ring.is_ring or ring.order < 3 or not is_prime(ring.order):
        return None
    order, answers = fourier.discrete_log_order(ring.order), table(operation, name).answers
    moved, of_answer = answers[np.roll(order, -1)][:, order], answers[order][:, order]
    return order if (moved == order[1] * of_answer % ring.order).all() else None


def circulant_before(run: Run, order=slice(None)) -> float:
    """How far the encoding of Z/n respects differences before training: its circulant share.

    NaN where it has none. order: the elements on another axis, such as `log_axis`. A trained table,
    and a trained map of one-hot vectors, begin as
    random vectors; a trained map of other features keeps their inner products on average, so the
    features stand for it.
    """
    begins = run.replace(values="random") if run.values in ("learned", "onehot") else run
    try:
        return fourier.circulant_score(fourier.cosine_similarity(element_features(begins)[order]))
    except GrokError:  # no residues, or a table that is not at hand
        return np.nan


def predicted(results, runs: pd.DataFrame, order=slice(None)) -> survival.Estimate:
    """Rank correlation of the runs' times with that share, resampled by encoding.

    A run that never crossed counts as last. NaN where there is too little.
    """
    score = np.array([circulant_before(results.experiment_run(run), order) for run in runs["run"]])
    known = np.isfinite(score)
    if len(np.unique(score[known])) < 3:
        return survival.UNKNOWN
    return survival.spearman_interval(
        score[known], runs["crossed"].fillna(np.inf)[known].rank(), clusters=runs["encoding"][known]
    )


def prediction(results, runs: pd.DataFrame) -> str:
    """Whether the score predicts the time of `named_runs` under decay, in words, task by task.

    Only runs with the paper's positions count.
    """
    sentences = []
    for (operation, name), here in runs[
        runs["decays"] & (runs["positions"] == POSITIONS[0])
    ].groupby(TASK, sort=False):
        order = log_axis(operation, name)
        axes = (
            {}
            if not structure(name).is_ring
            else {"additive axis": slice(None)}
            if order is None
            else {"axis of discrete logarithms": order, "additive axis": slice(None)}
        )
        said = [
            f"{rho.value:.2f} [{rho.low:.2f}, {rho.high:.2f}] ({words})".replace("-", "−")
            for words, axis in axes.items()
            if not np.isnan((rho := predicted(results, here, axis)).value)
        ]
        sentences += [f"{style.pretty(operation)}: {', '.join(said)}."] if said else []
    return (
        " ".join(
            [
                "Rank correlation of updates (never counts as last) with the circulant share of "
                "the untrained encoding's cosines, under decay, sinusoidal positions:",
                *sentences,
            ]
        )
        if sentences
        else ""
    )
