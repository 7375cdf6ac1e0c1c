"""Beyond the paper: does a larger initialisation delay generalisation?

Shows: updates to 99% validation against the factor on all initial weights.

Cost: small 6 factors, 5 seeds of x+y mod 31 at 70% (minutes); night 3 factors, 3 seeds of x/y, at
most 1.6 core-hours; paper 7 factors, 5 seeds of x/y, 10^5 updates each.
"""

from grok.experiment import SMALL, Experiment, Run, grid


def experiment(scale):
    seeds = range(5)
    if scale == "small":
        base = SMALL.replace(num_steps=10_000)
        factors = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
    elif scale == "night":
        base = Run(operation="x/y", num_steps=20_000)
        factors = [0.25, 1.0, 4.0]
        seeds = range(3)
    else:
        base = Run(operation="x/y", num_steps=100_000)
        factors = [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0]
    runs = grid(base, init_scale=factors, seed=seeds)
    return Experiment(name="init_scale", scale=scale, runs=runs)
