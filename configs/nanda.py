"""Nanda et al. (2023) at their own size: what a network computes when it adds modulo 113.

Shows: restricted and excluded loss, key frequencies, neurons of one frequency and ablations over
training, for five seeds. The first keeps its weights every 200 updates, the others at their end.

Theirs: x+y mod 113, 30%, one block of width 128 with four heads and 512 hidden neurons, ReLU, no
LayerNorm, learned positions, the full batch, AdamW with decay 1, learning rate 1e-3 after ten
updates, betas (0.9, 0.98), 40,000 updates. So do these runs, but they stop 5,000 updates after 99%
validation accuracy: the three phases are over by then. The initial weights are theirs too (as
recalled from their code). What differs: their sequence is x y =, without the operator's token;
their FFN has biases; their loss is computed in float64 (recalled), here in float32.

Cost: the same at every scale, at most 5 x 40,000 updates, 60 ms each on two cores: about 75 minutes
where grokking comes near update 10,000.
Expect: training at 100% by update 200, and 99% validation near 10,000 (measured: 5,800 to 13,900).
"""

from grok.experiment import Experiment, Run, grid

EVAL_EVERY = 100
AFTER_GROKKING = 5_000

base = Run(
    operation="x+y",
    structure="Z113",
    train_fraction=0.3,
    n_layers=1,
    norm="none",
    positions="learned",
    init="normal",
    batch_size=0,
    num_steps=40_000,
    eval_every=EVAL_EVERY,
    stop_after=AFTER_GROKKING // EVAL_EVERY,
    keep_params=True,
)


def experiment(scale):
    first, *others = grid(base, seed=range(5))
    return Experiment(name="nanda", scale=scale, runs=(first.replace(snapshots="200"), *others))


after = {"{folder}/mechanism.parquet": "mechanism {folder}"}
