"""Scores of learned embeddings, how common the circle and the cosets are, and what comes first.

The numbers are findings, made from the tables that `python -m grok scores` leaves in a folder.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from grok.analysis import precedence
from grok.figures.parts import style
from grok.figures.parts.gallery import NothingToDraw, figure
from grok.measure import findings
from grok.measure.findings.embeddings import EQUIVARIANCE, SCORES
from grok.measure.findings.runs import beside, runs_with, tasks
from grok.measure.findings.words import pretty

CURVE_COLUMNS = ("run", "step", "operand", "error", "val_accuracy")
PANELS = {  # score -> what it is, in words
    "gini": "Gini, additive axis",
    "log_gini": "Gini, discrete logarithm",
    "key_frequencies": "key frequencies, additive",
    "log_key_frequencies": "key frequencies, logarithm",
    "circulant_cosine": "circulant share of cosines",
    "tsne_number_line": "number line in t-SNE",
    "residues": "moduli k ≤ 29 readable",
    "effective_rank": "effective rank",
    "equivariance_x": "equivariance error, x",
    "irrep_top": "share of the top irrep",
    "coset_z": "z of the best cosets",
    "tsne_silhouette": "coset silhouette, t-SNE",
}
LOOKS = {
    False: ("no weight decay", style.WITHOUT_DECAY, "s", -0.16),
    True: ("weight decay", style.WITH_DECAY, "o", 0.16),
}
PRECEDENCE: dict[str, Any] = {  # what a line is, and how it is drawn
    "error of x over untrained": {"color": style.PURPLE},
    "error of y over untrained": {"color": style.PURPLE, "linestyle": "dashed"},
    "validation accuracy": {"color": style.GREY},
}
COSET_SCORES = {
    "coset_z": "z of the best cosets",
    "tsne_silhouette": "clusters in t-SNE",
    "plane1_silhouette": "clusters in PCA",
}


def say_nothing(results, ax, words: str) -> None:
    """Say on empty axes what is not there yet; where all has been scored, NothingToDraw says it."""
    if (results.folder / SCORES).exists():
        raise NothingToDraw("none of its networks is of the kind that this figure shows")
    style.say(ax, words)


# --- With and without decay ---


@figure(
    "embedding_scores",
    "embeddings",
    caption="Scores of output layers and of the function, with and without weight decay. Dots: "
    "networks; marks: their mean, with its interval or the range of few; grey: the mean 95% range "
    "under the null (tokens permuted; of cosets, the best of as many random partitions); crosses: "
    "before training.",
)
def embedding_scores(results):
    table = findings.of(results).table("scores", "score")
    table = table[table["score"].isin(PANELS)]
    shown = [name for name in PANELS if name in set(table["score"])] or list(PANELS)[:1]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    picture, axes = style.panels(rows, columns, width=style.DOUBLE, height=1.6)
    for ax in axes.flat[len(shown) :]:
        ax.set_visible(False)
    for ax, name in zip(axes.flat, shown):
        ax.set_title(PANELS[name], fontsize=7, pad=3)
        draw_score(ax, table[table["score"] == name].to_dict("records"))
    handles = [
        axes.flat[0].plot([], [], marker=marker, color=colour, linewidth=1, label=words)[0]
        for words, colour, marker, _ in LOOKS.values()
    ]
    picture.legend(handles=handles, loc="outside upper center", ncols=2)
    return picture


def draw_score(axes, rows: list[dict]) -> None:
    """One score: a place a task, the networks with and without decay beside each other."""
    if not rows:
        style.say(axes, "no network scored yet")
        return
    names = list(dict.fromkeys((row["operation"], row["structure"]) for row in rows))
    for row in rows:
        _, colour, marker, shift = LOOKS[row["decays"]]
        x = names.index((row["operation"], row["structure"])) + shift
        low, high = row["null_low"], row["null_high"]
        if np.isfinite(low) and np.isfinite(high):
            axes.fill_between([x - 0.14, x + 0.14], low, high, color="0.85", linewidth=0, zorder=0)
        axes.plot(x, row["untrained"], marker="x", color=style.GREY, markersize=3)
        values = row["values"]
        axes.scatter([x] * len(values), values, s=6, color=colour, alpha=0.6, linewidths=0)
        axes.plot(x, row["mean"], marker=marker, color=colour, markersize=4)
        style.interval_bar(axes, x, row["low"], row["high"], colour)
    labels = [f"{pretty(operation)}\n{name}" for operation, name in names]
    style.name_ticks(axes.xaxis, range(len(names)), labels)
    axes.set_xlim(-0.5, len(names) - 0.5)
    axes.tick_params(axis="x", labelsize=6)


# --- How common is the circle? ---


@figure(
    "circles",
    "embeddings",
    caption="How common is the circle of x+y? Left: the share of networks whose t-SNE shows it "
    "(tokens in order on one circle, beyond the 1% of permuted tokens), with Wilson's 95% "
    "interval; in brackets how many of them generalised. Right: of those that generalised the same "
    "share by the number of key frequencies of the output layer, and how many there are.",
)
def circles(results):
    found = findings.of(results)
    ways, by_keys = found.tables["circles"], found.tables["circles_by_keys"]
    picture, [[left, right]] = style.panels(
        1, 2, width=style.DOUBLE, height=2.3, width_ratios=[1.1, 1]
    )
    if not ways:
        say_nothing(results, left, "no network scored yet")
        right.set_visible(False)
        return picture
    for y, row in enumerate(ways):
        draw_share(left, y, row, across=True)
    names = [f"{row['label']} ({row['generalised']}/{row['networks']})" for row in ways]
    style.name_ticks(left.yaxis, range(len(ways)), names)
    left.set(ylim=(len(ways) - 0.5, -0.5), xlim=(-3, 103), xlabel="Networks with a circle (%)")
    for row in by_keys:
        draw_share(right, row["keys"], row, across=False)
        words = f"{row['networks']} networks"
        right.text(row["keys"], 106, words, fontsize=6, color=style.GREY, ha="center")
    right.set(
        ylim=(-3, 103),
        xlabel="Key frequencies of the output layer",
        ylabel="With a circle (%)",
    )
    right.xaxis.get_major_locator().set_params(integer=True)
    return picture


def draw_share(axes, at: float, row: dict, across: bool) -> None:
    """A share in per cent with its interval, along x (`across`) or along y."""
    middle, low, high = (100 * row[name] for name in ("share", "low", "high"))
    line, point = (axes.hlines, (middle, at)) if across else (axes.vlines, (at, middle))
    line(at, low, high, color=style.VALIDATION, linewidth=1)
    axes.plot(*point, marker="o", color=style.VALIDATION, markersize=4)


# --- How common are the cosets? ---


@figure(
    "cosets",
    "embeddings",
    caption="How common are coset clusters? The share of networks of a group in which the best "
    "subgroup's cosets stand out from those that are best for relabelled elements (p < 0.05): in "
    "the rows themselves (their z), and as clusters (silhouette) in t-SNE and in the first two "
    "principal components, with Wilson's 95% interval; in brackets how many had generalised.",
)
def cosets(results):
    table = findings.of(results).table("cosets", "operation", "structure", "decays", "score")
    tasks = list(table.groupby(["operation", "structure", "decays"], sort=False))
    height = 0.8 + 0.3 * len(tasks)
    picture, [axes] = style.panels(
        1, len(COSET_SCORES), width=style.DOUBLE, height=height, sharey=True
    )
    if not tasks:
        say_nothing(results, axes[0], "no network of a group scored yet")
    for ax, (name, words) in zip(axes, COSET_SCORES.items()):
        for y, (_, here) in enumerate(tasks):
            for row in here[here["score"] == name].to_dict("records"):
                draw_share(ax, y, row, across=True)
        ax.set_title(words, fontsize=7, pad=3)
        ax.set(ylim=(max(len(tasks), 1) - 0.5, -0.5), xlim=(-3, 103), xlabel="Networks (%)")
    names = [task_words(key, here.iloc[0]) for key, here in tasks]
    style.name_ticks(axes[0].yaxis, range(len(tasks)), names)
    return picture


def task_words(key: tuple, row: pd.Series) -> str:
    """A task with or without decay, and how many of its networks had generalised."""
    operation, name, decays = key
    counts = f"({row['generalised']}/{row['networks']})"
    return f"{pretty(operation)} {name}, {LOOKS[decays][0]} {counts}"


# --- What comes first? ---


@figure(
    "symmetry_first",
    "embeddings",
    caption="Does the function become symmetric before the network generalises? Equivariance error "
    "over that of the untrained network (solid: first operand, dashed: second) and validation "
    "accuracy (grey) over training, networks with weight decay. Above: in how many networks the "
    "error has halved before validation accuracy passes 50%, both read from the same snapshots.",
)
def symmetry_first(results):
    curves = beside(results, EQUIVARIANCE, *CURVE_COLUMNS)
    fields = ["run", "operation", "structure", "weight_decay"]
    curves = curves.merge(runs_with(results, *fields)[fields], on="run")
    curves = precedence.followed(curves[curves["weight_decay"] > 0])
    drawn = tasks(curves)
    came_first = findings.of(results).tables["precedence"]
    width = style.DOUBLE if len(drawn) > 1 else style.SINGLE
    picture, axes = style.panels(1, max(len(drawn), 1), width=width, height=1.9, sharey=True)
    if not drawn:
        say_nothing(results, axes[0, 0], "no network followed yet")
    for ax, (operation, name, here), row in zip(axes.flat, drawn, came_first):
        draw_precedence(ax, here)
        words = f"first in {row['before']} of {row['decided']}"
        ax.set_title(f"{pretty(operation)}  {name}\n{words}", fontsize=6.5, pad=3)
    axes[0, 0].set_ylabel("Share")
    handles = [Line2D([], [], label=words, **look) for words, look in PRECEDENCE.items()]
    picture.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return picture


def draw_precedence(axes, curves: pd.DataFrame) -> None:
    """Relative errors and accuracies of several networks against updates."""
    for (_, operand), curve in curves.groupby(["run", "operand"]):
        steps = curve["step"].clip(lower=1)
        error = curve["error"] / curve["error"].iloc[0]
        of_x, of_y, accuracy = PRECEDENCE.values()
        axes.plot(steps, error, linewidth=0.8, **(of_x if operand == "x" else of_y))
        axes.plot(steps, curve["val_accuracy"], linewidth=0.8, **accuracy)
    style.step_axis(axes, curves["step"].max())
    axes.set_ylim(-0.03, 1.3)
    axes.tick_params(axis="x", labelsize=6)
