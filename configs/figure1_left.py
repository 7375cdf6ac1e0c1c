"""Figure 1 left and Figure 4: x/y long after it is memorised, with and without weight decay.

Shows: accuracy (Fig 1 left) and loss (Fig 4: validation loss rises for orders of magnitude, then falls) of the same
split and the same initial weights, once with Adam and once with AdamW, for the whole budget.

Cost: paper scale 10^6 updates of two runs; small scale 4 10^5 updates of x/y mod 31 at 80% in one block of width 32 with
learning rate 0.01, decay 0.1 in the place of 1 (about 10 minutes on two cores). A batch is a tenth of the training rows, as
512 of 4,656 are in the paper: in batches of half of them so small a network does not get beyond 26% without decay in 10^5 updates.
Expect: at paper scale validation near 100% only around 10^6 updates without decay.
"""

from grok.experiment import Experiment, Run


def experiment(scale):
    if scale == "paper":
        base = Run(operation="x/y", structure="Z97", num_steps=1_000_000, eval_every=1000)
    else:
        base = Run(operation="x/y", structure="Z31", train_fraction=0.8, n_layers=1, d_model=32, learning_rate=0.01, weight_decay=0.1, batch_size=74, num_steps=400_000, eval_every=500)
    base = base.replace(stop_after=0)
    runs = (base.replace(label=f"AdamW, decay {base.weight_decay:g}"), base.replace(label="Adam, no decay", optimizer="adam", weight_decay=0.0))
    return Experiment(name="figure1_left", scale=scale, runs=runs)
