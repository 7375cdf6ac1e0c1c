"""Beyond the paper: the phases of learning over weight decay and learning rate.

Shows: where networks comprehend at once, grok, memorise only, or learn nothing.

Cost: small 7 x 6 settings, 3 seeds of x+y mod 31 at 70%, 3,000 updates each (minutes); night 4 x 3
settings, one seed of x+y, at most 1 core-hour; paper 8 x 8 settings, 3 seeds of x/y, 5 10^4 updates
each.
"""

from grok.experiment import SMALL, Experiment, Run, grid


def experiment(scale):
    seeds = range(3)
    if scale == "small":
        base = SMALL.replace(num_steps=3_000)
        rates = [5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2]
        decays = [0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0]
    elif scale == "night":
        base = Run(operation="x+y", num_steps=10_000)
        seeds = [0]
        rates = [3e-4, 1e-3, 3e-3]
        decays = [0.0, 0.3, 1.0, 3.0]
    else:
        base = Run(operation="x/y", num_steps=50_000)
        rates = [1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 3e-2]
        decays = [0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]
    runs = grid(base, learning_rate=rates, weight_decay=decays, seed=seeds)
    return Experiment(name="phase_map", scale=scale, runs=runs)
