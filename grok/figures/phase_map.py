"""Beyond the paper: which learning rates and weight decays memorise, grok, comprehend at once, or learn nothing."""

from collections import Counter

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from grok.figures import data, style, times
from grok.figures.gallery import figure

DELAY = 1000  # updates between the two crossings that tell comprehension from grokking, as in Liu et al. (2022)
PHASES = {  # letter and colour
    "comprehension": ("C", style.GREEN), "grokking": ("G", style.YELLOW), "memorisation": ("M", style.ORANGE), "confusion": ("–", "0.75")}


@figure("phase_map", "phase_map", caption=f"Comprehension: 99% validation within {DELAY:,} updates of 99% training; grokking: later; "
        "memorisation: training alone; confusion: neither within the budget. The commonest phase of the seeds, and their number where they differ.")
def phase_map(results):
    runs = data.ended(data.runs_with(results, "learning_rate", "weight_decay", *times.COLUMNS))
    rates, decays = (sorted(set(results.runs[name])) for name in ("learning_rate", "weight_decay"))
    picture, [[axes]] = style.panels(height=2.9)
    axes.set(xlabel="Weight decay", ylabel="Learning rate")
    style.name_ticks(axes.xaxis, range(len(decays)), [f"{decay:g}" for decay in decays])
    style.name_ticks(axes.yaxis, range(len(rates)), [f"{rate:g}" for rate in rates])
    draw_cells(axes, runs.assign(phase=phases(runs)), rates, decays)
    style.legend_above(axes, [Patch(color=colour, label=f"{letter}  {phase}") for phase, (letter, colour) in PHASES.items()])
    return picture, ""


def phases(runs: pd.DataFrame) -> list[str]:
    """The phase of each run, by its two crossings of 99%."""
    trained = runs["steps_to_train_99"].astype(float).to_numpy()
    validated = runs["steps_to_val_99"].astype(float).to_numpy()
    delayed = validated - trained >= DELAY
    choice = np.select([np.isnan(trained), np.isnan(validated), delayed], [3, 2, 1], 0)
    return [list(PHASES)[i] for i in choice]


def draw_cells(axes, runs: pd.DataFrame, rates: list, decays: list) -> None:
    """A square a setting in the colour and with the letter of its commonest phase; empty where no run has ended."""
    names, cells = list(PHASES), np.full((len(rates), len(decays)), np.nan)
    for (rate, decay), here in runs.groupby(["learning_rate", "weight_decay"]):
        [(phase, votes)] = Counter(here["phase"]).most_common(1)
        i, j = rates.index(rate), decays.index(decay)
        cells[i, j] = names.index(phase)
        letter, _ = PHASES[phase]
        axes.text(j, i, letter if votes == len(here) else f"{letter} {votes}/{len(here)}", ha="center", va="center", fontsize=7)
    axes.imshow(np.ma.masked_invalid(cells), origin="lower", aspect="auto", cmap=ListedColormap([colour for _, colour in PHASES.values()]), vmin=-0.5, vmax=len(PHASES) - 0.5)
    if runs.empty:
        style.say(axes, "no run has ended yet")
