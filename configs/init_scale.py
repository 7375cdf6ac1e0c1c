"""Beyond the paper: does a larger initialisation delay generalisation?

Shows: updates to 99% validation against the factor on all initial weights.

Cost: paper scale 7 factors, 5 seeds, 10^5 updates of x/y; small scale 6 factors, 5 seeds of x+y mod 31 at 70% in
one block of width 32 with learning rate 5e-3, decay 0.5 (minutes).
"""

from grok.experiment import Experiment, Run, grid


def experiment(scale):
    seeds = range(5)
    if scale == "small":
        base = Run(
            operation="x+y",
            structure="Z31",
            train_fraction=0.7,
            n_layers=1,
            d_model=32,
            learning_rate=5e-3,
            weight_decay=0.5,
            num_steps=10_000,
            eval_every=100,
        )
        factors = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
    elif scale == "night":
        base = Run(operation="x/y", num_steps=20_000)
        factors, seeds = [0.25, 1.0, 4.0], range(3)
    else:
        base = Run(operation="x/y", num_steps=100_000)
        factors = [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
    return Experiment(
        name="init_scale", scale=scale, runs=grid(base, init_scale=factors, seed=seeds)
    )
