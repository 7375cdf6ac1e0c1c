"""What is to be trained: each run with its dataset and its program, made once."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from grok.experiment import Run
from grok.task.dataset import Dataset, effective_batch_size, last_batch_size, make_dataset
from grok.training.program import Program, make_program


class Job(NamedTuple):
    """A run, its dataset and its static signature."""

    run: Run
    dataset: Dataset
    program: Program

    @property
    def batch_size(self) -> int:
        """Rows that an update sees."""
        return effective_batch_size(self.run, self.dataset.n_train)

    @property
    def last_batch_size(self) -> int:
        """Rows in the last batch of every epoch."""
        return last_batch_size(self.run, self.dataset.n_train)


def make_jobs(runs: Sequence[Run], numbers: Iterable[int]) -> dict[int, Job]:
    """The runs of some numbers as jobs. Equal datasets are kept in memory once.

    Raises GrokError for a run whose dataset cannot be made.
    """
    datasets: dict[str, Dataset] = {}
    jobs = {}
    for number in numbers:
        run = runs[number]
        made = make_dataset(run)
        dataset = datasets.setdefault(digest(made), made)
        jobs[number] = Job(run, dataset, make_program(run, dataset))
    return jobs


def digest(dataset: Dataset) -> str:
    """A hash of a dataset's content."""
    summary = hashlib.sha256()
    for name, array in vars(dataset).items():
        if array is not None:
            summary.update(f"{name} {array.dtype} {array.shape}".encode())
            summary.update(array.tobytes())
    return summary.hexdigest()


def by_program(jobs: dict[int, Job]) -> dict[Program, list[int]]:
    """The numbers of the runs that share a static signature, in order of first appearance."""
    found: dict[Program, list[int]] = {}
    for number, job in jobs.items():
        found.setdefault(job.program, []).append(number)
    return found


def last_batch_note(jobs: dict[int, Job]) -> str | None:
    """One line about runs whose epochs end in a batch of under a sixteenth of the others' rows.

    An update follows the mean over its own rows. So a handful of rows moves the weights as far as a
    full batch does. At a high learning rate small networks do not bear it (results/README.md).
    """
    tiny = [n for n, job in jobs.items() if 16 * job.last_batch_size < job.batch_size]
    if not tiny:
        return None
    first = min(tiny, key=lambda n: jobs[n].last_batch_size / jobs[n].batch_size)
    rows = f"{jobs[first].last_batch_size} of {jobs[first].batch_size} rows"
    return (
        f"note: in {len(tiny)} of {len(jobs)} runs the last batch of an epoch is tiny "
        f"(run {first}: {rows}), which small networks may not bear; another batch_size leaves more"
    )
