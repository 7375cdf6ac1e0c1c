"""What a user sees while runs train: one bar, and a line for each run that ends."""

import sys
import time

from tqdm.auto import tqdm

QUIET_SECONDS = 15  # between two lines where there is no bar,
LONG_SECONDS = 60  # and once a training has taken a while
A_WHILE = 600


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook."""
    IPython = sys.modules.get("IPython")
    shell = IPython.get_ipython() if IPython else None
    return shell is not None and "IPKernelApp" in shell.config


class Progress:
    """A bar on a terminal and in a notebook; elsewhere a line now and then.

    total: updates all runs may take together. Runs that stop early give their rest back.
    """

    def __init__(self, name: str, n_runs: int, total: int, done_runs: int, done: int):
        self.n_runs, self.done_runs = n_runs, done_runs
        self.has_bar = sys.stderr.isatty() or in_notebook()
        self.last_line = time.monotonic()
        self.bar = tqdm(
            total=total,
            initial=done,
            desc=name,
            unit="step",
            unit_scale=True,
            dynamic_ncols=True,
            file=sys.stderr,
            disable=not self.has_bar,
            smoothing=0.1,
        )
        self.begun, self.done, self.total = time.monotonic(), done, total
        self.measured_from: tuple[float, int] | None = None  # the rate: a time, and updates by then

    def advance(self, done: int, train_accuracies, val_accuracies) -> None:
        """Show the updates done so far, and how right the runs in training are.

        The accuracies are [slots]; of many runs their range is shown.
        """
        self.bar.update(done - self.done)
        self.done = done
        both = f"train {percentages(train_accuracies)}, val {percentages(val_accuracies)}"
        text = f"runs {self.done_runs}/{self.n_runs}, {both}"
        self.bar.set_postfix_str(text, refresh=False)
        now = time.monotonic()
        pause = QUIET_SECONDS if now - self.begun < A_WHILE else LONG_SECONDS
        if not self.has_bar and now - self.last_line >= pause:
            self.last_line = now
            print(
                f"{self.done:,} of at most {self.total:,} steps, {self.speed(now)}{text}",
                file=sys.stderr,
                flush=True,
            )
        self.measured_from = self.measured_from or (now, done)

    def speed(self, now: float) -> str:
        """Updates a second and the time left; nothing yet of the first, which were compiled too."""
        if self.measured_from is None:
            return ""
        since, done = self.measured_from
        rate = (self.done - done) / (now - since)
        left = (self.total - self.done) / max(rate, 1e-9)
        return f"{rate:.0f} steps/s, at most {left / 60:.0f} min left, "

    def retire(self, line: str, unused: int) -> None:
        """A run has ended with `unused` updates of its budget left."""
        self.done_runs += 1
        self.total -= unused
        self.bar.total = self.total
        self.say(line)

    def say(self, line: str) -> None:
        self.bar.clear()
        print(line, file=sys.stderr, flush=True)
        self.bar.refresh()

    def close(self) -> None:
        self.bar.close()


def percentages(values) -> str:
    values = [f"{100 * value:.1f}" for value in values]
    return (
        f"{'/'.join(values)}%"
        if len(values) <= 4
        else f"{min(values, key=float)}-{max(values, key=float)}%"
    )
