"""Beyond the paper: the phases of learning over weight decay and learning rate.

Shows: where networks comprehend at once, grok, memorise only, or learn nothing.

Cost: paper scale 8 x 8 settings, 3 seeds, 5 10^4 updates of x/y; small scale 7 x 6 settings, 3 seeds of x+y mod 31 at 70%
in one block of width 32, 3000 updates (minutes).
"""

from grok.experiment import Experiment, Run, grid


def experiment(scale):
    seeds = range(3)
    if scale == "small":
        base = Run(
            operation="x+y",
            structure="Z31",
            train_fraction=0.7,
            n_layers=1,
            d_model=32,
            num_steps=3_000,
            eval_every=100,
        )
        rates = [5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2]
        decays = [0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]
    elif scale == "night":
        base, seeds = Run(operation="x+y", num_steps=10_000), [0]
        rates, decays = [3e-4, 1e-3, 3e-3], [0.0, 0.3, 1.0, 3.0]
    else:
        base = Run(operation="x/y", num_steps=50_000)
        rates = [1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 3e-2]
        decays = [0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]
    return Experiment(
        name="phase_map",
        scale=scale,
        runs=grid(base, learning_rate=rates, weight_decay=decays, seed=seeds),
    )
