"""What a network's two matrices look like: spectrum or irreps, similarities, and the best plane."""

import numpy as np

from grok.analysis import logarithm
from grok.analysis.similarity import cosine_similarity
from grok.experiment import GrokError
from grok.figures.parts import matrix, style, tsne
from grok.figures.parts.gallery import figure
from grok.measure import findings
from grok.measure.findings.ranking import chosen, step_of, title_of
from grok.store.matrices import element_rows
from grok.task.operations import Structure

CAPTION = (
    "{} of the clearest network of each task, where its validation accuracy was highest. "
    "Red: bands and means over permuted rows (lines of irreps: a random matrix); dashed: threshold "
    "of a key frequency."
)


@figure(
    "embedding_structure",
    "figure3",
    "embeddings",
    caption=CAPTION.format("The output layer's rows"),
)
def embedding_structure(results):
    return of_clearest(results, "output")


@figure(
    "embedding_structure_input",
    "figure3",
    "embeddings",
    caption=CAPTION.format("The embedding (the input layer's rows)"),
)
def embedding_structure_input(results):
    return of_clearest(results, "input")


def of_clearest(results, matrix_name: str):
    """The page of a matrix, 'input' or 'output', of the clearest network of each task."""
    drawn = []
    for row in chosen(findings.of(results).table("networks")):
        W, group = element_rows(results, row["run"], matrix_name, step_of(row))
        drawn.append((f"{title_of(row)}, {matrix_name}", W, group))
    return page(drawn)


def page(drawn: list[tuple[str, np.ndarray, Structure]]):
    """A row of four panels for each (title, W, structure)."""
    picture, panels = style.panels(
        max(len(drawn), 1), 4 if drawn else 1, width=style.DOUBLE, height=1.85
    )
    if not drawn:
        style.say(panels[0, 0], "no run has ended yet")
    for row, (title, W, group) in zip(panels, drawn):
        words = (ring_row if group.is_ring else group_row)(row, W, group)
        for ax, text in zip(row, words):
            ax.set_title(text, fontsize=6)
            ax.set_xlabel(ax.get_xlabel(), fontsize=6.5)
        row[0].set_ylabel(f"{title}\n{row[0].get_ylabel()}", fontsize=6.5)
    return picture


def ring_row(row, W, group: Structure) -> list[str]:
    """Spectrum, cosines in natural order and round the strongest frequency's circle, its plane."""
    order = logarithm.element_order(W)
    log = None if len(order) == group.order else order
    k = matrix.strongest(W, log)
    round_circle = matrix.frequency_order(len(order), k or 1)
    words = "round the circle" if k else "no circle is key"
    matrix.similarity(row[1], W)
    matrix.similarity(row[2], W, order=order[round_circle], words=words)
    plane_words = matrix.key_plane(row[3], W, k, order=log).replace("; ", "\n")
    return [
        matrix.spectrum(row[0], W, log),
        matrix.circulant_words(W),
        matrix.circulant_words(W, order=order),
        plane_words,
    ]


def group_row(row, W, group: Structure) -> list[str]:
    """Irreps, cosines in natural order and coset by coset, the principal plane by cosets."""
    colouring = tsne.coset_colouring(W, group)
    matrix.similarity(row[1], W)
    matrix.similarity(
        row[2], W, order=np.argsort(colouring.value_T, kind="stable"), words="coset by coset"
    )
    matrix.principal_plane(row[3], W, colouring=colouring)
    return [
        irreps_or_words(row[0], W, group),
        "",
        similarity_within(W, colouring.value_T),
        colouring.words,
    ]


def irreps_or_words(axes, W, group: Structure) -> str:
    """The irreps of S2 to S5; for other groups words in the axes."""
    try:
        return matrix.irreps(axes, W, group)
    except GrokError as error:
        style.say(axes, str(error))
        return ""


def similarity_within(W, label_T) -> str:
    """Mean cosine of two elements of one coset, and of two elements of different ones."""
    S_TT = cosine_similarity(W)
    together_TT = label_T[:, None] == label_T
    within, across = (
        S_TT[together_TT & ~np.eye(len(S_TT), dtype=bool)].mean(),
        S_TT[~together_TT].mean(),
    )
    return f"within cosets {within:.2f}, across {across:.2f}".replace("-", "−")
