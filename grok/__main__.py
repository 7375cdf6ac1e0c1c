"""The command line, `python -m grok` or `grok`. The commands themselves are in grok/commands."""

import sys

from grok.commands.parser import make_parser
from grok.experiment import GrokError


def main(arguments: list[str] | None = None) -> int:
    """Parse the arguments (of this process, where none are given) and run their command.

    Returns the exit status. A mistake of the user's gives one line on standard error and status 2.
    """
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


if __name__ == "__main__":
    sys.exit(main())
