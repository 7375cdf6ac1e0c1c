"""The curves of runs as TensorBoard event files, below tensorboard/ in the results folder."""

import shutil
from pathlib import Path

import numpy as np

from grok.experiment import GrokError
from grok.files import disk_errors
from grok.store import outcomes, results, tables


class EventFiles:
    """Writes what is new in the tables of a results folder, a directory a run, a scalar a metric.

    The first call replaces the event files of earlier sessions: the tables hold all of what those
    held. Raises GrokError without the package tensorboardX.
    """

    def __init__(self):
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise GrokError(
                "--tensorboard needs the package tensorboardX: pip install 'grok[tensorboard]'"
            ) from None
        self.make_writer = SummaryWriter
        self.writers: dict[int, SummaryWriter] = {}
        self.written: dict[int, int] = {}

    def update(self, folder: Path) -> None:
        """Write the evaluations that came since the last call. A run that has ended is closed."""
        loaded = results.load(folder)
        top = folder / "tensorboard"
        with disk_errors(folder):
            if not self.written:
                shutil.rmtree(top, ignore_errors=True)
            for run, curve in loaded.curves.groupby("run"):
                new = curve[curve["step"] > self.written.get(run, -1)]
                if len(new):
                    self.write(top, int(run), new)
            ended = loaded.runs[loaded.runs["status"].isin(outcomes.ENDED)]["run"]
            for run in self.writers.keys() & set(ended):
                self.writers.pop(run).close()

    def write(self, top: Path, run: int, evaluations) -> None:
        """Append evaluations, rows of curves.parquet, to a run's event file."""
        if run not in self.writers:
            self.writers[run] = self.make_writer(str(top / f"run_{run:04d}"))
        writer = self.writers[run]
        for row in evaluations.to_dict("records"):
            for name in tables.METRICS:
                if np.isfinite(row[name]):
                    writer.add_scalar(name, row[name], row["step"])
        writer.flush()
        self.written[run] = int(evaluations["step"].max())

    def close(self) -> None:
        for writer in self.writers.values():
            writer.close()
