"""Beyond the paper: does the time to generalise fall as one over the weight decay?"""

from grok.figures.parts import times
from grok.figures.parts.gallery import figure


@figure(
    "weight_decay",
    "weight_decay",
    caption="Updates to 99% by weight decay: runs, medians with their intervals, the power law.",
)
def weight_decay(results):
    return times.law_figure(results, "weight_decay", "Weight decay", "decay")
