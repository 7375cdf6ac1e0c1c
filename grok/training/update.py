"""The training of one run as pure functions: initial state, update, stretch of updates, evaluation.

Everything is written for a single run; `grok.training.slots` puts a leading run axis on it with
vmap. The `Program` fixes the compiled code. All that is only a number is traced, in `numbers` and
`data`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from grok.experiment import Run
from grok.model.transformer import Architecture, Transformer
from grok.task.dataset import TRAIN, UNDEFINED, VAL, VAL_MIRRORED, batch_rows
from grok.task.randomness import new_key
from grok.training.losses import LOSSES
from grok.training.noise import normal_like
from grok.training.optimizer import make_optimizer
from grok.training.program import (
    DOT_ALGORITHMS,
    Data,
    Program,
    traced_numbers,
)

STREAMS = {"init": 0, "batches": 1, "weight_noise": 2, "dropout": 3, "optimizer": 4}
EVALUATION_ROWS = 1024

# What is computed outside of training (scores, symmetry, sharpness) is full float32 on a GPU too.
jax.config.update("jax_default_matmul_precision", DOT_ALGORITHMS["float32"])


class TrainState(NamedTuple):
    params: Any
    opt_state: Any
    step: Any


def stream(numbers, name: str):
    """A named random stream of a run: a function of its seed, independent of the other names."""
    return jax.random.fold_in(new_key(numbers["seed"]), STREAMS[name])


def transformation(program: Program, numbers) -> optax.GradientTransformation:
    return make_optimizer(program.optimizer, numbers, stream(numbers, "optimizer"))


def init_state(program: Program, numbers, features=None) -> TrainState:
    """Initial weights of a seed (scale of the paper times init_scale), and a fresh optimiser state.

    features [n, F]: those of `Data`. They are no weights: init_scale, decay and noise leave them
    alone.
    """
    example_BT = program.tokens.sequences(*jnp.zeros((3, 1), jnp.int32))
    params = Transformer(program.arch, features=features).init(stream(numbers, "init"), example_BT)[
        "params"
    ]
    params = jax.tree_util.tree_map_with_path(
        lambda path, p: (
            p
            if path[-2:-1] and path[-2].key.startswith(("ln", "final_norm"))
            else p * numbers["init_scale"]
        ),
        params,
    )
    return TrainState(
        params, transformation(program, numbers).init(params), jnp.zeros((), jnp.int32)
    )


def network(arch: Architecture, data: Data, tuned: bool) -> Transformer:
    """The network of a run, with its fixed features and scalars."""
    return Transformer(arch, tuned=tuned, features=data.features, scalars=data.scalars)


def forward(program: Program, params, rows_B, data: Data, dropout=None):
    """Logits [B, A, V] of rows of the operation table, on the training path of `program`.

    dropout: (rate, key) or None.
    """
    tokens, model = program.tokens, network(program.arch, data, program.shared_prefix)
    n, answer_B = tokens.n_elements, data.answer_N[rows_B]
    x_B, y_B = rows_B // n, rows_B % n
    if program.shared_prefix:
        prefix_PT = tokens.prefixes(jnp.arange(n, dtype=jnp.int32))
        return model.apply(
            {"params": params}, prefix_PT, x_B, tokens.suffix(y_B, answer_B), method="shared"
        )
    sequences_BT = tokens.sequences(x_B, y_B, answer_B)
    if dropout is None:
        return model.apply({"params": params}, sequences_BT)
    rate, key = dropout

    def drop(h, key):
        return jnp.where(jax.random.bernoulli(key, 1 - rate, h.shape), h / (1 - rate), 0)

    return model.apply({"params": params}, sequences_BT, drop, rngs={"dropout": key})


def batch_loss(program: Program, params, numbers, data: Data, step):
    """Mean loss of update `step`'s batch over its rows and answer positions."""
    rows_B, valid_B = batch_rows(
        stream(numbers, "batches"),
        step,
        data.train_rows_N,
        data.n_train,
        data.batch_size,
        program.batch_cap,
    )
    if program.weight_noise:
        noise = normal_like(jax.random.fold_in(stream(numbers, "weight_noise"), step), params)
        params = jax.tree.map(lambda p, z: p + numbers["weight_noise"] * z, params, noise)
    dropout = (
        (numbers["dropout"], jax.random.fold_in(stream(numbers, "dropout"), step))
        if program.dropout
        else None
    )
    logits_BAV = forward(program, params, rows_B, data, dropout)
    losses_BA = LOSSES[program.loss](logits_BAV, program.tokens.targets(data.answer_N[rows_B]))
    return jnp.where(valid_B, losses_BA.mean(-1), 0).sum() / valid_B.sum(dtype=jnp.int32)


def gradient(program: Program, params, numbers, data: Data, step):
    """Gradient of the batch loss; for SAM `sam_radius` up the gradient (Foret et al., eq. 2)."""
    gradient_at = jax.grad(lambda p: batch_loss(program, p, numbers, data, step))
    grads = gradient_at(params)
    if not program.sam:
        return grads
    scale = numbers["sam_radius"] / jnp.maximum(optax.tree.norm(grads), 1e-12)
    return gradient_at(jax.tree.map(lambda p, g: p + scale * g, params, grads))


def update(program: Program, state: TrainState, numbers, data: Data) -> TrainState:
    """One update of one run."""
    grads = gradient(program, state.params, numbers, data, state.step)
    updates, opt_state = transformation(program, numbers).update(
        grads, state.opt_state, state.params
    )
    return TrainState(optax.apply_updates(state.params, updates), opt_state, state.step + 1)


def evaluate(program: Program, state: TrainState, data: Data) -> dict[str, Any]:
    """Metrics of the full tables in evaluation mode: no dropout, no noise.

    train_loss, val_loss: the loss that the run trains on, in nats. train_accuracy, val_accuracy:
    share of rows with every answer position right. val_mirrored_accuracy, val_fresh_accuracy: of
    the validation rows whose mirror image y o x is trained on, and of the others (NaN without such
    rows).
    softmax_collapse: share of training rows whose float32 softmax is exactly one-hot. weight_norm:
    L2 norm of all parameters. embedding_norm, unembedding_norm: of the matrices that the network
    uses. correct: whether every answer position of each equation is right, a bit each, row-major,
    packed as np.packbits does; 0 where the operation is undefined.
    """
    kinds = (TRAIN, VAL, VAL_MIRRORED)
    sums, correct_N = table_sums(program, state.params, data, kinds)
    count, loss, right, collapsed = (sums[:, i] for i in range(4))
    both = jnp.array([0.0, 1.0, 1.0], jnp.float32)
    embedding_VD, unembedding_DV = matrices(program, state.params, data.features)
    return {
        "train_loss": loss[0] / count[0],
        "train_accuracy": right[0] / count[0],
        "val_loss": (loss * both).sum() / (count * both).sum(),
        "val_accuracy": (right * both).sum() / (count * both).sum(),
        "val_fresh_accuracy": right[1] / count[1],
        "val_mirrored_accuracy": right[2] / count[2],
        "softmax_collapse": collapsed[0] / count[0],
        "weight_norm": optax.tree.norm(state.params),
        "embedding_norm": jnp.linalg.norm(embedding_VD),
        "unembedding_norm": jnp.linalg.norm(unembedding_DV),
        "correct": jnp.packbits(correct_N),
    }


def matrices(program: Program, params, features=None):
    """The embedding [V, D] and unembedding [D, V] that a network uses, fixed rows included.

    Needs no parameters of the blocks.
    """
    return Transformer(program.arch, features=features).apply({"params": params}, method="matrices")


def table_sums(program: Program, params, data: Data, kinds):
    """Sums over the rows of each kind [kinds, 4], and which rows are answered right, a mask [N].

    The sums are of rows, loss, rows answered right and rows with collapsed softmax. The table is
    gone through in blocks of whole first operands, so that each prefix is computed once.
    """
    tokens, n = program.tokens, program.tokens.n_elements
    n_x = max(1, min(n, EVALUATION_ROWS // n))
    first_P, second_N = jnp.arange(n_x, dtype=jnp.int32), jnp.arange(n, dtype=jnp.int32)
    model = network(program.arch, data, tuned=True)

    def block_sums(first_x):
        x_P = jnp.minimum(first_x + first_P, n - 1)
        index_B, y_B = jnp.repeat(first_P, n), jnp.tile(second_N, n_x)
        rows_B = x_P[index_B] * n + y_B
        kind_B = jnp.where(first_x + index_B < n, data.kind_N[rows_B], UNDEFINED)
        answer_B = jnp.maximum(data.answer_N[rows_B], 0)
        logits_BAV = model.apply(
            {"params": params},
            tokens.prefixes(x_P),
            index_B,
            tokens.suffix(y_B, answer_B),
            method="shared",
        )
        target_BA = tokens.targets(answer_B)
        exponentials_BAV = jnp.exp(logits_BAV - logits_BAV.max(-1, keepdims=True))
        right_B = (logits_BAV.argmax(-1) == target_BA).all(-1)
        columns = (
            jnp.ones(len(rows_B), jnp.float32),
            LOSSES[program.loss](logits_BAV, target_BA).mean(-1),
            right_B,
            (exponentials_BAV.sum(-1) == 1).all(-1),
        )

        def sums_of(kind):
            return jnp.stack([jnp.where(kind_B == kind, column, 0).sum() for column in columns])

        sums = jnp.stack([sums_of(kind) for kind in kinds])
        return sums, (kind_B != UNDEFINED) & right_B

    sums, correct = jax.lax.map(block_sums, jnp.arange(0, n, n_x, jnp.int32))
    # The last block may reach past the table.
    return sums.sum(0), correct.reshape(-1)[: n * n]


def train(program: Program, state: TrainState, numbers, data: Data, n_updates) -> TrainState:
    """Up to `n_updates` updates (traced), none past num_steps: a run at its end stands still."""

    def body(_, state):
        going = state.step < numbers["num_steps"]
        return jax.tree.map(
            lambda new, old: jnp.where(going, new, old),
            update(program, state, numbers, data),
            state,
        )

    return jax.lax.fori_loop(0, n_updates, body, state)


def state_shapes(program: Program) -> TrainState:
    """Shapes and types of one run's state."""
    arch = program.arch
    features = (
        np.zeros((program.tokens.n_elements, arch.n_features), np.float32)
        if arch.n_features
        else None
    )
    return jax.eval_shape(lambda: init_state(program, traced_numbers(Run()), features))
