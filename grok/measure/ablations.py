"""What a network loses with a part taken away, beside as many others; see `mechanism`."""

from collections.abc import Iterator

import numpy as np

from grok.measure.mechanism_scores import FEW_DRAWS, Entry, other_rows
from grok.measure.network import Network

MOST_IRREPS = 12  # of a group, each of which is taken away; of one with more only the key ones


def ablations(network: Network, keys: list[int]) -> Iterator[Entry]:
    """Loss of both splits after each ablation. Taken from the input table: each key part, all of
    them, and all but them; then each head at its mean, and even attention."""
    rng, harmonics = np.random.default_rng(0), network.axis.harmonics
    yield from losses("loss", network, "nothing taken", [])
    for part in ablated_parts(network, keys):
        others = list(other_rows(harmonics, [part], keys, FEW_DRAWS, rng))
        yield from without(network, harmonics.names[part], harmonics.rows([part]), others)
    if keys:
        rows_FM = harmonics.rows(keys)
        others = list(other_rows(harmonics, keys, keys, FEW_DRAWS, rng))
        yield from without(network, "keys", rows_FM, others)
        kept = [orthogonal(other) for other in others]
        yield from without(network, "all but keys", orthogonal(rows_FM), kept)
    for layer in range(network.run.n_layers):
        yield from heads_at_mean(network, layer, rng)
    yield from even_attention(network, rng)


def heads_at_mean(network: Network, layer: int, rng) -> Iterator[Entry]:
    """Losses with each head of a layer at its mean. Null: so much of all heads' output, in random
    directions, at its mean: whether the network works by heads, or could turn what they read."""
    n_heads, d_model = network.run.n_heads, network.run.d_model
    draws = FEW_DRAWS if n_heads > 1 else 0  # a single head is the whole output
    spaces = [random_directions(d_model // n_heads, d_model, rng) for _ in range(draws)]
    nulls = [network.without_directions("heads", layer, space_RW) for space_RW in spaces]
    for head in range(n_heads):
        ablated = network.ablate(heads=[head], layer=layer)
        yield from losses("head_at_mean", ablated, str(head), nulls, layer)


def even_attention(network: Network, rng) -> Iterator[Entry]:
    """Losses with even attention. Null: every head's own weights on positions at random, the mean
    of which is even attention. Small is special: a network that adds what it reads, whatever its
    weights, loses less by even ones than by others that are not its own."""
    nulls = [network.with_moved_attention(rng) for _ in range(FEW_DRAWS)]
    ablated = network.ablate(attention="uniform")
    yield from losses("even_attention", ablated, "", nulls, smaller=True)


def random_directions(count: int, width: int, rng) -> np.ndarray:
    """Orthonormal directions [count, width] at random."""
    return np.linalg.qr(rng.normal(size=(width, count)))[0].T


def ablated_parts(network: Network, keys: list[int]) -> list[int]:
    """The parts that are taken away one by one."""
    harmonics = network.axis.harmonics
    if harmonics.kind == "irrep" and len(harmonics.names) <= MOST_IRREPS:
        return list(range(1, len(harmonics.names)))
    return keys


def without(network: Network, name: str, rows_FM, others: list) -> Iterator[Entry]:
    """Losses without some functions in the input table, beside those without others."""
    nulls = [network.without_functions(other) for other in others]
    yield from losses("ablated_loss", network.without_functions(rows_FM), name, nulls)


def losses(measure, network, part, nulls, layer=None, smaller=False) -> Iterator[Entry]:
    """An entry for the loss of each split."""
    for split in ("train", "val"):
        null = np.array([other.loss(split) for other in nulls])
        yield Entry(f"{measure}_{split}", network.loss(split), part, layer, null, smaller)


def orthogonal(rows_FM: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the functions that are orthogonal to some and to the constant."""
    m = rows_FM.shape[1]
    kept_FM = np.concatenate([np.full((1, m), m**-0.5), rows_FM])
    _, vectors = np.linalg.eigh(np.eye(m) - kept_FM.T @ kept_FM)
    return vectors[:, len(kept_FM) :].T
