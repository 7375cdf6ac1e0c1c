"""Figure 3: t-SNE of the output layer, the number line of x+y and the cosets of S5.

How clear the structure is differs from network to network, so the clearest and a typical one are
drawn. A network may collapse after it has grokked, so each is shown where its validation accuracy
was highest. Which these are, and what they show, stands in the findings.
"""

from typing import NamedTuple

import numpy as np

from grok.analysis import groups, similarity
from grok.figures.parts import style, tsne
from grok.figures.parts.gallery import figure
from grok.measure import findings
from grok.measure.findings.ranking import CLEAREST, step_of, title_of
from grok.measure.findings.words import number
from grok.store.matrices import element_rows
from grok.task.operations import Structure

PAPER_STEP = 8
COLUMNS = 3


class Panel(NamedTuple):
    """A picture of a network: its row in the findings, and a step to join or cosets to colour.

    step: n is joined to n + step. cosets: (subgroup, side), where the network is of a group.
    """

    row: dict
    step: int = 0
    cosets: tuple[int, str] | None = None
    note: str = ""


@figure(
    "figure3",
    "figure3",
    caption="Figure 3: t-SNE of the output layer's rows (PCA start, seed 0), each network where "
    "its validation accuracy was highest. Over Z/n every n is joined to n + 8 as in the paper, and "
    "by the step of the shortest line; colours are residues mod 8. S5 is coloured by the cosets of "
    "the paper's subgroup, or of the conjugate of it that fits best, and by those of the best "
    "subgroup of all.",
)
def figure3(results):
    rows = [row for row in findings.of(results).tables["networks"] if row["role"]]
    return arrange(results, [panel for row in rows for panel in panels_of(row)])


def panels_of(row: dict) -> list[Panel]:
    """What to draw of a network: of the clearest also what the paper draws."""
    if "step_of_line" in row:
        shortest, paper = row["step_of_line"], (PAPER_STEP, row["n"] - PAPER_STEP)
        if row["role"] != CLEAREST or shortest in paper:
            return [Panel(row, shortest, note="the shortest line")]
        papers = Panel(row, PAPER_STEP, note="as in the paper")
        return [papers, Panel(row, shortest, note="the shortest line")]
    best = Panel(row, cosets=(row["subgroup"], row["side"]), note=f"best, z = {z(row['clarity'])}")
    if row["role"] != CLEAREST or "papers_subgroup" not in row or row["is_papers"]:
        return [best]
    note = f"the paper's, z = {z(row['papers_z'])}"
    return [Panel(row, cosets=(row["papers_subgroup"], row["papers_side"]), note=note), best]


def z(value: float) -> str:
    return number(value, ".0f")


def arrange(results, drawn: list[Panel]):
    """All panels, three a row."""
    columns = min(COLUMNS, max(len(drawn), 1))
    rows = max(-(-len(drawn) // columns), 1)
    width = style.SINGLE if columns == 1 else style.DOUBLE
    picture, axes = style.panels(rows, columns, width=width, height=2.6)
    for ax in axes.flat[max(len(drawn), 1) :]:
        ax.set_visible(False)
    if not drawn:
        style.say(axes[0, 0], "no run has ended yet")
    for ax, panel in zip(axes.flat, drawn):
        draw(ax, results, panel)
    return picture


def draw(axes, results, panel: Panel) -> None:
    """The points of a network, with their lines or in the colours of their cosets."""
    row = panel.row
    W, group = element_rows(results, row["run"], step=step_of(row))
    points = tsne.coordinates(W)
    words = (
        cosets(axes, points, group, *panel.cosets)
        if panel.cosets
        else number_line(axes, points, group.order, panel.step)
    )
    left_out = "" if row["generalised"] else ", none generalised"
    axes.set_title(
        f"{title_of(row)}, {row['role']} of {row['of']}{left_out}",
        fontsize=7,
        pad=3,
    )
    axes.set_xlabel(f"{words}\n({panel.note})", fontsize=6.5)


def number_line(axes, points, n: int, step: int) -> str:
    """Tokens coloured by residue mod 8, each joined to the one `step` further on."""
    tsne.join(axes, points, step)
    residues = (np.arange(n) % PAPER_STEP).astype(float)
    tsne.scatter(axes, points, tsne.Colouring(residues, None, ""))
    lengths = similarity.number_line(points).lengths
    shorter = min(step % n, -step % n)
    length = f", {lengths[shorter - 1]:.2f} of chance" if shorter else ""
    return f"n joined to n + {step}{length}"


def cosets(axes, points, group: Structure, subgroup: int, side: str) -> str:
    """Elements coloured by the cosets of a subgroup."""
    members = groups.subgroups(group)[subgroup]
    label_n = groups.cosets(group, members, side)
    tsne.scatter(axes, points, tsne.Colouring(label_n.astype(float), None, ""))
    name = "gH" if side == "left" else "Hg"
    return f"{label_n.max() + 1} cosets {name} of order {int(members.sum())}"
