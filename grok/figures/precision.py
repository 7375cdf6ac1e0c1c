"""Beyond the paper: when networks reach 99% validation accuracy, by precision of products."""

import numpy as np
import pandas as pd

from grok.analysis import survival
from grok.figures.parts import data, style, times
from grok.figures.parts.gallery import figure

REFERENCE = "float32"
LOOKS = {
    REFERENCE: (style.BLACK, "solid"),
    "tf32": (style.BLUE, "dashed"),
    "bf16": (style.VERMILION, "dotted"),
}
LEAST_PAIRS = 2


@figure(
    "precision",
    "precision",
    caption="Share of runs that have reached 99% validation accuracy (Kaplan-Meier, 95% bands).",
)
def precision(results):
    runs = data.runs_with(results, "precision", *times.COLUMNS)
    picture, [[axes]] = style.panels(height=2.5)
    style.accuracy_axis(axes, "Runs at 99% validation (%)")
    begun, crossed, last = data.crossings(runs, "val")
    style.step_axis(axes, last.max(initial=10))
    if begun.empty:
        style.say(axes, "no run has been evaluated yet")
        return picture, ""
    if np.isfinite(crossed).any():
        axes.set_xlim(left=max(np.nanmin(crossed) / 3, 1))
    of = {name: np.array(begun["precision"] == name) for name in LOOKS}
    medians = [
        draw_share(axes, name, crossed[here], last[here]) for name, here in of.items() if here.any()
    ]
    style.legend_above(axes, columns=3)
    pairs = by_seed(begun, crossed, last)
    return picture, " ".join(
        [
            f"Medians: {'; '.join(medians)}.",
            *(comparison(pairs, name) for name in LOOKS if name != REFERENCE and of[name].any()),
        ]
    )


def draw_share(axes, name: str, crossed: np.ndarray, last: np.ndarray) -> str:
    """The share of the runs [n] of one precision that have crossed, with its band; the median."""
    colour, dashes = LOOKS[name]
    curve = survival.kaplan_meier(*survival.durations(crossed, last))
    steps = np.concatenate([[1], curve.times])
    share, low, high = (
        100 * (1 - np.concatenate([[1], values])) for values in (curve.share, curve.high, curve.low)
    )
    axes.plot(steps, share, color=colour, linestyle=dashes, drawstyle="steps-post", label=name)
    axes.fill_between(steps, low, high, step="post", color=colour, alpha=0.12, linewidth=0)
    median = survival.median_time(crossed, last)
    if np.isnan(median.value):
        return f"{name} not reached"
    high = "beyond" if np.isinf(median.high) else f"{median.high:,.0f}"
    return f"{name} {median.value:,.0f} ({median.low:,.0f} to {high})"


def by_seed(begun: pd.DataFrame, crossed: np.ndarray, last: np.ndarray) -> pd.DataFrame:
    """A row a seed: of each precision the updates to 99% and the last update followed.

    Updates are NaN for never; both are NaN where the run did not begin.
    """
    table = pd.DataFrame(
        {
            "seed": begun["seed"].to_numpy(),
            "precision": begun["precision"].to_numpy(),
            "crossed": crossed,
            "last": last,
        }
    )
    return table.pivot_table(
        index="seed", columns="precision", values=["crossed", "last"], dropna=False
    )


def comparison(pairs: pd.DataFrame, name: str) -> str:
    """One precision against full float32, seed by seed, in words."""
    if REFERENCE not in pairs["last"]:
        return ""
    both = pairs[pairs["last"][[name, REFERENCE]].notna().all(axis=1)]
    if len(both) < LEAST_PAIRS:
        return f"{name}: too few seeds to compare."
    mine, reference = (
        (both["crossed", which].to_numpy(), both["last", which].to_numpy())
        for which in (name, REFERENCE)
    )
    ratio = survival.paired_ratio(mine[0], reference[0])
    p = survival.paired_logrank(mine, reference)
    words = (
        "no seed at which both got there"
        if np.isnan(ratio.value)
        else f"median ratio of a seed's times {ratio.value:.2f} "
        f"(95% interval {ratio.low:.2f} to {ratio.high:.2f})"
    )
    return (
        f"{name} against {REFERENCE}, {len(both)} seeds: {words}, "
        f"p = {p:.2g} (log-rank, precisions swapped within seeds)."
    )
