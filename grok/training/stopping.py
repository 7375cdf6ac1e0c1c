"""When training must stop before it is done: at a signal, or at a time limit."""

import contextlib
import signal
import sys
import time
from typing import Any

TIME_IS_UP = 75  # exit status: stopped, and the same command goes on
CTRL_C = 130
# Ctrl-C, the usual request, a closed terminal, and Slurm's warning before its time limit.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


class Stop:
    """Whether training is to stop at its next chunk, since a signal came or time is up.

    While it holds as a context, the first signal is taken note of; a second one acts as usual. A
    signal that is ignored, as SIGHUP is under nohup, stays ignored. time_limit: seconds from now,
    or None.
    """

    def __init__(self, time_limit: float | None):
        self.deadline = None if time_limit is None else time.monotonic() + time_limit
        self.signal: signal.Signals | None = None
        self.previous: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self.previous[number] = signal.signal(number, self.handle)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)

    def handle(self, number: int, _frame) -> None:
        self.signal = signal.Signals(number)
        words = "\nstopping at the end of this chunk; once more to stop at once"
        # The terminal may be gone, or this may have interrupted a print.
        with contextlib.suppress(OSError, RuntimeError):
            print(words, file=sys.stderr, flush=True)
        signal.signal(number, self.previous[number])

    def reason(self) -> str | None:
        """Why training is to stop, in words, or None."""
        if self.signal is not None:
            return self.signal.name
        if self.deadline is not None and time.monotonic() >= self.deadline:
            return "the time limit"
        return None

    def status(self) -> int:
        """The exit status of a command that was stopped."""
        return CTRL_C if self.signal == signal.SIGINT else TIME_IS_UP
