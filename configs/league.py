"""Beyond the paper: does any accelerator of grokking beat an AdamW that was tuned as well?

Shows: for every method and task, at the cell that its tuning chose, the time to 99% validation over
that of tuned AdamW, seed by seed: to the first crossing and to one that lasts, the share of runs
that get there, the share that fall back, and the cost. All share tables, splits, initial weights by
seed, batches and the budget in updates. A run goes on for 15 evaluations at 99%, so that it can be
seen to fall back. The config reads results/league_tuning (or _night, _paper) and holds what has
been tuned whole there; where nothing has, the runs stand at the first cell of each grid.

Cost: small x+y and x/y mod 31, x+y with poor data and without decay too, xy of A5, 16 methods, 20
seeds (about an hour on two cores); night 4 methods with the paper's network on x+y and x/y, 20
seeds, at most 8 core-hours; paper 16 methods on 6 tasks mod 97 and of S5, 20 seeds, on a GPU.
"""

from pathlib import Path

from grok.config import tuned
from grok.experiment import Experiment, grid

TUNING = Path(__file__).with_name("league_tuning.py")
after = {"{folder}/costs.parquet": "cost {folder}"}


def experiment(scale):
    seeds = range(100, 120)
    runs = [run for cell in tuned(TUNING, scale) for run in grid(cell, stop_after=[15], seed=seeds)]
    return Experiment(name="league", scale=scale, runs=runs)
