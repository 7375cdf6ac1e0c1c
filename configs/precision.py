"""Beyond the paper: does the precision of matrix products change when a network groks?

Shows: the share of runs that have reached 99% validation against updates, in float32, TF32 and
bf16. Runs of one seed have the same initial weights and batches. All runs share one split.

Cost: small 3 precisions, 16 seeds of x/y mod 31 at 70%, 4,000 updates each (minutes); night 2
precisions, 4 seeds of x/y, at most 1.4 core-hours; paper 3 precisions, 16 seeds of x/y, 20,000
updates each, on a GPU.
Expect: on a CPU the curves are one, for it computes all precisions alike, in float32.
"""

from grok.experiment import SMALL, Experiment, Run, grid


def experiment(scale):
    precisions = ["float32", "tf32", "bf16"]
    seeds = range(16)
    if scale == "small":
        base = SMALL.replace(operation="x/y", learning_rate=0.01, weight_decay=0.3, num_steps=4_000)
    else:
        base = Run(operation="x/y", num_steps=20_000)
    if scale == "night":
        precisions = ["float32", "bf16"]
        seeds = range(4)
    runs = grid(base, precision=precisions, seed=seeds)
    return Experiment(name="precision", scale=scale, runs=runs)
