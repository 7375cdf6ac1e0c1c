"""Figure 1, right: a binary-operation table with blanks, which the network has to fill in."""

import string

from grok.experiment import Run
from grok.figures.parts import style
from grok.figures.parts.gallery import figure
from grok.task import dataset
from grok.task.operations import operation_table

TASK = Run(operation="xy", structure="S3", train_fraction=0.6)


@figure(
    "figure1_right",
    "figure1_right",
    reads_results=False,
    caption=f"Figure 1 right: the table of {TASK.structure} with the rows of a split's validation "
    "set left blank.",
)
def figure1_right():
    """Letters stand for elements: the network too sees only whether two of them are equal."""
    answers = operation_table(TASK.operation, TASK.structure).answers
    n = len(answers)
    kind = dataset.make_dataset(TASK).kind_N.reshape(n, n)
    picture, [[axes]] = style.panels(width=style.SINGLE, height=2.8)
    axes.set(xlim=(-1.5, n - 0.5), ylim=(n - 0.5, -1.5), aspect="equal")
    axes.axis("off")
    letters = string.ascii_lowercase
    axes.text(-1, -1, "∘", ha="center", va="center", fontsize=12)
    for i in range(n):
        axes.text(i, -1, letters[i], ha="center", va="center", fontsize=11, weight="bold")
        axes.text(-1, i, letters[i], ha="center", va="center", fontsize=11, weight="bold")
        for j in range(n):
            known = kind[i, j] == dataset.TRAIN
            axes.text(
                j,
                i,
                letters[answers[i, j]] if known else "?",
                ha="center",
                va="center",
                fontsize=11,
                color=style.BLACK if known else style.VERMILION,
            )
    for line in range(n + 1):
        axes.plot(
            [line - 0.5] * 2, [-1.5, n - 0.5], color="0.6", linewidth=1.0 if line == 0 else 0.4
        )
        axes.plot(
            [-1.5, n - 0.5], [line - 0.5] * 2, color="0.6", linewidth=1.0 if line == 0 else 0.4
        )
    return picture
