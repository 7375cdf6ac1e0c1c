"""A finding: one number or count of an experiment, what the paper says of it, and a verdict."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from grok.analysis.survival import Estimate

REPRODUCED, IN_PART, NOT_REPRODUCED, NOT_TESTED = VERDICTS = (
    "reproduced",
    "in part",
    "not reproduced",
    "not tested",
)
LEAST_NETWORKS = 5  # Fewer that do not show what some network of the paper shows prove nothing.


@dataclass(frozen=True)
class Finding:
    """A claim, the paper's value, ours, and a verdict that a rule has reached.

    id: its name within the experiment. claim, paper, here: words of at most 60 characters; `paper`
    names another source where it is not the paper's claim. value, low, high: ours with its 95%
    interval, NaN where there is none. runs, seeds: on which it rests. censored: how many of these
    runs never got there within their budget.
    """

    id: str
    claim: str
    paper: str
    here: str
    verdict: str
    value: float = np.nan
    low: float = np.nan
    high: float = np.nan
    unit: str = ""
    runs: int = 0
    seeds: int = 0
    censored: int = 0


class Table(NamedTuple):
    """Numbers behind the findings and figures of an experiment, a dictionary a row."""

    id: str
    rows: list[dict]


# --- Rules ---


def by_count(happened: int, of: int) -> str:
    """Whether something happens in all of so many cases, in some, or in none."""
    if not of:
        return NOT_TESTED
    if happened == of:
        return REPRODUCED
    return IN_PART if happened else NOT_REPRODUCED


def for_some_network(shown: int, of: int) -> str:
    """The rule of "for some networks": one is enough, and a few without it say nothing."""
    if shown:
        return REPRODUCED
    return NOT_REPRODUCED if of >= LEAST_NETWORKS else NOT_TESTED


def by_overlap(ours: Estimate, low: float, high: float, weaker: bool) -> str:
    """Whether our interval meets the source's range; in part where only the `weaker` claim holds.

    A number without an interval cannot meet a range: it may be anywhere.
    """
    if np.isnan(ours.value):
        return NOT_TESTED
    if not np.isnan(ours.low) and ours.low <= high and ours.high >= low:
        return REPRODUCED
    return IN_PART if weaker else NOT_REPRODUCED


def by_seeds(verdict: str, seeds: int) -> str:
    """One seed shows that something can happen and not that it does: in part at the most."""
    return IN_PART if verdict == REPRODUCED and seeds < 2 else verdict
