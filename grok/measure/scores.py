"""What have an experiment's networks learned? `python -m grok scores results/<experiment>`: every score beside its null.

Each run is scored at its best kept moment (`grok.store.snapshots.best`), or with --step at one snapshot. Writes into the results folder

scores.parquet         a row a run, matrix ('output', 'input', or 'function' for the whole network) and score: step and val_accuracy,
                       the update that was scored and the validation accuracy there; value; null, what the null distribution is,
                       with its mean, 95% range and p-value; untrained, the same score of the run's initial weights; memorised, its
                       mean over the folder's other runs of that task that learned the training rows and not the rest; detail, in words
equivariance.parquet   symmetry of the function over training, where parameters are kept: run, step, operand, error, val_accuracy

The function is scored at the same moment where its parameters are kept, or else at the end. Rows of runs that are not scored
this time stay, and so do those of a function whose parameters are not at hand: they stay where the run was trained.

Which scores a run gets depends on its structure: Fourier spectra, circles and residues on Z<n>, cosets and irreducible
representations on other groups. A score of 'log_...' sees the non-zero tokens by discrete logarithm.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from grok.analysis import precedence, progress
from grok.experiment import GrokError, Run
from grok.measure import skipgram, symmetry
from grok.measure.matrix_scores import Score, matrix_scores, null_summary
from grok.store import results, snapshots
from grok.store.matrices import MATRICES, element_rows
from grok.store.snapshots import Moment
from grok.task.operations import Structure, structure, table

RENAMED, OTHER_SEEDS = "elements renamed", "untrained networks of other seeds"
COLUMNS = [
    "run",
    "matrix",
    "score",
    "step",
    "val_accuracy",
    "value",
    "null",
    "null_mean",
    "null_low",
    "null_high",
    "p",
    "untrained",
    "memorised",
    "detail",
]
SHOWN = [name for name in COLUMNS if name not in ("null", "val_accuracy")]
HEADLINES = (
    "key_frequencies",
    "gini",
    "circulant_cosine",
    "tsne_number_line",
    "tsne_circle",
    "log_key_frequencies",
    "log_gini",
    "axis",
    "residues",
    "irrep_top",
    "coset_z",
    "paper_coset_z",
    "tsne_silhouette",
    "effective_rank",
    "equivariance_x",
    "equivariance_y",
    "gradient_symmetricity",
)


# --- The function ---


def function_scores(
    run: Run, params, curve: list[dict], update: int
) -> Iterator[tuple[Score, float]]:
    """Scores of a network's whole function at an update, each with its value before training; `curve`: rows of `symmetry.equivariance_curve`."""
    untrained = symmetry.initial_params(run)
    null = symmetry.renamed_equivariance(run, params) if curve else {}
    for operand, null_R in null.items():
        errors = {row["step"]: row["error"] for row in curve if row["operand"] == operand}
        yield Score(f"equivariance_{operand}", errors[update], null_R, RENAMED, True), errors[0]
    if (
        np.array_equal(
            table(run.operation, run.structure).answers, structure(run.structure).product
        )
        and structure(run.structure).is_ring
    ):
        before, after = (
            progress.distance_irrelevance(symmetry.table_logits(run, weights))
            for weights in (untrained, params)
        )
        yield (
            Score(
                "distance_irrelevance",
                after,
                symmetry.renamed_irrelevance(run, params),
                RENAMED,
                True,
            ),
            before,
        )
    yield (
        Score(
            "gradient_symmetricity",
            symmetry.gradient_symmetricity(run, params),
            symmetry.untrained_symmetricity(run),
            OTHER_SEEDS,
        ),
        symmetry.gradient_symmetricity(run, untrained),
    )


def function_moment(loaded: results.Results, run: int, moment: Moment) -> Moment:
    """The moment itself where all parameters are kept of it, or else the run's end."""
    kept = moment.step is None or moment.step in loaded.snapshot_steps(run, params=True)
    return moment if kept else snapshots.moments(loaded, run)[-1]


def function_rows(loaded: results.Results, run: int, moment: Moment) -> tuple:
    """The rows of scores.parquet of a run's function, notes, and then its rows of equivariance.parquet."""
    if skipgram.learned(loaded):
        return [], [
            "skip-gram learns vectors and no function of equations: there is no symmetry to score"
        ]
    if not loaded.experiment_run(run).keep_params:
        return [], [
            "symmetry of the function needs all parameters: "
            "set keep_params=True of the runs in the config and train them anew"
        ]
    moment = function_moment(loaded, run, moment)
    spec, params, notes = loaded.experiment_run(run), loaded.params(run, moment.step), []
    try:
        curve = list(symmetry.equivariance_curve(loaded, run))
    except GrokError as error:
        curve, notes = [], [str(error)]
    found = function_scores(spec, params, curve, moment.update)
    return (
        [as_row(run, "function", moment, score, before) for score, before in found],
        notes,
        *curve,
    )


# --- The matrices ---


def embedding_rows(
    loaded: results.Results, run: int, moment: Moment
) -> tuple[list[dict], list[str]]:
    """The rows of scores.parquet of a run's matrices, and notes."""
    rows, notes = [], []
    trained = {matrix: element_rows(loaded, run, matrix, moment.step) for matrix in MATRICES}
    model = skipgram if skipgram.learned(loaded) else symmetry
    untrained = model.untrained_matrices(loaded.experiment_run(run))
    for matrix, (W, group) in trained.items():
        found, told = matrix_scores(W, group)
        initial = initial_values(untrained[matrix][: group.order], group)
        rows += [
            as_row(run, matrix, moment, score, initial.get(score.name, np.nan)) for score in found
        ]
        notes += told
    return rows, list(dict.fromkeys(notes))


def initial_values(W, group: Structure) -> dict[str, float]:
    """The scores of an untrained matrix by name; none of one whose rows are all equal, as skip-gram's context vectors begin."""
    try:
        return {score.name: score.value for score in matrix_scores(W, group, with_null=False)[0]}
    except GrokError:
        return {}


# --- The command ---


class Measured(NamedTuple):
    """The tables that were written, what could not be measured, a line each, and where the tables are."""

    scores: pd.DataFrame
    equivariance: pd.DataFrame
    notes: list[str]
    paths: list[Path]


def measure(
    folder: Path | str, runs: Iterable[int] | None = None, step: int | None = None
) -> Measured:
    """Score runs of a results folder (None: all), each at its best moment or after `step` updates, and write the tables beside it.

    Raises GrokError for a run that the folder does not have, and where none can be scored.
    """
    loaded = results.load(folder)
    chosen = loaded.runs["run"].tolist() if runs is None else list(dict.fromkeys(runs))
    for run in chosen:
        loaded.experiment_run(run)
    rows, symmetric, notes = [], [], []
    with threadpool_limits(
        1
    ):  # small matrices: threads cost more than they give, above all beside other work
        for run in tqdm(chosen, desc="scores", unit="run", disable=None):
            try:
                moment = scored_moment(loaded, run, step)
                for score_run in (embedding_rows, function_rows):
                    found, told, *curve = score_run(loaded, run, moment)
                    rows += found
                    symmetric += curve
                    notes += [f"run {run}: {line}" for line in told]
            except GrokError as error:
                notes.append(f"run {run}: {error}")
    if not rows:
        raise GrokError(
            f"no run of {folder} can be scored: {notes[0] if notes else 'it has no runs'}"
        )
    return write(
        loaded,
        chosen,
        pd.DataFrame(rows, columns=COLUMNS),
        symmetry.equivariance_table(symmetric),
        notes,
    )


def scored_moment(loaded: results.Results, run: int, step: int | None) -> Moment:
    found = snapshots.moments(loaded, run)
    return snapshots.best(found) if step is None else snapshots.at_step(found, step)


def write(
    loaded: results.Results,
    chosen: list[int],
    scores: pd.DataFrame,
    equivariance: pd.DataFrame,
    notes: list[str],
) -> Measured:
    """Write the tables of the chosen runs, with the rows of an earlier measurement that it does not replace."""
    old_scores, old_equivariance = (
        earlier(loaded, "scores", COLUMNS),
        earlier(loaded, "equivariance", equivariance.columns),
    )
    function = old_scores["matrix"] == "function"
    unknown = ~old_scores["run"].isin(scores.loc[scores["matrix"] == "function", "run"])
    kept = old_scores[np.where(function, unknown, ~old_scores["run"].isin(chosen))]
    notes = notes + [
        f"run {run}: the scores of its function are those of an earlier measurement"
        for run in sorted({*chosen} & {*kept["run"]})
    ]
    scores = with_memorised(in_order(kept, scores), loaded)
    equivariance = in_order(
        old_equivariance[~old_equivariance["run"].isin(equivariance["run"])], equivariance
    )
    paths = [results.write_measured(loaded, "scores", scores)] + (
        [results.write_measured(loaded, "equivariance", equivariance)] if len(equivariance) else []
    )
    return Measured(scores, equivariance, notes, paths)


def earlier(loaded: results.Results, name: str, columns: Iterable[str]) -> pd.DataFrame:
    """A table of an earlier measurement, empty where there is none; columns that it did not have yet are missing values."""
    path = loaded.folder / f"{name}.parquet"
    if not path.exists():
        return pd.DataFrame(columns=list(columns))
    try:
        return results.read_table(path).reindex(columns=list(columns))
    except (OSError, ValueError) as error:
        raise GrokError(f"{path} cannot be read ({error}): move it away") from error


def in_order(kept: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Rows of two tables by run; those of a run stay in their order."""
    both = pd.concat([measured, kept]) if len(kept) else measured
    return both.sort_values("run", kind="stable", ignore_index=True).astype({"run": np.int32})


def as_row(run: int, matrix: str, moment: Moment, score: Score, untrained: float) -> dict:
    """A row of scores.parquet, without what other runs have to say."""
    mean, low, high, p_value = null_summary(score)
    null = score.null_name if len(score.null) else ""
    return dict(
        zip(
            COLUMNS,
            (
                run,
                matrix,
                score.name,
                moment.update,
                moment.val_accuracy,
                float(score.value),
                null,
                mean,
                low,
                high,
                p_value,
                untrained,
                np.nan,
                score.detail,
            ),
        )
    )


def with_memorised(scores: pd.DataFrame, loaded: results.Results) -> pd.DataFrame:
    """`scores` with the mean value over other runs of the same task that have memorised."""
    runs = loaded.runs.set_index("run")
    task = scores["run"].map(runs["operation"] + " " + runs["structure"])
    known = scores.assign(task=task)[scores["run"].isin(memorised_runs(loaded))]
    filled = []
    for row, name in zip(scores.itertuples(), task):
        same = known[
            (known.task == name)
            & (known.matrix == row.matrix)
            & (known.score == row.score)
            & (known.run != row.run)
        ]
        filled.append(same["value"].mean())
    return scores.assign(memorised=filled).astype({"step": "Int64"})


def memorised_runs(loaded: results.Results) -> pd.Index:
    """The runs that end with the training rows learned and less than half of the validation rows whose mirror they have not seen.

    The mirrored rows (b, a) of a commutative operation come free with training rows (a, b), whether a network has the rule or not.
    """
    end = loaded.curves.groupby("run").tail(1).set_index("run")
    return end.index[
        (end["train_accuracy"] >= results.THRESHOLD) & (end["val_fresh_accuracy"] < 0.5)
    ]


def summary(measured: Measured) -> str:
    """The headline scores as a table, what could not be measured, and which came first, symmetry or generalisation."""
    shown = measured.scores[measured.scores["score"].isin(HEADLINES)]
    text = [shown[SHOWN].to_string(index=False, float_format="{:.3g}".format, na_rep="")]
    times = precedence.halfway_times(measured.equivariance)
    for operand, of_operand in times.groupby("operand"):
        found = precedence.precedence(of_operand["error_halved_at"], of_operand["val_50_at"])
        text.append(
            f"operand {operand}: the equivariance error halves before validation passes 50% in {found.before} of {found.decided} runs (sign test p = {found.p_value:.3g}); "
            f"validation passes it at {found.ratio.value:.3g} times as many updates (95%: {found.ratio.low:.3g} to {found.ratio.high:.3g})"
        )
    grouped: dict[str, list[str]] = {}
    for note in measured.notes:
        run, _, line = note.removeprefix("run ").partition(": ")
        grouped.setdefault(line, []).append(run)
    text += [
        f"not measured for run{'s' * (len(runs) > 1)} {', '.join(runs)}: {line}"
        for line, runs in grouped.items()
    ]
    return "\n".join([*text, *map(str, measured.paths)])
