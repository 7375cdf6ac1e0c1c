"""A laboratory for grokking: train, sweep, draw and score small Transformers on operation tables.

    import grok

    base = grok.Run(operation="x+y", structure="Z31")
    trained = grok.train(grok.grid(base, weight_decay=[0.0, 0.3], seed=range(3)))
    trained.runs, trained.curves  # pandas: a row a run; a row a run and evaluation
    grok.load("results/figure3")  # what an earlier training left
    grok.load("results/networks").network(run=0)  # look into it: grok.measure.network

Run         one training run, a small record of numbers; what is not named has the paper's value
Experiment  a named list of runs; its results lie in results/<name>/
grid        every combination of listed field values, as a list of runs
train       train a run, a list of runs or an experiment; returns what came of them
load        the same from the folder of an earlier training
GrokError   a mistake that its user can mend, in one line

Runs with the same shapes train side by side in one compiled program.
The command line does all this too: `grok --help`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from grok.experiment import Experiment, GrokError, Run, grid
    from grok.trained import Trained

__all__ = ["Experiment", "GrokError", "Run", "grid", "load", "train"]


def __getattr__(name: str):
    """The names that grok.experiment defines, imported when they are asked for.

    So the command line answers Ctrl-C before it has imported anything.
    """
    if name not in __all__:
        raise AttributeError(f"module 'grok' has no attribute '{name}'")
    from grok import experiment

    return getattr(experiment, name)


def train(
    what: "Run | Iterable[Run] | Experiment", folder: "str | Path | None" = None
) -> "Trained":
    """Train a run, a list of runs or an experiment, on all devices of this machine.

    folder: the experiment's own, such as "results/mine". Without one the results lie in a temporary
    folder, which goes when Python ends. A training that was stopped goes on from what its folder
    holds, and one that is complete is not repeated.
    Raises GrokError for a mistake in a run, and KeyboardInterrupt, with all saved, when stopped.
    """
    from grok import trained

    return trained.train(what, folder)


def load(folder: "str | Path") -> "Trained":
    """What a results folder holds, also one that is still being written. Raises GrokError.

    A relative folder that is not there is looked for beside the package, so that the results which
    come with the repository load from a notebook anywhere.
    """
    from grok import trained

    return trained.load(folder)
