"""Beyond the paper: updates to generalise by how elements and positions are written for the network."""

import re
import textwrap

import numpy as np
import pandas as pd

from grok.analysis import fourier, survival
from grok.encodings import element_features
from grok.experiment import GrokError, Run
from grok.figures import data, style
from grok.figures.gallery import figure
from grok.operations import structure

TASK = ["operation", "structure"]
COLUMNS = (*TASK, "weight_decay", "seed", "positions", "values", "bins", "base", "frequencies", "table", "train_table", "tied",
           "stopped_at", "num_steps", "steps_to_val_99")
VALUES = {"learned": "learned", "onehot": "one-hot", "random": "random, fixed", "scalar": "scalar", "bins": "{bins} bins",
          "digits": "digits, base {base}", "fourier": "Fourier, k ≤ {frequencies}", "file": "table {table}"}
LOOKS = {False: ("no weight decay", style.WITHOUT_DECAY, "s", -0.18), True: ("weight decay", style.WITH_DECAY, "o", 0.18)}
NAME_WIDTH = 24  # characters
ROW = 0.27  # inches


def encoding_name(run: dict) -> str:
    """In what a run's writing of elements, positions and answers departs from the paper's, in words."""
    run = run | {"table": short(run["table"])}
    words = [VALUES[run["values"]].format(**run)] if run["values"] != "learned" else []
    words += ["trained on"] * (run["values"] == "file" and run["train_table"])
    words += [f"positions {run['positions']}"] * (run["positions"] != "sinusoidal") + ["tied"] * bool(run["tied"])
    return ", ".join(words) or "the paper's"


def short(table: str) -> str:
    """A table's path without what all tables of results folders share: 'figure3 run_0000'."""
    return re.sub(r"^.*?([^/]+)/arrays/([^/]+)\.npz", r"\1 \2", table)


def circulant_before(run: Run) -> float:
    """How far the encoding of Z/n respects differences before training: the circulant share of its cosines; NaN where it has none.

    A trained table, and a trained map of one-hot vectors, begin as random vectors; a trained map of other features keeps
    their inner products on average, so the features stand for it.
    """
    begins = run.replace(values="random") if run.values in ("learned", "onehot") else run
    try:
        return fourier.circulant_score(fourier.cosine_similarity(element_features(begins)))
    except GrokError:  # no residues, or a table that is not at hand
        return np.nan


def prediction(results, runs: pd.DataFrame) -> str:
    """Whether that score predicts the time to generalise under decay: rank correlation over `named_runs`, in words, a sentence a task."""
    sentences = []
    for (operation, name), here in runs[runs["decays"]].groupby(TASK, sort=False):
        score = np.array([circulant_before(results.experiment_run(run)) for run in here["run"]])
        if structure(name).is_ring and len(np.unique(score[known := np.isfinite(score)])) > 2:
            rho = survival.spearman_interval(score[known], here["crossed"].fillna(np.inf)[known].rank())
            sentences.append(f"{style.pretty(operation)}: ρ = {rho.value:.2f} [{rho.low:.2f}, {rho.high:.2f}].".replace("-", "−"))
    return " ".join(["Rank correlation of updates (never counts as last) with the circulant share of the untrained encoding's cosines, under decay:", *sentences]) if sentences else ""


def named_runs(results) -> pd.DataFrame:
    """The runs that have begun, with their encoding in words, whether they decay, their crossing and last update followed."""
    begun, crossed, last = data.crossings(data.runs_with(results, *COLUMNS), "val")
    names = [encoding_name(run) for run in begun.to_dict("records")]
    return begun.assign(encoding=names, decays=begun["weight_decay"] > 0, crossed=crossed, last=last)


def table(results) -> pd.DataFrame:
    """Updates to 99% validation, a row a task, encoding and decay: runs, those that never got there, median, interval.

    median, low, high: Kaplan-Meier, 95% (grok.analysis.survival.median_time); never_share has Wilson's interval.
    """
    rows = []
    for key, here in named_runs(results).groupby([*TASK, "encoding", "weight_decay"], sort=False):
        never = int(here["crossed"].isna().sum())
        share = survival.wilson_interval(never, len(here))
        median = survival.median_time(here["crossed"], here["last"])
        rows.append((*key, len(here), never, *share, *median))
    return pd.DataFrame(rows, columns=[*TASK, "encoding", "weight_decay", "runs", "never", "never_share", "never_low", "never_high", "median", "low", "high"])


@figure("encodings", "encodings", caption="Updates to 99% validation accuracy by what is written otherwise than in the paper. Small dots: runs; large marks: "
        "medians with 95% intervals (Kaplan-Meier; of fewer than 7 runs their range); open triangles: not reached by then, large ones "
        "where half of the runs or more never got there; at the right, how many that is.")
def encodings(results):
    runs = named_runs(results)
    if runs.empty:
        picture, [[axes]] = style.panels(height=2.2)
        style.say(axes, "no run has been evaluated yet")
        return picture, ""
    tasks, names = list(runs.groupby(TASK, sort=False)), list(runs["encoding"].unique())
    picture, axes = style.panels(1, len(tasks), width=style.DOUBLE, height=ROW * len(names) + 0.9, sharex=True, sharey=True)
    axes[0, 0].set(xscale="log", ylim=(len(names) - 0.5, -0.5), xlim=(runs[["crossed", "last"]].min(axis=None) / 1.5, runs["last"].max() * 1.5))
    left, right = axes[0, 0].get_xlim()
    ticks = [m * 10**e for e in range(8) for m in (1, 3) if left <= m * 10**e <= right]
    style.name_ticks(axes[0, 0].xaxis, ticks, [f"{tick:,}" for tick in ticks])
    style.name_ticks(axes[0, 0].yaxis, range(len(names)), [textwrap.fill(name, NAME_WIDTH) for name in names])
    for ax, ((operation, structure), of_task) in zip(axes.flat, tasks):
        ax.set_title(f"{style.pretty(operation)}  {structure}", fontsize=8)
        ax.set_xlabel("Steps to 99% validation")
        ax.hlines(np.arange(1, len(names)) - 0.5, 0, 1, transform=ax.get_yaxis_transform(), color="0.9", linewidth=0.5)
        ax.text(1.02, -0.5, "never", transform=ax.get_yaxis_transform(), fontsize=6, color=style.GREY, va="bottom")
        for (name, decays), here in of_task.groupby(["encoding", "decays"]):
            draw_runs(ax, names.index(name), here, decays)
        for name in set(names) - set(of_task["encoding"]):
            ax.text(0.5, names.index(name), "not run", transform=ax.get_yaxis_transform(), fontsize=6, color=style.GREY, ha="center", va="center")
    handles = [ax.plot([], [], marker=marker, color=colour, linewidth=1, label=words)[0] for words, colour, marker, _ in LOOKS.values()]
    picture.legend(handles=handles, loc="outside upper center", ncols=2)
    return picture, prediction(results, runs)


def draw_runs(axes, place: int, runs: pd.DataFrame, decays: bool) -> None:
    """One line of a panel: the runs, their median and interval, and how many never crossed."""
    _, colour, marker, shift = LOOKS[decays]
    y, never = place + shift, runs["crossed"].isna()
    axes.scatter(runs["crossed"], [y] * len(runs), s=4, color=colour, alpha=0.5, linewidths=0)
    median = survival.median_time(runs["crossed"], runs["last"])
    if len(runs) > 1:
        axes.hlines(y, median.low, min(median.high, axes.get_xlim()[1]), color=colour, linewidth=1)
    axes.plot(median.value, y, marker=marker, color=colour, markersize=4)
    half_never = np.isnan(median.value)
    at, size = ([runs["last"].max()], 22) if half_never else (runs["last"][never], 8)
    axes.scatter(at, [y] * len(at), marker=">", s=size, facecolors="white", edgecolors=colour, linewidths=0.7, zorder=3)
    if never.any():
        axes.text(1.02, y, f"{never.sum()}/{len(runs)}", transform=axes.get_yaxis_transform(), fontsize=5.5, color=colour, va="center")
