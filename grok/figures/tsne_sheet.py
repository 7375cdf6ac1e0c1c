"""t-SNE at several perplexities and from several starts: what one shows alone may not be there."""

import numpy as np

from grok.figures.parts import matrix, style, tsne
from grok.figures.parts.gallery import figure
from grok.measure import findings
from grok.measure.findings.networks import chosen, step_of, title_of
from grok.store.matrices import element_rows

PERPLEXITIES = (5, 15, 30, 50)
STARTS = (None, 1, 2)  # None: from the principal components; a number: a random start of that seed
CAPTION = (
    "t-SNE of the output layer of the clearest network of each task, where its validation accuracy "
    "was highest, by perplexity (columns) and start (rows)."
)


@figure("tsne_sheet", "figure3", "embeddings", caption=CAPTION)
def tsne_sheet(results):
    drawn = []
    for row in chosen(findings.of(results).table("networks")):
        W, group = element_rows(results, row["run"], step=step_of(row))
        drawn.append((title_of(row), W, tsne.colouring(W, group)))
    return page(drawn)


def page(drawn: list[tuple[str, np.ndarray, tsne.Colouring]]):
    """Rows of starts for each (title, W, colouring), columns of perplexities."""
    picture, panels = style.panels(
        max(len(STARTS) * len(drawn), 1),
        len(PERPLEXITIES) if drawn else 1,
        width=style.DOUBLE,
        height=1.5,
    )
    if not drawn:
        style.say(panels[0, 0], "no run has ended yet")
    for i, (title, W, colouring) in enumerate(drawn):
        for start, row in zip(STARTS, panels[len(STARTS) * i :]):
            draw_row(row, W, colouring, start)
            words = "PCA start" if start is None else f"random start {start}"
            row[0].set_ylabel(f"{title}\n{words}".strip(), fontsize=7)
    return picture


def draw_row(row, W, colouring: tsne.Colouring, start: int | None) -> None:
    for perplexity, ax in zip(PERPLEXITIES, row):
        if perplexity >= len(W):
            tsne.bare(ax)
            style.say(ax, f"perplexity {perplexity} needs more than {len(W)} rows")
            continue
        words = matrix.tsne_plane(ax, W, colouring, neighbours=perplexity, seed=start)
        ax.set_xlabel(f"perplexity {perplexity}\n{words}", fontsize=6, labelpad=2)
