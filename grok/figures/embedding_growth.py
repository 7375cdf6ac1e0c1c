"""How structure grows: one plane, spectrum or irreps of a matrix at every update that was kept."""

import numpy as np

from grok.analysis import fourier, groups, logarithm
from grok.analysis.matrix_rows import centred
from grok.figures import embedding_structure
from grok.figures.parts import matrix, style, tsne
from grok.figures.parts.gallery import figure
from grok.measure import findings
from grok.measure.findings.ranking import chosen, title_of
from grok.store.matrices import element_rows
from grok.store.snapshots import best, moments

MOST_COLUMNS = 6
RING = "Of Z<n>, the plane of the strongest key frequency at the best moment, its axes fixed."
GROUP = (
    "Of groups, the first two components of each moment, coloured by the cosets that fit best at "
    "the best moment; below, the share of variance within them (of random parts)."
)
CAPTION = (
    "The output layer of the clearest network of each task (of those with snapshots) while it "
    f"trains; each plane has its own scale. {RING} {GROUP}"
)


@figure("embedding_growth", "figure3", "embeddings", caption=CAPTION)
def embedding_growth(results):
    networks = chosen(findings.of(results).table("networks"), followed=True)
    picture, panels = style.panels(
        max(2 * len(networks), 1), MOST_COLUMNS if networks else 1, width=style.DOUBLE, height=0.98
    )
    if not networks:
        style.say(panels[0, 0], "no run has ended yet")
        return picture
    for i, row in enumerate(networks):
        draw(panels[2 * i : 2 * i + 2], results, row["run"], title=title_of(row))
    return picture


def draw(panels, results, run: int, matrix: str = "output", title: str = "") -> str:
    """Draw a run's matrix on axes [2, columns]; returns how to read the planes.

    Planes stand above, spectra or irreps below.
    """
    found = moments(results, run)
    W_best, group = element_rows(results, run, matrix, best(found).step)
    shown = first_and_last(found, panels.shape[1])
    for ax in panels[:, len(shown) :].flat:
        ax.set_visible(False)
    drawers = ring_drawers(W_best, group) if group.is_ring else group_drawers(W_best, group)
    for moment, column in zip(shown, panels.T):
        W, _ = element_rows(results, run, matrix, moment.step)
        for drawer, ax in zip(drawers, column):
            drawer(ax, W)
        column[0].set_title(moment.words, fontsize=5.5, pad=2)
    label_outer(panels[:, : len(shown)], title)
    return RING if group.is_ring else GROUP


def first_and_last(found: list, most: int) -> list:
    """The first moment and the last ones, among which structure appears; `most` in all."""
    return found if len(found) <= most else [found[0], *found[len(found) - most + 1 :]]


def ring_drawers(W_best, group):
    """Two drawers, (axes, W) -> None: the plane of `W_best`'s strongest frequency, the spectrum."""
    order = logarithm.element_order(W_best)
    log = None if len(order) == group.order else order
    k = matrix.strongest(W_best, log) or 1
    axes_2D = fourier.frequency_basis(W_best[order], k)
    step, place_T = fourier.turn_step(len(order), k), k * np.arange(len(order)) % len(order)

    def plane(ax, W):
        points = centred(W[order]) @ axes_2D.T
        tsne.join(ax, points, step)
        tsne.scatter(ax, points, tsne.Colouring(place_T.astype(float), len(order), ""), size=4)
        share = (points**2).sum() / (centred(W[order]) ** 2).sum()
        ax.set_xlabel(f"{100 * share:.0f}% of variance", fontsize=6, labelpad=1)

    return plane, lambda ax, W: matrix.spectrum(ax, W, log)


def group_drawers(W_best, group):
    """Two drawers, (axes, W) -> None: the principal plane by `W_best`'s cosets, the irreps."""
    colouring = tsne.coset_colouring(W_best, group)
    label_T = colouring.value_T.astype(int)
    chance = (group.order - label_T.max() - 1) / (
        group.order - 1
    )  # of random parts of the same sizes

    def plane(ax, W):
        matrix.principal_plane(ax, W, colouring=colouring, size=5)
        ax.set_xlabel(
            f"within {groups.coset_concentration(W, label_T):.2f} ({chance:.2f})",
            fontsize=6,
            labelpad=1,
        )

    return plane, lambda ax, W: embedding_structure.irreps_or_words(ax, W, group)


def label_outer(panels, title: str) -> None:
    """One scale of shares for the whole row, its label at the left, and smaller ticks."""
    top = max(ax.get_ylim()[1] for ax in panels[1])
    for column, ax in enumerate(panels[1]):
        ax.set_ylim(0, 1.1 * top)
        ax.tick_params(labelsize=5.5)
        ax.set_xlabel(ax.get_xlabel(), fontsize=6)
        if column:
            ax.set_ylabel("")
            ax.set_yticklabels([])
            ax.set_xlabel("")
    panels[0, 0].set_ylabel(title.replace(", ", "\n"), fontsize=6.5, fontweight="bold")
    panels[1, 0].yaxis.label.set_size(6.5)
