"""Figure 7: do flat minima generalise? Sharpness and curvature against validation accuracy."""

import numpy as np

from grok.analysis import survival
from grok.figures.parts import data, style
from grok.figures.parts.gallery import figure

TABLE = "sharpness.parquet"
MEASURES = {
    "sharpness": "ε-sharpness φ",
    "eigenvalue": "Top Hessian eigenvalue",
    "trace": "Hessian trace",
}
LEAST_RUNS = 4
LOG_RANGE = 10


@figure(
    "figure7",
    "figure7",
    caption="Figure 7: a point a network; Spearman's rank correlation with its 95% bootstrap "
    "interval. "
    "The paper reports −0.795 for the sharpness, and planned the Hessian.",
)
def figure7(results):
    scores = data.beside(results, TABLE, "run", "val_accuracy", *MEASURES)
    picture, [axes] = style.panels(1, len(MEASURES), width=style.DOUBLE, height=2.2, sharey=True)
    for ax, (column, words) in zip(axes, MEASURES.items()):
        ax.set_xlabel(words)
        draw_measure(
            ax, scores[column].to_numpy(float), 100 * scores["val_accuracy"].to_numpy(float)
        )
    axes[0].set_ylabel("Validation accuracy (%)")
    return picture, f"{len(scores)} networks measured."


def draw_measure(axes, x: np.ndarray, accuracy: np.ndarray) -> None:
    """A scatter of finite pairs with the rank correlation above it."""
    finite = np.isfinite(x) & np.isfinite(accuracy)
    x, accuracy = x[finite], accuracy[finite]
    if not len(x):
        style.say(axes, "nothing measured yet")
        return
    if x.min() > 0 and x.max() > LOG_RANGE * x.min():
        axes.set_xscale("log")
    axes.scatter(x, accuracy, s=12, color=style.VALIDATION, alpha=0.8, linewidths=0)
    axes.set_title(correlation(x, accuracy), fontsize=7, pad=3)


def correlation(x: np.ndarray, y: np.ndarray) -> str:
    """Spearman's correlation in words, where there are enough networks for it to mean something."""
    if len(x) < LEAST_RUNS:
        return f"too few networks ({len(x)}) for a correlation"
    rho = survival.spearman_interval(x, y)
    if np.isnan(rho.value):
        return "no correlation: all values are equal"
    return f"ρ = {rho.value:.2f} [{rho.low:.2f}, {rho.high:.2f}]".replace("-", "−")
