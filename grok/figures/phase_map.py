"""Beyond the paper: learning rates and decays that memorise, grok, comprehend or do nothing."""

import numpy as np
import pandas as pd
from matplotlib.patches import Patch, Rectangle

from grok.figures.parts import data, style, times
from grok.figures.parts.gallery import figure

# Updates between the two crossings that tell comprehension from grokking, as in Liu et al. (2022).
DELAY = 1000
SIDE = 0.94  # of a cell, so that the half of a split one does not run into its neighbour
PHASES = {  # letter and colour
    "comprehension": ("C", style.GREEN),
    "grokking": ("G", style.YELLOW),
    "memorisation": ("M", style.ORANGE),
    "confusion": ("–", "0.75"),
}


@figure(
    "phase_map",
    "phase_map",
    caption=f"Comprehension: 99% validation within {DELAY:,} updates of 99% training; grokking: "
    "later; "
    "memorisation: training alone; confusion: neither within the budget. The commonest phase of "
    "the seeds, and how many they are where seeds differ; split: phases with as many seeds each.",
)
def phase_map(results):
    runs = data.ended(data.runs_with(results, "learning_rate", "weight_decay", *times.COLUMNS))
    rates, decays = (sorted(set(results.runs[name])) for name in ("learning_rate", "weight_decay"))
    picture, [[axes]] = style.panels(height=2.9)
    axes.set(xlabel="Weight decay", ylabel="Learning rate")
    style.name_ticks(axes.xaxis, range(len(decays)), [f"{decay:g}" for decay in decays])
    style.name_ticks(axes.yaxis, range(len(rates)), [f"{rate:g}" for rate in rates])
    draw_cells(axes, runs.assign(phase=phases(runs)), rates, decays)
    style.legend_above(
        axes,
        [
            Patch(color=colour, label=f"{letter}  {phase}")
            for phase, (letter, colour) in PHASES.items()
        ],
    )
    return picture, ""


def phases(runs: pd.DataFrame) -> list[str]:
    """The phase of each run, by its two crossings of 99%."""
    trained = runs["steps_to_train_99"].astype(float).to_numpy()
    validated = runs["steps_to_val_99"].astype(float).to_numpy()
    delayed = validated - trained >= DELAY
    choice = np.select([np.isnan(trained), np.isnan(validated), delayed], [3, 2, 1], 0)
    return [list(PHASES)[i] for i in choice]


def commonest(phases: pd.Series) -> tuple[list[str], int]:
    """The phases that most seeds show, several where they tie, and how many seeds show each."""
    votes = {phase: int((phases == phase).sum()) for phase in PHASES}
    most = max(votes.values())
    return [phase for phase in votes if votes[phase] == most], most


def draw_cells(axes, runs: pd.DataFrame, rates: list, decays: list) -> None:
    """A square a setting with the colour and letter of its commonest phase.

    It is split evenly where phases tie, and empty where no run has ended.
    """
    axes.set(xlim=(-0.5, len(decays) - 0.5), ylim=(-0.5, len(rates) - 0.5))
    for (rate, decay), here in runs.groupby(["learning_rate", "weight_decay"]):
        x, y = decays.index(decay), rates.index(rate)
        tied, votes = commonest(here["phase"])
        for part, phase in enumerate(tied):
            corner = (x + SIDE * (part / len(tied) - 0.5), y - SIDE / 2)
            axes.add_patch(
                Rectangle(
                    corner, SIDE / len(tied), SIDE, facecolor=PHASES[phase][1], edgecolor="none"
                )
            )
        letters = "|".join(PHASES[phase][0] for phase in tied)
        unsure = len(tied) == 1 and votes < len(here)
        axes.text(
            x,
            y,
            f"{letters} {votes}/{len(here)}" if unsure else letters,
            ha="center",
            va="center",
            fontsize=7,
        )
    if runs.empty:
        style.say(axes, "no run has ended yet")
