"""Figure 4: the losses of Figure 1 left, where the validation loss rises before it falls."""

from grok.figures.parts import curves
from grok.figures.parts.gallery import figure


@figure(
    "figure4",
    "figure1_left",
    "figure4",
    caption="Figure 4: cross-entropy of the runs of Figure 1 left; a gap is a loss of exactly 0 in "
    "float32.",
)
def figure4(results):
    return curves.curves_figure(results, "loss")
