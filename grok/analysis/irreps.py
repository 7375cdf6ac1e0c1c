"""Irreducible representations of S_n, and how much of a matrix each explains.

Everywhere `W` [n, d] holds one row an element, in the order of `grok.task.operations.structure`.
"""

import functools
import itertools
import math

import numpy as np

from grok.analysis.groups import permutation_index
from grok.analysis.matrix_rows import token_matrix
from grok.experiment import GrokError
from grok.task.operations import Structure, structure

MAX_IRREP_DEGREE = 5

Partition = tuple[int, ...]


def partitions(n: int, largest: int | None = None) -> list[Partition]:
    """Partitions of n, the coarsest first."""
    if n == 0:
        return [()]
    return [
        (first, *rest)
        for first in range(min(n, largest or n), 0, -1)
        for rest in partitions(n - first, first)
    ]


def standard_tableaux(shape: Partition) -> list[tuple[int, ...]]:
    """Standard Young tableaux of a shape, each as the row that every number 0..n-1 stands in."""
    tableaux = []
    for row, length in enumerate(shape):
        if row + 1 == len(shape) or length > shape[row + 1]:
            smaller = (*shape[:row], length - 1, *shape[row + 1 :]) if length > 1 else shape[:row]
            tableaux += [(*tableau, row) for tableau in standard_tableaux(smaller)]
    return tableaux or [()]


def contents(tableau: tuple[int, ...]) -> list[int]:
    """Column minus row of every number of a tableau."""
    return [tableau[:number].count(row) - row for number, row in enumerate(tableau)]


def adjacent_transpositions(shape: Partition) -> np.ndarray:
    """Young's orthogonal form of the transpositions (i, i+1), [n-1, d, d].

    With r = content(i+1) - content(i): 1/r on the diagonal of a tableau, sqrt(1 - 1/r^2) between it
    and the tableau in which i and i+1 change places (James and Kerber, The Representation Theory
    of the Symmetric Group, chapter 3).
    """
    tableaux = standard_tableaux(shape)
    index = {tableau: t for t, tableau in enumerate(tableaux)}
    generators_GDD = np.zeros((sum(shape) - 1, len(tableaux), len(tableaux)))
    for (t, tableau), i in itertools.product(enumerate(tableaux), range(sum(shape) - 1)):
        content = contents(tableau)
        r = content[i + 1] - content[i]
        generators_GDD[i, t, t] = 1 / r
        swapped = (*tableau[:i], tableau[i + 1], tableau[i], *tableau[i + 2 :])
        if abs(r) > 1:
            generators_GDD[i, index[swapped], t] = math.sqrt(1 - 1 / r**2)
    return generators_GDD


@functools.lru_cache(maxsize=MAX_IRREP_DEGREE)
def irreps(n: int) -> dict[Partition, np.ndarray]:
    """The irreducible representations of S_n: partition -> orthogonal matrices [n!, d, d].

    They are read-only. rho[product[x, y]] = rho[x] @ rho[y] for the product of `structure("S<n>")`.
    GrokError unless 2 <= n <= 5.
    """
    if not 2 <= n <= MAX_IRREP_DEGREE:
        raise GrokError(
            f"the irreducible representations are built for S2..S{MAX_IRREP_DEGREE}, "
            f"not for S{n}: use the coset scores"
        )
    return {
        shape: representation(structure(f"S{n}"), adjacent_transpositions(shape))
        for shape in partitions(n)
    }


def representation(group: Structure, generators_GDD: np.ndarray) -> np.ndarray:
    """Matrices [n!, d, d] of all elements of S_n from those of (0,1), (1,2), ...

    Each element is some x times a generator.
    """
    degree = group.degree
    images_NDD = np.zeros((group.order, *generators_GDD.shape[1:]))
    images_NDD[group.identity] = np.eye(images_NDD.shape[1])
    generators = [transposition_index(group, i) for i in range(degree - 1)]
    reached, pending = {group.identity}, [group.identity]
    for x in pending:
        for generator, matrix_DD in zip(generators, generators_GDD):
            xy = int(group.product[x, generator])
            if xy not in reached:
                images_NDD[xy] = images_NDD[x] @ matrix_DD
                reached.add(xy)
                pending.append(xy)
    images_NDD.setflags(write=False)
    return images_NDD


def transposition_index(group: Structure, i: int) -> int:
    """Index of the permutation that exchanges i and i+1."""
    swap = np.arange(group.degree)
    swap[[i, i + 1]] = i + 1, i
    return permutation_index(group, swap)


def explained_by_irrep(W, n: int) -> dict[Partition, float]:
    """Share ||Q^T W||^2 / ||W||^2 of `W` [n!, d] in the span of each irrep's d^2 matrix entries.

    The shares sum to 1. Q has orthonormal columns: the entries of an irrep, as functions on S_n,
    are orthogonal with squared norm n!/d (Schur). `W` is not centred: its mean row is the share of
    the trivial irrep.
    """
    representations = irreps(n)
    W = token_matrix(W, math.factorial(n))
    total = (W**2).sum()
    if total == 0:
        raise GrokError("the matrix is zero: there is no structure to score")
    return {shape: float(irrep_power(rho, W) / total) for shape, rho in representations.items()}


def irrep_power(rho: np.ndarray, W: np.ndarray) -> float:
    """||Q^T W||^2 for the orthonormal columns Q [n!, d^2] of an irrep [n!, d, d]."""
    order, dimension, _ = rho.shape
    Q = rho.reshape(order, -1) * math.sqrt(dimension / order)
    return ((Q.T @ W) ** 2).sum()
