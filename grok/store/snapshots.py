"""The updates at which the matrices of a run are kept, and the one to look at.

A network may collapse after it has grokked, so its end is not always its best.
"""

from typing import NamedTuple

import numpy as np

from grok.experiment import GrokError
from grok.store.outcomes import THRESHOLD
from grok.store.results import Results


class Moment(NamedTuple):
    """An update at which the matrices of a run are kept.

    step: that of the snapshot, None at the end of the run. update: how many updates the run has
    taken. Accuracies are in [0, 1], NaN where they were not evaluated.
    """

    step: int | None
    update: int
    train_accuracy: float
    val_accuracy: float

    @property
    def words(self) -> str:
        if not np.isfinite(self.val_accuracy):
            return f"update {self.update:,}\naccuracy unknown"
        train, val = 100 * self.train_accuracy, 100 * self.val_accuracy
        return f"update {self.update:,}\n{train:.0f}% train, {val:.0f}% val"

    @property
    def generalised(self) -> bool:
        return bool(self.val_accuracy >= THRESHOLD)


def moments(results: Results, run: int) -> list[Moment]:
    """Every update at which the matrices of a run are kept, the last one its end."""
    results.need_curves("train_accuracy", "val_accuracy")
    curve = results.curve(run).set_index("step")
    end = int(curve.index.max()) if len(curve) else 0
    steps = [step for step in results.snapshot_steps(run) if step < end]
    accuracies = curve[["train_accuracy", "val_accuracy"]].reindex([*steps, end]).to_numpy(float)
    kept = [Moment(step, step, *pair) for step, pair in zip(steps, accuracies)]
    return [*kept, Moment(None, end, *accuracies[-1])]


def best(found: list[Moment]) -> Moment:
    """The moment with the highest validation accuracy, the last of equals.

    If the run has learned 99% of its training rows at some moment, only such moments count: a
    network that merely memorises is at chance, which may be highest before it has learned anything.
    """
    learned = [moment for moment in found if moment.train_accuracy >= THRESHOLD]

    def rank(moment: Moment) -> tuple[float, int]:
        return np.nan_to_num(moment.val_accuracy, nan=-1), moment.update

    return max(learned or found, key=rank)


def at_step(found: list[Moment], step: int) -> Moment:
    """The moment after `step` updates; GrokError where nothing is kept."""
    for moment in found:
        if moment.update == step:
            return moment
    updates = ", ".join(str(moment.update) for moment in found)
    raise GrokError(f"nothing is kept after {step} updates: choose {updates}")
