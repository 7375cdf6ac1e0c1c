"""When a run is evaluated, and at which of these evaluations its matrices are kept."""

import numpy as np

from grok.experiment import Run

# Of the number of an update kept on a logarithmic axis, zeros at its end left out.
SNAPSHOT_DIGITS = ("1", "15", "2", "3", "4", "5", "7")


def evaluation_steps(num_steps: int, eval_every: int) -> list[int]:
    """When a run is evaluated, in updates.

    After 1, 2, 5, 10, ... updates up to eval_every, then every eval_every, and at num_steps.
    """
    early = [digit * 10**e for e in range(9) for digit in (1, 2, 5)]
    early = [step for step in early if step < min(eval_every, num_steps)]
    return early + list(range(eval_every, num_steps, eval_every)) + [num_steps]


def due(step: int, run: Run) -> bool:
    """Whether a run is evaluated after `step` updates."""
    early = step < run.eval_every and str(step).rstrip("0") in ("1", "2", "5")
    return early or step % run.eval_every == 0 or step == run.num_steps


def snapshot_due(step: int, run: Run) -> bool:
    """Whether a run keeps a snapshot at its evaluation after `step` updates."""
    if run.snapshots == "log":
        return str(step).rstrip("0") in SNAPSHOT_DIGITS
    return bool(run.snapshots) and step % int(run.snapshots) == 0


def segments(any_fresh: bool, eval_every: int) -> list[int]:
    """Updates between the evaluations of one chunk of `eval_every` updates.

    Where a run has just begun there are several, so that it has its early evaluations.
    """
    if not any_fresh:
        return [eval_every]
    return list(np.diff([0, *evaluation_steps(eval_every, eval_every)]))
