"""Figure 7: does a flat minimum generalise? Sharpness and curvature of networks of many seeds.

Shows: Keskar's sharpness, the top Hessian eigenvalue and the Hessian trace against validation
accuracy, with Spearman's correlation (paper: -0.795 for the sharpness). After training:

    python -m grok flatness results/figure7

Cost: small 20 seeds of x+y mod 31 at 60%, where not every network generalises (minutes); night 12
seeds of S5 at 70%, 10^4 updates each, 2 core-hours; paper 20 seeds of the same.
"""

from grok.experiment import SMALL, Experiment, Run, grid

after = {"{folder}/sharpness.parquet": "flatness {folder}"}


def experiment(scale):
    seeds = range(12) if scale == "night" else range(20)
    if scale == "small":
        base = SMALL.replace(train_fraction=0.6, num_steps=3_000)
    else:
        base = Run(operation="xy", structure="S5", train_fraction=0.7, num_steps=10_000)
    runs = grid(base.replace(stop_after=0, keep_params=True), seed=seeds)
    return Experiment(name="figure7", scale=scale, runs=runs)
