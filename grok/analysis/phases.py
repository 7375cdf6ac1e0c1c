"""When does a network memorise, form its circuit and clean up? Phases after Nanda et al. (2023).

They tell three phases by sight: memorisation, in which the excluded loss falls with the training
loss; circuit formation, in which the excluded loss rises and the restricted loss falls while the
validation loss stays high; and clean-up, in which the validation loss falls. The thresholds below
are ours, since the paper gives none.

Shape letters: S kept updates, E evaluations.
"""

from typing import NamedTuple

import numpy as np

FALLEN = 0.5  # of the peak of the validation loss, and of the loss of a guess, log of the outputs
HALFWAY = 0.5  # validation accuracy


class Curve(NamedTuple):
    """A run's evaluations: updates, validation loss and accuracy, each [E]."""

    step: np.ndarray
    val_loss: np.ndarray
    val_accuracy: np.ndarray


class Progress(NamedTuple):
    """Progress measures at kept updates, each [S]: excluded loss of the training rows, restricted
    loss of the validation rows."""

    step: np.ndarray
    excluded: np.ndarray
    restricted: np.ndarray


class Phases(NamedTuple):
    """Updates; NaN where a run does not get there.

    memorised: memorisation ends where the excluded loss is lowest, up to clean-up's end.
    formed: circuit formation ends where the validation loss has come to stay below half of its
        peak.
    cleaned: clean-up ends where validation accuracy has come to stay at 99%.
    restricted_fell, excluded_rose: the first kept update at which the restricted loss is below
        half of a guess's, and after memorisation the excluded loss above it.
    val_rose: the first evaluation with 50% validation accuracy.
    """

    memorised: float
    formed: float
    cleaned: float
    restricted_fell: float
    excluded_rose: float
    val_rose: float


def phases(curve: Curve, kept: Progress, n_outputs: int, cleaned: float) -> Phases:
    """See `Phases`. n_outputs: among how many answers a guess chooses. cleaned: NaN for never.

    A network that is kept at a single update has no course of its progress.
    """
    if len(kept.step) < 2:
        kept = Progress(*(values[:0] for values in kept))
    before = kept.step <= (cleaned if np.isfinite(cleaned) else np.inf)
    guess = np.log(n_outputs)
    memorised = np.nan
    if before.any():
        memorised = float(kept.step[np.argmin(np.where(before, kept.excluded, np.inf))])
    risen = (kept.step > memorised) & (kept.excluded > FALLEN * guess)
    return Phases(
        memorised,
        came_to_stay(curve.step, curve.val_loss <= FALLEN * curve.val_loss.max(initial=0.0)),
        cleaned,
        first(kept.step, kept.restricted < FALLEN * guess),
        first(kept.step, risen),
        first(curve.step, curve.val_accuracy >= HALFWAY),
    )


def first(steps: np.ndarray, holds: np.ndarray) -> float:
    """The first update at which something holds, or NaN."""
    return float(steps[np.argmax(holds)]) if np.any(holds) else np.nan


def came_to_stay(steps: np.ndarray, holds: np.ndarray) -> float:
    """The first update from which on something holds to the end, or NaN."""
    return first(steps, np.logical_and.accumulate(holds[::-1])[::-1])
