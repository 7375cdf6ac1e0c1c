"""Figure 1 left and Figure 4: x/y long after it is memorised, with and without weight decay.

Shows: accuracy (Fig 1 left) and loss (Fig 4: validation loss rises for orders of magnitude, then falls) of the same
split and the same initial weights, once with Adam and once with AdamW; neither stops when it has generalised.

Cost: paper scale 10^6 updates with Adam, and 20,000 with AdamW, which generalises within 10^4; small scale three seeds of
2 10^5 and 20,000 updates of x/y mod 59 at 65% in one block of width 64 with learning rate 0.01, decay 0.1 in the place
of 1, in batches of a tenth of the training rows, as 512 of 4,656 are in the paper (29 minutes on two cores, one of them
busy with another training).
Expect: at paper scale validation near 100% only around 10^6 updates without decay. Less data than 65% mod 59 makes the
small network wait longer and climb more slowly (39% validation after 60,000 updates at 60%), more lets it climb from the start.
"""

from grok.experiment import Experiment, Run, grid


def experiment(scale):
    if scale == "small":
        base = Run(
            operation="x/y",
            structure="Z59",
            train_fraction=0.65,
            n_layers=1,
            d_model=64,
            learning_rate=0.01,
            weight_decay=0.1,
            batch_size=223,
            num_steps=200_000,
        )
        seeds = [0, 1, 2]
    else:
        base, seeds = Run(operation="x/y", num_steps=1_000_000), [0]
    base = base.replace(eval_every=500, stop_after=0)
    if scale == "night":
        base = base.replace(snapshots="log")
    decayed = base.replace(label=f"AdamW, decay {base.weight_decay:g}", num_steps=20_000)
    plain = base.replace(label="Adam, no decay", optimizer="adam", weight_decay=0.0)
    return Experiment(
        name="figure1_left", scale=scale, runs=grid(decayed, seed=seeds) + grid(plain, seed=seeds)
    )
