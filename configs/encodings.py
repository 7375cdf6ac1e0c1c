"""Beyond the paper: ways to write a number in. The same task and network, one line changed.

Shows: whether, and after how many updates, the network generalises when elements and positions are written in other
ways: every position encoding x value encoding, with and without decay; the table of inputs tied to that of outputs; and
tables from elsewhere, fixed or trained on: those of Figure 2 right's networks (seed 0, which saw the same training rows) of
the same operation, of another over the same group, and of another group, and skip-gram vectors of x+y.
Residues have no meaning in A5 and S5, so there only the encodings that know nothing of numbers are run.

Cost: paper scale x+y and x/y mod 97 and xy over S5, 3 seeds, 10^5 updates; small scale mod 31 at 80% in one block of width
32 and A5 at 80% in one of width 64, about 30 minutes on two cores. Needs results/figure2_right (or _paper) and
results/skipgram_Z31 (or skipgram_x_plus_y) for its tables.
Expect: no network can tell the residues of one of the `bins` apart, so it stays below 99%: the null model.
"""

from grok.experiment import Experiment, Run, grid

POSITIONS = ("sinusoidal", "learned", "rotary", "none")
ELEMENTS = [dict(), dict(values="onehot"), dict(values="random")]
RESIDUES = [
    dict(values="scalar"),
    dict(values="bins"),
    dict(values="digits", base=2),
    dict(values="digits"),
    dict(values="fourier", frequencies=1),
    dict(values="fourier"),
]
TIED = [dict(tied=True)]
TABLES = {  # scale -> runs of Figure 2 right with the training rows of the runs below: x+y, x-y, x/y; xy, xyx^-1
    "small": ("figure2_right", (12, 30, 48), (174, 192)),  # at 80%
    "paper": ("figure2_right_paper", (12, 42, 72), (285, 315)),  # at 50%, of S5 at 60%
}


def experiment(scale):
    if scale == "paper":
        ring, group = (
            Run(structure="Z97", num_steps=100_000),
            Run(operation="xy", structure="S5", train_fraction=0.6, num_steps=100_000),
        )
        skipgram = "skipgram_x_plus_y"
    else:
        ring = Run(
            structure="Z31",
            train_fraction=0.8,
            n_layers=1,
            d_model=32,
            learning_rate=0.01,
            weight_decay=0.15,
            batch_size=124,
            num_steps=8_000,
            eval_every=100,
            stop_after=3,
        )
        group = Run(
            operation="xy",
            structure="A5",
            train_fraction=0.8,
            n_layers=1,
            d_model=64,
            learning_rate=5e-3,
            weight_decay=1.0,
            batch_size=240,
            num_steps=3_000,
            eval_every=200,
            stop_after=3,
        )
        skipgram = "skipgram_Z31"
    made, of_rings, of_groups = TABLES[scale]
    numbers = crossed(ELEMENTS + RESIDUES + TIED) + tables(
        [(made, n) for n in of_rings] + [(skipgram, 0)]
    )
    elements = crossed(ELEMENTS + TIED) + tables([(made, n) for n in of_groups])
    plan = [
        (ring.replace(operation="x+y"), numbers),
        (ring.replace(operation="x/y"), numbers),
        (group, elements),
    ]
    runs = []
    for task, encodings in plan:
        for encoding in encodings:
            runs += grid(
                task.replace(**encoding), weight_decay=[0.0, task.weight_decay], seed=range(10, 13)
            )  # no seed of a table
    return Experiment(name="encodings", scale=scale, runs=runs)


def crossed(values):
    """Every value encoding with every position encoding."""
    return [value | dict(positions=positions) for value in values for positions in POSITIONS]


def tables(made):
    """Tables of runs of other experiments, fixed and trained on."""
    return [
        dict(values="file", table=f"results/{name}/arrays/run_{n:04d}.npz", train_table=further)
        for name, n in made
        for further in (False, True)
    ]
