"""Updates to 99% against a number that varies: runs, medians, censored runs, power laws."""

from typing import NamedTuple

import numpy as np

from grok.analysis import survival
from grok.figures.parts import data, style

COLUMNS = ("seed", "stopped_at", "num_steps", "steps_to_train_99", "steps_to_val_99")
SPLITS = {"train": ("training", style.TRAIN, "s"), "val": ("validation", style.VALIDATION, "o")}
# Of the time to generalise that may go into the training rows where a law of the delay is fitted.
LARGEST_SHARE = 0.5
ZERO_GAP = 4  # a zero on a logarithmic axis stands this factor left of the smallest value


def times_axis(axes, runs) -> None:
    """Updates on a logarithmic axis with room for every run, crossed or censored."""
    axes.set_yscale("log")
    axes.set_ylabel("Steps to 99% accuracy")
    seen = np.concatenate([np.concatenate(data.crossings(runs, split)[1:]) for split in SPLITS])
    seen = seen[np.isfinite(seen) & (seen > 0)]
    if seen.size:
        axes.set_ylim(max(seen.min() / 2, 1), seen.max() * 2.5)


def draw_times(axes, runs, field: str, split: str, place=lambda value: value) -> None:
    """The runs' updates to 99% on `split` against `field`: dots, open triangles, medians.

    place: where on the axis a value of the field stands. Triangles are censored runs. A median that
    more than half of the runs never reach
    is a large open triangle at the last update seen.
    """
    begun, times, last = data.crossings(runs, split)
    words, colour, marker = SPLITS[split]
    x = np.array([place(value) for value in begun[field]], float)
    axes.scatter(x, times, s=5, color=colour, alpha=0.45, linewidths=0)
    never = np.isnan(times)
    style.censored(axes, x[never], last[never], colour, size=9)
    medians = []
    for at in np.unique(x):
        here = x == at
        median = survival.median_time(times[here], last[here])
        medians.append((at, median.value))
        if here.sum() > 1:
            style.interval_bar(axes, at, median.low, median.high, colour)
        if np.isnan(median.value):
            style.censored(axes, [at], [last[here].max()], colour, size=30)
    axes.plot(
        *np.array(medians).reshape(-1, 2).T,
        color=colour,
        marker=marker,
        linewidth=0.8,
        label=f"{words}, median",
    )


def spread(runs, field: str) -> str:
    """The sentence of a caption that says what the bars of `draw_times` show."""
    return data.spread("Bars", data.crossings(runs, "val")[0].groupby(field).size(), "median")


def is_delayed(runs) -> bool:
    """Whether generalisation comes well after training.

    That is: median updates to 99% training are at most LARGEST_SHARE of those to 99% validation.

    A validation median that was not reached lies above the last update seen; a training median that
    was not
    reached leaves no delay to speak of.
    """
    _, trained, last = data.crossings(runs, "train")
    _, validated, _ = data.crossings(runs, "val")
    train, val = (survival.median_time(times, last).value for times in (trained, validated))
    return bool(train <= LARGEST_SHARE * (last.max() if np.isnan(val) else val))


class Fit(NamedTuple):
    """The power law of the validation crossings, the values it was fitted to and those left out."""

    law: survival.TimeLaw
    fitted: list[float]
    left_out: list[float]


def fit_power_law(runs, field: str) -> Fit:
    """The law time ~ value^-a over the values above 0 at which generalisation `is_delayed`.

    At the others the time to generalise is mostly that of training, which follows a law of its own.
    """
    begun = data.crossings(runs[runs[field] > 0], "val")[0]
    delayed = {value: is_delayed(here) for value, here in begun.groupby(field)}
    begun, crossed, last = data.crossings(begun[begun[field].map(delayed).astype(bool)], "val")
    law = survival.power_law(begun[field], crossed, last)
    return Fit(
        law,
        [value for value in delayed if delayed[value]],
        [value for value in delayed if not delayed[value]],
    )


def draw_power_law(axes, runs, field: str) -> str:
    """Draw the law of `fit_power_law` dashed over the values it was fitted to; its words."""
    law, fitted, left_out = fit_power_law(runs, field)
    words = field.replace("_", " ")
    rule = (
        f"the median run fits its training rows in at most {100 * LARGEST_SHARE:g}% "
        "of the updates to 99% validation"
    )
    if not fitted:
        return f"No law fitted: at no {words} above 0 is it so that {rule}."
    if np.isnan(law.value):
        return (
            "No law fitted: fewer than three runs reached 99% validation accuracy, "
            "or all at one value."
        )
    ends = np.array([fitted[0], fitted[-1]])
    axes.plot(
        ends,
        np.exp(law.intercept + law.slope * np.log(ends)),
        color=style.BLACK,
        linestyle="dashed",
        linewidth=1,
        label="power law",
    )
    found = (
        f"Updates to 99% validation ∝ ({words})^{-law.value:.2f} "
        f"(95% interval of the exponent {-law.high:.2f} to {-law.low:.2f})"
    ).replace("-", "−")
    without = f", so without {', '.join(f'{value:g}' for value in left_out)}" if left_out else ""
    return f"{found}, fitted from {fitted[0]:g} to {fitted[-1]:g}, where {rule}{without}."


def law_figure(results, field: str, label: str):
    """Updates to 99% against a positive field, log-log, with the power law; picture and words."""
    runs = data.runs_with(results, field, *COLUMNS)
    picture, [[axes]] = style.panels(height=2.6)
    axes.set_xscale("log")
    axes.set_xlabel(label)
    times_axis(axes, runs)
    begun = data.crossings(runs, "val")[0]
    if begun.empty:
        style.say(axes, "no run has been evaluated yet")
        return picture, ""
    place = zero_to_the_left(begun[field])
    for split in SPLITS:
        draw_times(axes, runs, field, split, place)
    law = draw_power_law(axes, runs, field)
    values = sorted(set(begun[field]))
    if values[0] == 0:
        axes.axvline(place(0) * ZERO_GAP**0.5, color=style.GREY, linestyle="dotted", linewidth=0.8)
    style.name_ticks(axes.xaxis, map(place, values), [f"{value:g}" for value in values])
    axes.set_xlim(place(values[0]) / 1.5, place(values[-1]) * 1.5)
    style.legend_above(axes, columns=3)
    return picture, " ".join(
        filter(None, [spread(runs, field), law, "Open triangles: not reached by then."])
    )


def zero_to_the_left(values):
    """Where values stand on a logarithmic axis: 0 a step left of the smallest other one."""
    smallest = min((value for value in values if value > 0), default=1.0)
    return lambda value: value if value > 0 else smallest / ZERO_GAP
