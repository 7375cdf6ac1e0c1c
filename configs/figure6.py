"""Figure 6: generalisation when k training answers are those of other training rows.

Shows: accuracy curves and best accuracies for growing k; training must still reach 100%.

Cost: paper scale 6 values of k, 3 seeds, 10^5 updates on S5; small scale x+y mod 31 at 70% (672
training rows) with k in proportion, 3 seeds, one block of width 32 with learning rate 5e-3, decay 0.5 (minutes).
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
            learning_rate=5e-3,
            weight_decay=0.5,
            num_steps=8_000,
            eval_every=100,
        )
        counts = [0, 1, 10, 50, 150, 300]
    elif scale == "night":
        base = Run(operation="x+y", num_steps=15_000)
        counts, seeds = [0, 7, 65, 653, 1307, 1960], range(2)
    else:
        base = Run(operation="xy", structure="S5", num_steps=100_000)
        counts = [0, 10, 100, 1000, 2000, 3000]
    return Experiment(
        name="figure6",
        scale=scale,
        runs=grid(base.replace(stop_after=0), corrupted_labels=counts, seed=seeds),
    )
