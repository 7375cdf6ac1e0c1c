"""What commands are made of: `@command(name, help, *arguments)`, and arguments they share."""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from grok.experiment import GrokError


class Argument(NamedTuple):
    """An argument of a command, as argparse's add_argument takes it."""

    flags: tuple[str, ...]
    settings: dict[str, Any]

    def add_to(self, parser) -> None:
        parser.add_argument(*self.flags, **self.settings)


class ArgumentGroup(NamedTuple):
    """Arguments that --help shows together under a title."""

    title: str
    arguments: tuple[Argument, ...]

    def add_to(self, parser) -> None:
        inside = parser.add_argument_group(self.title)
        for each in self.arguments:
            each.add_to(inside)


class OneOf(NamedTuple):
    """Arguments of which at most one may be given."""

    arguments: tuple[Argument, ...]

    def add_to(self, parser) -> None:
        inside = parser.add_mutually_exclusive_group()
        for each in self.arguments:
            each.add_to(inside)


class Command(NamedTuple):
    """A command: its name, a line of help, its arguments, and options -> exit status or None."""

    name: str
    help: str
    arguments: tuple[Argument | ArgumentGroup | OneOf, ...]
    run: Callable[[argparse.Namespace], int | None]


COMMANDS: list[Command] = []


def argument(*flags: str, **settings: Any) -> Argument:
    """An argument. Its help ends with its default, if it has one and does not name it already.

    An option without a default is missing from the parsed options where it is not given.
    """
    positional = not flags[0].startswith("-")
    if not positional and "action" not in settings and not settings.get("required"):
        settings.setdefault("default", argparse.SUPPRESS)
    has_default = settings.get("default", argparse.SUPPRESS) not in (argparse.SUPPRESS, None, [])
    if has_default and "(default" not in settings["help"]:
        settings["help"] += " (default: %(default)s)"
    return Argument(flags, settings)


def argument_group(title: str, *arguments: Argument) -> ArgumentGroup:
    return ArgumentGroup(title, arguments)


def one_of(*arguments: Argument) -> OneOf:
    return OneOf(arguments)


def command(name: str, help: str, *arguments: Argument | ArgumentGroup | OneOf):
    """Enter the function below into the command line.

    It takes the parsed options and returns an exit status, or None for success.
    """

    def enter(run):
        COMMANDS.append(Command(name, help, arguments, run))
        return run

    return enter


class Parser(argparse.ArgumentParser):
    """argparse with errors of one line, in which a value may begin with a minus sign: -x+y."""

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        # argparse asks whether what begins with a minus sign is a value; -h is no value.
        self._negative_number_matcher = re.compile(r"-(?!-|h$)")

    def error(self, message):
        raise GrokError(message.replace("argument ", "", 1) + f" (see {self.prog} --help)")


def program() -> str:
    """How this program was called: 'grok', or 'python -m grok'."""
    return "grok" if Path(sys.argv[0]).stem == "grok" else "python -m grok"


def make_parser() -> Parser:
    """The parser of all commands; `command` in what it parses is the function to call."""
    parser = Parser(prog=program(), description="A laboratory for grokking.", allow_abbrev=False)
    choices = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for each in COMMANDS:
        sub = choices.add_parser(
            each.name, help=each.help, description=each.help, allow_abbrev=False
        )
        sub.set_defaults(command=each.run)
        for part in each.arguments:
            part.add_to(sub)
    return parser


def require_devices() -> None:
    """Raise GrokError where JAX is in use and finds no device."""
    if "jax" in sys.modules:
        from grok.training import devices

        devices.require_devices()


# -- kinds of number --------------------------------------------------------------------------


def positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def positive_float(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def not_negative_float(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError("must not be negative")
    return value


# -- arguments that several commands share ----------------------------------------------------

STRUCTURE = argument(
    "--structure",
    default="Z97",
    help="Z<n>, S<n>, A<n>, D<n> or a product such as Z2xS3",
)
RESULTS = argument(
    "--results",
    metavar="DIR",
    type=Path,
    default=Path("results"),
    help="folder in which the experiments' folders lie",
)
FOLDER = argument("folder", metavar="RESULTS", type=Path, help="such as results/figure3")
RUNS = argument(
    "--run",
    metavar="N",
    type=int,
    action="append",
    help="only this run; may be given several times (default: all)",
)
