"""The updates at which a run's matrices are kept, and the one to look at: a network may collapse after it has grokked."""

from typing import NamedTuple

import numpy as np

from grok.experiment import GrokError
from grok.store.results import THRESHOLD, Results


class Moment(NamedTuple):
    """An update at which a run's matrices are kept. step: of the snapshot, None at the run's end; accuracies in [0, 1], NaN where not evaluated."""

    step: int | None
    update: int
    train_accuracy: float
    val_accuracy: float

    @property
    def words(self) -> str:
        known = np.isfinite(self.val_accuracy)
        accuracies = (
            f"{100 * self.train_accuracy:.0f}% train, {100 * self.val_accuracy:.0f}% val"
            if known
            else "accuracy unknown"
        )
        return f"update {self.update:,}\n{accuracies}"

    @property
    def generalised(self) -> bool:
        return bool(self.val_accuracy >= THRESHOLD)


def moments(results: Results, run: int) -> list[Moment]:
    """Every update at which a run's matrices are kept, the last one its end."""
    curve = results.curve(run).set_index("step")
    end = int(curve.index.max()) if len(curve) else 0
    steps = [(step, step) for step in results.snapshot_steps(run) if step < end]
    at = (
        curve[["train_accuracy", "val_accuracy"]]
        .reindex([update for _, update in steps] + [end])
        .to_numpy(float)
    )
    return [
        Moment(step, update, *accuracies)
        for (step, update), accuracies in zip([*steps, (None, end)], at)
    ]


def best(found: list[Moment]) -> Moment:
    """The moment with the highest validation accuracy, the last of equals, among those with 99% of the training rows if there are any.

    Of a network that only memorises the highest validation accuracy is chance, and may be that of an update before it has learned anything.
    """
    learned = [moment for moment in found if moment.train_accuracy >= THRESHOLD]
    return max(
        learned or found,
        key=lambda moment: (np.nan_to_num(moment.val_accuracy, nan=-1), moment.update),
    )


def at_step(found: list[Moment], step: int) -> Moment:
    """The moment after `step` updates; GrokError where none is kept."""
    for moment in found:
        if moment.update == step:
            return moment
    raise GrokError(
        f"nothing is kept after {step} updates: choose {', '.join(str(moment.update) for moment in found)}"
    )
