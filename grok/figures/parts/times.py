"""Updates to 99% against a number that varies: runs, their medians, censored runs, a law."""

import numpy as np
import pandas as pd

from grok.figures.parts import style
from grok.measure import findings
from grok.measure.findings.runs import TIMES, crossings, runs_with
from grok.measure.findings.words import interval

SPLITS = {"train": ("training", style.TRAIN, "s"), "val": ("validation", style.VALIDATION, "o")}
LETTER = 0.025  # a letter of a tick's name, as a share of the axis
ZERO_GAP = 4  # a zero on a logarithmic axis stands this factor left of the smallest value


def times_axis(axes, runs: pd.DataFrame) -> None:
    """Updates on a logarithmic axis with room for every run, crossed or censored."""
    axes.set_yscale("log")
    axes.set_ylabel("Steps to 99% accuracy")
    seen = np.concatenate([np.concatenate(crossings(runs, split)[1:]) for split in SPLITS])
    seen = seen[np.isfinite(seen) & (seen > 0)]
    if seen.size:
        axes.set_ylim(max(seen.min() / 2, 1), seen.max() * 2.5)


def draw_times(axes, runs: pd.DataFrame, medians: pd.DataFrame, field: str, split: str, place):
    """The runs' updates to 99% on `split` against `field`: dots, open triangles, medians.

    place: where on the axis a value of the field stands. medians: the rows of findings.times of
    both splits. Triangles are censored runs; a median that half of the runs never reach is a large
    one at the last update seen.
    """
    begun, times, last = crossings(runs, split)
    words, colour, marker = SPLITS[split]
    x = np.array([place(value) for value in begun[field]], float)
    axes.scatter(x, times, s=5, color=colour, alpha=0.45, linewidths=0)
    never = np.isnan(times)
    style.censored(axes, x[never], last[never], colour, size=9)
    rows = medians[medians["split"] == split].sort_values(field)
    at = np.array([place(value) for value in rows[field]], float)
    for row, here in zip(rows.itertuples(), at):
        if row.runs > 1:
            style.interval_bar(axes, here, row.low, row.high, colour)
        if np.isnan(row.median):
            style.censored(axes, [here], [row.last], colour, size=30)
    axes.plot(
        at, rows["median"], color=colour, marker=marker, linewidth=0.8, label=f"{words}, median"
    )


def apart(places, names: list[str]) -> list[str]:
    """The names of ticks at rising places of an axis, empty where one would run into another."""
    letter = LETTER * (places[-1] - places[0])
    kept, end = [], -np.inf
    for place, name in zip(places, names):
        half = letter * (len(name) + 1) / 2
        fits = place - half >= end
        kept.append(name if fits else "")
        end = place + half if fits else end
    return kept


def name_logarithmic(axis, values: list, place) -> None:
    """Ticks at values of a logarithmic axis, by their names as far as these have room."""
    places = [place(value) for value in values]
    names = apart(np.log(places), [f"{value:g}" for value in values])
    style.name_ticks(axis, places, names)


def draw_law(axes, law: dict, ends, of) -> None:
    """A line of log time, dashed between two ends; of: from a place on the axis to the law's x."""
    ends = np.asarray(ends, float)
    axes.plot(
        ends,
        np.exp(law["intercept"] + law["slope"] * of(ends)),
        color=style.BLACK,
        linestyle="dashed",
        linewidth=1.2,
        zorder=4,
    )


def law_figure(results, field: str, label: str, symbol: str):
    """Updates to 99% against a positive field, log-log, with the power law of the findings.

    symbol: of the field in the law, as in 'decay'.
    """
    runs, found = runs_with(results, field, *TIMES), findings.of(results)
    picture, [[axes]] = style.panels(height=2.6)
    axes.set_xscale("log")
    axes.set_xlabel(label)
    times_axis(axes, runs)
    values = sorted(set(crossings(runs, "val")[0][field]))
    if not values:
        style.say(axes, "no run has been evaluated yet")
        return picture
    place = zero_to_the_left(values)
    for split in SPLITS:
        draw_times(axes, runs, found.table("times"), field, split, place)
    law, exponent = found.tables["law"][0], found["exponent"]
    if np.isnan(exponent.value):
        words = "no law: too few values with a delay"
    else:
        draw_law(axes, law, (law["fitted"][0], law["fitted"][-1]), np.log)
        slope = interval(slope_of(law, exponent), ".2f")
        words = f"dashed: steps ∝ {symbol}^b,\nb = {slope}"
    # Below the runs, where no censored one stands.
    axes.text(0.98, 0.03, words, transform=axes.transAxes, ha="right", va="bottom", fontsize=6.5)
    if values[0] == 0:
        axes.axvline(place(0) * ZERO_GAP**0.5, color=style.GREY, linestyle="dotted", linewidth=0.8)
    name_logarithmic(axes.xaxis, values, place)
    axes.set_xlim(place(values[0]) / 1.5, place(values[-1]) * 1.5)
    style.legend_above(axes)
    return picture


def slope_of(law: dict, exponent: findings.Finding) -> findings.Estimate:
    """The exponent with its interval as the slope of the line, whichever sign the finding has."""
    ours = findings.Estimate(exponent.value, exponent.low, exponent.high)
    if np.sign(ours.value) == np.sign(law["slope"]):
        return ours
    return findings.Estimate(-ours.value, -ours.high, -ours.low)


def zero_to_the_left(values):
    """Where values stand on a logarithmic axis: 0 a step left of the smallest other one."""
    smallest = min((value for value in values if value > 0), default=1.0)
    return lambda value: value if value > 0 else smallest / ZERO_GAP
