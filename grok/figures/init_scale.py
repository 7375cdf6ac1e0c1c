"""Beyond the paper: does a larger initialisation delay generalisation?"""

from grok.figures.parts import times
from grok.figures.parts.gallery import figure


@figure(
    "init_scale",
    "init_scale",
    caption="Updates to 99% by initial scale: runs, medians with their intervals, the power law.",
)
def init_scale(results):
    return times.law_figure(results, "init_scale", "Initial scale", "scale")
