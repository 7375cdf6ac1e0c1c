"""Which network of a task to look at, at its best moment."""

from collections.abc import Iterator

import numpy as np

from grok.analysis import fourier, groups
from grok.figures.parts import data, style, tsne
from grok.store.snapshots import best, moments
from grok.task.operations import Structure, is_prime

MATRIX = "output"


def clearest(results, followed: bool = False) -> Iterator[tuple[str, int, str]]:
    """For each task the run with the clearest output layer: (task, run, which of how many it is).

    It is one of those that reached 99% validation accuracy at a kept moment, or if none did, of all
    that ended.
    followed: where some runs of an experiment kept snapshots, among these alone.
    """
    runs = data.runs_with(results, "operation", "structure", "snapshots")
    with_snapshots = runs["snapshots"] != ""
    runs = runs[with_snapshots] if followed and with_snapshots.any() else runs
    for (name, operation), of_task in runs[runs["status"].isin(data.TRAINED)].groupby(
        ["structure", "operation"], sort=False
    ):
        numbers = [int(run) for run in of_task["run"]]
        able = [run for run in numbers if best(moments(results, run)).generalised]
        ranked = (
            sorted(able or numbers, key=lambda run: -clearness(results, run))
            if len(able or numbers) > 1
            else able or numbers
        )
        rank = f"run {ranked[0]}, " + (
            f"clearest of {len(ranked)}" if len(ranked) > 1 else "the only one"
        )
        yield (
            f"{style.pretty(operation)} {name}",
            ranked[0],
            rank + ("" if able else " (none generalised)"),
        )


def clearness(results, run: int) -> float:
    """Higher is clearer: the Gini of the spectrum on its better axis, or the z of the best cosets.

    The sign of z is turned, since cosets that fit lie far below chance.
    """
    W, group = tsne.element_rows(results, run, MATRIX, best(moments(results, run)).step)
    if not group.is_ring:
        return -float(groups.best_subgroup(groups.coset_scores(W, group)).z)
    return max(fourier.gini(fourier.frequency_norms(rows_TD)) for rows_TD in axes_of(W, group))


def axes_of(W, group: Structure) -> list[np.ndarray]:
    """The rows of a ring in natural order, and for an odd prime by discrete logarithm."""
    prime = group.order > 2 and is_prime(group.order)
    return [W, W[fourier.discrete_log_order(group.order)]] if prime else [W]
