"""Which network of a task to look at, and at which saved updates."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from grok.analysis import fourier, groups
from grok.figures import data, style, tsne
from grok.operations import Structure, is_prime
from grok.results import THRESHOLD

MATRIX = "output"


class Moment(NamedTuple):
    """An update at which a run's matrices are kept. step: of the snapshot, None at the run's end; accuracies in [0, 1], NaN where not evaluated."""

    step: int | None
    update: int
    train_accuracy: float
    val_accuracy: float

    @property
    def words(self) -> str:
        known = np.isfinite(self.val_accuracy)
        accuracies = f"{100 * self.train_accuracy:.0f}% train, {100 * self.val_accuracy:.0f}% val" if known else "accuracy unknown"
        return f"update {self.update:,}\n{accuracies}"


def moments(results, run: int) -> list[Moment]:
    """Every update at which a run's matrices are kept, the last one its end."""
    curve = results.curve(run).set_index("step")
    end = int(curve.index.max()) if len(curve) else 0
    steps = [(step, step) for step in results.snapshot_steps(run) if step < end]
    at = curve[["train_accuracy", "val_accuracy"]].reindex([update for _, update in steps] + [end]).to_numpy(float)
    return [Moment(step, update, *accuracies) for (step, update), accuracies in zip([*steps, (None, end)], at)]


def best(found: list[Moment]) -> Moment:
    """The moment with the highest validation accuracy, the last of equals: a network may collapse after it has grokked."""
    return max(found, key=lambda moment: (np.nan_to_num(moment.val_accuracy, nan=-1), moment.update))


def clearest(results, followed: bool = False) -> Iterator[tuple[str, int, str]]:
    """For each task the run whose output layer is the clearest at its best moment: (task, run, which of how many it is).

    Among those that reached 99% validation accuracy at a moment that is kept, or if none did, among all that ended.
    followed: where some runs of an experiment kept snapshots, among these alone.
    """
    runs = data.runs_with(results, "operation", "structure", "snapshots")
    runs = runs[runs["snapshots"]] if followed and runs["snapshots"].any() else runs
    for (name, operation), of_task in runs[runs["status"].isin(data.TRAINED)].groupby(["structure", "operation"], sort=False):
        numbers = [int(run) for run in of_task["run"]]
        able = [run for run in numbers if best(moments(results, run)).val_accuracy >= THRESHOLD]
        ranked = sorted(able or numbers, key=lambda run: -clearness(results, run)) if len(able or numbers) > 1 else able or numbers
        rank = f"run {ranked[0]}, " + (f"clearest of {len(ranked)}" if len(ranked) > 1 else "the only one")
        yield f"{style.pretty(operation)} {name}", ranked[0], rank + ("" if able else " (none generalised)")


def clearness(results, run: int) -> float:
    """Higher is clearer: the Gini coefficient of the spectrum on its better axis, or how far the best cosets are from chance."""
    W, group = tsne.element_rows(results, run, MATRIX, best(moments(results, run)).step)
    if not group.is_ring:
        return -float(groups.best_subgroup(groups.coset_scores(W, group)).z)
    return max(fourier.gini(fourier.frequency_norms(rows_TD)) for rows_TD in axes_of(W, group))


def axes_of(W, group: Structure) -> list[np.ndarray]:
    """The rows of a ring in natural order, and for an odd prime by discrete logarithm."""
    prime = group.order > 2 and is_prime(group.order)
    return [W, W[fourier.discrete_log_order(group.order)]] if prime else [W]
