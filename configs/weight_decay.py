"""Beyond the paper: does the time to generalise fall as one over the weight decay?

Shows: updates to 99% validation against the decay coefficient, with the fitted power law
(Omnigrok: exponent 1).

Cost: small 7 decays, 5 seeds of x+y mod 31 at 70% (minutes); night 4 decays, 3 seeds of x+y, at
most 2.1 core-hours; paper 7 decays, 5 seeds of x/y, 10^5 updates each.
"""

from grok.experiment import SMALL, Experiment, Run, grid


def experiment(scale):
    seeds = range(5)
    if scale == "small":
        base = SMALL.replace(num_steps=20_000)
        decays = [0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0]
    elif scale == "night":
        base = Run(operation="x+y", num_steps=20_000)
        decays = [0.1, 0.3, 1.0, 2.0]
        seeds = range(3)
    else:
        base = Run(operation="x/y", num_steps=100_000)
        decays = [0.03, 0.1, 0.3, 1.0, 2.0, 3.0, 5.0]
    runs = grid(base, weight_decay=decays, seed=seeds)
    return Experiment(name="weight_decay", scale=scale, runs=runs)
