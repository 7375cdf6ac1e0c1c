"""Beyond the paper: ways to write a number in. The same task and network, one line changed.

Shows: whether, and after how many updates, the network generalises when elements and positions
are written in other ways:
- every position encoding with every value encoding, with and without decay;
- the table of inputs tied to that of outputs;
- tables from elsewhere, kept fixed or trained on: those of Figure 2 right's networks of the same
  operation, of another over the same group and of another group, and skip-gram vectors of x+y.
The networks that gave tables have seed 0 and saw the same training rows. Residues have no meaning
in A5 and S5, so these have only the encodings that know nothing of numbers.

Cost: small mod 31 and A5, both at 80% (about 30 minutes on two cores); night x+y and x/y mod 97
and xy over S5, with decay and sinusoidal positions alone, one seed, at most 5.7 core-hours; paper
all 696 runs mod 97 and of S5, 10^5 updates each. It reads tables of results/figure2_right (or
_night, _paper) and of results/skipgram_Z31 (or skipgram_x_plus_y).
Expect: no network can tell the residues of one of the `bins` apart, so it stays below 99%. It is
the null model.
"""

from pathlib import Path

from grok.config import table_of
from grok.experiment import Experiment, Run, grid

POSITIONS = ("sinusoidal", "learned", "rotary", "none")
ELEMENTS = [{}, {"values": "onehot"}, {"values": "random"}]
RESIDUES = [
    {"values": "scalar"},
    {"values": "bins"},
    {"values": "digits", "base": 2},
    {"values": "digits"},
    {"values": "fourier", "frequencies": 1},
    {"values": "fourier"},
]
TIED = [{"tied": True}]
SKIPGRAM = {"small": "skipgram_Z31", "night": "skipgram_x_plus_y", "paper": "skipgram_x_plus_y"}
DONORS = Path(__file__).with_name("figure2_right.py")


def before(scale):
    table = SKIPGRAM[scale]
    if scale == "small":
        task = "--structure Z31 --train-fraction 0.8 --d-model 32"
    else:
        task = "--structure Z97"
    command = f"skipgram x+y {task} --name {table} --results {{results}}"
    return {f"{{results}}/{table}/runs.parquet": command}


def experiment(scale):
    ring, group = bases(scale)
    if scale == "night":
        positions, decays, seeds = ("sinusoidal",), (True,), [10]
    else:
        positions, decays, seeds = POSITIONS, (False, True), range(10, 13)  # no seed of a table
    skipgram = f"results/{SKIPGRAM[scale]}/arrays/run_0000.npz"
    ring_tables = [donor(scale, ring, operation) for operation in ("x+y", "x-y", "x/y")]
    element_tables = [donor(scale, group, operation) for operation in ("xy", "xyx^-1")]
    numbers = crossed(ELEMENTS + RESIDUES + TIED, positions)
    numbers += fixed_and_trained([*ring_tables, skipgram])
    elements = crossed(ELEMENTS + TIED, positions) + fixed_and_trained(element_tables)
    plan = [
        (ring.replace(operation="x+y"), numbers),
        (ring.replace(operation="x/y"), numbers),
        (group, elements),
    ]
    runs = []
    for task, encodings in plan:
        strengths = [task.weight_decay * decay for decay in decays]
        for encoding in encodings:
            runs += grid(task.replace(**encoding), weight_decay=strengths, seed=seeds)
    return Experiment(name="encodings", scale=scale, runs=runs)


def bases(scale):
    """The run over residues, without its operation, and that of the group."""
    if scale == "small":
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
    elif scale == "night":
        ring = Run(structure="Z97", num_steps=15_000)
        group = Run(operation="xy", structure="S5", train_fraction=0.7, num_steps=15_000)
    else:
        ring = Run(structure="Z97", num_steps=100_000)
        group = Run(operation="xy", structure="S5", train_fraction=0.6, num_steps=100_000)
    return ring, group


def crossed(values, positions):
    """Every value encoding with every position encoding."""
    return [value | {"positions": position} for value in values for position in positions]


def donor(scale, task, operation):
    """The table of Figure 2 right's network of an operation, which saw `task`'s training rows."""
    fields = {"structure": task.structure, "train_fraction": task.train_fraction, "seed": 0}
    return table_of(DONORS, scale, operation=operation, **fields)


def fixed_and_trained(paths):
    """Tables from elsewhere, each kept as it is and trained on."""
    return [
        {"values": "file", "table": path, "train_table": further}
        for path in paths
        for further in (False, True)
    ]
