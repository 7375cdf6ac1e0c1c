"""Figure 6: generalisation when k training answers are those of other training rows.

Shows: accuracy curves and best accuracies for growing k. Training must still reach 100%.

Cost: small 18 runs of x+y mod 31 at 70%, 672 training rows, with k in proportion (minutes); night
12 runs of x+y, at most 1.6 core-hours; paper 18 runs of S5, 10^5 updates each.
"""

from grok.experiment import SMALL, Experiment, Run, grid


def experiment(scale):
    seeds = range(3)
    if scale == "small":
        base = SMALL.replace(num_steps=8_000)
        counts = [0, 1, 10, 50, 150, 300]
    elif scale == "night":
        base = Run(operation="x+y", num_steps=15_000)
        counts = [0, 7, 65, 653, 1307, 1960]
        seeds = range(2)
    else:
        base = Run(operation="xy", structure="S5", num_steps=100_000)
        counts = [0, 10, 100, 1000, 2000, 3000]
    runs = grid(base.replace(stop_after=0), corrupted_labels=counts, seed=seeds)
    return Experiment(name="figure6", scale=scale, runs=runs)
