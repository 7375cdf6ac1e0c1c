"""t-SNE at several perplexities and from several starts: what one shows alone may not be there."""

import numpy as np

from grok.figures.parts import matrix, style, tsne
from grok.figures.parts.gallery import figure
from grok.measure import findings
from grok.measure.findings.ranking import chosen, step_of, title_of
from grok.store.matrices import element_rows

PERPLEXITIES = (5, 15, 30, 50)
STARTS = (None, 1, 2)  # None: from the principal components; a number: a random start of that seed
CAPTION = (
    "t-SNE of the output layer of the clearest network of each task, where its validation accuracy "
    "was highest, by perplexity (columns) and start (rows). Below each: of colours round a circle "
    "the mean distance of neighbours in colour over that of all pairs; of cosets the share of "
    "variance within them, beside that within random parts of the same sizes."
)
BESIDE = 2  # networks side by side, where there are several


@figure("tsne_sheet", "figure3", "embeddings", caption=CAPTION)
def tsne_sheet(results):
    drawn = []
    for row in chosen(findings.of(results).table("networks")):
        W, group = element_rows(results, row["run"], step=step_of(row))
        drawn.append((title_of(row), W, tsne.colouring(W, group)))
    return page(drawn)


def page(drawn: list[tuple[str, np.ndarray, tsne.Colouring]]):
    """A block for each (title, W, colouring), two side by side: rows starts, columns perplexities.

    A panel stays empty where a perplexity needs more rows than the matrix has.
    """
    beside = min(BESIDE, max(len(drawn), 1))
    blocks = -(-max(len(drawn), 1) // beside)
    picture, panels = style.panels(
        blocks * len(STARTS),
        beside * len(PERPLEXITIES) if drawn else 1,
        width=style.DOUBLE,
        height=1.9 / beside,
    )
    for ax in panels.flat[1 if not drawn else 0 :]:
        ax.set_visible(False)
    if not drawn:
        style.say(panels[0, 0], "no run has ended yet")
    for i, network in enumerate(drawn):
        top, left = len(STARTS) * (i // beside), len(PERPLEXITIES) * (i % beside)
        block = panels[top : top + len(STARTS), left : left + len(PERPLEXITIES)]
        draw_block(block, *network)
    return picture


def draw_block(block, title: str, W, colouring: tsne.Colouring) -> None:
    """One matrix on axes [starts, perplexities]."""
    for start, row in zip(STARTS, block):
        for perplexity, ax in zip(PERPLEXITIES, row):
            if perplexity < len(W):
                ax.set_visible(True)
                words = matrix.tsne_plane(ax, W, colouring, perplexity, start, size=4)
                ax.set_xlabel(words, fontsize=5.5, labelpad=2)
        words = "PCA start" if start is None else f"random start {start}"
        row[0].set_ylabel(f"{title}\n{words}".strip(), fontsize=5.5)
    for perplexity, ax in zip(PERPLEXITIES, block[0]):
        ax.set_title(f"perplexity {perplexity}", fontsize=5.5, pad=2)
