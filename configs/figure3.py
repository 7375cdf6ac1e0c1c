"""Figure 3: t-SNE of the output layer's rows, the number line of x+y and the cosets of S5.

Shows: the clearest and a typical network of each. All scales use the paper's network and tables.
They differ in seeds.

Cost: small 3 seeds each of x+y and S5 (about 16 minutes on two cores); night 16 seeds of x+y and
8 of S5, until they have grokked (about 1.5 core-hours, at most 5.2); paper 16 seeds of each, up
to 10^5 updates.
"""

from grok.experiment import Experiment, Run, grid

after = {"{folder}/scores.parquet": "scores {folder}"}


def experiment(scale):
    seeds = range(3) if scale == "small" else range(16)
    group_seeds = range(8) if scale == "night" else seeds
    num_steps = {"small": 9_000, "night": 25_000, "paper": 100_000}[scale]
    addition = Run(
        operation="x+y",
        structure="Z97",
        train_fraction=0.5,
        num_steps=num_steps,
        snapshots="log",
    )
    permutations = Run(
        operation="xy",
        structure="S5",
        train_fraction=0.6,
        num_steps=num_steps,
        snapshots="log",
    )
    runs = grid(addition, seed=seeds) + grid(permutations, seed=group_seeds)
    if scale == "night":
        runs = [with_weights(run) for run in runs]
    return Experiment(name="figure3", scale=scale, runs=runs)


def with_weights(run):
    """A run that keeps its final weights: nobody knows beforehand which network is the clearest.

    Each snapshot adds 1.6 MB, so only a few seeds keep them.
    """
    return run.replace(keep_params=True, snapshots="log" if run.seed < 4 else "")
