"""Whether an encoding that respects the order of the elements makes a network generalise sooner."""

from typing import Any

import numpy as np
import pandas as pd

from grok.analysis import logarithm, survival
from grok.analysis.similarity import circulant_score, cosine_similarity
from grok.experiment import GrokError, Run
from grok.measure.findings import finding, runs, words
from grok.measure.findings.finding import Finding
from grok.measure.findings.words import pretty
from grok.task.encodings import element_features
from grok.task.operations import is_prime, operation_table, structure

PAPERS_POSITIONS = "sinusoidal"


def respects_differences(correlated: list[dict]) -> Finding:
    """Whether encodings that respect the task's own differences generalise sooner.

    It does where the whole interval of the rank correlation lies below 0.
    """
    own = [row for row in correlated if row["own"]]
    shown = sum(row["high"] < 0 for row in own)
    said = [
        f"{pretty(row['operation'])} "
        + words.interval(survival.Estimate(row["rho"], row["low"], row["high"]), ".2f")
        for row in own
    ]
    return Finding(
        "respects_differences",
        "encodings that respect differences are sooner",
        "",
        "; ".join(said) or "–",
        finding.by_count(shown, len(own)),
        float(shown),
        unit="tasks",
        runs=sum(row["runs"] for row in own),
        seeds=max((row["seeds"] for row in own), default=0),
    )


def log_axis(operation: str, name: str) -> np.ndarray | None:
    """The non-zero residues of a prime by discrete logarithm where the operation respects it.

    None elsewhere. x/y does: to multiply x by the primitive root g multiplies the answer by g. x+y
    does not: to add to x adds to the answer.
    """
    ring = structure(name)
    if not ring.is_ring or ring.order < 3 or not is_prime(ring.order):
        return None
    order = logarithm.discrete_log_order(ring.order)
    answers = operation_table(operation, name).answers
    moved, of_answer = answers[np.roll(order, -1)][:, order], answers[order][:, order]
    return order if (moved == order[1] * of_answer % ring.order).all() else None


def circulant_before(run: Run, order=slice(None)) -> float:
    """How far the encoding of Z/n respects differences before training: its circulant share.

    NaN where it has none. order: the elements on another axis, such as `log_axis`. A trained table,
    and a trained map of one-hot vectors, begin as random vectors. A trained map of other features
    keeps their inner products on average, so the features stand for it.
    """
    begins = run.replace(values="random") if run.values in ("learned", "onehot") else run
    try:
        features = element_features(begins)
        assert features is not None, "a run of random values has features"
        return circulant_score(cosine_similarity(features[order]))
    except GrokError:  # no residues, or a table that is not at hand
        return np.nan


def circulant_of(results, run: int, order) -> float:
    """`circulant_before` of a run of a folder; NaN where it read a file that has changed since."""
    try:
        specified = results.rebuilt_run(run)
    except GrokError:
        return np.nan
    return circulant_before(specified, order)


def predicted(results, known: pd.DataFrame, order=slice(None)) -> survival.Estimate:
    """Rank correlation of the runs' times with that share, resampled by encoding.

    A run that never crossed counts as last. NaN where there is too little.
    """
    score = np.array([circulant_of(results, run, order) for run in known["run"]])
    finite = np.isfinite(score)
    if len(np.unique(score[finite])) < 3:
        return survival.UNKNOWN
    return survival.spearman_interval(
        score[finite],
        known["crossed"].fillna(np.inf)[finite].rank(),
        clusters=known["encoding"][finite],
    )


def correlations(results, known: pd.DataFrame) -> list[dict]:
    """`predicted` under decay and the paper's positions, a row a task over Z/n and axis.

    own: whether it is the axis whose differences the task respects.
    """
    rows = []
    for operation, name, here in runs.tasks(
        known[known["decays"] & (known["positions"] == PAPERS_POSITIONS)]
    ):
        if not structure(name).is_ring:
            continue
        order = log_axis(operation, name)
        orders: list[tuple[str, Any, bool]] = [("additive axis", slice(None), order is None)]
        if order is not None:
            orders.append(("axis of discrete logarithms", order, True))
        for axis, on, own in orders:
            rho = predicted(results, here, on)
            if not np.isnan(rho.value):
                rows.append(
                    {"operation": operation, "structure": name, "axis": axis, "own": own}
                    | {"rho": rho.value, "low": rho.low, "high": rho.high}
                    | runs.size(here)
                )
    return rows
