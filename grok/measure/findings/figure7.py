"""Figure 7: do flat minima generalise? Rank correlations of sharpness with validation accuracy."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from grok.analysis import survival
from grok.measure.findings import finding, runs
from grok.measure.findings.finding import Finding, Table
from grok.measure.findings.words import interval

FILE = "sharpness.parquet"
PAPER = -0.795
MEASURES = {  # column -> the claim, what the paper says of it
    "sharpness": ("less ε-sharpness goes with generalisation", "Spearman −0.795"),
    "eigenvalue": ("so does a smaller top Hessian eigenvalue", "planned, not done"),
    "trace": ("so does a smaller Hessian trace", "planned, not done"),
}
LEAST_NETWORKS = 4


def find(results) -> Iterator[Finding | Table]:
    scores = runs.beside(results, FILE, "run", "val_accuracy", *MEASURES)
    known = runs.runs_with(results, "seed")
    yield Table("networks", scores[["run", "val_accuracy", *MEASURES]].to_dict("records"))
    for column, (claim, paper) in MEASURES.items():
        yield correlation(scores, column, claim, paper, known)


def correlation(
    scores: pd.DataFrame, column: str, claim: str, paper: str, known: pd.DataFrame
) -> Finding:
    """Spearman's correlation of a measure with validation accuracy over networks."""
    pairs = scores[["run", column, "val_accuracy"]].astype(float)
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    ours = survival.UNKNOWN
    unknown = "not measured" if pairs.empty else "too few networks, or all alike"
    if len(pairs) >= LEAST_NETWORKS:
        ours = survival.spearman_interval(pairs[column], pairs["val_accuracy"])
    return Finding(
        column,
        claim,
        paper,
        f"Spearman {interval(ours, '.2f')}" if not np.isnan(ours.value) else unknown,
        verdict_of(ours, column),
        *ours,
        unit="Spearman's rank correlation",
        **runs.size(known[known["run"].isin(pairs["run"])]),
    )


def verdict_of(ours: survival.Estimate, column: str) -> str:
    """Of the sharpness, whether the interval holds the paper's number; of the others the sign."""
    if column == "sharpness":
        return finding.by_overlap(ours, PAPER, PAPER, weaker=ours.high < 0)
    if np.isnan(ours.high):
        return finding.NOT_TESTED
    return finding.REPRODUCED if ours.high < 0 else finding.NOT_REPRODUCED
