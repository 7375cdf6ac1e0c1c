"""Skip-gram with negative sampling on the equations as sentences: what co-occurrence alone says about the tokens.

Mikolov et al. (2013), Distributed Representations of Words and Phrases. A sentence is an equation `a o b = c`, all
five tokens, and the window is the whole of it, so every ordered pair of its positions is a (word, context) pair. At
its optimum the product of two vectors is their PMI up to what depends on the context alone (Levy and Goldberg, 2014),
so the vectors can hold what stands in `pair_counts`, and nothing else:

Full table of a group (any Latin square): two operands and an answer determine each other, so every pair of elements,
    an element with itself too, shares exactly 6 of the counted pairs. Their PMI is constant. Skip-gram sees no trace
    of the group, and vectors that show one would be an error.
A part of that table: the same plus sampling noise, independent of the group; vectors that fit it have memorised
    which pairs are in the training set.
Other tables: what is visible is how often two elements meet, not by which rule. x/y with y != 0: 0 = 0/y meets itself
    2 (p - 1) times and each other element twice, and all others meet 6 times. x^2+y^2: s meets t by the quadratic characters of
    t - s^2 and s - t^2, so s and -s, which share the first, come closer.

`python -m grok skipgram` writes results/<name>/ in the layout of grok.store.results, with the input vectors as `embedding`
and the context vectors as `unembedding`, so that everything that reads a network's vectors reads these.
"""

import functools
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from grok import files
from grok.experiment import Experiment, GrokError, Run
from grok.store import results
from grok.task.dataset import Tokens, batch_rows, effective_batch_size, make_dataset, token_labels
from grok.task.operations import Table, table
from grok.task.randomness import new_key
from grok.training.devices import device_facts

POSITION_PAIRS = np.array(
    list(itertools.permutations(range(5), 2))
)  # (word, context) positions in a sentence, [20, 2]
MODEL = "skip-gram with negative sampling"
NEGATIVES = 5
NOISE_POWER = 0.75
FIELDS = (
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
)  # fields of a run that have a meaning here


class Vectors(NamedTuple):
    """Input and context vectors of all tokens, each [V, D]."""

    input: jax.Array
    context: jax.Array


# --- The corpus ---


def sentences(operation: Table, rows) -> np.ndarray:
    """The equations of `rows` (numbered x n + y, as in grok.task.dataset) as tokens, int32 [N, 5]. Raises GrokError where a row is undefined."""
    rows_N = np.asarray(rows)
    tokens = Tokens(operation.structure.order, "answer")
    z_N = operation.answers.reshape(-1)[rows_N]
    if (z_N < 0).any():
        raise GrokError(
            f"{operation.operation} is undefined at {np.count_nonzero(z_N < 0)} of the rows: give rows of its domain only"
        )
    x_N, y_N = np.divmod(rows_N, tokens.n_elements)
    return np.column_stack([np.asarray(tokens.sequences(x_N, y_N, z_N)), z_N]).astype(np.int32)


def count_pairs(sentences_N5: np.ndarray, vocab_size: int) -> np.ndarray:
    """How often each (word, context) pair occurs, [V, V]; symmetric."""
    counts_VV = np.zeros((vocab_size, vocab_size))
    word, context = POSITION_PAIRS.T
    np.add.at(counts_VV, (sentences_N5[:, word], sentences_N5[:, context]), 1)
    return counts_VV


def pair_counts(operation: Table, rows) -> tuple[np.ndarray, np.ndarray]:
    """Co-occurrence counts [V, V] of the tokens in the equations of `rows`, and their PMI log(#(w,c) #total / (#(w) #(c))) [V, V].

    Tokens: the n elements, the operator, '='. The PMI is -inf where a pair never occurs, NaN where a token does not.
    """
    counts_VV = count_pairs(sentences(operation, rows), operation.structure.order + 2)
    marginal_V = counts_VV.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return counts_VV, np.log(counts_VV * counts_VV.sum() / np.outer(marginal_V, marginal_V))


def noise_distribution(counts_VV: np.ndarray) -> np.ndarray:
    """Probability [V] that a token is drawn as a negative: its share of the corpus to the power 3/4."""
    weight_V = counts_VV.sum(axis=1) ** NOISE_POWER
    return weight_V / weight_V.sum()


# --- Learning ---


def sgns_losses(vectors: Vectors, word_P, context_P, negative_PK):
    """-log s(u_w . v_c) - sum_k log s(-u_w . v_k), s the logistic function, of each pair, [P] (Mikolov et al., equation 4)."""
    score_VV = (
        vectors.input @ vectors.context.T
    )  # a small vocabulary: all products once, then look-ups
    negative_score_PK = score_VV[word_P[..., None], negative_PK]
    return -jax.nn.log_sigmoid(score_VV[word_P, context_P]) - jax.nn.log_sigmoid(
        -negative_score_PK
    ).sum(-1)


@jax.jit
def expected_loss(vectors: Vectors, counts_VV, noise_V):
    """The mean of `sgns_losses` over a corpus with the given pair counts [V, V], and over the negatives, exactly."""
    score_VV = vectors.input @ vectors.context.T
    positive = (counts_VV * jax.nn.log_sigmoid(score_VV)).sum()
    negative = (counts_VV.sum(1) * (jax.nn.log_sigmoid(-score_VV) @ noise_V)).sum()
    return -(positive + NEGATIVES * negative) / counts_VV.sum()


def init_vectors(key, vocab_size: int, d_model: int) -> Vectors:
    """As word2vec begins: input vectors uniform in +-1/(2 D), context vectors zero."""
    bound = 0.5 / d_model
    return Vectors(
        jax.random.uniform(key, (vocab_size, d_model), jnp.float32, -bound, bound),
        jnp.zeros((vocab_size, d_model), jnp.float32),
    )


def learned(loaded: results.Results) -> bool:
    """Were the vectors of a results folder learned here, and not by a network?"""
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
    """Learn vectors by Adam; yields (step, vectors) every `run.eval_every` updates and at the last. A function of its arguments alone.

    An update sees all pairs of a batch of equations, with fresh negatives. The learning rate falls to 0 (cosine, for word2vec's line).
    """
    init_key, batch_key, noise_key = stream_keys(run)
    n_sentences, batch_size = len(sentences_N5), effective_batch_size(run, len(sentences_N5))
    noise_V = jnp.asarray(noise_distribution(count_pairs(sentences_N5, vocab_size)), jnp.float32)
    tx = optax.adam(
        optax.cosine_decay_schedule(run.learning_rate, run.num_steps), run.b1, run.b2, run.eps
    )

    def update(state, step):
        vectors, opt_state = state
        rows_B, valid_B = batch_rows(
            batch_key,
            step,
            jnp.arange(n_sentences, dtype=jnp.int32),
            n_sentences,
            batch_size,
            batch_size,
        )
        word_BP, context_BP = jnp.moveaxis(
            jnp.asarray(sentences_N5)[rows_B][:, POSITION_PAIRS], -1, 0
        )
        negative_BPK = jax.random.choice(
            jax.random.fold_in(noise_key, step), vocab_size, (*word_BP.shape, NEGATIVES), p=noise_V
        )
        grads = jax.grad(
            lambda v: jnp.average(
                sgns_losses(v, word_BP, context_BP, negative_BPK).mean(1), weights=valid_B
            )
        )(vectors)
        updates, opt_state = tx.update(grads, opt_state)
        return (optax.apply_updates(vectors, updates), opt_state), None

    @functools.partial(jax.jit, static_argnums=2)
    def advance(state, start, n_updates):
        return jax.lax.scan(update, state, start + jnp.arange(n_updates, dtype=jnp.int32))[0]

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
    """The record of a run of skip-gram; train_fraction None means the full table. Raises GrokError.

    The fields that describe a Transformer have no meaning here, and are missing from runs.parquet.
    """
    label = "skip-gram" + (" on the full table" if train_fraction is None else "")
    changes = {} if train_fraction is None else {"train_fraction": train_fraction}
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
    return run.replace(num_steps=epochs * -(-n_train // effective_batch_size(run, n_train)))


def corpus_rows(run: Run, full_table: bool) -> tuple[np.ndarray, np.ndarray]:
    """The rows that skip-gram reads, and those held out (none of the full table)."""
    defined = np.flatnonzero(table(run.operation, run.structure).answers >= 0)
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
    """Learn the vectors of an operation's tokens and write them to `root/<name>`, whose path it returns.

    train_fraction None reads the full table; otherwise only the training rows that a network with this fraction sees.
    Complete results of the same run are left alone. Raises GrokError, before anything is written.
    """
    run = skipgram_run(operation, structure, d_model, epochs, seed, train_fraction)
    experiment, folder = Experiment(name=name, runs=(run,)), Path(root) / name
    refuse_foreign_files(folder)
    facts = {"model": MODEL, "negatives": NEGATIVES, "noise_power": NOISE_POWER, "epochs": epochs}
    with files.claim(folder):
        if results.begin(folder, experiment, device_facts() | facts):
            start = time.monotonic()
            write(folder, run, full_table=train_fraction is None)
            results.finish(
                folder,
                {"seconds": round(time.monotonic() - start, 1), "run_updates": run.num_steps},
            )
    return folder


def refuse_foreign_files(folder: Path) -> None:
    """Raise GrokError where a folder holds something, but no experiment of ours."""
    with files.disk_errors(folder):
        others = (
            [path.name for path in folder.iterdir() if path.name not in (*results.LOCAL, ".lock")]
            if folder.exists()
            else []
        )
    if others and results.read_description(folder) is None:
        raise GrokError(
            f"{folder} holds files of another origin ({min(others)}): choose another --name, or move that folder away"
        )


def write(folder: Path, run: Run, full_table: bool) -> None:
    """Train the vectors of `run`; write its tables and arrays."""
    operation = table(run.operation, run.structure)
    labels, corpus, held_out = (
        token_labels(run),
        *(sentences(operation, rows) for rows in corpus_rows(run, full_table)),
    )
    counts_VV, held_out_VV = (
        count_pairs(sentences_N5, len(labels)) for sentences_N5 in (corpus, held_out)
    )
    noise_V = noise_distribution(counts_VV)
    steps, metrics = [], []
    for step, vectors in train_vectors(corpus, len(labels), run):
        norms = [float(jnp.linalg.norm(matrix_VD)) for matrix_VD in vectors]
        found = {
            "train_loss": expected_loss(vectors, counts_VV, noise_V),
            "embedding_norm": norms[0],
            "unembedding_norm": norms[1],
            "weight_norm": np.hypot(*norms),
        }
        if len(held_out):
            found["val_loss"] = expected_loss(vectors, held_out_VV, noise_V)
        steps.append(step)
        metrics.append([float(found.get(name, np.nan)) for name in results.METRICS])
    curves = results.curves_table(np.zeros(len(steps)), np.array(steps), np.array(metrics))
    told = {name: getattr(run, name) for name in FIELDS} | {
        "batch_size": effective_batch_size(run, len(corpus)),
        "n_train": len(corpus),
    }
    if full_table:
        told["train_fraction"] = 1.0
    results.write_tables(
        folder,
        results.runs_table(
            [{"run": 0} | told | results.outcome(curves, run, diverged=False, stopped=True)]
        ),
        curves,
    )
    results.write_arrays(
        folder, results.arrays_name(0), results.matrices(*map(np.asarray, vectors), labels)
    )


def closing_line(row) -> str:
    """What came of a run, from its row of runs.parquet."""
    held_out = (
        ""
        if np.isnan(row["final_val_loss"])
        else f", {row['final_val_loss']:.4f} on held-out equations"
    )
    return f"{row['label']}, {row['operation']} over {row['structure']}: {row['n_train']} equations, loss {row['final_train_loss']:.4f}{held_out} after {row['stopped_at']} updates"
