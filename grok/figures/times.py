"""Updates to 99% against whatever varies, for every experiment without a figure of its own.

One number that varies gives a line, two give a heat map; anything else gives a row a setting.
"""

import dataclasses
import numbers
import textwrap

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from grok.analysis import survival
from grok.figures.parts import curves, style, times
from grok.figures.parts.gallery import NothingToDraw, figure
from grok.figures.parts.times import SPLITS
from grok.measure.findings import times as measured
from grok.measure.findings.runs import NOT_A_DIFFERENCE, TIMES, crossings, plain, runs_with

WIDE = 8  # a number whose largest value is this many times its smallest has a logarithmic axis
ROW = 0.2  # inches
LETTERS_A_ROW = 3  # of the vertical axis's name
MOST_ROWS = 40
LONGEST_NAME = 60
LONG_NAME = 16  # characters; rows with longer names take the width of two columns


@figure(
    "times",
    caption="Updates to 99% accuracy against what varies: medians (Kaplan-Meier) with their "
    "interval or range; open triangles: not reached by then. In a heat map, those to 99% "
    "validation; grey: the median run never got there (>: by then); n/m: n of m runs did.",
)
def times_of_anything(results):
    """The picture that fits what varies in an experiment."""
    runs = runs_with(results, "label", *TIMES)
    if curves.answers_nothing(results):
        raise NothingToDraw("its vectors answer no equations")
    specified = specifications(results)
    varied = varied_fields(specified)
    if not varied:
        raise NothingToDraw("nothing but seeds varies in its runs")
    runs = runs.assign(**{name: runs["run"].map(specified[name]) for name in varied})
    if runs["stopped_at"].fillna(0).max() == 0:
        raise NothingToDraw("no run has been evaluated yet")
    if len(varied) == 1 and is_number(runs[varied[0]]):
        return line(runs, varied[0])
    if len(varied) == 2 and all(is_number(runs[name]) for name in varied):
        return heat_map(runs, *varied)
    return rows(runs, varied)


def specifications(results) -> pd.DataFrame:
    """The fields of the runs as they were asked for, a row a run.

    The table of runs has values in the place of defaults that follow from others, such as d_ff.
    """
    count = len(results.description["experiment"]["runs"])
    runs = [results.experiment_run(number) for number in range(count)]
    return pd.DataFrame([dataclasses.asdict(run) for run in runs]).astype(object)


def varied_fields(specified: pd.DataFrame) -> list[str]:
    """The fields in which runs differ, but for seeds, labels and lengths."""
    fields = [name for name in specified if name not in NOT_A_DIFFERENCE]
    return [name for name in fields if specified[name].nunique(dropna=False) > 1]


def is_number(values: pd.Series) -> bool:
    """Whether all of a field's values are numbers; True and False are none."""
    return all(isinstance(v, numbers.Real) and not isinstance(v, bool) for v in values)


def in_words(field: str) -> str:
    return field.replace("_", " ").capitalize()


# --- One number: a line ---


def line(runs: pd.DataFrame, field: str):
    """Both crossings of 99% against a number: runs, medians and their intervals."""
    picture, [[axes]] = style.panels(height=2.6)
    axes.set_xlabel(in_words(field))
    times.times_axis(axes, runs)
    place = number_axis(axes, sorted(set(runs[field])))
    medians = pd.DataFrame(measured.medians(runs, field))
    for split in SPLITS:
        times.draw_times(axes, runs, medians, field, split, place)
    style.legend_above(axes, columns=2)
    return picture


def number_axis(axes, values: list):
    """A linear axis, or a logarithmic one for values far apart; where a value stands on it."""
    positive = [value for value in values if value > 0]
    if min(values) < 0 or len(positive) < 2 or positive[-1] < WIDE * positive[0]:
        return float
    axes.set_xscale("log")
    place = times.zero_to_the_left(values)
    times.name_logarithmic(axes.xaxis, values, place)
    return place


# --- Two numbers: a heat map ---


def heat_map(runs: pd.DataFrame, down: str, across: str):
    """The median updates to 99% validation at each pair of values, a cell a pair."""
    ys, xs = (sorted(set(runs[name])) for name in (down, across))
    picture, [[axes]] = style.panels(height=max(1.6, 0.9 + 0.3 * len(ys)))
    axes.set(xlabel=in_words(across), ylabel=in_words(down))
    columns = range(len(xs))
    style.name_ticks(axes.xaxis, columns, times.apart(columns, [f"{value:g}" for value in xs]))
    style.name_ticks(axes.yaxis, range(len(ys)), [f"{value:g}" for value in ys])
    median_YX = np.full((len(ys), len(xs)), np.nan)
    for (y, x), here in runs.groupby([down, across]):
        at = ys.index(y), xs.index(x)
        median_YX[at], words = cell(here)
        axes.text(at[1], at[0], words, ha="center", va="center", fontsize=6)
    axes.set_facecolor("0.93")
    axes.set(xlim=(-0.5, len(xs) - 0.5), ylim=(-0.5, len(ys) - 0.5))
    if np.isfinite(median_YX).any():
        pale = matplotlib.colormaps["viridis_r"].with_extremes(bad="0.93")
        axes.imshow(median_YX, cmap=pale, norm=LogNorm(), alpha=0.6, aspect="auto")
    return picture


def cell(runs: pd.DataFrame) -> tuple[float, str]:
    """The median of a cell's runs, NaN where it was not reached, and the words in the cell."""
    begun, crossed, last = crossings(runs, "val")
    if begun.empty:
        return np.nan, ""
    median = survival.median_time(crossed, last).value
    reached = int(np.isfinite(crossed).sum())
    share = "" if reached == len(begun) else f"\n{reached}/{len(begun)}"
    return median, (f">{short(last.max())}" if np.isnan(median) else short(median)) + share


def short(steps: float) -> str:
    """A number of updates in few characters: 850, 3.2k, 120k, 1M."""
    if steps < 1000:
        return f"{steps:.0f}"
    return f"{steps / 1000:.3g}k" if steps < 1e6 else f"{steps / 1e6:.3g}M"


# --- Anything else: a row a setting ---


def rows(runs: pd.DataFrame, varied: list[str]):
    """Both crossings of 99% of each setting, a row a setting, in the order of the runs."""
    runs = runs.assign(setting=setting_names(runs, varied))
    settings = list(dict.fromkeys(runs["setting"]))
    shown = settings[:MOST_ROWS]
    runs = runs[runs["setting"].isin(shown)]
    width = style.DOUBLE if max(map(len, shown)) > LONG_NAME else style.SINGLE
    picture, [[axes]] = style.panels(width=width, height=0.8 + ROW * len(shown))
    steps_along(axes, runs)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    short_names = [textwrap.shorten(name, LONGEST_NAME, placeholder="…") for name in shown]
    style.name_ticks(axes.yaxis, range(len(shown)), short_names)
    for split, shift in (("train", -0.15), ("val", 0.15)):
        draw_rows(axes, runs.assign(y=runs["setting"].map(shown.index) + shift), split)
    style.legend_above(axes, columns=2)
    words = ", ".join(name.replace("_", " ") for name in varied)
    fits = len(words) <= max(LONG_NAME, LETTERS_A_ROW * len(shown))
    axes.set_ylabel(words if fits else f"{len(varied)} fields")
    left_out = len(settings) - len(shown)
    if left_out:
        axes.set_title(f"{left_out} of {len(settings)} settings not shown", fontsize=7, pad=22)
    return picture


def steps_along(axes, runs: pd.DataFrame) -> None:
    """Updates on a logarithmic horizontal axis with room for every run, and few ticks."""
    seen = np.concatenate([np.concatenate(crossings(runs, split)[1:]) for split in SPLITS])
    seen = seen[np.isfinite(seen) & (seen > 0)]
    axes.set_xscale("log")
    axes.set_xlabel("Steps to 99% accuracy")
    axes.set_xlim(seen.min() / 1.5, seen.max() * 1.5)
    decades = np.log10(seen.max() / seen.min())
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2 else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda steps, _: short(steps)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def setting_names(runs: pd.DataFrame, varied: list[str]) -> list[str]:
    """The name of each run's row: its label, and the fields that vary among runs of one label."""
    of_label = runs.groupby("label", dropna=False)
    inside = [name for name in varied if of_label[name].nunique(dropna=False).max() > 1]
    names = []
    for run in runs.to_dict("records"):
        if inside == varied == varied[:1]:
            names.append(plain(run[varied[0]]))
            continue
        parts = [run["label"]] if run["label"] else []
        parts += [value_in_words(name, run[name]) for name in inside if run[name] is not None]
        names.append(", ".join(parts))
    return names


def value_in_words(field: str, value) -> str:
    """A text speaks for itself; a number has its field before it."""
    if isinstance(value, str):
        return plain(value)
    return f"{field.replace('_', ' ')} {plain(value)}"


def draw_rows(axes, runs: pd.DataFrame, split: str) -> None:
    """The crossings on one split at each run's y: dots, open triangles if censored, medians."""
    begun, crossed, last = crossings(runs, split)
    words, colour, marker = SPLITS[split]
    y = begun["y"].to_numpy()
    axes.scatter(crossed, y, s=5, color=colour, alpha=0.45, linewidths=0)
    never = np.isnan(crossed)
    open_marks = {"marker": ">", "facecolors": "none", "edgecolors": colour, "linewidths": 0.8}
    axes.scatter(last[never], y[never], s=12, **open_marks)
    medians = []
    for at in np.unique(y):
        median = survival.median_time(crossed[y == at], last[y == at])
        medians.append(median.value)
        if (y == at).sum() > 1 and np.isfinite(median.low):
            end = median.high if np.isfinite(median.high) else last[y == at].max()
            axes.hlines(at, median.low, end, color=colour, linewidth=1)
    axes.plot(medians, np.unique(y), marker, color=colour, label=f"{words}, median")
