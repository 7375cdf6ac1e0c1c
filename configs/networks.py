"""Seven networks of the paper's size whose final weights come with the repository.

Shows: what is needed to look inside networks without training any (notebook 5, `grok mechanism`,
`grok.load("results/networks").network(run)`): x/y with and without decay, x+y twice, S5, that of
Nanda et al. (2023), and x+y without decay, which memorises. The seeds of x+y and S5 are those of
the clearest and a typical network of `results/figure3_night`. On another device the same seed ends
in another network, so that how clear these are is for their own scores to say.

Cost: the same at every scale, about 60,000 updates: about 20 minutes on two cores.
"""

from grok.experiment import Experiment, Run

AFTER_GROKKING = 2_000
EVAL_EVERY = 200
MEMORISED = 5_000  # updates of the runs without decay

decayed = Run(
    num_steps=25_000,
    eval_every=EVAL_EVERY,
    stop_after=AFTER_GROKKING // EVAL_EVERY,
    keep_params=True,
)
undecayed = decayed.replace(optimizer="adam", weight_decay=0.0, num_steps=MEMORISED)
nanda = decayed.replace(
    label="Nanda et al.",
    operation="x+y",
    structure="Z113",
    train_fraction=0.3,
    n_layers=1,
    norm="none",
    positions="learned",
    init="normal",
    batch_size=0,
    num_steps=40_000,
    snapshots="1000",
)


def experiment(scale):
    runs = (
        nanda,
        decayed.replace(operation="x+y", seed=5, label="x+y, clearest seed"),
        decayed.replace(operation="x+y", seed=2, label="x+y, typical seed"),
        decayed.replace(operation="x/y", label="x/y, decay"),
        decayed.replace(operation="xy", structure="S5", train_fraction=0.6, seed=3, label="S5"),
        undecayed.replace(operation="x/y", label="x/y, no decay"),
        undecayed.replace(operation="x+y", label="x+y, no decay"),
    )
    return Experiment(name="networks", scale=scale, runs=runs)
