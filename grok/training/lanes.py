"""The slots of one program, the runs in them, and those that wait for a slot."""

from typing import NamedTuple

import numpy as np

from grok.training.jobs import Job
from grok.training.slots import Slots

EMPTY = -1

State = dict[str, np.ndarray]  # one run's row of what `Slots.arrays` gives


class Lane(NamedTuple):
    """A slot and the number of the run in it."""

    slot: int
    run: int


class Lanes:
    """Runs of one program on their way through its slots.

    in_slot: the number of the run in each slot, or EMPTY. waiting: the runs that wait, in order.
    resting: the states of runs under way that are in no slot; they go on from there.
    """

    def __init__(
        self, slots: Slots, jobs: dict[int, Job], waiting: list[int], resting: dict[int, State]
    ):
        self.slots, self.jobs = slots, jobs
        self.in_slot = [EMPTY] * slots.count
        self.waiting, self.resting = waiting, resting

    def busy(self) -> list[Lane]:
        """The slots in which runs are, in order."""
        return [Lane(slot, run) for slot, run in enumerate(self.in_slot) if run != EMPTY]

    def refill(self) -> None:
        """Put waiting runs into empty slots: from their initial weights, or as they were left."""
        states = {}
        for slot, before in enumerate(self.in_slot):
            if before != EMPTY or not self.waiting:
                continue
            run = self.in_slot[slot] = self.waiting.pop(0)
            self.slots.place(slot, self.jobs[run].run, self.jobs[run].dataset)
            if run in self.resting:
                states[slot] = self.resting.pop(run)
        if states:
            self.slots.place_states(states)

    def clear(self, slot: int) -> None:
        """Take a run that has ended out of its slot."""
        self.in_slot[slot] = EMPTY
        self.slots.clear(slot)

    def states(self) -> State:
        """The states of all runs under way, stacked: those in slots in order, then the resting."""
        live = [lane.slot for lane in self.busy()]
        stacked = {}
        for name, array in self.slots.arrays().items():
            resting = [state[name] for state in self.resting.values()]
            stacked[name] = np.stack([*array[live], *resting]) if live or resting else array[:0]
        return stacked


def states_by_run(
    arrays: dict[str, np.ndarray], in_slot: list[int], resting: list[int]
) -> dict[int, State]:
    """The state of each run in a checkpoint, by its number.

    In checkpoints of former versions empty slots have rows, too.
    """
    states = {name: array for name, array in arrays.items() if name.startswith("state_")}
    rows = [run for run in in_slot if run != EMPTY] + resting
    if any(len(array) == len(in_slot) != len(rows) for array in states.values()):
        rows = in_slot
    by_run = {}
    for row, run in enumerate(rows):
        if run != EMPTY:
            by_run[run] = {name: array[row] for name, array in states.items()}
    return by_run
