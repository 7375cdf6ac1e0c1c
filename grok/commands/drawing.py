"""Commands that draw: figures."""

from grok.commands.parser import RESULTS, argument, command


@command(
    "figures",
    "draw figures from results; without names, all whose results have changed",
    argument("names", metavar="NAME", nargs="*", help="figures to draw anew"),
    RESULTS,
)
def figures(options) -> int:
    from grok import figures

    return figures.draw_all(options.results, options.names)
