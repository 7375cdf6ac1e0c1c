"""Beyond the paper: does the time to generalise fall as one over the weight decay?"""

from grok.figures.parts import times
from grok.figures.parts.gallery import figure


@figure("weight_decay", "weight_decay", caption="Medians (Kaplan-Meier).")
def weight_decay(results):
    return times.law_figure(results, "weight_decay", "Weight decay")
