"""Figure 1 centre: updates to 99% against the share of the table that is trained on.

Shows: medians over the seeds (Kaplan-Meier; runs that never cross are censored), and the fitted
growth: how many per cent more updates each 1% less data costs (paper: 40 to 50%).

Cost: small 14 fractions, 7 seeds of x/y mod 43, up to 10^5 updates each (31 minutes on two cores,
one of them busy with another training); night 8 fractions, 3 seeds of S5, at most 21 core-hours;
paper 13 fractions, 7 seeds of S5, up to 5 10^5 updates each. At the small scale a run stops where
it first passes 99%.
Expect: at the small scale training takes 400 to 7,400 updates at every share, and generalisation
takes seven times as long at 30% as at 60%.
"""

from grok.experiment import Experiment, Run, grid


def experiment(scale):
    seeds = range(7)
    if scale == "small":
        base = Run(
            operation="x/y",
            structure="Z43",
            n_layers=1,
            d_model=32,
            learning_rate=0.01,
            weight_decay=0.3,
            batch_size=124,  # the last batch of an epoch holds at least 10 rows
            num_steps=100_000,
            stop_after=1,
        )
        fractions = [0.28, 0.29, 0.3, 0.31, 0.32, 0.33, 0.34, 0.36, 0.38, 0.4, 0.45, 0.5, 0.6, 0.7]
    elif scale == "night":
        base = Run(operation="xy", structure="S5", num_steps=100_000)
        fractions = [0.7, 0.6, 0.55, 0.5, 0.45, 0.4, 0.35, 0.3]
        seeds = range(3)
    else:
        base = Run(operation="xy", structure="S5", num_steps=500_000, eval_every=500)
        fractions = [0.25, 0.27, 0.29, 0.31, 0.33, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.7, 0.8]
    runs = grid(base, train_fraction=fractions, seed=seeds)
    return Experiment(name="figure1_center", scale=scale, runs=runs)
