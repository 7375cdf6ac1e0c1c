"""Beyond the paper: learning rates and decays that memorise, grok, comprehend or do nothing."""

from matplotlib.patches import Patch, Rectangle

from grok.figures.parts import style
from grok.figures.parts.gallery import figure
from grok.measure import findings
from grok.measure.findings.runs import runs_with

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
    caption="Comprehension: 99% validation within 1,000 updates of 99% training; grokking: later; "
    "memorisation: training alone; confusion: neither within the budget. The commonest phase of "
    "the seeds, and how many they are where seeds differ; split: phases with as many seeds each.",
)
def phase_map(results):
    runs = runs_with(results, "learning_rate", "weight_decay")
    rates, decays = (sorted(set(runs[name])) for name in ("learning_rate", "weight_decay"))
    picture, [[axes]] = style.panels(height=2.9)
    axes.set(xlabel="Weight decay", ylabel="Learning rate")
    style.name_ticks(axes.xaxis, range(len(decays)), [f"{decay:g}" for decay in decays])
    style.name_ticks(axes.yaxis, range(len(rates)), [f"{rate:g}" for rate in rates])
    axes.set(xlim=(-0.5, len(decays) - 0.5), ylim=(-0.5, len(rates) - 0.5))
    cells = findings.of(results).tables["cells"]
    for cell in cells:
        x, y = decays.index(cell["weight_decay"]), rates.index(cell["learning_rate"])
        draw_cell(axes, x, y, cell)
    if not cells:
        style.say(axes, "no run has ended yet")
    handles = [
        Patch(color=colour, label=f"{letter}  {phase}")
        for phase, (letter, colour) in PHASES.items()
    ]
    style.legend_above(axes, handles)
    return picture


def draw_cell(axes, x: float, y: float, cell: dict) -> None:
    """A square in the colour and with the letter of its phase, split evenly where phases tie."""
    tied = cell["phases"]
    width = SIDE / len(tied)
    for part, phase in enumerate(tied):
        corner = (x + SIDE * (part / len(tied) - 0.5), y - SIDE / 2)
        colour = PHASES[phase][1]
        axes.add_patch(Rectangle(corner, width, SIDE, facecolor=colour, edgecolor="none"))
        unsure = len(tied) == 1 and cell["votes"] < cell["seeds"]
        words = PHASES[phase][0] + (f" {cell['votes']}/{cell['seeds']}" if unsure else "")
        axes.text(corner[0] + width / 2, y, words, ha="center", va="center", fontsize=7)
