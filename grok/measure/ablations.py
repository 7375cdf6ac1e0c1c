"""What a network loses with a part taken away, beside as many others; see `mechanism`."""

import functools
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from grok.measure import forward
from grok.measure.mechanism_scores import DRAWS, NO_NULL, Entry
from grok.measure.network import Network
from grok.training.program import Data, Program

Losses = dict[str, np.ndarray]  # of each split, of some networks

SPLITS = ("train", "val")
MEASURES = [
    f"{loss}_{split}"
    for loss in ("loss", "ablated_loss", "head_at_mean", "even_attention")
    for split in SPLITS
]
NOTHING: Losses = dict.fromkeys(SPLITS, NO_NULL)
MOST_IRREPS = 12  # of a group, each of which is taken away; of one with more only the key ones


def ablations(network: Network, keys: list[int]) -> Iterator[Entry]:
    """Loss of both splits after each ablation.

    Taken from the embedding matrix: each key part, all of them, and all but them. Then each head
    at its mean, and even attention.
    """
    rng, harmonics = np.random.default_rng(0), network.axis.harmonics
    yield from entries("loss", "nothing taken", one_by_one([network]), NOTHING)
    nulls: dict[int, Losses] = {}  # the same for all that takes as many functions
    taken = {harmonics.names[part]: [part] for part in ablated_parts(network, keys)}
    taken |= {"keys": keys} if keys else {}
    for name, parts in taken.items():
        rows_FM = harmonics.rows(parts)
        if len(rows_FM) not in nulls:
            others = harmonics.other_rows(parts, keys, DRAWS, rng)
            nulls[len(rows_FM)] = losses_without(network, others)
        found = losses_without(network, [rows_FM])
        yield from entries("ablated_loss", name, found, nulls[len(rows_FM)])
    if keys:
        others = harmonics.other_rows(keys, keys, DRAWS, rng)
        null = losses_without(network, [orthogonal(other) for other in others])
        found = losses_without(network, [orthogonal(harmonics.rows(keys))])
        yield from entries("ablated_loss", "all but keys", found, null, smaller=True)
    for layer in range(network.run.n_layers):
        yield from heads_at_mean(network, layer, rng)
    yield from even_attention(network, rng)


def heads_at_mean(network: Network, layer: int, rng) -> Iterator[Entry]:
    """Losses with each head of a layer at its mean. Null: so much of all heads' output, in random
    directions, at its mean: whether the network works by heads, or could turn what they read."""
    n_heads, d_model = network.run.n_heads, network.run.d_model
    draws = DRAWS if n_heads > 1 else 0  # a single head is the whole output
    spaces = [random_directions(d_model // n_heads, d_model, rng) for _ in range(draws)]
    heads = [network.ablate(heads=[head], layer=layer) for head in range(n_heads)]
    nulls = [network.without_directions("heads", layer, space_RW) for space_RW in spaces]
    losses = losses_of([*heads, *nulls])
    null = {split: loss_R[n_heads:] for split, loss_R in losses.items()}
    for head in range(n_heads):
        found = {split: loss_R[[head]] for split, loss_R in losses.items()}
        yield from entries("head_at_mean", str(head), found, null, layer)


def even_attention(network: Network, rng) -> Iterator[Entry]:
    """Losses with even attention. Null: every head's own weights on positions at random, the mean
    of which is even attention. Small is special: a network that adds what it reads, whatever its
    weights, loses less by even ones than by others that are not its own."""
    found = one_by_one([network.ablate(attention="uniform")])
    null = losses_of([network.with_moved_attention(rng) for _ in range(DRAWS)])
    yield from entries("even_attention", "", found, null, smaller=True)


def random_directions(count: int, width: int, rng) -> np.ndarray:
    """Orthonormal directions [count, width] at random."""
    return np.linalg.qr(rng.normal(size=(width, count)))[0].T


def ablated_parts(network: Network, keys: list[int]) -> list[int]:
    """The parts that are taken away one by one."""
    harmonics = network.axis.harmonics
    if harmonics.kind == "irrep" and len(harmonics.names) <= MOST_IRREPS:
        return list(range(1, len(harmonics.names)))
    return keys


def losses_without(network: Network, taken: list[np.ndarray]) -> Losses:
    """Losses without some functions [F, M] or others in the embedding matrix."""
    return one_by_one([network.without_functions(rows_FM) for rows_FM in taken])


def entries(measure, part, found: Losses, null: Losses, layer=None, smaller=False):
    """An entry for the loss of each split, of which `found` has one."""
    for split in SPLITS:
        value = float(found[split][0])
        yield Entry(f"{measure}_{split}", value, part, layer, null[split], smaller)


def orthogonal(rows_FM: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the functions that are orthogonal to some and to the constant."""
    m = rows_FM.shape[1]
    kept_FM = np.concatenate([np.full((1, m), m**-0.5), rows_FM])
    _, vectors = np.linalg.eigh(np.eye(m) - kept_FM.T @ kept_FM)
    return vectors[:, len(kept_FM) :].T


# --- Losses of many networks ---


def one_by_one(networks: list[Network]) -> Losses:
    """The loss (nats) of each split, [R], of any networks."""
    losses = {}
    for split in SPLITS:
        losses[split] = np.array([network.loss(split) for network in networks])
    return losses


def losses_of(networks: list[Network]) -> Losses:
    """The loss (nats) of each split, [R], of networks that differ in their patches' arrays alone.

    All go through a block of rows together, so that what stands before the first patch is computed
    once for all.
    """
    first = networks[0]
    places = tuple(place for place, _ in first.patches)
    patches_R = stacked_patches(networks)
    n_rows = first.n**2
    n_blocks = -(-n_rows * len(networks) // forward.BLOCK_ROWS)
    size = -(-n_rows // n_blocks)
    blocks = []
    for start in range(0, n_rows, size):
        rows_B = jnp.minimum(start + jnp.arange(size, dtype=jnp.int32), n_rows - 1)
        blocks.append(
            losses_of_block(first.program, places, patches_R, first.params, first.data, rows_B)
        )
    loss_RN = np.concatenate(blocks, axis=1)[:, :n_rows]  # the last block reaches past the table
    losses = {}
    for split in SPLITS:
        rows_N = first.rows(split).reshape(-1)
        losses[split] = loss_RN[:, rows_N].mean(axis=1, dtype=np.float64)
    return losses


def stacked_patches(networks: list[Network]) -> tuple:
    """What replaces activations in each network, with an axis of the networks, R, in front."""
    patches = []
    for network in networks:
        patches.append(tuple(replacement for _, replacement in network.patches))
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *patches)


@functools.partial(jax.jit, static_argnums=(0, 1))
def losses_of_block(program: Program, places, patches_R, params, data: Data, rows_B):
    """The losses [R, B] of some rows under each of some patches."""

    def loss(patches):
        return forward.answered(program, places, patches, params, data, rows_B).loss

    return jax.vmap(loss)(patches_R)
