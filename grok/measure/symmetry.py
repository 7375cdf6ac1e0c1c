"""How symmetric is the function that a network computes, at its end and on the way there?

Needs all parameters: runs with keep_params=True, and for the way there with snapshots.
"""

import functools
from collections.abc import Iterator
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from grok.analysis import progress
from grok.analysis.equivariance import equivariance_profile, renamed_errors
from grok.experiment import GrokError, Run
from grok.store.results import Results
from grok.task.dataset import make_dataset
from grok.task.operations import structure, table
from grok.task.randomness import new_key
from grok.training.program import Data, Program, program_of, traced_data, traced_numbers
from grok.training.update import forward, init_state, matrices

LARGEST = 200  # elements: the logits of a whole table are their number cubed
MOVES = 4  # of each operand and kind that stand for all
RENAMINGS, OTHER_SEEDS = 39, 10  # draws behind a null


def device_data(run: Run) -> Data:
    """A run's rows and features as JAX arrays."""
    return jax.tree.map(jnp.asarray, traced_data(run, make_dataset(run)))


def initial_params(run: Run) -> dict:
    """The parameters with which a run begins: its untrained network."""
    return jax.tree.map(
        np.asarray,
        initial_state(program_of(run), traced_numbers(run), device_data(run).features).params,
    )


initial_state = jax.jit(init_state, static_argnums=0)


def untrained_matrices(run: Run) -> dict[str, np.ndarray]:
    """The 'input' and 'output' matrix [V, D] with which a run begins."""
    embedding_VD, unembedding_DV = matrices(
        program_of(run), initial_params(run), device_data(run).features
    )
    return {"input": np.asarray(embedding_VD), "output": np.asarray(unembedding_DV).T}


def table_logits(run: Run, params) -> np.ndarray:
    """Logits [n, n, n] of every equation over the elements at the answer's position; NaN where the operation is undefined."""
    n = structure(run.structure).order
    if n > LARGEST:
        raise GrokError(
            f"the logits of a whole table over {run.structure} are {n}^3 numbers: symmetry is scored up to {LARGEST} elements"
        )
    logits_NNC = np.array(
        logits_of_table(replace(program_of(run), shared_prefix=True), params, device_data(run))
    ).reshape(n, n, n)
    logits_NNC[table(run.operation, run.structure).answers < 0] = np.nan
    return logits_NNC


@functools.partial(jax.jit, static_argnums=0)
def logits_of_table(program: Program, params, data: Data):
    """Logits [n^2, n] at the answer's position for all rows of a table, elements only."""
    n = program.tokens.n_elements
    return forward(program, params, jnp.arange(n * n, dtype=jnp.int32), data)[:, 0, :n]


def equivariance(run: Run, params, moves: int = MOVES) -> dict[str, float]:
    """Mean equivariance error for each operand, 'x' and 'y', under its symmetries; GrokError where it has none.

    Only the part of the logits that varies with the equation counts: their mean over all equations is taken away
    first. It says nothing of the operands, and in an untrained network it is so much larger than the rest
    that the error would be near 90 there, and would halve as soon as anything is learned. Without it a
    function that has nothing to do with the operation has an error near 2, trained or not.
    """
    return by_operand(table_logits(run, params), run, moves)


def varying(logits_NNC: np.ndarray) -> np.ndarray:
    """Logits less their mean over all equations."""
    return logits_NNC - np.nanmean(logits_NNC, axis=(0, 1))


def by_operand(logits_NNC: np.ndarray, run: Run, moves: int) -> dict[str, float]:
    profile = equivariance_profile(varying(logits_NNC), run.operation, run.structure, moves)
    return {
        operand: float(np.mean([entry.error for entry in profile if entry.operand == operand]))
        for operand in sorted({entry.operand for entry in profile})
    }


def renamed_equivariance(
    run: Run, params, draws: int = RENAMINGS, moves: int = MOVES
) -> dict[str, np.ndarray]:
    """The null of `equivariance`: the same network once its elements are renamed at random, [draws] for each operand."""
    return renamed_errors(
        varying(table_logits(run, params)), run.operation, run.structure, moves, draws
    )


def renamed_irrelevance(run: Run, params, draws: int = RENAMINGS) -> np.ndarray:
    """The null of `progress.distance_irrelevance`: the same network once its elements are renamed at random, [draws]."""
    logits_NNC, rng = table_logits(run, params), np.random.default_rng(0)
    orders = [rng.permutation(len(logits_NNC)) for _ in range(draws)]
    return np.array(
        [progress.distance_irrelevance(logits_NNC[np.ix_(order, order, order)]) for order in orders]
    )


def untrained_symmetricity(run: Run, draws: int = OTHER_SEEDS) -> np.ndarray:
    """The null of `gradient_symmetricity`: untrained networks of other seeds, [draws]."""
    others = [run.replace(seed=run.seed + 1 + i) for i in range(draws)]
    return np.array([gradient_symmetricity(run, initial_params(other)) for other in others])


def gradient_symmetricity(run: Run, params, draws: int = 512) -> float:
    """`progress.gradient_symmetricity` of a run's network, on the plain path; compiled once for each program.

    However the elements are written, the gradient is to the rows of the input table that the network uses.
    """
    program, data = program_of(run), device_data(run)
    embedding_VD, unembedding_DV = matrices(program, params, data.features)
    untied = {name: leaf for name, leaf in params.items() if name != "value_map"} | {
        "embedding": embedding_VD,
        "unembedding": unembedding_DV,
    }
    arch = replace(program.arch, values="learned", train_table=False, tied=False, n_features=0)
    return float(
        mean_cosine(
            replace(program, arch=arch, shared_prefix=False),
            untied,
            data._replace(features=None),
            draws,
        )
    )


@functools.partial(jax.jit, static_argnums=(0, 3))
def mean_cosine(program: Program, params, data: Data, draws: int):
    n = program.tokens.n_elements

    def logits(x_D, y_D):
        """The equation of the first two elements, whose embeddings are replaced."""
        embedding = params["embedding"].at[0].set(x_D).at[1].set(y_D)
        return forward(program, params | {"embedding": embedding}, jnp.array([1], jnp.int32), data)[
            0, 0, :n
        ]

    return progress.mean_gradient_cosine(logits, params["embedding"][:n], new_key(0), draws)


def equivariance_curve(loaded: Results, run: int) -> Iterator[dict]:
    """Rows step, operand, error, val_accuracy of a run: untrained (step 0), at every snapshot of its parameters, and at its end.

    val_accuracy is that of the run's curve, NaN at updates that were not evaluated. GrokError where the
    run keeps no parameters or the operation has no symmetry.
    """
    spec, curve = loaded.experiment_run(run), loaded.curve(run).set_index("step")["val_accuracy"]
    final = int(curve.index.max())
    snapshots = [step for step in loaded.snapshot_steps(run, params=True) if step < final]
    for step in [0, *snapshots, final]:
        params = (
            initial_params(spec)
            if step == 0
            else loaded.params(run, None if step == final else step)
        )
        for operand, error in equivariance(spec, params).items():
            yield {
                "run": run,
                "step": step,
                "operand": operand,
                "error": error,
                "val_accuracy": float(curve.get(step, np.nan)),
            }


def equivariance_table(rows: list[dict]) -> pd.DataFrame:
    """The rows of equivariance.parquet with fixed types."""
    return pd.DataFrame(rows, columns=["run", "step", "operand", "error", "val_accuracy"]).astype(
        {"run": np.int32, "step": np.int32, "error": float, "val_accuracy": float}
    )
