"""Beyond the paper: does the time to generalise fall as one over the weight decay?

Shows: updates to 99% validation against the decay coefficient with the fitted power law (Omnigrok: exponent 1).

Cost: paper scale 7 decays, 5 seeds, 10^5 updates of x/y; small scale 7 decays, 5 seeds of x+y mod 31 at 70% in one
block of width 32 with learning rate 5e-3 (minutes).
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
            num_steps=20_000,
            eval_every=100,
        )
        decays = [0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0]
    elif scale == "night":
        base = Run(operation="x+y", num_steps=20_000)
        decays, seeds = [0.1, 0.3, 1.0, 2.0], range(3)
    else:
        base = Run(operation="x/y", num_steps=100_000)
        decays = [0.03, 0.1, 0.3, 1.0, 2.0, 3.0, 5.0]
    return Experiment(
        name="weight_decay", scale=scale, runs=grid(base, weight_decay=decays, seed=seeds)
    )
