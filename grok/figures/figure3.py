"""Figure 3: t-SNE of the output layer, the number line of x+y and the cosets of S5.

How clear the structure is differs from network to network, so the clearest and a typical one are
drawn, and the caption says in what share of them it appears. A network may collapse after it has
grokked, so each is shown where its validation accuracy was highest.
"""

from typing import NamedTuple

import numpy as np

from grok.analysis import fourier, groups, survival
from grok.figures.parts import data, style, tsne
from grok.figures.parts.gallery import figure
from grok.measure import matrix_scores
from grok.store.snapshots import Moment, best, moments
from grok.task.operations import Structure

PAPER_STEP = 8
LEAST_FOR_TYPICAL = 3
SHOWN = {  # is the structure a ring? -> what its networks may show
    True: ("the circle appears in t-SNE",),
    False: (
        "the best cosets cluster in t-SNE (silhouette beyond its null, p < 0.05)",
        "their subgroup is the paper's ⟨(0,3)(1,4), (1,2)(3,4)⟩ or a conjugate",
    ),
}


class Network(NamedTuple):
    """A trained network at its best moment.

    W: output rows [n, d]. points: their t-SNE [n, 2]. clarity: lower where clearer.

    shown: for the words of SHOWN[is_ring], whether this network shows it.
    """

    run: int
    moment: Moment
    W: np.ndarray
    points: np.ndarray
    clarity: float
    shown: tuple[bool, ...] = ()


@figure(
    "figure3",
    "figure3",
    caption="Figure 3: t-SNE of the output layer's rows (PCA init, seed 0), each network where its "
    "validation accuracy was highest.",
)
def figure3(results):
    runs = data.runs_with(results, "operation", "structure")
    tasks = list(runs.groupby(["structure", "operation"], sort=False))
    drawn, notes = [], []
    for (name, operation), of_task in tasks:
        group, networks, left_out = ranked(results, of_task)
        chosen = choose(networks)
        drawn += [
            (rank, group, operation, network, panel)
            for rank, network in chosen
            for panel in kinds(group, network)
        ]
        notes.append(
            f"{style.pretty(operation)} over {name}: {len(networks)} of {len(of_task)} networks "
            f"scored{left_out}, perplexity {tsne.perplexity(group.order)}{shares(networks, group)}."
        )
    return arrange(drawn), " ".join(notes)


def ranked(results, runs) -> tuple[Structure, list[Network], str]:
    """The structure of a task, its networks with the clearest first, and words on who is left out.

    The networks are those that generalised at a kept moment, or if none did, all that ended.
    """
    found = {
        int(run): best(moments(results, run))
        for run in runs[runs["status"].isin(data.TRAINED)]["run"]
    }
    generalised = {run: moment for run, moment in found.items() if moment.generalised}
    networks = [network_of(results, run, moment) for run, moment in (generalised or found).items()]
    words = "" if generalised else " (none generalised)"
    return (
        tsne.structure_of(results, runs["run"].iloc[0]),
        sorted(networks, key=lambda network: network.clarity),
        words,
    )


def network_of(results, run: int, moment: Moment) -> Network:
    W, group = tsne.element_rows(results, run, step=moment.step)
    points = tsne.coordinates(W)
    clarity, shown = (ring_findings if group.is_ring else coset_findings)(W, points, group)
    return Network(run, moment, W, points, clarity, shown)


def ring_findings(W, points, group: Structure) -> tuple[float, tuple[bool, ...]]:
    """The length of the picture's best number line, and whether the picture shows the circle."""
    number_line, _, circle = matrix_scores.picture_scores(points)
    return number_line.value, (circle.value > 0,)


def coset_findings(W, points, group: Structure) -> tuple[float, tuple[bool, ...]]:
    """The z of the best cosets and what they show.

    Shown: whether they cluster in the picture and, of S5, whether their subgroup is the paper's or
    a conjugate.
    """
    test = groups.coset_test(W, group, matrix_scores.DRAWS)
    best_row = groups.best_subgroup(test.scores)
    silhouette = matrix_scores.silhouette_score_of(
        "tsne_silhouette", points, group, test, matrix_scores.DRAWS
    )
    shown = (matrix_scores.null_summary(silhouette)[-1] < matrix_scores.SIGNIFICANT,)
    if group.name == "S5":
        shown += (
            groups.is_figure_3_subgroup(group, groups.subgroups(group)[int(best_row.subgroup)]),
        )
    return float(best_row.z), shown


def shares(networks: list[Network], group: Structure) -> str:
    """In what share of the networks each finding appears, with Wilson's interval."""
    parts = []
    for words, shown in zip(SHOWN[group.is_ring], zip(*(network.shown for network in networks))):
        share = survival.wilson_interval(sum(shown), len(shown))
        parts.append(
            f"{words} in {sum(shown)} of {len(shown)} "
            f"({100 * share.value:.0f}%, 95%: {100 * share.low:.0f}–{100 * share.high:.0f}%)"
        )
    return "; " * bool(parts) + ", ".join(parts)


def choose(networks: list[Network]) -> list[tuple[str, Network]]:
    """The clearest network, and of three or more also the median one."""
    if not networks:
        return []
    chosen = [
        (f"clearest of {len(networks)}" if len(networks) > 1 else "the only one", networks[0])
    ]
    if len(networks) >= LEAST_FOR_TYPICAL:
        chosen.append(("typical", networks[len(networks) // 2]))
    return chosen


def kinds(group: Structure, network: Network) -> list[int | None]:
    """What to draw of a network: number lines by their steps, or (None) cosets."""
    if not group.is_ring:
        return [None]
    shortest, _ = fourier.number_line(network.points)
    paper = PAPER_STEP % group.order
    return [PAPER_STEP] if shortest in (paper, group.order - paper) else [PAPER_STEP, shortest]


def arrange(drawn: list):
    """All panels, three a row."""
    columns = min(3, max(len(drawn), 1))
    rows = max(-(-len(drawn) // columns), 1)
    picture, axes = style.panels(
        rows, columns, width=style.SINGLE if columns == 1 else style.DOUBLE, height=2.75
    )
    for ax in axes.flat[max(len(drawn), 1) :]:
        ax.set_visible(False)
    if not drawn:
        style.say(axes[0, 0], "no run has ended yet")
    for ax, (rank, group, operation, network, step) in zip(axes.flat, drawn):
        when = (
            f"update {network.moment.update:,}, {100 * network.moment.val_accuracy:.0f}% validation"
        )
        title = f"{style.pretty(operation)} {group.name}, run {network.run}, {rank}\n{when}"
        words = (
            cosets(ax, network, group)
            if step is None
            else number_line(ax, network, group.order, step)
        )
        ax.set_xlabel(f"{title}\n{words}", fontsize=7)
    return picture


def number_line(axes, network: Network, n: int, step: int) -> str:
    """Tokens coloured by residue mod 8, each joined to the one `step` further on."""
    tsne.join(axes, network.points, step)
    tsne.scatter(
        axes, network.points, tsne.Colouring((np.arange(n) % PAPER_STEP).astype(float), None, "")
    )
    _, scores = fourier.number_line(network.points)
    shorter = min(step % n, -step % n)
    score = f", length {scores[shorter - 1]:.2f} of chance" if shorter else ""
    return f"n joined to n + {step}{score}\ncolour: n mod {PAPER_STEP}"


def cosets(axes, network: Network, group: Structure) -> str:
    """Elements coloured by the cosets of the subgroup that fits best."""
    shades = tsne.coset_colouring(network.W, group)
    tsne.scatter(axes, network.points, shades)
    return shades.words.replace(" (z", "\n(z")
