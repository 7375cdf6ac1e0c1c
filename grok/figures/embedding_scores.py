"""Scores of learned embeddings, how common the circle and the cosets are, and what comes first.

All are drawn from the tables that `python -m grok scores` leaves in a results folder.
"""

import numpy as np
import pandas as pd

from grok.analysis import precedence, survival
from grok.figures.parts import data, style
from grok.figures.parts.gallery import figure
from grok.measure.matrix_scores import SIGNIFICANT
from grok.store.results import THRESHOLD

SCORES, EQUIVARIANCE = "scores.parquet", "equivariance.parquet"
SCORE_COLUMNS = (
    "run",
    "matrix",
    "score",
    "val_accuracy",
    "value",
    "null_mean",
    "null_low",
    "null_high",
    "p",
    "untrained",
    "memorised",
)
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
COSET_SCORES = {
    "coset_z": "z of the best cosets",
    "tsne_silhouette": "clusters in t-SNE",
    "plane1_silhouette": "clusters in PCA",
}
CIRCLE, KEYS = "tsne_circle", "key_frequencies"


def scored(results) -> pd.DataFrame:
    """Scores of output layers and of the function, a row a run and score, beside the run's fields.

    val_accuracy is that of the update at which the run was scored.
    """
    scores = data.beside(results, SCORES, *SCORE_COLUMNS)
    runs = data.runs_with(results, "label", "operation", "structure", "weight_decay", "seed")
    found = scores[scores["matrix"] != "input"].merge(runs, on="run")
    return found.assign(
        task=[
            f"{style.pretty(op)}\n{name}"
            for op, name in zip(found["operation"], found["structure"])
        ],
        decays=found["weight_decay"] > 0,
    )


# --- With and without decay ---


@figure(
    "embedding_scores",
    "embeddings",
    caption="Scores of output layers and of the function, with and without weight decay. "
    "Dots: networks; bars: their mean with its 95% "
    "interval; grey: the mean 95% range under the null (tokens permuted; of cosets, the best of as "
    "many random partitions); crosses: before training.",
)
def embedding_scores(results):
    found = scored(results)
    found = found[found["label"] == ""]
    shown = [name for name in PANELS if name in set(found["score"])] or list(PANELS)[:1]
    columns = min(3, len(shown))
    picture, axes = style.panels(
        -(-len(shown) // columns), columns, width=style.DOUBLE, height=1.75
    )
    for ax in axes.flat[len(shown) :]:
        ax.set_visible(False)
    for ax, name in zip(axes.flat, shown):
        ax.set_title(PANELS[name], fontsize=7, pad=3)
        draw_score(ax, found[found["score"] == name])
    handles = [
        axes.flat[0].plot([], [], marker=marker, color=colour, linewidth=1, label=words)[0]
        for words, colour, marker, _ in LOOKS.values()
    ]
    picture.legend(handles=handles, loc="outside upper center", ncols=2)
    return picture, ""


def draw_score(axes, found: pd.DataFrame) -> None:
    """One score: a place a task, the networks with and without decay beside each other."""
    if found.empty:
        style.say(axes, "no network scored yet")
        return
    tasks = list(found["task"].unique())
    for (task, decays), here in found.groupby(["task", "decays"]):
        _, colour, marker, shift = LOOKS[decays]
        x = tasks.index(task) + shift
        low, high = here["null_low"].mean(), here["null_high"].mean()
        if np.isfinite(low) and np.isfinite(high):
            axes.fill_between([x - 0.14, x + 0.14], low, high, color="0.85", linewidth=0, zorder=0)
        axes.plot(x, here["untrained"].mean(), marker="x", color=style.GREY, markersize=3)
        axes.scatter([x] * len(here), here["value"], s=6, color=colour, alpha=0.6, linewidths=0)
        mean = survival.mean_interval(here["value"])
        axes.plot(x, mean.value, marker=marker, color=colour, markersize=4)
        style.interval_bar(axes, x, mean.low, mean.high, colour)
    style.name_ticks(axes.xaxis, range(len(tasks)), tasks)
    axes.set_xlim(-0.5, len(tasks) - 0.5)
    axes.tick_params(axis="x", labelsize=6)


def score_table(results) -> pd.DataFrame:
    """The numbers of the figure, a row a task, decay and score: mean, interval, null, controls."""
    found = scored(results)
    rows = []
    for key, here in found[found["label"] == ""].groupby(
        ["task", "decays", "matrix", "score"], sort=False
    ):
        rows.append(
            (
                *key,
                len(here),
                *survival.mean_interval(here["value"]),
                here["null_low"].mean(),
                here["null_high"].mean(),
                here["untrained"].mean(),
                here["memorised"].mean(),
            )
        )
    table = pd.DataFrame(
        rows,
        columns=[
            "task",
            "decays",
            "matrix",
            "score",
            "networks",
            "mean",
            "low",
            "high",
            "null_low",
            "null_high",
            "untrained",
            "memorised",
        ],
    )
    return table.assign(task=table["task"].str.replace("\n", " "))


# --- How common is the circle? ---


@figure(
    "circles",
    "embeddings",
    caption="How common is the circle of x+y? Left: the share of networks whose t-SNE shows it "
    "(tokens in order on one circle, beyond the 1% of permuted "
    "tokens), with Wilson's 95% interval; in brackets how many of them generalised. Right: the "
    "same share by the number of key frequencies of the output layer, "
    "all these networks together, and how many there are.",
)
def circles(results):
    found = circle_table(results)
    picture, [[left, right]] = style.panels(
        1, 2, width=style.DOUBLE, height=2.6, width_ratios=[1.1, 1]
    )
    if found.empty:
        style.say(left, "no network scored yet")
        right.set_visible(False)
        return picture, ""
    ways = list(found["label"].unique())
    for y, way in enumerate(ways):
        draw_share(left, y, found[found["label"] == way]["circle"], across=True)
    names = [
        f"{way} ({int((here := found[found['label'] == way])['generalised'].sum())}/{len(here)})"
        for way in ways
    ]
    style.name_ticks(left.yaxis, range(len(ways)), names)
    left.set(
        ylim=(len(ways) - 0.5, -0.5), xlim=(-3, 103), xlabel="Networks with a t-SNE circle (%)"
    )
    for keys, here in found[found["generalised"]].groupby("keys"):
        draw_share(right, keys, here["circle"], across=False)
        right.text(keys, 106, len(here), fontsize=6, color=style.GREY, ha="center")
    right.set(
        ylim=(-3, 103),
        xlabel="Key frequencies of the output layer",
        ylabel="With a circle, of those that generalised (%)",
    )
    right.xaxis.get_major_locator().set_params(integer=True)
    return picture, f"Permuted tokens show a circle in {100 * found['null'].mean():.1f}% of draws."


def circle_table(results) -> pd.DataFrame:
    """The networks that were trained to count circles, a row a network.

    Columns: run, label, circle (does t-SNE show one), keys (key frequencies), generalised (where it
    was scored), null (share of permuted tokens that show a circle).
    """
    found = scored(results)
    output = found[(found["matrix"] == "output") & (found["label"] != "")]
    circle, keys = (output[output["score"] == name].set_index("run") for name in (CIRCLE, KEYS))
    return pd.DataFrame(
        {
            "label": circle["label"],
            "circle": circle["value"] > 0,
            "keys": keys["value"].reindex(circle.index).astype(int),
            "generalised": circle["val_accuracy"] >= THRESHOLD,
            "null": circle["null_mean"],
        }
    ).reset_index()


def draw_share(axes, at: float, happened: pd.Series, across: bool) -> None:
    """A share in per cent with its interval, along x (`across`) or along y."""
    share = survival.wilson_interval(int(happened.sum()), len(happened))
    middle, low, high = (100 * value for value in share)
    line, point = (axes.hlines, (middle, at)) if across else (axes.vlines, (at, middle))
    line(at, low, high, color=style.VALIDATION, linewidth=1)
    axes.plot(*point, marker="o", color=style.VALIDATION, markersize=4)


# --- How common are the cosets? ---


@figure(
    "cosets",
    "embeddings",
    caption="How common are coset clusters? The share of networks of a group in which the best "
    "subgroup's cosets stand out from those that are "
    "best for relabelled elements (p < 0.05): in the rows themselves (their z), and as clusters "
    "(silhouette) in t-SNE and in the first two principal components, "
    "with Wilson's 95% interval; behind each task how many of its networks had generalised.",
)
def cosets(results):
    found = coset_table(results)
    tasks = list(found.groupby(["task", "decays"], sort=False))
    picture, [axes] = style.panels(
        1, len(COSET_SCORES), width=style.DOUBLE, height=0.8 + 0.3 * len(tasks), sharey=True
    )
    if not tasks:
        style.say(axes[0], "no network of a group scored yet")
    for ax, (name, words) in zip(axes, COSET_SCORES.items()):
        for y, (_, here) in enumerate(tasks):
            draw_share(ax, y, here[here["score"] == name]["appear"], across=True)
        ax.set_title(words, fontsize=7, pad=3)
        ax.set(ylim=(max(len(tasks), 1) - 0.5, -0.5), xlim=(-3, 103), xlabel="Networks (%)")
    names = [
        f"{task}, {LOOKS[decays][0]} "
        f"({here.groupby('run')['generalised'].first().sum()}/{here['run'].nunique()})"
        for (task, decays), here in tasks
    ]
    style.name_ticks(axes[0].yaxis, range(len(tasks)), names)
    return picture, ""


def coset_table(results) -> pd.DataFrame:
    """Networks of groups, a row a run and score of COSET_SCORES.

    Columns: run, task, decays, score, appear (p < 0.05), generalised (where it was scored).
    """
    found = scored(results)
    found = found[(found["matrix"] == "output") & found["score"].isin(COSET_SCORES)]
    return pd.DataFrame(
        {
            "run": found["run"],
            "task": [task.replace("\n", " ") for task in found["task"]],
            "decays": found["decays"],
            "score": found["score"],
            "appear": found["p"] < SIGNIFICANT,
            "generalised": found["val_accuracy"] >= THRESHOLD,
        }
    ).sort_values(["task", "decays", "run"], kind="stable")


# --- What comes first? ---


@figure(
    "symmetry_first",
    "embeddings",
    caption="Does the function become symmetric before the network generalises? Equivariance error "
    "over that of the untrained network "
    "(solid: first operand, dashed: second) and validation accuracy (grey) over training, networks "
    "with weight decay. Above: in how many networks the error has "
    "halved before validation accuracy passes 50%, both read from the same snapshots, and the "
    "p-value of a sign test.",
)
def symmetry_first(results):
    curves = data.beside(results, EQUIVARIANCE, "run", "step", "operand", "error", "val_accuracy")
    runs = data.runs_with(results, "operation", "structure", "weight_decay")
    curves = curves.merge(runs[["run", "operation", "structure", "weight_decay"]], on="run")
    curves = precedence.followed(curves[curves["weight_decay"] > 0])
    tasks = list(curves.groupby(["operation", "structure"], sort=False))
    picture, axes = style.panels(
        1,
        max(len(tasks), 1),
        width=style.DOUBLE if len(tasks) > 1 else style.SINGLE,
        height=2.1,
        sharey=True,
    )
    if not tasks:
        style.say(axes[0, 0], "no network followed yet")
    for ax, ((operation, name), here) in zip(axes.flat, tasks):
        draw_precedence(ax, here)
        ax.set_title(f"{style.pretty(operation)}  {name}\n{in_words(here)}", fontsize=6.5, pad=3)
    axes[0, 0].set_ylabel("Error / untrained; accuracy")
    return picture, ""


def draw_precedence(axes, curves: pd.DataFrame) -> None:
    """Relative errors and accuracies of several networks against updates."""
    for (_, operand), curve in curves.groupby(["run", "operand"]):
        error = curve["error"] / curve["error"].iloc[0]
        axes.plot(
            curve["step"].clip(lower=1),
            error,
            color=style.PURPLE,
            linestyle="solid" if operand == "x" else "dashed",
            linewidth=0.8,
        )
        axes.plot(
            curve["step"].clip(lower=1), curve["val_accuracy"], color=style.GREY, linewidth=0.8
        )
    style.step_axis(axes, curves["step"].max())
    axes.set_ylim(-0.03, 1.3)
    axes.tick_params(axis="x", labelsize=6)


def in_words(curves: pd.DataFrame) -> str:
    """Which came first, over both operands of all networks of a task."""
    times = precedence.halfway_times(curves)
    first = times.groupby("run")[["error_halved_at", "val_50_at"]].mean()
    found = precedence.precedence(first["error_halved_at"], first["val_50_at"])
    return f"first in {found.before} of {found.decided}" + (
        f", p = {found.p_value:.2g}" if found.decided else ""
    )
