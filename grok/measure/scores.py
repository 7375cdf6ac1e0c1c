"""What have the networks of an experiment learned? `python -m grok scores results/<experiment>`.

Every score stands beside its null. A run is scored at its best kept moment
(`grok.store.snapshots.best`), or with --step at one snapshot. Two tables are written:

scores.parquet: a row for each run, matrix and score
    matrix              'output', 'input', or 'function' for the whole network
    step, val_accuracy  the update that was scored, and the validation accuracy there
    value, detail       the score, and what else is to be said of it
    null, null_*, p     what the null distribution is, its mean and central 95%, the p-value
    untrained           the same score of the initial weights of the run
    memorised           its mean over other runs of the folder on the same task that have memorised
equivariance.parquet: symmetry of the function over training, for runs that keep their parameters
    run, step, operand, error, val_accuracy

The function is scored at the same moment if its parameters are kept there, else at the end. Rows of
runs that are not scored this time stay. So do those of a function whose parameters are not here:
they remain where the run was trained.

The structure of a run decides which scores it gets: Fourier spectra, circles and residues on Z<n>,
cosets and irreducible representations on other groups. A score 'log_...' sees the non-zero tokens
by discrete logarithm.
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
from grok.files import check_writable
from grok.measure import skipgram, symmetry
from grok.measure.chance import Score, gaps, null_summary
from grok.measure.earlier_rows import earlier, in_order
from grok.measure.matrix_scores import matrix_scores
from grok.store import marks, outcomes, results, snapshots
from grok.store.matrices import MATRICES, element_rows
from grok.store.snapshots import Moment
from grok.task.groups import Structure, structure
from grok.task.operations import operation_table

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


class Note(NamedTuple):
    """What could not be scored of a run, in words."""

    run: int
    words: str

    def __str__(self) -> str:
        return f"run {self.run}: {self.words}"


class Part(NamedTuple):
    """What scoring a run gave: rows of scores.parquet, notes, and rows of equivariance.parquet."""

    rows: list[dict]
    notes: list[str]
    curve: list[dict]


# --- The function ---


def function_scores(
    run: Run, params, curve: list[dict], update: int
) -> Iterator[tuple[Score, float]]:
    """Scores of the function of a network at an update, each with its value before training.

    curve: the rows of `symmetry.equivariance_curve`; none if the operation has no symmetry.
    """
    untrained = symmetry.initial_params(run)
    null = symmetry.renamed_equivariance(run, params) if curve else {}
    for operand, null_R in null.items():
        errors = {row["step"]: row["error"] for row in curve if row["operand"] == operand}
        yield Score(f"equivariance_{operand}", errors[update], null_R, RENAMED, True), errors[0]
    if is_modular_addition(run):
        before, after = distance_irrelevance(run, untrained), distance_irrelevance(run, params)
        null_R = symmetry.renamed_irrelevance(run, params)
        yield Score("distance_irrelevance", after, null_R, RENAMED, True), before
    after = symmetry.gradient_symmetricity(run, params)
    null_R = symmetry.untrained_symmetricity(run)
    before = symmetry.gradient_symmetricity(run, untrained)
    yield Score("gradient_symmetricity", after, null_R, OTHER_SEEDS), before


def is_modular_addition(run: Run) -> bool:
    """Whether the operation table of a run is that of x+y over Z<n>, however it is written."""
    group = structure(run.structure)
    answers = operation_table(run.operation, run.structure).answers
    return group.is_ring and np.array_equal(answers, group.product)


def distance_irrelevance(run: Run, params) -> float:
    """`progress.distance_irrelevance` of a network."""
    return progress.distance_irrelevance(symmetry.table_logits(run, params))


def function_moment(loaded: results.Results, run: int, moment: Moment) -> Moment:
    """The moment itself if all parameters are kept of it, else the end of the run."""
    kept = moment.step is None or moment.step in loaded.snapshot_steps(run, params=True)
    return moment if kept else snapshots.moments(loaded, run)[-1]


def function_part(loaded: results.Results, run: int, moment: Moment) -> Part:
    """The scores of the function of a run."""
    if skipgram.learned(loaded):
        note = (
            "skip-gram learns vectors and no function of equations: there is no symmetry to score"
        )
        return Part([], [note], [])
    spec = loaded.rebuilt_run(run)
    if not spec.keep_params:
        note = (
            "symmetry of the function needs all parameters: "
            "set keep_params=True of the runs in the config and train them anew"
        )
        return Part([], [note], [])
    moment = function_moment(loaded, run, moment)
    params, curve, notes = loaded.params(run, moment.step), [], []
    try:
        curve = list(symmetry.equivariance_curve(loaded, run))
    except GrokError as error:
        notes.append(str(error))
    found = list(function_scores(spec, params, curve, moment.update))
    notes += gaps(score for score, _ in found)
    rows = [as_row(run, "function", moment, score, untrained) for score, untrained in found]
    return Part(rows, notes, curve)


# --- The matrices ---


def matrices_part(loaded: results.Results, run: int, moment: Moment) -> Part:
    """The scores of the matrices of a run."""
    rows, notes = [], []
    model = skipgram if skipgram.learned(loaded) else symmetry
    untrained = model.untrained_matrices(loaded.rebuilt_run(run))
    for matrix in MATRICES:
        W, group = element_rows(loaded, run, matrix, moment.step)
        found = matrix_scores(W, group)
        initial = initial_values(untrained[matrix][: group.order], group)
        for score in found.scores:
            rows.append(as_row(run, matrix, moment, score, initial.get(score.name, np.nan)))
        notes += found.notes
        notes += [f"{matrix} matrix, {words}" for words in gaps(found.scores)]
    return Part(rows, list(dict.fromkeys(notes)), [])


def initial_values(W, group: Structure) -> dict[str, float]:
    """The scores of an untrained matrix by name.

    None if its rows are all equal, as the context vectors of skip-gram begin.
    """
    try:
        found = matrix_scores(W, group, with_null=False)
    except GrokError:
        return {}
    return {score.name: score.value for score in found.scores}


# --- The command ---


class Measured(NamedTuple):
    """The tables that were written, their paths, and notes on what could not be scored."""

    scores: pd.DataFrame
    equivariance: pd.DataFrame
    notes: list[Note]
    paths: list[Path]


def measure(
    folder: Path | str, runs: Iterable[int] | None = None, step: int | None = None
) -> Measured:
    """Score runs of a results folder (None: all), and write the tables beside them.

    A run is scored at its best moment, or after `step` updates. Raises GrokError for a run that
    the folder does not have, and if none can be scored.
    """
    loaded = results.load(folder)
    check_writable(loaded.folder)
    chosen = loaded.runs["run"].tolist() if runs is None else list(dict.fromkeys(runs))
    for run in chosen:
        loaded.experiment_run(run)
    rows, curves, notes = [], [], []
    # Matrices are small: threads cost more than they give, above all beside other work.
    with threadpool_limits(1):
        for run in tqdm(chosen, desc="scores", unit="run", disable=None):
            part = score_run(loaded, run, step)
            rows += part.rows
            curves += part.curve
            notes += [Note(run, words) for words in part.notes]
    if not rows:
        why = notes[0] if notes else "it has no runs"
        raise GrokError(f"no run of {folder} can be scored: {why}")
    scores = pd.DataFrame(rows, columns=COLUMNS)
    return write(loaded, chosen, scores, symmetry.equivariance_table(curves), notes)


def score_run(loaded: results.Results, run: int, step: int | None) -> Part:
    """The scores of a run. What goes wrong becomes a note; scores found before it stay."""
    whole = Part([], [], [])
    try:
        moment = scored_moment(loaded, run, step)
        for score_part in (matrices_part, function_part):
            part = score_part(loaded, run, moment)
            whole.rows.extend(part.rows)
            whole.notes.extend(part.notes)
            whole.curve.extend(part.curve)
    except GrokError as error:
        whole.notes.append(str(error))
    return whole


def scored_moment(loaded: results.Results, run: int, step: int | None) -> Moment:
    """The best moment of a run, or the one after `step` updates."""
    found = snapshots.moments(loaded, run)
    return snapshots.best(found) if step is None else snapshots.at_step(found, step)


def write(
    loaded: results.Results,
    chosen: list[int],
    scores: pd.DataFrame,
    equivariance: pd.DataFrame,
    notes: list[Note],
) -> Measured:
    """Write the tables of the chosen runs, with the earlier rows that they do not replace."""
    old_scores = earlier(loaded, "scores", COLUMNS)
    old_curves = earlier(loaded, "equivariance", equivariance.columns)
    with_function = scores.loc[scores["matrix"] == "function", "run"]
    of_function = old_scores["matrix"] == "function"
    replaced = np.where(
        of_function, old_scores["run"].isin(with_function), old_scores["run"].isin(chosen)
    )
    kept = old_scores[~replaced]
    words = "the scores of its function are those of an earlier measurement"
    notes = notes + [Note(run, words) for run in sorted({*chosen} & {*kept["run"]})]
    scores = with_memorised(in_order(kept, scores), loaded)
    paths = [marks.write_measured(loaded, "scores", scores)]
    kept = old_curves[~old_curves["run"].isin(equivariance["run"])]
    equivariance = in_order(kept, equivariance)
    if len(equivariance):
        paths.append(marks.write_measured(loaded, "equivariance", equivariance))
    return Measured(scores, equivariance, notes, paths)


def as_row(run: int, matrix: str, moment: Moment, score: Score, untrained: float) -> dict:
    """A row of scores.parquet. What other runs say of it, `memorised`, is still missing."""
    null = null_summary(score)
    return {
        "run": run,
        "matrix": matrix,
        "score": score.name,
        "step": moment.update,
        "val_accuracy": moment.val_accuracy,
        "value": float(score.value),
        "null": "" if np.isnan(null.p_value) else score.null_name,
        "null_mean": null.mean,
        "null_low": null.low,
        "null_high": null.high,
        "p": null.p_value,
        "untrained": untrained,
        "memorised": np.nan,
        "detail": score.detail,
    }


def with_memorised(scores: pd.DataFrame, loaded: results.Results) -> pd.DataFrame:
    """`scores` with their mean over other runs of the same task that have memorised."""
    runs = loaded.runs.set_index("run")
    task = scores["run"].map(runs["operation"] + " " + runs["structure"])
    known = scores.assign(task=task)[scores["run"].isin(memorised_runs(loaded))]
    means = []
    for row, name in zip(scores.itertuples(), task):
        same_score = (known.matrix == row.matrix) & (known.score == row.score)
        same = known[(known.task == name) & same_score & (known.run != row.run)]
        means.append(same["value"].mean())
    return scores.assign(memorised=means).astype({"step": "Int64"})


def memorised_runs(loaded: results.Results) -> pd.Index:
    """The runs that end with their training rows learned, and under half of the fresh rows.

    A validation row is fresh if its mirror image is not trained on. The mirror images (b, a) of a
    commutative operation come free with training rows (a, b), also without the rule.
    """
    loaded.need_curves("train_accuracy", "val_fresh_accuracy")
    end = loaded.curves.groupby("run").tail(1).set_index("run")
    learned = end["train_accuracy"] >= outcomes.THRESHOLD
    return end.index[learned & (end["val_fresh_accuracy"] < 0.5)]


def first_words(found: precedence.Precedence) -> str:
    """Whether symmetry or generalisation came first, as far as any run tells."""
    if not found.decided:
        return "no run tells whether symmetry or generalisation comes first"
    ratio = found.ratio
    words = (
        f"the equivariance error halves before validation passes 50% "
        f"in {found.before} of {found.decided} runs (sign test p = {found.p_value:.3g})"
    )
    if not np.isfinite(ratio.value):
        return f"{words}; validation seldom passes it"
    return (
        f"{words}; validation passes it at {ratio.value:.3g} times as many updates "
        f"(95%: {ratio.low:.3g} to {ratio.high:.3g})"
    )


def summary(measured: Measured) -> str:
    """The headline scores, which came first, symmetry or generalisation, and the notes."""
    shown = measured.scores[measured.scores["score"].isin(HEADLINES)]
    text = [shown[SHOWN].to_string(index=False, float_format="{:.3g}".format, na_rep="")]
    times = precedence.halfway_times(measured.equivariance)
    for operand, of_operand in times.groupby("operand"):
        found = precedence.precedence(of_operand["error_halved_at"], of_operand["val_50_at"])
        text.append(f"operand {operand}: {first_words(found)}")
    runs_of: dict[str, list[str]] = {}
    for note in measured.notes:
        words = note.words.replace(f" of run {note.run}", "")  # alike for all runs
        runs_of.setdefault(words, []).append(str(note.run))
    for words, runs in runs_of.items():
        text.append(f"not measured for run{'s' * (len(runs) > 1)} {', '.join(runs)}: {words}")
    return "\n".join([*text, *map(str, measured.paths)])
