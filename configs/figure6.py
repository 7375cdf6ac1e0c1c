"""Figure 6: generalisation when k training answers are those of other training rows.

Shows: accuracy curves and best accuracies for growing k; training must still reach 100%.

Cost: paper scale 6 values of k, 3 seeds, 10^5 updates on S5; small scale x+y mod 31 with k in proportion.
"""

from grok.experiment import Experiment, Run, grid


def experiment(scale):
    if scale == "paper":
        base, counts, seeds = Run(operation="xy", structure="S5", train_fraction=0.5, num_steps=100_000), [0, 10, 100, 1000, 2000, 3000], range(3)
    else:
        base, counts, seeds = Run(operation="x+y", structure="Z31", train_fraction=0.6, d_model=32, num_steps=10_000), [0, 10, 50, 100], range(2)
    return Experiment(name="figure6", scale=scale, runs=grid(base.replace(stop_after=0), corrupted_labels=counts, seed=seeds))
