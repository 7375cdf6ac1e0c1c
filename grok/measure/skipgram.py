"""Skip-gram with negative sampling on the equations as sentences: what co-occurrence alone says.

Mikolov et al. (2013), Distributed Representations of Words and Phrases. A sentence is an equation
`a o b = c`, all five tokens. The window is the whole sentence, so every ordered pair of its
positions is a (word, context) pair. At the optimum the product of two vectors is their PMI, up to
what depends on the context alone (Levy and Goldberg, 2014). So the vectors can hold what the pair
counts hold (`count_pairs`), and nothing else:

Full table of a group (any Latin square): two operands and an answer determine each other, so every
    pair of elements, an element with itself too, shares exactly 6 of the counted pairs. The PMI is
    constant. Skip-gram sees no trace of the group; vectors that show one would be an error.
A part of that table: the same, with sampling noise that is independent of the group. Vectors that
    fit it have memorised which pairs are in the training set.
Other tables: what is visible is how often two elements meet, not by which rule. x/y with y != 0:
    0 = 0/y meets itself 2 (p - 1) times and each other element twice; all others meet 6 times.
    x^2+y^2: s meets t by the quadratic characters of t - s^2 and s - t^2, so s and -s, which share
    the first, come closer.

`python -m grok skipgram` writes results/<name>/ in the layout of grok.store, with the input
vectors as `embedding` and the context vectors as `unembedding`. So everything that reads the
vectors of a network reads these.
"""

import functools
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from grok import files
from grok.experiment import Experiment, GrokError, Run
from grok.store import array_files, descriptions, outcomes, results, sessions, tables
from grok.task.dataset import Tokens, batch_rows, effective_batch_size, make_dataset, token_labels
from grok.task.operations import OperationTable, operation_table
from grok.task.randomness import new_key
from grok.training.devices import device_facts

# The (word, context) positions in a sentence, [20, 2].
POSITION_PAIRS = np.array(list(itertools.permutations(range(5), 2)))
MODEL = "skip-gram with negative sampling"
NEGATIVES = 5
NOISE_POWER = 0.75
FIELDS = (  # of a `Run`, those that have a meaning here
    "label",
    "operation",
    "structure",
    "train_fraction",
    "split_seed",
    "token_format",
    "d_model",
    "seed",
    "optimizer",
    "learning_rate",
    "schedule",
    "weight_decay",
    "b1",
    "b2",
    "eps",
    "batch_size",
    "num_steps",
    "eval_every",
    "precision",
)


class Vectors(NamedTuple):
    """Input and context vectors of all tokens, each [V, D]."""

    input: jax.Array
    context: jax.Array


# --- The corpus ---


def sentences(operation: OperationTable, rows) -> np.ndarray:
    """The equations of `rows` as tokens, int32 [N, 5].

    rows [N]: numbered x n + y, as in grok.task.dataset. Raises GrokError where a row is undefined.
    """
    rows_N = np.asarray(rows)
    tokens = Tokens(operation.structure.order, "answer")
    z_N = operation.answers.reshape(-1)[rows_N]
    if (z_N < 0).any():
        raise GrokError(
            f"{operation.operation} is undefined at {np.count_nonzero(z_N < 0)} of the rows: "
            "give rows of its domain only"
        )
    x_N, y_N = np.divmod(rows_N, tokens.n_elements)
    inputs_N4 = np.asarray(tokens.sequences(x_N, y_N, z_N))
    return np.column_stack([inputs_N4, z_N]).astype(np.int32)


def count_pairs(sentences_N5: np.ndarray, vocab_size: int) -> np.ndarray:
    """How often each (word, context) pair occurs, [V, V]; symmetric."""
    counts_VV = np.zeros((vocab_size, vocab_size))
    word, context = POSITION_PAIRS.T
    np.add.at(counts_VV, (sentences_N5[:, word], sentences_N5[:, context]), 1)
    return counts_VV


def noise_distribution(counts_VV: np.ndarray) -> np.ndarray:
    """Probability [V] that a token is drawn as a negative: share of the corpus to the power 3/4."""
    weight_V = counts_VV.sum(axis=1) ** NOISE_POWER
    return weight_V / weight_V.sum()


# --- Learning ---


def sgns_losses(vectors: Vectors, word_P, context_P, negative_PK):
    """-log s(u_w . v_c) - sum_k log s(-u_w . v_k) of each pair, [P]; s is the logistic function.

    (Mikolov et al., equation 4.)
    """
    score_VV = vectors.input @ vectors.context.T  # a small vocabulary: all products, then look-ups
    negative_score_PK = score_VV[word_P[..., None], negative_PK]
    positive_P = -jax.nn.log_sigmoid(score_VV[word_P, context_P])
    return positive_P - jax.nn.log_sigmoid(-negative_score_PK).sum(-1)


@jax.jit
def expected_loss(vectors: Vectors, counts_VV, noise_V):
    """The mean of `sgns_losses` over a corpus with pair counts [V, V], and over all negatives."""
    score_VV = vectors.input @ vectors.context.T
    positive = (counts_VV * jax.nn.log_sigmoid(score_VV)).sum()
    negative = (counts_VV.sum(1) * (jax.nn.log_sigmoid(-score_VV) @ noise_V)).sum()
    return -(positive + NEGATIVES * negative) / counts_VV.sum()


def init_vectors(key, vocab_size: int, d_model: int) -> Vectors:
    """As word2vec begins: input vectors uniform in +-1/(2 D), context vectors zero."""
    bound, shape = 0.5 / d_model, (vocab_size, d_model)
    vectors = jax.random.uniform(key, shape, jnp.float32, -bound, bound)
    return Vectors(vectors, jnp.zeros(shape, jnp.float32))


def learned(loaded: results.Results) -> bool:
    """Whether skip-gram learned the vectors of a results folder, and not a network."""
    return any(session.get("model") == MODEL for session in loaded.description["sessions"])


def untrained_matrices(run: Run) -> dict[str, np.ndarray]:
    """The 'input' and 'output' (context) matrix [V, D] with which a run begins."""
    vectors = init_vectors(stream_keys(run)[0], len(token_labels(run)), run.d_model)
    return {"input": np.asarray(vectors.input), "output": np.asarray(vectors.context)}


def stream_keys(run: Run):
    """The keys of a run's initial vectors, batches and negatives."""
    return jax.random.split(new_key(run.seed), 3)


def train_vectors(
    sentences_N5: np.ndarray, vocab_size: int, run: Run
) -> Iterator[tuple[int, Vectors]]:
    """Learn vectors by Adam; yields (step, vectors) every `run.eval_every` updates and at the end.

    An update sees all pairs of a batch of equations, with fresh negatives. The learning rate falls
    to 0 by a cosine (word2vec: by a line). A function of its arguments alone.
    """
    init_key, batch_key, noise_key = stream_keys(run)
    n_sentences, batch_size = len(sentences_N5), effective_batch_size(run, len(sentences_N5))
    noise_V = jnp.asarray(noise_distribution(count_pairs(sentences_N5, vocab_size)), jnp.float32)
    learning_rate = optax.cosine_decay_schedule(run.learning_rate, run.num_steps)
    tx = optax.adam(learning_rate, run.b1, run.b2, run.eps)
    all_rows = jnp.arange(n_sentences, dtype=jnp.int32)

    def update(state, step):
        vectors, opt_state = state
        rows_B, valid_B = batch_rows(
            batch_key, step, all_rows, n_sentences, batch_size, cap=batch_size
        )
        pairs_BP2 = jnp.asarray(sentences_N5)[rows_B][:, POSITION_PAIRS]
        word_BP, context_BP = jnp.moveaxis(pairs_BP2, -1, 0)
        key, shape = jax.random.fold_in(noise_key, step), (*word_BP.shape, NEGATIVES)
        negative_BPK = jax.random.choice(key, vocab_size, shape, p=noise_V)

        def mean_loss(vectors):
            losses_BP = sgns_losses(vectors, word_BP, context_BP, negative_BPK)
            return jnp.average(losses_BP.mean(1), weights=valid_B)

        updates, opt_state = tx.update(jax.grad(mean_loss)(vectors), opt_state)
        return (optax.apply_updates(vectors, updates), opt_state), None

    @functools.partial(jax.jit, static_argnums=2)
    def advance(state, start, n_updates):
        steps = start + jnp.arange(n_updates, dtype=jnp.int32)
        return jax.lax.scan(update, state, steps)[0]

    vectors = init_vectors(init_key, vocab_size, run.d_model)
    state, step = (vectors, tx.init(vectors)), 0
    while step < run.num_steps:
        n_updates = min(run.eval_every, run.num_steps - step)
        state, step = advance(state, step, n_updates), step + n_updates
        yield step, state[0]


# --- The results folder ---


def skipgram_run(
    operation: str,
    structure: str,
    d_model: int,
    epochs: int,
    seed: int,
    train_fraction: float | None,
) -> Run:
    """The record of a run of skip-gram; train_fraction None means the full operation table.

    The fields that describe a Transformer have no meaning here and are missing from runs.parquet.
    Raises GrokError for a run that cannot be.
    """
    label = "skip-gram" + (" on the full table" if train_fraction is None else "")
    changes: dict[str, Any] = {} if train_fraction is None else {"train_fraction": train_fraction}
    run = Run(
        label=label,
        operation=operation,
        structure=structure,
        d_model=d_model,
        n_heads=1,
        seed=seed,
        optimizer="adam",
        weight_decay=0.0,
        learning_rate=1e-2,
        schedule="cosine",
        b2=0.999,
        warmup_steps=0,
        stop_after=0,
        **changes,
    )
    n_train = len(corpus_rows(run, train_fraction is None)[0])
    updates_an_epoch = -(-n_train // effective_batch_size(run, n_train))
    return run.replace(num_steps=epochs * updates_an_epoch)


def corpus_rows(run: Run, full_table: bool) -> tuple[np.ndarray, np.ndarray]:
    """The rows that skip-gram reads, and those held out: none of the full table."""
    defined = np.flatnonzero(operation_table(run.operation, run.structure).answers >= 0)
    read = defined if full_table else make_dataset(run).train_rows
    return read, np.setdiff1d(defined, read)


def learn(
    root: Path,
    name: str,
    operation: str,
    structure: str = "Z97",
    train_fraction: float | None = 0.5,
    d_model: int = 128,
    epochs: int = 200,
    seed: int = 0,
) -> Path:
    """Learn the vectors of the tokens of an operation; returns the results folder `root/<name>`.

    train_fraction None reads the full operation table; a number only the training rows that a
    network with this fraction sees. Complete results of the same run are left alone. Raises
    GrokError before anything is written.
    """
    run = skipgram_run(operation, structure, d_model, epochs, seed, train_fraction)
    experiment, folder = Experiment(name=name, runs=(run,)), Path(root) / name
    refuse_foreign_files(folder)
    facts = {"model": MODEL, "negatives": NEGATIVES, "noise_power": NOISE_POWER, "epochs": epochs}
    with files.claim(folder):
        if sessions.begin(folder, experiment, device_facts() | facts):
            start = time.monotonic()
            write(folder, run, full_table=train_fraction is None)
            seconds = round(time.monotonic() - start, 1)
            sessions.finish(folder, {"seconds": seconds, "run_updates": run.num_steps})
    return folder


def refuse_foreign_files(folder: Path) -> None:
    """Raise GrokError where a folder holds something, but no experiment."""
    ours = {*sessions.LOCAL, ".lock"}
    with files.disk_errors(folder):
        found = list(folder.iterdir()) if folder.exists() else []
    others = [path.name for path in found if path.name not in ours]
    if others and descriptions.read_description(folder) is None:
        raise GrokError(
            f"{folder} holds files of another origin ({min(others)}): "
            "choose another --name, or move that folder away"
        )


def write(folder: Path, run: Run, full_table: bool) -> None:
    """Train the vectors of `run`; write its tables and arrays."""
    operation, labels = operation_table(run.operation, run.structure), token_labels(run)
    read, held_out = corpus_rows(run, full_table)
    corpus_N5 = sentences(operation, read)
    losses = Losses(
        count_pairs(corpus_N5, len(labels)),
        count_pairs(sentences(operation, held_out), len(labels)),
    )
    steps, metrics = [], []
    for step, vectors in train_vectors(corpus_N5, len(labels), run):
        found = losses.metrics(vectors)
        steps.append(step)
        metrics.append([float(found.get(name, np.nan)) for name in tables.METRICS])
    curves = tables.curves_table(np.zeros(len(steps)), np.array(steps), np.array(metrics))
    told = {name: getattr(run, name) for name in FIELDS}
    told |= {"batch_size": effective_batch_size(run, len(read)), "n_train": len(read)}
    if full_table:
        told["train_fraction"] = 1.0
    outcome = outcomes.outcome(curves, run, diverged=False, stopped=True)
    tables.write_tables(folder, tables.runs_table([{"run": 0} | told | outcome]), curves)
    embedding_VD, unembedding_VD = map(np.asarray, vectors)
    arrays = array_files.matrix_arrays(embedding_VD, unembedding_VD, labels)
    array_files.write_arrays(folder, array_files.arrays_name(0), arrays)


class Losses(NamedTuple):
    """The pair counts [V, V] of the equations that are read and of those held out."""

    read_VV: np.ndarray
    held_out_VV: np.ndarray

    def metrics(self, vectors: Vectors) -> dict[str, float]:
        """What the curves hold of vectors: losses, and norms of the matrices."""
        noise_V = noise_distribution(self.read_VV)
        input_norm, context_norm = (float(jnp.linalg.norm(matrix_VD)) for matrix_VD in vectors)
        found = {
            "train_loss": expected_loss(vectors, self.read_VV, noise_V),
            "embedding_norm": input_norm,
            "unembedding_norm": context_norm,
            "weight_norm": np.hypot(input_norm, context_norm),
        }
        if self.held_out_VV.any():
            found["val_loss"] = expected_loss(vectors, self.held_out_VV, noise_V)
        return found


def closing_line(row) -> str:
    """What came of a run, from its row of runs.parquet."""
    task = f"{row['label']}, {row['operation']} over {row['structure']}"
    losses = f"loss {row['final_train_loss']:.4f}"
    if not np.isnan(row["final_val_loss"]):
        losses += f", {row['final_val_loss']:.4f} on held-out equations"
    return f"{task}: {row['n_train']} equations, {losses} after {row['stopped_at']} updates"
