"""How symmetric is the function that a network computes, at its end and on the way there?

Needs all parameters: runs with keep_params=True. The way there needs snapshots too.
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
from grok.task.groups import structure
from grok.task.operations import operation_table
from grok.task.randomness import new_key
from grok.training.program import Data, Program, program_of, traced_data, traced_numbers
from grok.training.update import forward, init_state, matrices

LARGEST = 200  # elements: the logits of a whole operation table are their number cubed
MOVES = 4  # of each operand and action, which stand for all of them
RENAMINGS, OTHER_SEEDS = 39, 10  # draws of a null
COLUMNS = ["run", "step", "operand", "error", "val_accuracy"]

initial_state = jax.jit(init_state, static_argnums=0)


def device_data(run: Run) -> Data:
    """The rows and features of a run as JAX arrays."""
    return jax.tree.map(jnp.asarray, traced_data(run, make_dataset(run)))


def initial_params(run: Run) -> dict:
    """The parameters with which a run begins: its untrained network."""
    features = device_data(run).features
    state = initial_state(program_of(run), traced_numbers(run), features)
    return jax.tree.map(np.asarray, state.params)


def untrained_matrices(run: Run) -> dict[str, np.ndarray]:
    """The 'input' and 'output' matrix [V, D] with which a run begins."""
    features = device_data(run).features
    embedding_VD, unembedding_DV = matrices(program_of(run), initial_params(run), features)
    return {"input": np.asarray(embedding_VD), "output": np.asarray(unembedding_DV).T}


def table_logits(run: Run, params) -> np.ndarray:
    """Logits [n, n, n] over the elements at the position of the answer; NaN where undefined.

    GrokError for more than 200 elements.
    """
    n = structure(run.structure).order
    if n > LARGEST:
        raise GrokError(
            f"the logits of a whole table over {run.structure} are {n}^3 numbers: "
            f"symmetry is scored up to {LARGEST} elements"
        )
    program = replace(program_of(run), shared_prefix=True)
    logits_NNC = np.array(logits_of_table(program, params, device_data(run))).reshape(n, n, n)
    logits_NNC[operation_table(run.operation, run.structure).answers < 0] = np.nan
    return logits_NNC


@functools.partial(jax.jit, static_argnums=0)
def logits_of_table(program: Program, params, data: Data):
    """Logits [n^2, n] over the elements at the position of the answer, for every equation."""
    n = program.tokens.n_elements
    return forward(program, params, jnp.arange(n * n, dtype=jnp.int32), data)[:, 0, :n]


def equivariance(run: Run, params, moves: int = MOVES) -> dict[str, float]:
    """Mean equivariance error of each operand, 'x' and 'y', under its symmetries.

    The mean of the logits over all equations is taken away first. It says nothing of the operands,
    and in an untrained network it is much larger than the rest: with it the error would be near 90
    there, and would halve as soon as anything is learned. Without it the error of a function that
    has nothing to do with the operation is near 2, trained or not. GrokError where there is no
    symmetry.
    """
    return by_operand(table_logits(run, params), run, moves)


def varying(logits_NNC: np.ndarray) -> np.ndarray:
    """Logits less their mean over all equations."""
    return logits_NNC - np.nanmean(logits_NNC, axis=(0, 1))


def by_operand(logits_NNC: np.ndarray, run: Run, moves: int) -> dict[str, float]:
    """`equivariance` of given logits."""
    errors: dict[str, list[float]] = {}
    for entry in equivariance_profile(varying(logits_NNC), run.operation, run.structure, moves):
        errors.setdefault(entry.operand, []).append(entry.error)
    return {operand: float(np.mean(errors[operand])) for operand in sorted(errors)}


def renamed_equivariance(
    run: Run, params, draws: int = RENAMINGS, moves: int = MOVES
) -> dict[str, np.ndarray]:
    """The null of `equivariance`: the network with its elements renamed at random, [draws]."""
    logits_NNC = varying(table_logits(run, params))
    return renamed_errors(logits_NNC, run.operation, run.structure, moves, draws)


def renamed_irrelevance(run: Run, params, draws: int = RENAMINGS) -> np.ndarray:
    """The null of `progress.distance_irrelevance`: elements renamed at random, [draws]."""
    logits_NNC, rng = table_logits(run, params), np.random.default_rng(0)
    values = []
    for _ in range(draws):
        order = rng.permutation(len(logits_NNC))
        values.append(progress.distance_irrelevance(logits_NNC[np.ix_(order, order, order)]))
    return np.array(values)


def untrained_symmetricity(run: Run, draws: int = OTHER_SEEDS) -> np.ndarray:
    """The null of `gradient_symmetricity`: untrained networks of other seeds, [draws]."""
    others = [run.replace(seed=run.seed + 1 + i) for i in range(draws)]
    return np.array([gradient_symmetricity(run, initial_params(other)) for other in others])


def gradient_symmetricity(run: Run, params, draws: int = 512) -> float:
    """`progress.mean_gradient_cosine` of a network.

    Whatever the encoding, the gradient is to the rows of the embedding matrix that the network
    uses.
    """
    return symmetricity_of(*with_learned_embedding(run, params), draws)


def symmetricity_of(program: Program, params, data: Data, draws: int = 512) -> float:
    """`gradient_symmetricity` of what `with_learned_embedding` gives, on the plain path."""
    return float(mean_cosine(replace(program, shared_prefix=False), params, data, draws))


def with_learned_embedding(run: Run, params) -> tuple[Program, dict, Data]:
    """A run's network as one with a learned, untied embedding, whatever its own encoding.

    The program, on the fast path; the parameters, with the embedding matrix [V, D] and the output
    matrix [D, V] that the network uses; and the data.
    """
    embedding_VD, unembedding_DV = matrices(program_of(run), params, device_data(run).features)
    weights = {name: leaf for name, leaf in params.items() if name != "value_map"}
    weights |= {"embedding": embedding_VD, "unembedding": unembedding_DV}
    program, data = embedding_program(run)
    return program, weights, data


@functools.lru_cache(maxsize=8)
def embedding_program(run: Run) -> tuple[Program, Data]:
    """The program and data of `with_learned_embedding`."""
    program = program_of(run)
    arch = replace(program.arch, values="learned", train_table=False, tied=False, n_features=0)
    program = replace(program, arch=arch, shared_prefix=True)
    return program, device_data(run)._replace(features=None)


@functools.partial(jax.jit, static_argnums=(0, 3))
def mean_cosine(program: Program, params, data: Data, draws: int):
    """`gradient_symmetricity`, compiled once for each program."""
    n = program.tokens.n_elements

    def logits(x_D, y_D):
        """Logits of the equation of the first two elements, whose embeddings are replaced."""
        embedding = params["embedding"].at[0].set(x_D).at[1].set(y_D)
        row = jnp.array([1], jnp.int32)
        return forward(program, params | {"embedding": embedding}, row, data)[0, 0, :n]

    return progress.mean_gradient_cosine(logits, params["embedding"][:n], new_key(0), draws)


def equivariance_curve(loaded: Results, run: int) -> Iterator[dict]:
    """The rows of equivariance.parquet: step 0 (untrained), every snapshot of parameters, the end.

    val_accuracy is that of the curve of the run, NaN at updates that were not evaluated. GrokError
    where the run keeps no parameters or the operation has no symmetry.
    """
    loaded.need_curves("val_accuracy")
    curve = loaded.curve(run).set_index("step")["val_accuracy"]
    for step, params in kept_params(loaded, run, final=int(curve.index.max())):
        accuracy = float(curve.get(step, np.nan))
        for operand, error in equivariance(loaded.rebuilt_run(run), params).items():
            yield {
                "run": run,
                "step": step,
                "operand": operand,
                "error": error,
                "val_accuracy": accuracy,
            }


def kept_params(loaded: Results, run: int, final: int) -> Iterator[tuple[int, dict]]:
    """Every update at which the parameters of a run are known, from 0 to `final`, with them."""
    yield 0, initial_params(loaded.rebuilt_run(run))
    for step in loaded.snapshot_steps(run, params=True):
        if step < final:
            yield step, loaded.params(run, step)
    yield final, loaded.params(run)


def equivariance_table(rows: list[dict]) -> pd.DataFrame:
    """The rows of equivariance.parquet with fixed types."""
    types = {"run": np.int32, "step": np.int32, "error": float, "val_accuracy": float}
    return pd.DataFrame(rows, columns=COLUMNS).astype(types)
