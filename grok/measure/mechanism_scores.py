"""Measures of what one network computes, each beside its null; see grok.measure.mechanism.

Shape letters: M elements of the axis, C parts (frequencies or irreps), F basis functions,
O outputs, N neurons, D d_model, R draws.
"""

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np

from grok.analysis import fourier, progress
from grok.analysis.harmonics import Axis, Harmonics
from grok.analysis.nulls import ROUNDING
from grok.measure.network import Network

SINGLE = 0.85  # of a neuron's variance in one part (Nanda et al.)
KEY = 2.0  # times what a part would have by its dimension alone
DRAWS, SLOW_DRAWS = 39, 19
SOME_NEURONS = 64  # stand for all in a null
NO_NULL = np.empty(0)


class Entry(NamedTuple):
    """A measure of a network. part: a frequency, an irrep, a head, or in words; null [R] draws.

    smaller: whether small values mean structure.
    """

    measure: str
    value: float
    part: str = ""
    layer: int | None = None
    null: np.ndarray = NO_NULL
    smaller: bool = False


def all_measures(network: Network, keys: list[int]) -> Iterator[Entry]:
    """Every measure but ablations that fits a network; keys: the key parts of its run."""
    rng = np.random.default_rng(0)
    if network.axis.balanced:
        yield from function_measures(network, keys, rng)
    for name, W in (("embedding", network.embedding), ("output", network.unembedding)):
        yield from matrix_measures(name, W[network.axis.order], network.axis.harmonics, rng)
    yield from hidden_measures(network, rng)
    norm = sum(float((np.asarray(leaf) ** 2).sum()) for leaf in jax.tree.leaves(network.params))
    yield Entry("squared_weight_norm", norm)


# --- The function ---


def function_measures(network: Network, keys: list[int], rng) -> Iterator[Entry]:
    """Restricted and excluded loss, the logits by part, and of a sum distance irrelevance."""
    axis, logits_MMO = network.axis, seen_by_softmax(network)
    part = progress.answer_part(logits_MMO, axis.answers_MM, axis.harmonics)
    total = varying(logits_MMO - part.centre_O, logits_MMO)
    share_C = part.power() / total
    renamed_RC = renamed_answers_power(logits_MMO, axis, rng) / total
    yield from by_part("logits_power", axis.harmonics, share_C, renamed_RC)
    if keys:
        yield from key_measures(network, logits_MMO, part, keys, rng)
        others = axis.harmonics.other_rows(keys, keys, DRAWS, rng)
        null_R = np.array([len(logits_MMO) * (part.on(rows) ** 2).sum() for rows in others])
        yield Entry("logits_explained", float(share_C[keys].sum()), "keys", null=null_R / total)
    names = axis.sum_names
    if names is not None:
        yield irrelevance(axis.logits(network.logits())[np.ix_(*names)], rng)


def varying(centred, values) -> float:
    """Sum of squares of centred values; NaN where they differ from their mean by rounding alone."""
    total = float((centred**2).sum(dtype=np.float64))
    whole = float((np.asarray(values) ** 2).sum(dtype=np.float64))
    return total if total > ROUNDING**2 * whole else np.nan


def seen_by_softmax(network: Network) -> np.ndarray:
    """Logits [M, M, O] on the axis, less each equation's mean over the outputs.

    No loss depends on these means, but they can vary more than all the rest does.
    """
    logits_MMO = network.axis.logits(network.logits())
    return logits_MMO - logits_MMO.mean(axis=2, keepdims=True)


def renamed_answers_power(logits_MMO, axis: Axis, rng) -> np.ndarray:
    """The power of the answer's part of the logits once elements are renamed at random, [R, C].

    New names for the outputs change no power, so that only the equations get them.
    """
    power_RC = []
    for order in orders(len(axis.order), rng):
        renamed_MM = axis.answers_MM[np.ix_(order, order)]
        means_MO = progress.answer_means(logits_MMO, renamed_MM)
        power_RC.append(len(means_MO) * power_of(means_MO, axis.harmonics))
    return np.array(power_RC)


def key_measures(network: Network, logits_MMO, part, keys: list[int], rng) -> Iterator[Entry]:
    """Restricted and excluded loss of both splits, for the keys, and for a group of each irrep."""
    harmonics = network.axis.harmonics
    splits = {split: network.axis.cut(network.rows(split)) for split in ("train", "val")}
    chosen = {"keys": keys}
    if harmonics.kind == "irrep":
        chosen |= {harmonics.names[key]: [key] for key in keys}
    for name, parts in chosen.items():
        rows_FM = harmonics.rows(parts)
        others = harmonics.other_rows(parts, keys, DRAWS, rng)
        for split, rows in splits.items():
            value = progress.restricted_loss(part, rows_FM, rows)
            null = [progress.restricted_loss(part, other, rows) for other in others]
            yield Entry(f"restricted_loss_{split}", value, name, None, np.array(null), True)
        for split, rows in splits.items():
            value = progress.excluded_loss(logits_MMO, part, rows_FM, rows)
            few = others[:SLOW_DRAWS]
            null = [progress.excluded_loss(logits_MMO, part, other, rows) for other in few]
            yield Entry(f"excluded_loss_{split}", value, name, None, np.array(null))


def irrelevance(logits_MMO, rng) -> Entry:
    """Distance irrelevance beside that of renamed elements; logits of a sum."""
    null = [progress.distance_irrelevance(logits_MMO, o) for o in orders(len(logits_MMO), rng)]
    value = progress.distance_irrelevance(logits_MMO)
    return Entry("distance_irrelevance", value, null=np.array(null), smaller=True)


def orders(n: int, rng) -> Iterator[np.ndarray]:
    for _ in range(DRAWS):
        yield rng.permutation(n)


# --- Matrices and hidden neurons ---


def by_part(measure, harmonics: Harmonics, share_C, null_RC, layer=None) -> Iterator[Entry]:
    """A share for each part but the constant."""
    for part, name in enumerate(harmonics.names[1:], 1):
        yield Entry(measure, float(share_C[part]), name, layer, np.asarray(null_RC)[:, part])


def matrix_measures(name: str, W, harmonics: Harmonics, rng) -> Iterator[Entry]:
    """Share of the variance of rows [M, D] in each part; of frequencies the Gini coefficient."""
    centred = W - W.mean(axis=0, dtype=np.float64)
    total = varying(centred, W)
    share_C = power_of(centred, harmonics) / total
    renamed_RC = renamed_power(centred, harmonics, rng) / total
    yield from by_part(f"{name}_power", harmonics, share_C, renamed_RC)
    if harmonics.kind == "frequency":
        null = [fourier.gini(np.sqrt(other_C[1:])) for other_C in renamed_RC]
        yield Entry(f"{name}_gini", fourier.gini(np.sqrt(share_C[1:])), null=np.array(null))


def power_of(W, harmonics: Harmonics) -> np.ndarray:
    """Squared norm of rows [M, D] on each part, without that of their mean: [C]."""
    power_C = harmonics.power(W).sum(axis=1)
    power_C[0] = 0
    return power_C


def renamed_power(W, harmonics: Harmonics, rng) -> np.ndarray:
    """`power_of` of rows [M, D] once elements are renamed at random, [R, C]."""
    return np.array([power_of(W[order], harmonics) for order in orders(len(W), rng)])


def hidden_measures(network: Network, rng) -> Iterator[Entry]:
    """Of each layer's neurons: how many have one part, and share of their variance in each part."""
    axis, hidden = network.axis, network.axis.cut(network.activations().hidden)
    if np.isnan(hidden).any():  # an operation that is undefined somewhere on its axis
        return
    for layer in range(hidden.shape[2]):
        neurons = hidden[:, :, layer]
        shares_CN, variance_N = progress.neuron_shares(neurons, axis.harmonics), variances(neurons)
        some = neurons[..., rng.permutation(neurons.shape[-1])[:SOME_NEURONS]]
        renamed = [some[np.ix_(order, order)] for order in orders(len(axis.order), rng)]
        null = [progress.neuron_shares(other, axis.harmonics) for other in renamed[:SLOW_DRAWS]]
        single_R = np.array([(shares.max(axis=0) > SINGLE).mean() for shares in null])
        value = float((shares_CN.max(axis=0) > SINGLE).mean())
        yield Entry("neurons_of_one_part", value, "", layer, single_R)
        weighted_C = weighted(shares_CN, variance_N)
        null_RC = np.array([weighted(shares, variances(some)) for shares in null])
        yield from by_part("hidden_power", axis.harmonics, weighted_C, null_RC, layer)


def variances(neurons_MMN) -> np.ndarray:
    """Variance of each neuron over all inputs, [N]."""
    return neurons_MMN.var(axis=(0, 1), dtype=np.float64)


def weighted(shares_CN, variance_N) -> np.ndarray:
    """Share of all neurons' variance in each part, [C]."""
    return shares_CN @ variance_N / max(variance_N.sum(), np.finfo(float).tiny)


# --- Key parts ---


def key_parts(network: Network) -> list[int]:
    """The parts that a network's function lives on, strongest first: its key frequencies or irreps.

    They are sought in the part of the logits that depends on the answer alone; of an operation
    whose answers are not equally frequent, in the output matrix. A key part has at least twice the
    share that its dimension alone would give it, and more for its dimension than any part has in
    any of some draws in which elements are renamed.
    """
    axis, harmonics, rng = network.axis, network.axis.harmonics, np.random.default_rng(0)
    if axis.balanced:
        logits_MMO = seen_by_softmax(network)
        part = progress.answer_part(logits_MMO, axis.answers_MM, harmonics)
        total = varying(logits_MMO - part.centre_O, logits_MMO)
        power_C = part.power()
        renamed_RC = renamed_answers_power(logits_MMO, axis, rng)
    else:
        W = network.unembedding[axis.order].astype(np.float64)
        total = varying(W - W.mean(axis=0), W)
        power_C, renamed_RC = power_of(W, harmonics), renamed_power(W, harmonics, rng)
    if np.isnan(total):
        return []
    dimensions = harmonics.dimensions
    fair_C = dimensions / (len(axis.order) - 1)
    least_C = dimensions * (renamed_RC / dimensions).max()
    strongest = np.argsort(-power_C, kind="stable")
    is_key = (power_C >= KEY * fair_C * power_C.sum()) & (power_C > least_C)
    return [int(part) for part in strongest if is_key[part]]
