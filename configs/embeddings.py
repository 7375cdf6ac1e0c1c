"""Beyond the paper: what trained networks' matrices look like, and how common Figure 3's circle is.

Shows: the scores of `python -m grok scores results/embeddings`. First come networks of five
operations with and without weight decay, 3 seeds each. Those with decay keep snapshots of all
their parameters. Five more networks of the group have decay: in these, clusters of cosets are
counted. Then come 16 networks of x+y for each of a few ways to train (more decay, longer, more
data, narrower, wider): in these, t-SNE circles and key frequencies are counted.

Cost: small mod 43 and S5, both at 60% (about 10 minutes on two cores); night the four operations
mod 97 without the group and the ways, at most 2.1 core-hours; paper all 163 runs mod 97 and of
S5, 10^5 updates each.
"""

from grok.experiment import Experiment, Run, grid

SEEDS = range(16)

after = {"{folder}/scores.parquet": "scores {folder}"}


def experiment(scale):
    ring, group = bases(scale)
    runs = with_and_without_decay(ring, group)
    if scale == "night":
        runs = [run.replace(snapshots=run.snapshots * (run.seed == 0)) for run in runs]
    else:
        runs += grid(group, seed=range(3, 8))
        for way in ways(ring.replace(operation="x+y")):
            runs += grid(way, seed=SEEDS)
    return Experiment(name="embeddings", scale=scale, runs=runs)


def bases(scale):
    """The run over residues, without its operation, and that of the group; at night there is none.

    Both keep all their parameters.
    """
    if scale == "small":
        ring = Run(
            structure="Z43",
            train_fraction=0.6,
            n_layers=1,
            d_model=32,
            learning_rate=7e-3,
            weight_decay=0.3,
            batch_size=112,  # a tenth of the training rows
            num_steps=5_000,
            eval_every=100,
        )
        group = Run(
            operation="xy",
            structure="S5",
            train_fraction=0.6,
            n_layers=1,
            d_model=64,
            learning_rate=2e-3,
            num_steps=12_000,
        )
    elif scale == "night":
        ring = Run(structure="Z97", num_steps=10_000)
        return ring.replace(keep_params=True), None
    else:
        ring = Run(structure="Z97", num_steps=100_000)
        group = Run(operation="xy", structure="S5", train_fraction=0.6, num_steps=100_000)
    return ring.replace(keep_params=True), group.replace(keep_params=True)


def with_and_without_decay(ring, group):
    """Three seeds of each task; those with decay keep snapshots."""
    tasks = [ring.replace(operation=operation) for operation in ("x+y", "x-y", "x/y", "x*y")]
    if group:
        tasks.append(group)
    runs = []
    for task in tasks:
        for run in grid(task, weight_decay=[0.0, task.weight_decay], seed=range(3)):
            runs.append(run.replace(snapshots="log" if run.weight_decay else ""))
    return runs


def ways(addition):
    """Ways to train a network of x+y, one change each."""
    decay = addition.weight_decay
    width = addition.d_model
    return [
        addition.replace(label="base"),
        addition.replace(label="three times the decay", weight_decay=3 * decay),
        addition.replace(label="a third of the decay", weight_decay=decay / 3),
        addition.replace(label="trained on after grokking", stop_after=0),
        addition.replace(label="90% data", train_fraction=0.9),
        addition.replace(label="90% data, no decay", train_fraction=0.9, weight_decay=0.0),
        addition.replace(label="half the width", d_model=width // 2),
        addition.replace(label="twice the width", d_model=2 * width),
    ]
