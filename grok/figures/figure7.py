"""Figure 7: do flat minima generalise? Sharpness and curvature against validation accuracy."""

import numpy as np

from grok.figures.parts import style
from grok.figures.parts.gallery import NothingToDraw, figure
from grok.measure import findings
from grok.measure.findings.words import interval

MEASURES = {
    "sharpness": "ε-sharpness φ",
    "eigenvalue": "Top Hessian eigenvalue",
    "trace": "Hessian trace",
}
LOG_RANGE = 10


@figure(
    "figure7",
    "figure7",
    caption="Figure 7: a point a network; above, Spearman's rank correlation with its interval.",
)
def figure7(results):
    found = findings.of(results)
    table = found.table("networks", "val_accuracy", *MEASURES).astype(float)
    if table.empty:
        raise NothingToDraw("no network has been measured: python -m grok flatness measures them")
    picture, [axes] = style.panels(1, len(MEASURES), width=style.DOUBLE, height=2.1, sharey=True)
    for ax, (column, words) in zip(axes, MEASURES.items()):
        ax.set_xlabel(words)
        draw_measure(ax, table[column], 100 * table["val_accuracy"], found[column])
    axes[0].set_ylabel("Validation accuracy (%)")
    return picture


def draw_measure(axes, x, accuracy, correlation: findings.Finding) -> None:
    """A scatter of finite pairs with the rank correlation above it."""
    finite = np.isfinite(x) & np.isfinite(accuracy)
    x, accuracy = x[finite], accuracy[finite]
    if not len(x):
        style.say(axes, "nothing measured yet")
        return
    if x.min() > 0 and x.max() > LOG_RANGE * x.min():
        axes.set_xscale("log")
    axes.scatter(x, accuracy, s=12, color=style.VALIDATION, alpha=0.8, linewidths=0)
    rho = findings.Estimate(correlation.value, correlation.low, correlation.high)
    words = correlation.here if np.isnan(rho.value) else f"ρ = {interval(rho, '.2f')}"
    axes.set_title(words, fontsize=7, pad=3)
