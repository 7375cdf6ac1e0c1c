"""The command line, `python -m grok` or `grok`. The commands themselves are in grok/commands.

The package's own modules are imported once Ctrl-C is answered.
"""

import contextlib
import io
import os
import signal
import sys
import warnings

STOPPED = "grok: stopped; what was saved is intact, the same command goes on from there"

NO_MEMORY = (
    "memory does not hold this ({why}): choose a smaller structure, network or batch, "
    "or fewer runs at once"
)


def command_line() -> int:
    """`main` for a process of its own, whose terminal may be slow, narrow, full or gone."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored
        signal.signal(signal.SIGINT, leave)
    # A stream that is closed takes a file all the same, or a results file would get its number.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal gets what it can show
    sys.stderr = Patient(sys.stderr)
    return main()


def leave(*_) -> None:
    """Ctrl-C: end at once, with one line.

    An exception will not do: raised in a callback, as of XLA's garbage collector, it is dropped,
    and raised in an import it comes out as another one. Training has its own way to stop, and all
    other files are written to the side.
    """
    with contextlib.suppress(OSError):
        os.write(2, f"\n{STOPPED}\n".encode())
    os._exit(130)


class Patient:
    """Standard error that may be closed or full: what cannot be said is left unsaid."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self.stream.flush()

    def __getattr__(self, name: str):
        return getattr(self.stream, name)


def main(arguments: list[str] | None = None) -> int:
    """Parse the arguments (of this process, where none are given) and run their command.

    Returns the exit status. A mistake of the user's gives one line on standard error and status 2.
    """
    from grok.experiment import Note

    with warnings.catch_warnings():
        warnings.simplefilter("always", Note)
        warnings.showwarning = in_one_line(warnings.showwarning, Note)
        return answered(arguments)


def answered(arguments: list[str] | None) -> int:
    """The exit status of a command; whatever its user can mend has been said in one line."""
    from grok.experiment import GrokError

    try:
        status = run_command(arguments)
        sys.stdout.flush()
        return status
    except GrokError as error:
        print(f"grok: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        silence(sys.stdout)
        return 1
    except OSError as error:
        if error.filename is not None:  # a file, and not standard output
            print(f"grok: {error.filename}: {error.strerror}", file=sys.stderr)
            return 2
        silence(sys.stdout)
        print(f"grok: the output cannot be written ({error.strerror})", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\n{STOPPED}", file=sys.stderr)
        return 130


def run_command(arguments: list[str] | None) -> int:
    """Parse the arguments and run their command; returns its exit status.

    Raises GrokError for a mistake of the user's, in the environment too.
    """
    from grok.commands.parser import make_parser, require_devices
    from grok.experiment import GrokError

    try:
        options = make_parser().parse_args(arguments)
    except SystemExit:  # --help has been printed
        return 0
    try:
        return options.command(options) or 0
    except (AssertionError, RuntimeError, MemoryError) as error:
        require_devices()  # JAX's words do not say so where it finds none
        if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in str(error):
            why = str(error).removeprefix("RESOURCE_EXHAUSTED: ").splitlines() or ["no memory"]
            raise GrokError(NO_MEMORY.format(why=why[0].rstrip("."))) from error
        raise


def silence(stream) -> None:
    """Let what a stream still holds go nowhere, so that nothing complains when Python ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def in_one_line(show, note: type[Warning]):
    """`warnings.showwarning` that says a Note as the command line says everything else."""

    def showwarning(message, category, filename, lineno, file=None, line=None):
        if issubclass(category, note):
            print(f"grok: note: {message}", file=sys.stderr)
        else:
            show(message, category, filename, lineno, file, line)

    return showwarning


if __name__ == "__main__":
    sys.exit(command_line())
