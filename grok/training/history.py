"""What is known of a sweep's runs: their evaluations, and what came of those that ended."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from grok.experiment import Run
from grok.store import outcomes, tables

TRAIN_ACCURACY = tables.METRICS.index("train_accuracy")
VAL_ACCURACY = tables.METRICS.index("val_accuracy")
TRAIN_LOSS = tables.METRICS.index("train_loss")
WEIGHT_NORM = tables.METRICS.index("weight_norm")


class Evaluation(NamedTuple):
    """The metrics [10] of a run after `step` updates, in the order of tables.METRICS."""

    step: int
    metrics_C: np.ndarray


class History:
    """Every evaluation so far, and the outcome of each run that has ended, by the run's number.

    run_updates: the updates that all runs have taken together.
    """

    def __init__(self, runs: dict[int, Run]):
        self.runs = runs
        self.names = dict(zip(runs, outcomes.run_names(list(runs.values()))))
        self.curves: dict[int, list[Evaluation]] = {}
        self.outcomes: dict[int, dict] = {}
        self.run_updates = 0

    def add(self, number: int, step: int, metrics_C: np.ndarray) -> None:
        self.run_updates += step - self.last_step(number)
        self.curves.setdefault(number, []).append(Evaluation(step, metrics_C))

    def last_step(self, number: int) -> int:
        """The update of a run's last evaluation, 0 before the first."""
        return self.curves[number][-1].step if number in self.curves else 0

    def unused(self, number: int) -> int:
        """Updates of its budget that a run has not taken."""
        return self.runs[number].num_steps - self.last_step(number)

    # -- how runs end ----------------------------------------------------------------------------

    def at_its_end(self, number: int) -> bool:
        """Whether a run is to leave its slot: at its budget, sustained at 99%, or diverged."""
        return self.unused(number) <= 0 or self.grokked(number) or self.diverged(number)

    def grokked(self, number: int) -> bool:
        """Whether the last `stop_after` evaluations all have 99% validation accuracy.

        Only those of the fixed cadence count.
        """
        run = self.runs[number]
        if not run.stop_after:
            return False
        recent = self.curves[number][-run.stop_after :]
        accuracies = [
            metrics_C[VAL_ACCURACY] for step, metrics_C in recent if step % run.eval_every == 0
        ]
        return len(accuracies) == run.stop_after and min(accuracies) >= outcomes.THRESHOLD

    def diverged(self, number: int) -> bool:
        """Whether the training loss or the weights are no longer finite."""
        metrics_C = self.curves[number][-1].metrics_C
        return not np.isfinite(metrics_C[[TRAIN_LOSS, WEIGHT_NORM]]).all()

    def end(self, number: int) -> dict:
        """Record that a run has ended; returns its outcome."""
        self.outcomes[number] = self.outcome(number, ended=True)
        return self.outcomes[number]

    def outcome(self, number: int, ended: bool) -> dict:
        """What has come of a run so far, as plain numbers."""
        curve = as_table(flat({number: self.curves.get(number, [])}))
        diverged = ended and self.diverged(number)
        found = outcomes.outcome(curve, self.runs[number], diverged, ended)
        return {name: plain(value) for name, value in found.items()}

    # -- as arrays and tables --------------------------------------------------------------------

    def arrays(self) -> dict[str, np.ndarray]:
        """All evaluations as flat arrays, for a checkpoint. M = evaluations.

        curve_run [M], curve_step [M], curve_metrics [M, 10].
        """
        return flat(self.curves)

    def table(self) -> pd.DataFrame:
        """All evaluations as the rows of curves.parquet."""
        return as_table(self.arrays())

    def restore(self, arrays: dict[str, np.ndarray], ended: dict[int, dict]) -> None:
        """Take over what `arrays` once gave, and the outcomes of runs that have ended."""
        rows = zip(arrays["curve_run"], arrays["curve_step"], arrays["curve_metrics"])
        for number, step, metrics_C in rows:
            self.add(int(number), int(step), metrics_C)
        self.outcomes = ended


def flat(curves: dict[int, list[Evaluation]]) -> dict[str, np.ndarray]:
    """See `History.arrays`."""
    numbers = [number for number, curve in curves.items() for _ in curve]
    evaluations = [evaluation for curve in curves.values() for evaluation in curve]
    steps = [evaluation.step for evaluation in evaluations]
    metrics = [evaluation.metrics_C for evaluation in evaluations]
    return {
        "curve_run": np.array(numbers, np.int32),
        "curve_step": np.array(steps, np.int32),
        "curve_metrics": np.array(metrics, np.float32).reshape(-1, len(tables.METRICS)),
    }


def as_table(arrays: dict[str, np.ndarray]) -> pd.DataFrame:
    """The rows of curves.parquet."""
    return tables.curves_table(arrays["curve_run"], arrays["curve_step"], arrays["curve_metrics"])


def plain(value):
    """A Python number for one of NumPy's, and anything else as it is."""
    return value.item() if hasattr(value, "item") else value


def closing_line(number: int, name: str, outcome: dict) -> str:
    """One line about a run that has ended."""
    crossed = outcome["steps_to_val_99"]
    when = "never" if crossed is None else f"at {crossed:,}"
    return (
        f"run {number} ({name}): {outcome['status']} after "
        f"{outcome['stopped_at']:,} steps, 99% validation {when}, "
        f"final {100 * outcome['final_val_accuracy']:.1f}%"
    )
