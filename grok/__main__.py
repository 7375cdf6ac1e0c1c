"""The command line, `python -m grok` or `grok`. The commands themselves are in grok/commands."""

import sys
import warnings

from grok.commands.parser import make_parser
from grok.experiment import GrokError, Note


def main(arguments: list[str] | None = None) -> int:
    """Parse the arguments (of this process, where none are given) and run their command.

    Returns the exit status. A mistake of the user's gives one line on standard error and status 2.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("always", Note)
        warnings.showwarning = in_one_line(warnings.showwarning)
        return answered(arguments)


def answered(arguments: list[str] | None) -> int:
    """The exit status of a command; whatever its user can mend has been said in one line."""
    try:
        options = make_parser().parse_args(arguments)
        return options.command(options) or 0
    except GrokError as error:
        print(f"grok: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        print(
            "\ngrok: stopped; what was saved is intact, the same command goes on from there",
            file=sys.stderr,
        )
        return 130


def in_one_line(show):
    """`warnings.showwarning` that says a Note as the command line says everything else."""

    def showwarning(message, category, filename, lineno, file=None, line=None):
        if issubclass(category, Note):
            print(f"grok: note: {message}", file=sys.stderr)
        else:
            show(message, category, filename, lineno, file, line)

    return showwarning


if __name__ == "__main__":
    sys.exit(main())
