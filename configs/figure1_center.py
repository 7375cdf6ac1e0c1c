"""Figure 1 centre: updates to 99% against the share of the table (paper: S5) that is trained on.

Shows: medians over 7 seeds (Kaplan-Meier; runs that never cross are censored), and the fitted growth: how many
per cent more updates each 1% less data costs (paper: 40 to 50%).

Cost: paper scale 91 runs of up to 5 10^5 updates; small scale 63 runs of up to 10,000 updates of x/y mod 31 (the small
permutation groups are beyond so small a network) in one block of width 32, learning rate 0.01, decay 0.3 (minutes).
"""

from grok.experiment import Experiment, Run, grid


def experiment(scale):
    if scale == "paper":
        base = Run(operation="xy", structure="S5", num_steps=500_000, eval_every=500)
        fractions = [0.25, 0.27, 0.29, 0.31, 0.33, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8]
    else:
        base = Run(operation="x/y", structure="Z31", n_layers=1, d_model=32, learning_rate=0.01, weight_decay=0.3, num_steps=10_000, eval_every=100)
        fractions = [0.5, 0.54, 0.58, 0.62, 0.66, 0.7, 0.75, 0.8, 0.9]
    return Experiment(name="figure1_center", scale=scale, runs=grid(base, train_fraction=fractions, seed=range(7)))
