"""Beyond the paper: ways to write a number in. The same task and network, one line changed.

Shows: whether, and after how many updates, the network generalises when elements and positions are written in other
ways: position x value encoding x decay. Every value encoding with the paper's positions, every position encoding with
the paper's values, the table of inputs tied to that of outputs, and tables from elsewhere, fixed or trained on: those of
Figure 2 right's networks of x+y and of x/y (seed 0, which saw the same training rows), and skip-gram vectors of x+y.
Residues have no meaning in S_n, so there only the encodings that know nothing of numbers are run.

Cost: paper scale x+y and x/y mod 97 and xy over S5, 3 seeds, 10^5 updates; small scale mod 31 at 70% in one block of
width 32 and S4 at 80% in two, about 25 minutes on two cores. Needs results/figure2_right (or _paper) for its tables.
Expect: no network can tell the residues of one of the `bins` apart, so it stays below 99%: the null model.
"""

from grok.experiment import Experiment, Run, grid

ELEMENTS = [dict(), dict(values="onehot"), dict(values="random")]
RESIDUES = [dict(values="scalar"), dict(values="bins"), dict(values="digits", base=2), dict(values="digits"), dict(values="fourier", frequencies=1), dict(values="fourier")]
POSITIONS = [dict(positions="learned"), dict(positions="rotary"), dict(positions="none")]
TIED = [dict(tied=True)]


def experiment(scale):
    if scale == "paper":
        ring, group = Run(structure="Z97", num_steps=100_000), Run(operation="xy", structure="S5", train_fraction=0.6, num_steps=100_000)
        tables = [f"results/{made}/arrays/run_{n:04d}.npz" for made, n in (("figure2_right_paper", 12), ("figure2_right_paper", 72), ("skipgram_x_plus_y", 0))]  # at 50%
    else:
        ring = Run(structure="Z31", train_fraction=0.7, n_layers=1, d_model=32, learning_rate=0.01, weight_decay=0.3, num_steps=4_000, eval_every=100)
        group = Run(operation="xy", structure="S4", train_fraction=0.8, d_model=32, learning_rate=5e-3, num_steps=4_000, eval_every=100)
        tables = [f"results/{made}/arrays/run_{n:04d}.npz" for made, n in (("figure2_right", 9), ("figure2_right", 45), ("skipgram_Z31", 0))]  # at 70%
    learned = [dict(values="file", table=table, train_table=further) for table in tables for further in (False, True)]
    numbers = ELEMENTS + RESIDUES + learned + POSITIONS + TIED
    plan = [(ring.replace(operation="x+y"), numbers), (ring.replace(operation="x/y"), numbers), (group, ELEMENTS + POSITIONS + TIED)]
    runs = []
    for task, encodings in plan:
        for encoding in encodings:
            runs += grid(task.replace(**encoding), weight_decay=[0.0, task.weight_decay], seed=range(10, 13))  # no seed of a table
    return Experiment(name="encodings", scale=scale, runs=runs)
