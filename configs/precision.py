"""Beyond the paper: does the precision of matrix products change when a network groks?

Shows: the share of runs that have reached 99% validation against updates, in float32, TF32 and bf16. Seed by seed the
initial weights and the batches are the same, and all runs share one split.

Cost: paper scale 3 precisions, 16 seeds, 20,000 updates of x/y on a GPU; small scale 4,000 updates of x/y mod 31 at 70%
in one block of width 32 with learning rate 0.01, decay 0.3 in the place of 1 (minutes).
Expect: on a CPU three curves that are one, for it computes all precisions alike, in float32.
"""

from grok.experiment import Experiment, Run, grid


def experiment(scale):
    precisions, seeds = ["float32", "tf32", "bf16"], range(16)
    if scale == "small":
        base = Run(
            operation="x/y",
            structure="Z31",
            train_fraction=0.7,
            n_layers=1,
            d_model=32,
            learning_rate=0.01,
            weight_decay=0.3,
            num_steps=4_000,
            eval_every=100,
        )
    else:
        base = Run(operation="x/y", num_steps=20_000)
    if scale == "night":
        precisions, seeds = ["float32", "bf16"], range(4)
    return Experiment(
        name="precision", scale=scale, runs=grid(base, precision=precisions, seed=seeds)
    )
