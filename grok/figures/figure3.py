"""Figure 3: t-SNE of the output layer, the number line of x+y and the cosets of S5.

How clear the structure is differs from network to network, so the clearest and a typical one are drawn.
"""

from typing import NamedTuple

import numpy as np

from grok.analysis import fourier, groups
from grok.figures import data, style, tsne
from grok.figures.gallery import figure
from grok.operations import Structure

PAPER_STEP = 8
LEAST_FOR_TYPICAL = 3


class Network(NamedTuple):
    """A trained network: its run, output rows [n, d], t-SNE points [n, 2], and a score that is lower where clearer."""

    run: int
    W: np.ndarray
    points: np.ndarray
    score: float


@figure("figure3", "figure3", caption="Figure 3: t-SNE of the output layer's rows (PCA init, seed 0).")
def figure3(results):
    runs = data.runs_with(results, "operation", "structure")
    tasks = list(runs.groupby(["structure", "operation"], sort=False))
    drawn, notes = [], []
    for (name, operation), of_task in tasks:
        group, networks, left_out = ranked(results, of_task)
        chosen = choose(networks)
        drawn += [(rank, group, operation, network, panel) for rank, network in chosen for panel in kinds(group, network)]
        notes.append(f"{style.pretty(operation)} over {name}: {len(networks)} of {len(of_task)} networks scored{left_out}, perplexity {tsne.perplexity(group.order)}.")
    return arrange(drawn), " ".join(notes)


def ranked(results, runs) -> tuple[Structure, list[Network], str]:
    """The structure of a task and its networks, clearest first: those that generalised, or if none did, all that ended."""
    generalised = runs[runs["status"] == "grokked"]
    numbers = (generalised if len(generalised) else runs[runs["status"].isin(data.TRAINED)])["run"]
    networks = []
    for run in numbers:
        W, group = tsne.element_rows(results, run)
        points = tsne.coordinates(W)
        networks.append(Network(run, W, points, clarity(W, points, group)))
    words = "" if len(generalised) else " (none generalised)"
    return tsne.structure_of(results, runs["run"].iloc[0]), sorted(networks, key=lambda network: network.score), words


def clarity(W, points, group: Structure) -> float:
    """Lower is clearer: the length of the best number line in the picture, or the coset score z of the rows."""
    if group.is_ring:
        step, scores = fourier.number_line_step(points)
        return float(scores[step - 1])
    return float(groups.best_subgroup(groups.coset_scores(W, group)).z)


def choose(networks: list[Network]) -> list[tuple[str, Network]]:
    """The clearest network, and of three or more also the median one."""
    if not networks:
        return []
    chosen = [(f"clearest of {len(networks)}" if len(networks) > 1 else "the only one", networks[0])]
    if len(networks) >= LEAST_FOR_TYPICAL:
        chosen.append(("typical", networks[len(networks) // 2]))
    return chosen


def kinds(group: Structure, network: Network) -> list[int | None]:
    """What to draw of a network: number lines by their steps, or (None) cosets."""
    if not group.is_ring:
        return [None]
    best, _ = fourier.number_line_step(network.points)
    paper = PAPER_STEP % group.order
    return [PAPER_STEP] if best in (paper, group.order - paper) else [PAPER_STEP, best]


def arrange(drawn: list):
    """All panels, three a row."""
    columns = min(3, max(len(drawn), 1))
    rows = max(-(-len(drawn) // columns), 1)
    picture, axes = style.panels(rows, columns, width=style.SINGLE if columns == 1 else style.DOUBLE, height=2.75)
    for ax in axes.flat[max(len(drawn), 1) :]:
        ax.set_visible(False)
    if not drawn:
        style.say(axes[0, 0], "no run has ended yet")
    for ax, (rank, group, operation, network, step) in zip(axes.flat, drawn):
        title = f"{style.pretty(operation)} {group.name}, run {network.run}, {rank}"
        words = cosets(ax, network, group) if step is None else number_line(ax, network, group.order, step)
        ax.set_xlabel(f"{title}\n{words}", fontsize=7)
    return picture


def number_line(axes, network: Network, n: int, step: int) -> str:
    """Tokens coloured by residue mod 8, each joined to the one `step` further on."""
    tsne.join(axes, network.points, step)
    tsne.scatter(axes, network.points, tsne.Colouring((np.arange(n) % PAPER_STEP).astype(float), None, ""))
    _, scores = fourier.number_line_step(network.points)
    shorter = min(step % n, -step % n)
    score = f", length {scores[shorter - 1]:.2f} of chance" if shorter else ""
    return f"n joined to n + {step}{score}\ncolour: n mod {PAPER_STEP}"


def cosets(axes, network: Network, group: Structure) -> str:
    """Elements coloured by the cosets of the subgroup that fits best."""
    shades = tsne.coset_colouring(network.W, group)
    tsne.scatter(axes, network.points, shades)
    return shades.words.replace(" (z", "\n(z")
