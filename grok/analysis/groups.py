"""Is a matrix organised like a finite group? Irreducible representations, subgroups and coset concentration.

Everywhere `W` [n, d] holds one row an element, in the order of `grok.task.operations.structure`. Products
apply the left factor first, (xy)[i] = y[x[i]], as there; a left coset is gH, a right coset Hg.
"""

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix

from grok.analysis.fourier import centred
from grok.experiment import GrokError
from grok.task.operations import Structure

MAX_SUBGROUP_ORDER = 720  # listing the subgroups of S6 takes some ten seconds, of S7 hours
BATCH_ENTRIES = 2_000_000  # of relabelled Gram matrices at once: 16 MB
FIGURE_3_GENERATORS = ((3, 4, 2, 0, 1), (0, 2, 1, 4, 3))  # (0,3)(1,4) and (1,2)(3,4), one-line

Partition = tuple[int, ...]


# --- Permutations ---


def cycle_type(permutation) -> Partition:
    """Cycle lengths of a permutation in one-line notation, longest first: (3, 1, 1) for a 3-cycle of five."""
    unseen = set(range(len(permutation)))
    lengths = []
    while unseen:
        start = point = unseen.pop()
        length = 1
        while (point := int(permutation[point])) != start:
            unseen.remove(point)
            length += 1
        lengths.append(length)
    return tuple(sorted(lengths, reverse=True))


def cycle_types(permutations) -> list[Partition]:
    """Cycle type of each row of permutations [n, degree]."""
    return [cycle_type(permutation) for permutation in np.asarray(permutations)]


def signs(permutations) -> np.ndarray:
    """+1 for even and -1 for odd permutations, int [n]: a cycle of length l counts (-1)^(l-1)."""
    return np.array(
        [(-1) ** sum(length - 1 for length in cycles) for cycles in cycle_types(permutations)]
    )


def element_orders(permutations) -> np.ndarray:
    """The least k > 0 with x^k = 1, int [n]: the least common multiple of the cycle lengths."""
    return np.array([math.lcm(*cycles) for cycles in cycle_types(permutations)])


# --- Irreducible representations of S_n ---


def permutation_index(group: Structure, permutation) -> int:
    """Index of a permutation in one-line notation."""
    return int(np.flatnonzero((group.permutations == np.asarray(permutation)).all(axis=1))[0])


# --- Subgroups and cosets ---


def generated_subgroup(group: Structure, generators) -> np.ndarray:
    """Members of the smallest subgroup that holds the elements `generators`, bool [n]."""
    generators = np.unique([group.identity, *generators])
    members = np.zeros(group.order, bool)
    members[generators] = True
    frontier = generators
    while frontier.size:
        images = group.product[np.ix_(frontier, generators)]
        frontier = np.unique(images[~members[images]])
        members[frontier] = True
    return members


def conjugates(group: Structure, members: np.ndarray) -> np.ndarray:
    """The distinct subgroups g^-1 H g, bool [m, n], of the subgroup H with the given members [n]."""
    conjugated_GH = group.product[
        group.product[group.inverse][:, members], np.arange(group.order)[:, None]
    ]
    masks = np.zeros((group.order, group.order), bool)
    np.put_along_axis(masks, conjugated_GH, True, axis=1)
    return np.unique(masks, axis=0)


@functools.lru_cache(maxsize=16)
def subgroup_classes(group: Structure) -> tuple[np.ndarray, ...]:
    """The conjugacy classes of subgroups, each bool [m, n] (read-only), by order of the subgroups.

    Every subgroup is a smaller one joined with one element, and what is conjugate to it is had by
    conjugating it: it is enough to join one subgroup of each class with one generator of each cyclic group.
    """
    if group.order > MAX_SUBGROUP_ORDER:
        raise GrokError(
            f"{group.name} has {group.order} elements: subgroups are listed for at most {MAX_SUBGROUP_ORDER}"
        )
    cyclic = {generated_subgroup(group, [x]).tobytes(): x for x in range(group.order)}
    known, classes = set(), []
    pending = [(group.identity,)]
    for generators in pending:
        members = generated_subgroup(group, generators)
        if members.tobytes() in known:
            continue
        orbit = conjugates(group, members)
        orbit.setflags(write=False)
        known.update(row.tobytes() for row in orbit)
        classes.append(orbit)
        pending += [(*generators, x) for x in cyclic.values() if not members[x]]
    return tuple(
        sorted(classes, key=lambda orbit: (int(orbit[0].sum()), len(orbit), orbit.tobytes()))
    )


def subgroups(group: Structure) -> np.ndarray:
    """All subgroups as members, bool [n_subgroups, n], the trivial one first and the whole group last."""
    return np.concatenate(subgroup_classes(group))


def conjugacy_classes_of_subgroups(group: Structure) -> np.ndarray:
    """Number of the conjugacy class of each row of `subgroups`, int [n_subgroups]."""
    classes = subgroup_classes(group)
    return np.repeat(np.arange(len(classes)), [len(orbit) for orbit in classes])


def cosets(group: Structure, members: np.ndarray, side: str) -> np.ndarray:
    """Number of the coset of a subgroup that each element lies in, int [n]; side 'left' is gH, 'right' is Hg."""
    if side not in ("left", "right"):
        raise GrokError(f"cosets are 'left' (gH) or 'right' (Hg), not {side!r}")
    smallest = (
        group.product[:, members].min(axis=1)
        if side == "left"
        else group.product[members].min(axis=0)
    )
    return np.unique(smallest, return_inverse=True)[1]


def figure_3_subgroup(group: Structure) -> np.ndarray:
    """Members of the subgroup <(0,3)(1,4), (1,2)(3,4)> of S5 that the paper's Figure 3 names, bool [120].

    It has order 10 (a dihedral group) and 6 conjugates. GrokError for any group but S5.
    """
    if group.name != "S5":
        raise GrokError(f"the subgroup of Figure 3 lies in S5, not in {group.name}")
    return generated_subgroup(
        group, [permutation_index(group, generator) for generator in FIGURE_3_GENERATORS]
    )


def is_figure_3_subgroup(group: Structure, members: np.ndarray) -> bool:
    """Is this subgroup of S5 that of the paper's Figure 3 or one of its conjugates? GrokError for any group but S5."""
    return bool((conjugates(group, figure_3_subgroup(group)) == members).all(axis=1).any())


# --- Coset concentration ---


def coset_concentration(W, labels) -> float:
    """C_H: share of the variance of `W` [n, d] within the parts `labels` [n] names, in [0, 1]; 0 if rows are constant on them."""
    labels = np.asarray(labels)
    return within_share(centred(W, len(labels)), labels)


def within_share(W_centred: np.ndarray, labels: np.ndarray) -> float:
    """Within-part share of the variance of a centred matrix."""
    part_CN = labels == np.arange(labels.max() + 1)[:, None]
    mean_CD = part_CN @ W_centred / part_CN.sum(axis=1, keepdims=True)
    return float(((W_centred - mean_CD[labels]) ** 2).sum() / (W_centred**2).sum())


@functools.lru_cache(maxsize=8)
def coset_averages(group: Structure) -> csr_matrix:
    """M [2 n_subgroups, n^2], left cosets first: M vec(W W^T) = sum over a subgroup's cosets of |coset's mean row|^2 times its size."""
    rows, columns, values = [], [], []
    for side, (h, members) in itertools.product(("left", "right"), enumerate(subgroups(group))):
        size = int(members.sum())
        coset_CM = np.argsort(cosets(group, members, side), kind="stable").reshape(-1, size)
        pairs = (coset_CM[:, :, None] * group.order + coset_CM[:, None, :]).ravel()
        rows.append(np.full(len(pairs), h + (side == "right") * len(subgroups(group))))
        columns.append(pairs)
        values.append(np.full(len(pairs), 1 / size))
    shape = (2 * len(subgroups(group)), group.order**2)
    return csr_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=shape
    )


def relabelled_concentrations(W, group: Structure, relabellings_RN: np.ndarray) -> np.ndarray:
    """Coset concentration of every subgroup, left then right, once element t has row relabellings_RN[r, t]; [2 n_subgroups, R]."""
    W = centred(W, group.order)
    gram_NN = W @ W.T / (W**2).sum()
    batches = np.array_split(
        relabellings_RN, -(-len(relabellings_RN) * group.order**2 // BATCH_ENTRIES)
    )
    between = [
        coset_averages(group)
        @ np.stack([gram_NN[np.ix_(t_N, t_N)].ravel() for t_N in batch], axis=1)
        for batch in batches
    ]
    return 1 - np.concatenate(between, axis=1)


class CosetTest(NamedTuple):
    """Coset concentration beside relabelled elements.

    scores: the table of `coset_scores`; relabellings [R, n] and null_z [rows of scores, R]: the random
    relabellings and the z that every subgroup and side has under each.
    """

    scores: pd.DataFrame
    relabellings: np.ndarray
    null_z: np.ndarray


def coset_test(W, group: Structure, draws: int = 1000, seed: int = 0) -> CosetTest:
    """Coset concentration of all subgroups, left and right, beside random relabellings of the elements.

    A relabelled partition is a random partition into parts of the same sizes. Because the relabellings are
    shared by all subgroups, the minimum of null_z over a column is what the *best* subgroup reaches by
    chance: it corrects for having looked at all of them.
    """
    rng = np.random.default_rng(seed)
    relabellings_RN = np.array(
        [np.arange(group.order), *(rng.permutation(group.order) for _ in range(draws))]
    )
    concentration, null = np.split(
        relabelled_concentrations(W, group, relabellings_RN), [1], axis=1
    )
    orders = subgroups(group).sum(axis=1)
    frame = pd.DataFrame(
        {
            "subgroup": np.tile(np.arange(len(orders)), 2),
            "order": np.tile(orders, 2),
            "conjugacy_class": np.tile(conjugacy_classes_of_subgroups(group), 2),
            "side": np.repeat(["left", "right"], len(orders)),
            "concentration": concentration[:, 0],
        }
    )
    of_order = {order: null[frame.order == order] for order in set(orders.tolist())}
    frame["null_mean"] = frame.order.map(
        {order: values.mean() for order, values in of_order.items()}
    )
    proper = ~frame.order.isin([1, group.order])
    frame["null_sd"] = frame.order.map(
        {order: values.std(ddof=1) for order, values in of_order.items()}
    ).where(proper)
    frame["z"] = (frame.concentration - frame.null_mean) / frame.null_sd
    null_z = (null - frame.null_mean.to_numpy()[:, None]) / frame.null_sd.to_numpy()[:, None]
    return CosetTest(frame, relabellings_RN[1:], null_z)


def coset_scores(W, group: Structure, draws: int = 200, seed: int = 0) -> pd.DataFrame:
    """Coset concentration of all subgroups, left and right, beside random partitions into parts of the same sizes.

    A row per (subgroup, side): subgroup (row of `subgroups`), order, conjugacy_class, side,
    concentration, null_mean, null_sd (of all subgroups of that order), z. Large negative z: rows lie closer
    within cosets than by chance. The trivial subgroup and the whole group (concentration 0 and 1 for any
    matrix) have z = NaN.
    """
    return coset_test(W, group, draws, seed).scores


def best_subgroup(scores: pd.DataFrame) -> pd.Series:
    """The row of `coset_scores` with the most negative z: the raw minimum would favour small subgroups, which fit anything."""
    if scores.z.isna().all():
        raise GrokError(
            "this group has no subgroups but the trivial one and itself: there are no cosets to score"
        )
    return scores.loc[scores.z.idxmin()]
