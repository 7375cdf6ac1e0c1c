"""The networks whose weights a results folder keeps: at which updates, and the network itself."""

from grok.experiment import GrokError
from grok.measure.network import Network, of_params
from grok.store.array_files import arrays_name
from grok.store.results import Results
from grok.store.snapshots import best, moments


def at(results: Results, run: int, step: int | None) -> Network:
    """The network of a run at a snapshot, or at its end for None. Raises GrokError."""
    return of_params(results.rebuilt_run(run), results.params(run, step))


def network(results: Results, run: int = 0, step: int | None = None) -> Network:
    """The network of a run after `step` updates, or at its best moment whose weights are kept.

    Raises GrokError where none are.
    """
    check_kept(results, run)
    if step is None:
        return at(results, run, best_step(results, run))
    end = last_update(results, run)
    kept = [end if kept is None else kept for kept in kept_steps(results, run)]
    if step not in kept:
        raise GrokError(
            f"no weights of run {run} after {step} updates are kept in {results.folder}: "
            f"choose {', '.join(map(str, kept))}, or set snapshots='log' or a spacing "
            "in the run, or give --snapshots, and train it anew"
        )
    return at(results, run, None if step == end else step)


def check_kept(results: Results, run: int) -> None:
    """GrokError, in one line, for a run of which no weights are at hand."""
    spec = results.rebuilt_run(run)
    if kept_steps(results, run):
        return
    advice = (
        "they stay where they were trained: train it again, or copy them from there"
        if spec.keep_params
        else "set keep_params=True in the run, or give --keep-params, and train it anew"
    )
    raise GrokError(f"no weights of run {run} are kept in {results.folder}: {advice}")


def kept_steps(results: Results, run: int) -> list[int | None]:
    """The snapshots at which all of a run's weights are kept, ascending; None is its end."""
    end = last_update(results, run)
    steps = [step for step in results.snapshot_steps(run, params=True) if step != end]
    return steps + [None] * bool(results.kept(arrays_name(run, params=True)))


def last_update(results: Results, run: int) -> int:
    steps = results.curve(run)["step"]
    return int(steps.max()) if len(steps) else 0


def best_step(results: Results, run: int) -> int | None:
    """The best moment (`grok.store.snapshots.best`) among those whose weights are kept."""
    kept = kept_steps(results, run)
    return best([moment for moment in moments(results, run) if moment.step in kept]).step
