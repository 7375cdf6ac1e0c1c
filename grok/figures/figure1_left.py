"""Figure 1, left: accuracy on x/y long after memorisation, without and with weight decay."""

from grok.figures.parts import curves
from grok.figures.parts.gallery import figure


@figure(
    "figure1_left",
    "figure1_left",
    caption="Figure 1 left: x/y without weight decay, and the same split and initial weights with "
    "it. Long curves are drawn by windows: the line is the median, the band the range of a run.",
)
def figure1_left(results):
    return curves.curves_figure(results, "accuracy")
