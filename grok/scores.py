"""What have an experiment's networks learned? `python -m grok scores results/<experiment>`: every score beside its null.

Writes into the results folder

scores.parquet         a row a run, matrix ('output', 'input', or 'function' for the whole network) and score: value; null, what
                       the null distribution is, with its mean, 95% range and p-value; untrained, the same score of the run's
                       initial weights; memorised, its mean over the folder's other runs of that task that learned the training
                       rows and not the rest; detail, in words
equivariance.parquet   symmetry of the function over training, where parameters are kept: run, step, operand, error, val_accuracy

Which scores a run gets depends on its structure: Fourier spectra, circles and residues on Z<n>, cosets and irreducible
representations on other groups. A score of 'log_...' sees the non-zero tokens by discrete logarithm.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from grok import results, symmetry
from grok.analysis import fourier, precedence, progress
from grok.analysis.scoring import Score, matrix_scores
from grok.embeddings import MATRICES, element_rows
from grok.experiment import GrokError, Run
from grok.operations import structure, table

RENAMED = "elements renamed"
COLUMNS = ["run", "matrix", "score", "value", "null", "null_mean", "null_low", "null_high", "p", "untrained", "memorised", "detail"]
HEADLINES = ("key_frequencies", "gini", "circulant_cosine", "tsne_number_line", "tsne_circle", "log_key_frequencies", "log_gini", "axis", "residues",
             "irrep_top", "coset_z", "paper_coset_z", "tsne_silhouette", "effective_rank", "equivariance_x", "equivariance_y", "gradient_symmetricity")


# --- The function ---


def function_scores(run: Run, params, untrained: dict, curve: list[dict]) -> Iterator[tuple[Score, float]]:
    """Scores of a network's whole function, each with its value before training; `curve`: rows of `symmetry.equivariance_curve`."""
    null = symmetry.shuffled_equivariance(run, params) if curve else {}
    for operand, null_R in null.items():
        errors = [row["error"] for row in curve if row["operand"] == operand]
        yield Score(f"equivariance_{operand}", errors[-1], null_R, RENAMED, True), errors[0]
    if np.array_equal(table(run.operation, run.structure).answers, structure(run.structure).product) and structure(run.structure).is_ring:
        before, after = (progress.distance_irrelevance(symmetry.table_logits(run, weights)) for weights in (untrained, params))
        yield Score("distance_irrelevance", after), before
    yield Score("gradient_symmetricity", symmetry.gradient_symmetricity(run, params)), symmetry.gradient_symmetricity(run, untrained)


# --- The command ---


class Measured(NamedTuple):
    """The tables that were written, what could not be measured, a line each, and where the tables are."""

    scores: pd.DataFrame
    equivariance: pd.DataFrame
    notes: list[str]
    paths: list[Path]


def measure(folder: Path | str) -> Measured:
    """Score every run of a results folder and write the tables beside it. Raises GrokError where no run can be scored."""
    loaded = results.load(folder)
    rows, symmetric, notes = [], [], []
    with threadpool_limits(1, "blas"):  # small matrices: threads cost more than they give, above all beside other work
        for run in tqdm(loaded.runs["run"].tolist(), desc="scores", unit="run", disable=None):
            try:
                for score_run in (embedding_rows, function_rows):
                    found, told, *curve = score_run(loaded, run)
                    rows += found
                    symmetric += curve
                    notes += [f"run {run}: {line}" for line in told]
            except GrokError as error:
                notes.append(f"run {run}: {error}")
    if not rows:
        raise GrokError(f"no run of {folder} can be scored: {notes[0] if notes else 'it has no runs'}")
    scores = with_memorised(pd.DataFrame(rows, columns=COLUMNS), loaded)
    equivariance = symmetry.equivariance_table(symmetric)
    paths = [results.write_table(loaded.folder, "scores", scores)] + ([results.write_table(loaded.folder, "equivariance", equivariance)] if symmetric else [])
    return Measured(scores, equivariance, notes, paths)


def embedding_rows(loaded: results.Results, run: int) -> tuple[list[dict], list[str]]:
    """The rows of scores.parquet of a run's matrices, and notes."""
    rows, notes = [], []
    trained = {matrix: element_rows(loaded, run, matrix) for matrix in MATRICES}
    untrained = symmetry.untrained_matrices(loaded.experiment_run(run))
    for matrix, (W, group) in trained.items():
        found, told = matrix_scores(W, group)
        initial = {score.name: score.value for score in matrix_scores(untrained[matrix][: group.order], group, with_null=False)[0]}
        rows += [as_row(run, matrix, score, initial.get(score.name, np.nan)) for score in found]
        notes += told
    return rows, list(dict.fromkeys(notes))


def function_rows(loaded: results.Results, run: int) -> tuple:
    """The rows of scores.parquet of a run's function, notes, and then its rows of equivariance.parquet."""
    if not loaded.description["experiment"]["keep_params"]:
        return [], ["symmetry of the function needs all parameters: set keep_params=True in the config and train it anew"]
    spec, params, notes = loaded.experiment_run(run), loaded.params(run), []
    try:
        curve = list(symmetry.equivariance_curve(loaded, run))
    except GrokError as error:
        curve, notes = [], [str(error)]
    found = function_scores(spec, params, symmetry.initial_params(spec), curve)
    return [as_row(run, "function", score, before) for score, before in found], notes, *curve


def as_row(run: int, matrix: str, score: Score, untrained: float) -> dict:
    sign = -1 if score.smaller else 1
    mean, low, high, p_value = fourier.null_summary(sign * score.value, sign * score.null)
    low, high = sorted((sign * low, sign * high))
    return dict(zip(COLUMNS, (run, matrix, score.name, float(score.value), score.null_name if len(score.null) else "", sign * mean, low, high, p_value, untrained, np.nan, score.detail)))


def with_memorised(scores: pd.DataFrame, loaded: results.Results) -> pd.DataFrame:
    """`scores` with the mean value over other runs of the same task that learned the training rows and less than half of the rest."""
    runs = loaded.runs.set_index("run")
    memorised = runs.index[(runs["final_train_accuracy"] >= results.THRESHOLD) & (runs["best_val_accuracy"] < 0.5)]
    task = scores["run"].map(runs["operation"] + " " + runs["structure"])
    known = scores.assign(task=task)[scores["run"].isin(memorised)]
    filled = []
    for row, name in zip(scores.itertuples(), task):
        same = known[(known.task == name) & (known.matrix == row.matrix) & (known.score == row.score) & (known.run != row.run)]
        filled.append(same["value"].mean())
    return scores.assign(memorised=filled).astype({"run": np.int32})


def summary(measured: Measured) -> str:
    """The headline scores as a table, what could not be measured, and which came first, symmetry or generalisation."""
    shown = measured.scores[measured.scores["score"].isin(HEADLINES)]
    text = [shown[["run", "matrix", "score", "value", "null_mean", "null_low", "null_high", "p", "untrained", "memorised", "detail"]].to_string(index=False, float_format="{:.3g}".format, na_rep="")]
    times = precedence.halfway_times(measured.equivariance)
    for operand, of_operand in times.groupby("operand"):
        found = precedence.precedence(of_operand["error_halved_at"], of_operand["val_50_at"])
        text.append(f"operand {operand}: the equivariance error halves before validation passes 50% in {found.before} of {found.decided} runs (sign test p = {found.p_value:.3g}); "
                    f"validation passes it at {found.ratio.value:.3g} times as many updates (95%: {found.ratio.low:.3g} to {found.ratio.high:.3g})")
    grouped: dict[str, list[str]] = {}
    for note in measured.notes:
        run, _, line = note.removeprefix("run ").partition(": ")
        grouped.setdefault(line, []).append(run)
    text += [f"not measured for run{'s' * (len(runs) > 1)} {', '.join(runs)}: {line}" for line, runs in grouped.items()]
    return "\n".join([*text, *map(str, measured.paths)])
