"""Beyond the paper: does the precision of matrix products change when a network groks?

Shows: the share of runs that have reached 99% validation against updates, in float32 and bf16,
and at the paper's scale in TF32. Runs of one seed have the same initial weights and batches. All
runs share one split.

Cost: small 2 precisions, 16 seeds of x/y mod 31 at 70%, 4,000 updates each (minutes); night 2
precisions, 4 seeds of x/y, at most 1.4 core-hours; paper 3 precisions, 16 seeds of x/y, 20,000
updates each, on a GPU, which alone computes in TF32.
Expect: on a CPU without instructions for bf16 the curves are one, for it computes in float32.
"""

from grok.experiment import SMALL, Experiment, Run, grid


def experiment(scale):
    precisions = ["float32", "bf16"]
    seeds = range(16)
    if scale == "small":
        base = SMALL.replace(operation="x/y", learning_rate=0.01, weight_decay=0.3, num_steps=4_000)
    else:
        base = Run(operation="x/y", num_steps=20_000)
    if scale == "night":
        seeds = range(4)
    if scale == "paper":
        precisions.append("tf32")
    runs = grid(base, precision=precisions, seed=seeds)
    return Experiment(name="precision", scale=scale, runs=runs)
