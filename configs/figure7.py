"""Figure 7: does a flat minimum generalise? Sharpness and curvature of networks of many seeds.

Shows: Keskar's sharpness, the top Hessian eigenvalue and the Hessian trace against validation accuracy, with
Spearman's correlation (paper: -0.795 for the sharpness). After training:

    python -m grok flatness results/figure7

Cost: paper scale 20 seeds of S5 at 70% for 10^4 updates; small scale 20 seeds of x+y mod 31 at 60% (where
not every network generalises) in one block of width 32 with learning rate 5e-3, decay 0.5 (minutes).
"""

from grok.experiment import Experiment, Run, grid

after = {"{folder}/sharpness.parquet": "flatness {folder}"}


def experiment(scale):
    seeds = range(12) if scale == "night" else range(20)
    if scale == "small":
        base = Run(
            operation="x+y",
            structure="Z31",
            train_fraction=0.6,
            n_layers=1,
            d_model=32,
            learning_rate=5e-3,
            weight_decay=0.5,
            num_steps=3_000,
            eval_every=100,
        )
    else:
        base = Run(operation="xy", structure="S5", train_fraction=0.7, num_steps=10_000)
    return Experiment(
        name="figure7",
        scale=scale,
        runs=grid(base.replace(stop_after=0, keep_params=True), seed=seeds),
    )
