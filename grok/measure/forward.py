"""Forward passes of a network over blocks of the operation table, with activations replaced on
the way.

`answered` gives what the network answers and `see` what it holds. Both follow the network's
definition. A patch replaces an activation: `uniform`, `moved` and `at_mean` are the patches that
ablations need. See `grok.measure.network` for the shape letters.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from grok.model.transformer import Transformer
from grok.task.dataset import UNDEFINED
from grok.training.losses import LOSSES
from grok.training.program import Data, Program
from grok.training.update import table_sums

BLOCK_ROWS = 16_384  # of which a network of the paper's size holds 400 MB of activations
PATCHED = ("residual", "attention", "heads", "hidden")


class Seen(NamedTuple):
    """A block's activations by name, and sums over its defined equations.

    activations: a list of [B, ...] by layer, at the answer's position. sums: of 'heads' and
    'hidden' at every position, a list of [T, ...] by layer.
    """

    activations: dict[str, list]
    sums: dict[str, list]


class Answered(NamedTuple):
    """A block's logits over the elements [B, n], losses (nats) [B] and which are right [B]."""

    logits: Any
    loss: Any
    right: Any


Patch = Callable[[Any, Any], Any]  # (activation [B, T, ...] or [B, H, T, T], rows [B])


# --- Patches: what takes an activation's place ---


def uniform(attention_BHTT, _rows_B):
    """Every position gives equal weight to all positions up to itself."""
    n_positions = attention_BHTT.shape[-1]
    even_TT = np.tril(np.ones((n_positions, n_positions))) / np.arange(1, n_positions + 1)[:, None]
    return jnp.broadcast_to(jnp.asarray(even_TT, jnp.float32), attention_BHTT.shape)


def moved(place_HTT, attention_BHTT, _rows_B):
    """The weights of each head and position in another order."""
    return jnp.take_along_axis(attention_BHTT, place_HTT[None], axis=-1)


def at_mean(directions_RW, mean_TW, activation, _rows_B):
    """An activation [B, T, ...], W numbers a position, with some directions of it at the mean.

    It may have the last positions alone.
    """
    here_TW = mean_TW[-activation.shape[1] :]
    difference_BTW = activation.reshape(*activation.shape[:2], -1) - here_TW
    with jax.default_matmul_precision("highest"):
        taken_BTW = difference_BTW @ directions_RW.T @ directions_RW
    return activation - taken_BTW.reshape(activation.shape)


# --- Passes ---


sums_of_table = jax.jit(table_sums, static_argnums=(0, 3))


def patch_of(places, replacements, rows_B) -> Callable | None:
    """Patches as the Transformer takes them, for a block of rows; None where there are none."""

    def patch(layer, name, activation):
        for place, replace in zip(places, replacements):
            if place == (layer, name):
                activation = replace(activation, rows_B)
        return activation

    return patch if places else None


@functools.cache
def compiled(compute: Callable) -> Callable:
    """`see` or `answered`, compiled once for each program and kind of patches."""
    return jax.jit(compute, static_argnums=(0, 1))


def answered(program: Program, places, replacements, params, data: Data, rows_B) -> Answered:
    """What the network answers on some rows under patches, by its definition."""
    patch = patch_of(places, replacements, rows_B)
    model = Transformer(program.arch, patch=patch, scalars=data.scalars, brief=True)
    logits_BAV = model.apply({"params": params}, sequences_of(program, data, rows_B))
    target_BA = program.tokens.targets(jnp.maximum(data.answer_N[rows_B], 0))
    loss_B = LOSSES[program.loss](logits_BAV, target_BA).mean(-1)
    right_B = (logits_BAV.argmax(-1) == target_BA).all(-1)
    return Answered(logits_BAV[:, 0, : program.tokens.n_elements], loss_B, right_B)


def see(program: Program, places, replacements, params, data: Data, rows_B) -> Seen:
    """The network on some rows by its definition, with everything that it holds on the way."""
    patch = patch_of(places, replacements, rows_B)
    model = Transformer(program.arch, patch=patch, scalars=data.scalars)
    sequences_BT = sequences_of(program, data, rows_B)
    _, kept = model.apply({"params": params}, sequences_BT, mutable="intermediates")
    kept = kept["intermediates"]
    whole: dict[str, list] = {name: [] for name in PATCHED}  # at all positions
    for layer in range(program.arch.n_layers):
        for name in PATCHED:
            whole[name].append(kept[f"block{layer}"][name][0])
    whole["residual"].append(kept["residual"][0])
    at_answer = {}
    for name, layers in whole.items():
        at = slice(None) if name == "attention" else -program.arch.n_answers
        at_answer[name] = [activation_BT[:, at] for activation_BT in layers]
    defined_B = data.kind_N[rows_B] != UNDEFINED
    sums = {}
    for name in ("heads", "hidden"):
        sums[name] = [jnp.einsum("b,b...->...", defined_B, layer) for layer in whole[name]]
    return Seen(at_answer, sums)


def sequences_of(program: Program, data: Data, rows_B):
    """The tokens [B, T] of some rows."""
    n, answer_B = program.tokens.n_elements, jnp.maximum(data.answer_N[rows_B], 0)
    return program.tokens.sequences(rows_B // n, rows_B % n, answer_B)
