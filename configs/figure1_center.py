"""Figure 1 centre: updates to 99% against the share of the table of S5 that is trained on.

Shows: medians over 7 seeds (Kaplan-Meier; runs that never cross are censored), and the fitted growth: how many
per cent more updates each 1% less data costs (paper: 40 to 50%).

Cost: paper scale 91 runs of up to 5 10^5 updates; small scale 49 runs of up to 15,000 updates of the same table in one block
of width 64, learning rate 2e-3, batches of 480, which leave no tiny last batch (about 32 minutes on two cores).
"""

from grok.experiment import Experiment, Run, grid


def experiment(scale):
    base = Run(operation="xy", structure="S5", num_steps=500_000, eval_every=500)
    fractions = [0.25, 0.27, 0.29, 0.31, 0.33, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8]
    if scale == "small":
        base = base.replace(n_layers=1, d_model=64, learning_rate=2e-3, batch_size=480, num_steps=15_000, eval_every=200)
        fractions = fractions[-7:]
    return Experiment(name="figure1_center", scale=scale, runs=grid(base, train_fraction=fractions, seed=range(7)))
