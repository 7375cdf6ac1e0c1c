"""Beyond the paper: ways to write a number in. The same task and network, one line changed.

Shows: whether, and after how many updates, the network generalises when elements and positions are written in other
ways: position x value encoding x decay. Every value encoding with the paper's positions, every position encoding with
the paper's values, and the table of inputs tied to that of outputs. Residues have no meaning in S_n, so there only
the encodings that know nothing of numbers are run.

Cost: paper scale x+y and x/y mod 97 and xy over S5, 3 seeds, 10^5 updates; small scale mod 31 and S4, one narrow block.
Expect: no network can tell the residues of one of the `bins` apart, so it stays below 99%: the null model.
"""

from grok.experiment import Experiment, Run, grid

ELEMENTS = [dict(), dict(values="onehot"), dict(values="random")]
RESIDUES = [dict(values="scalar"), dict(values="bins"), dict(values="digits", base=2), dict(values="digits"), dict(values="fourier", frequencies=1), dict(values="fourier")]
POSITIONS = [dict(positions="learned"), dict(positions="rotary"), dict(positions="none")]
TIED = [dict(tied=True)]


def experiment(scale):
    if scale == "paper":
        base, ring, group = Run(num_steps=100_000), "Z97", "S5"
    else:
        base, ring, group = Run(train_fraction=0.6, n_layers=1, d_model=32, learning_rate=3e-3, num_steps=6_000), "Z31", "S4"
    tasks = [base.replace(operation=operation, structure=ring) for operation in ("x+y", "x/y")] + [base.replace(operation="xy", structure=group)]
    runs = []
    for task in tasks:
        for encoding in ELEMENTS + (RESIDUES if task.structure == ring else []) + POSITIONS + TIED:
            runs += grid(task.replace(**encoding), weight_decay=[0.0, 1.0], seed=range(3))
    return Experiment(name="encodings", scale=scale, runs=runs)
