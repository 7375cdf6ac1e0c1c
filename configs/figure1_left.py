"""Figure 1 left and Figure 4: x/y long after it is memorised, with and without weight decay.

Shows: accuracy (Fig 1 left) and loss (Fig 4: validation loss rises for orders of magnitude, then
falls) of the same split and the same initial weights, once with Adam and once with AdamW. Neither
stops when it has generalised.

Cost: small 3 seeds of x/y mod 59 at 65%, 2 10^5 updates with Adam and 20,000 with AdamW (29 minutes
on two cores, one of them busy with another training); night and paper one seed of x/y mod 97, 10^6
updates with Adam and 20,000 with AdamW, which generalises within 10^4, 8.8 core-hours.
Expect: with the paper's network and no decay validation is at 3% after 10^5 updates and at 92%
after 10^6.
The small network waits longer and climbs more slowly with less data (39% validation after 60,000
updates at 60%). With more data it climbs from the start.
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
            batch_size=223,  # a tenth of the training rows, as 512 of 4,656 are in the paper
            num_steps=200_000,
        )
        seeds = [0, 1, 2]
    else:
        base = Run(operation="x/y", num_steps=1_000_000)
        seeds = [0]
    base = base.replace(eval_every=500, stop_after=0)
    if scale == "night":
        base = base.replace(snapshots="log")
    decayed = base.replace(label=f"AdamW, decay {base.weight_decay:g}", num_steps=20_000)
    plain = base.replace(label="Adam, no decay", optimizer="adam", weight_decay=0.0)
    runs = grid(decayed, seed=seeds) + grid(plain, seed=seeds)
    return Experiment(name="figure1_left", scale=scale, runs=runs)
