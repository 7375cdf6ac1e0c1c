"""Figure 1 left and Figure 4: x/y long after it is memorised, with and without weight decay.

Shows: accuracy (Fig 1 left) and loss (Fig 4: validation loss rises for orders of magnitude, then falls) of the same
split and the same initial weights, once with Adam and once with AdamW, decay 1.

Cost: paper scale 10^6 updates of two runs; small scale 2 x 10^5 updates of a narrow network (not timed yet).
Expect: at paper scale validation near 100% only around 10^6 updates without decay.
"""

from grok.experiment import Experiment, Run


def experiment(scale):
    if scale == "paper":
        base = Run(operation="x/y", structure="Z97", num_steps=1_000_000, eval_every=1000)
    else:
        base = Run(operation="x/y", structure="Z31", train_fraction=0.6, d_model=32, num_steps=200_000, eval_every=500)
    runs = (base.replace(label="Adam, no decay", optimizer="adam", weight_decay=0.0), base.replace(label="AdamW, decay 1"))
    return Experiment(name="figure1_left", scale=scale, runs=runs)
