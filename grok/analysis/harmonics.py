"""Functions on the elements of a structure, taken apart: frequencies, irreducible representations.

A `Harmonics` is an orthonormal basis of all functions on m elements, in parts that no renaming
which keeps the structure mixes. Of Z/n the parts are the frequencies 0..n//2, of any other group
the irreducible representations over the real numbers. An `Axis` says on which elements, and in
which order, an operation is to be seen that way.

Shape letters: M elements of an axis, F basis functions (as many), C parts, R the real irreducible
representations of a group.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from grok.analysis.fourier import fourier_basis
from grok.analysis.irreps import MAX_IRREP_DEGREE, irreps
from grok.analysis.logarithm import discrete_log_order
from grok.experiment import GrokError
from grok.task.groups import Structure, structure
from grok.task.operations import is_prime, operation_table

LARGEST = 720  # elements of a group: its representations come from the eigenvectors of a matrix
ATTEMPTS = 8


class Harmonics(NamedTuple):
    """An orthonormal basis of the functions on M elements, in parts.

    names [C]: of the parts; the first is the constant. kind: 'frequency' or 'irrep'.
    basis_FM: orthonormal rows. part_F: the part that each row belongs to, ascending.
    """

    names: tuple[str, ...]
    kind: str
    basis_FM: np.ndarray
    part_F: np.ndarray

    def rows(self, parts) -> np.ndarray:
        """The basis functions of some parts, [F', M]."""
        return self.basis_FM[np.isin(self.part_F, list(parts))]

    def other_rows(self, parts, keys, draws: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Draws of as many basis functions as some parts have: a null for what these do.

        As many other frequencies that are not among the keys; or a random space of functions
        without constant, of the dimension that the irreps have. No choice of frequencies comes
        twice, so that there may be fewer draws, and none where there are too few other frequencies.
        """
        if self.kind == "irrep":
            dimension = int(self.dimensions[list(parts)].sum())
            return [self.random_rows(dimension, rng) for _ in range(draws)]
        others = np.setdiff1d(np.arange(1, len(self.names)), [*parts, *keys])
        choices = min(draws, math.comb(len(others), len(parts)))
        chosen: dict[tuple, None] = {}
        while len(chosen) < choices:
            chosen[tuple(sorted(rng.choice(others, len(parts), replace=False)))] = None
        return [self.rows(choice) for choice in chosen]

    def random_rows(self, dimension: int, rng: np.random.Generator) -> np.ndarray:
        """An orthonormal basis of a random space of functions without constant."""
        noise_MF = rng.normal(size=(len(self.basis_FM), dimension))
        return np.linalg.qr(noise_MF - noise_MF.mean(axis=0))[0].T

    def power(self, values) -> np.ndarray:
        """Squared norm of values [M, ...] on each part, [C, ...]."""
        coefficients = np.tensordot(self.basis_FM, np.asarray(values, np.float64), axes=1)
        return np.add.reduceat(coefficients**2, self.starts)

    @property
    def starts(self) -> np.ndarray:
        """The first basis function of each part, [C]."""
        return np.searchsorted(self.part_F, np.arange(len(self.names)))

    @property
    def dimensions(self) -> np.ndarray:
        """The number of basis functions of each part, [C]."""
        return np.bincount(self.part_F)

    def numbers(self, names) -> list[int]:
        """The parts with these names (a frequency may be a number); GrokError for one not there."""
        found = []
        for name in map(str, names):
            if name not in self.names[1:]:
                raise GrokError(self.refusal(name))
            found.append(self.names.index(name))
        return found

    def refusal(self, name: str) -> str:
        """One line about a part that is not there."""
        if self.kind == "frequency":
            return f"there is no frequency {name} here: choose from 1..{len(self.names) - 1}"
        return f"there is no irrep {name} here: choose from {', '.join(self.names[1:])}"


def frequencies(n: int) -> Harmonics:
    """The frequencies 0..n//2 of functions on Z/n."""
    part_F = (np.arange(n) + 1) // 2
    names = tuple(map(str, range(n // 2 + 1)))
    return Harmonics(names, "frequency", fourier_basis(n), part_F)


# --- Any group, from its classes ---


def class_labels(group: Structure) -> np.ndarray:
    """The conjugacy class of each element: the smallest member's index, [n]."""
    conjugated_GX = group.product[group.product, group.inverse[:, None]]
    return conjugated_GX.min(axis=0)


def real_classes(group: Structure) -> np.ndarray:
    """The class of each element joined with that of its inverse: the smallest member's index."""
    label_X = class_labels(group)
    return np.minimum(label_X, label_X[group.inverse])


@functools.lru_cache(maxsize=8)
def real_irreps(group: Structure) -> Harmonics:
    """The real irreducible representations of a group: each an ideal of its group algebra.

    A symmetric matrix A[x, y] = w(x y^-1), with random weights w that are equal on a class and its
    inverse, commutes with every translation from either side. Its eigenspaces are these ideals:
    one for each irreducible character that is real, one for each pair of complex ones, and as many
    as there are classes up to inversion (Serre, Linear Representations of Finite Groups).
    Named by degree, of S2..S5 by partition. GrokError above 720 elements.
    """
    if group.order > LARGEST:
        raise GrokError(
            f"{group.name} has {group.order} elements: its irreducible representations are built "
            f"for groups of at most {LARGEST}"
        )
    quotient_XY = group.product[:, group.inverse]
    _, class_X = np.unique(real_classes(group), return_inverse=True)
    n_parts = class_X.max() + 1
    for seed in range(ATTEMPTS):  # two parts share an eigenvalue only by a rare accident
        weight_X = np.random.default_rng(seed).normal(size=n_parts)[class_X]
        values_F, vectors_XF = np.linalg.eigh(weight_X[quotient_XY])
        gaps_F = np.diff(values_F) > 1e-6 * np.abs(values_F).max()
        part_F = np.concatenate([[0], np.cumsum(gaps_F)])
        if part_F[-1] + 1 == n_parts:
            return named(group, [vectors_XF[:, part_F == part].T for part in range(n_parts)])
    raise GrokError(f"the irreducible representations of {group.name} cannot be told apart")


def real_character(basis_FX: np.ndarray) -> np.ndarray:
    """The character [n] of an ideal: chi, or chi plus its conjugate for a complex pair.

    The projector on the ideal of an irreducible chi of degree d is d/n chi(x y^-1), of rank d^2.
    """
    n = basis_FX.shape[1]
    return n / degree(len(basis_FX)) * (basis_FX.T @ basis_FX[:, 0])


def degree(dimension: int) -> int:
    """The degree d of an irreducible character from the dimension of its ideal, d^2 or 2 d^2."""
    root = math.isqrt(dimension)
    return root if root * root == dimension else math.isqrt(dimension // 2)


def named(group: Structure, bases: list[np.ndarray]) -> Harmonics:
    """Ideals [d^2 or 2 d^2, n] as Harmonics, the trivial one first, then by degree."""
    characters = [real_character(basis_FX) for basis_FX in bases]
    order = sorted(
        range(len(bases)),
        key=lambda i: (
            np.ptp(characters[i]) > 0.5,
            degree(len(bases[i])),
            *(-characters[i]).round(4),
        ),
    )
    names = irrep_names(group, [characters[i] for i in order], [len(bases[i]) for i in order])
    part_F = np.repeat(np.arange(len(order)), [len(bases[i]) for i in order])
    basis_FX = np.concatenate([bases[i] for i in order])
    basis_FX.setflags(write=False)
    return Harmonics(names, "irrep", basis_FX, part_F)


def irrep_names(group: Structure, characters: list, dimensions: list[int]) -> tuple[str, ...]:
    """Partitions for S2..S5, as in (4,1); else the degree, with a letter where several share it."""
    permutations = group.permutations
    n = 0 if permutations is None else permutations.shape[1]
    if 2 <= n <= MAX_IRREP_DEGREE and group.order == math.factorial(n):
        return tuple(partition_of(character, n) for character in characters)
    degrees = [degree(dimension) for dimension in dimensions]
    letters = [degrees[:i].count(d) for i, d in enumerate(degrees)]
    return tuple(
        f"{d}{letter_of(letter)}" if degrees.count(d) > 1 else str(d)
        for d, letter in zip(degrees, letters)
    )


def letter_of(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    more, last = divmod(number, 26)
    return (letter_of(more - 1) if more else "") + chr(ord("a") + last)


def partition_of(character: np.ndarray, n: int) -> str:
    """The partition of n whose representation has a character [n!]."""
    for shape, rho in irreps(n).items():
        if np.allclose(np.trace(rho, axis1=1, axis2=2), character, atol=1e-6):
            return f"({','.join(map(str, shape))})"
    raise AssertionError("an irreducible character of S_n belongs to no partition")


# --- On which axis ---


class Axis(NamedTuple):
    """On which elements, in which order, an operation is seen.

    name: 'residues', 'discrete logarithms' or 'elements'. order [M]: indices of elements.
    answers_MM: the place on the axis of each answer; -1 where undefined or off the axis.
    balanced: each place is the answer equally often, which restricted and excluded loss need.
    """

    name: str
    order: np.ndarray
    harmonics: Harmonics
    answers_MM: np.ndarray

    @property
    def balanced(self) -> bool:
        m = len(self.order)
        return bool(
            self.answers_MM.min() >= 0
            and (np.bincount(self.answers_MM.ravel(), minlength=m) == m).all()
        )

    @property
    def sum_names(self) -> list[np.ndarray] | None:
        """Places of x, y and the answer under names by which the answer is the sum, each [M].

        None where the answer is no a x + b y + c with a and b that have inverses.
        """
        m, terms = len(self.order), linear_terms(self.answers_MM)
        if terms is None or math.gcd(terms[0], m) > 1 or math.gcd(terms[1], m) > 1:
            return None
        a, b, c = terms
        name = np.arange(m)
        return [name * pow(a, -1, m) % m, name * pow(b, -1, m) % m, (name + c) % m]

    def cut(self, array) -> np.ndarray:
        """An array [n, n, ...] over the table in the axis's order, [M, M, ...]."""
        return np.asarray(array)[np.ix_(self.order, self.order)]

    def logits(self, logits_NNC) -> np.ndarray:
        """Logits [n, n, n] in the axis's order, [M, M, M]."""
        return np.asarray(logits_NNC)[np.ix_(self.order, self.order, self.order)]


@functools.lru_cache(maxsize=16)
def axis_of(operation: str, name: str) -> Axis:
    """The axis that fits an operation over the structure called `name`.

    Over Z/n residues where the answer is a x + b y + c, discrete logarithms where it is so in them
    (x*y and x/y mod a prime), and residues again where neither holds. Elements of other groups.
    """
    group, answers = structure(name), operation_table(operation, name).answers
    if not group.is_ring:
        return Axis("elements", np.arange(group.order), real_irreps(group), answers)
    n = group.order
    residues = Axis("residues", np.arange(n), frequencies(n), answers)
    if linear_terms(answers) or n < 4 or not is_prime(n):
        return residues
    order = discrete_log_order(n)
    places = np.full(n + 1, -1)  # the last place is that of undefined answers, -1
    places[order] = np.arange(n - 1)
    logarithms = places[answers[np.ix_(order, order)]]
    if linear_terms(logarithms) is None:
        return residues
    return Axis("discrete logarithms", order, frequencies(n - 1), logarithms)


def linear_terms(answers_MM: np.ndarray) -> tuple[int, int, int] | None:
    """The a, b and c of answers a x + b y + c mod M, a and b not zero; None where others occur."""
    m = len(answers_MM)
    c = int(answers_MM[0, 0])
    a, b = (int(answers_MM[1, 0]) - c) % m, (int(answers_MM[0, 1]) - c) % m
    place = np.arange(m)
    expected = (a * place[:, None] + b * place + c) % m
    return (a, b, c) if a and b and np.array_equal(answers_MM, expected) else None
