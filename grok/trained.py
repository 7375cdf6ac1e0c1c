"""What `grok.train` and `grok.load` do, apart from them so that `import grok` waits for nothing."""

import contextlib
import dataclasses
import functools
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from grok.experiment import Experiment, Run
from grok.store import results

if TYPE_CHECKING:
    from grok.measure.network import Network

CHECKOUT = Path(__file__).parent.parent
TEMPORARY: list[tempfile.TemporaryDirectory] = []  # each goes when Python ends


class Trained(results.Results):
    """What came of runs: `runs` and `curves` (pandas), `arrays(run)`; prints as a table of runs."""

    def __str__(self) -> str:
        return results.closing_table(self)

    def draw(self) -> list[Path]:
        """Draw the figures of these results into their folder; returns the files."""
        from grok import figures

        return figures.draw(self.folder)

    def network(self, run: int = 0, step: int | None = None) -> "Network":
        """A run's network after `step` updates (None: its best kept moment), to look into.

        See grok.measure.network. Raises GrokError where the run keeps no weights.
        """
        from grok.measure import kept_networks

        start_devices()
        return kept_networks.network(self, run, step)


def train(what: Run | Iterable[Run] | Experiment, folder: str | Path | None) -> Trained:
    """See grok.train."""
    from grok.training import sweep

    experiment = experiment_of(what)
    if folder is None:
        root = temporary_folder()
    else:
        root, name = Path(folder).parent, Path(folder).name
        experiment = dataclasses.replace(experiment, name=name)
    start_devices()
    try:
        return load(sweep.train_experiment(experiment, sweep.Options(root)))
    except sweep.Interrupted as stop:
        raise KeyboardInterrupt(
            f"stopped by {stop}; all is saved in {root / experiment.name}, "
            "and the same call with this folder goes on from there"
        ) from stop


def experiment_of(what: Run | Iterable[Run] | Experiment) -> Experiment:
    """The experiment that a run or a list of runs is, or an experiment itself."""
    if isinstance(what, Experiment):
        return what
    runs = [what] if isinstance(what, Run) else what
    return Experiment(name="trained", runs=runs)  # type: ignore[arg-type]  # it takes any iterable


def temporary_folder() -> Path:
    TEMPORARY.append(tempfile.TemporaryDirectory(prefix="grok-"))
    return Path(TEMPORARY[-1].name)


@functools.cache
def start_devices() -> None:
    """Make this process's devices ready, once, unless something else has used JAX before."""
    from grok.training import devices

    with contextlib.suppress(RuntimeError):  # JAX's first use settles how many devices there are
        devices.start_devices()


def load(folder: str | Path) -> Trained:
    """See grok.load."""
    path = Path(folder)
    if not path.exists() and (CHECKOUT / path).exists():
        path = CHECKOUT / path
    return Trained(**vars(results.load(path)))
