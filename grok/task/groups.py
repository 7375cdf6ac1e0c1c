"""The finite groups behind the tables: Z<n>, S<n>, A<n>, D<n> and their direct products, exact and deterministic."""

import functools
import itertools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from grok.experiment import GrokError

MAX_ORDER = 5040  # of a structure: its Cayley table in int32 then takes 100 MB


@dataclass(frozen=True, eq=False)
class Structure:
    """A finite group, and for Z<n> the ring on the same elements; an element is its index 0..order-1.

    labels: the elements' names. Z<n>: '0', '1', ...; S<n>, A<n>: one-line notation such as '01234';
        D<n>: 'r0', 'r1', ... for the rotations r^k and 's0', 's1', ... for the reflections r^k s;
        direct products: the factors' labels joined by '|', the last factor running fastest.
    product: int32 [order, order], the Cayley table (for Z<n> the addition). S<n> and A<n> hold their permutations
        in lexicographic order and apply x first, (xy)[i] = y[x[i]], as the released code does.
    inverse: int32 [order], the inverses in the group.
    modulus: n for Z<n>, otherwise None.
    permutations: int32 [order, degree], the one-line notations of S<n> and A<n>, otherwise None.
    """

    name: str
    labels: tuple[str, ...]
    product: np.ndarray
    inverse: np.ndarray
    modulus: int | None = None
    permutations: np.ndarray | None = None

    @property
    def order(self) -> int:
        """Number of elements."""
        return len(self.labels)

    @property
    def identity(self) -> int:
        """Index of the group's neutral element (for Z<n> this is 0, the neutral element of addition)."""
        return 0

    @property
    def is_ring(self) -> bool:
        """Whether + - * / have their meaning of the integers mod n (Z<n>), instead of words in a group."""
        return self.modulus is not None


@functools.lru_cache(maxsize=16)
def structure(name: str) -> Structure:
    """The structure called Z<n>, S<n>, A<n>, D<n> (2n elements) or a direct product such as Z2xS3.

    Raises GrokError for an unknown name and for an order above MAX_ORDER.
    """
    factors = [parse_factor(name, part) for part in name.split("x")]
    order = math.prod(FAMILIES[family].order(n) for family, n in factors)
    if order > MAX_ORDER:
        raise GrokError(
            f"structure {name!r} is too large: at most {MAX_ORDER} elements fit (S7 is the largest S<n>)"
        )
    built = [FAMILIES[family].build(n) for family, n in factors]
    return functools.reduce(direct_product, built)


def parse_factor(name: str, part: str) -> tuple[str, int]:
    """Family letter and number of one factor of the structure `name`."""
    match = re.fullmatch(r"([ZSAD])([1-9][0-9]{0,5})", part)
    if not match:
        raise GrokError(
            f"unknown structure {name!r}: choose Z<n>, S<n>, A<n>, D<n> or a product such as Z2xS3"
        )
    family, n = match[1], int(match[2])
    if n < FAMILIES[family].smallest:
        raise GrokError(
            f"structure {name!r}: {part} is too small, {family}<n> starts at {family}{FAMILIES[family].smallest}"
        )
    return family, n


def make_group(name: str, labels: list[str], product: np.ndarray, **extra) -> Structure:
    """A structure from its Cayley table, whose element 0 is neutral; the arrays are shared, so read-only."""
    product = frozen(product)
    return Structure(name, tuple(labels), product, frozen((product == 0).argmax(axis=1)), **extra)


def frozen(array: np.ndarray) -> np.ndarray:
    """`array` as int32 that cannot be written to."""
    array = np.ascontiguousarray(array, dtype=np.int32)
    array.setflags(write=False)
    return array


def cyclic(n: int) -> Structure:
    element = np.arange(n)
    sums = (element[:, None] + element) % n
    return make_group(f"Z{n}", [str(k) for k in element], sums, modulus=n)


def dihedral(n: int) -> Structure:
    """r^a s^e · r^b s^f = r^(a ± b) s^(e+f), with minus where e = 1, which says s r s = r^-1."""
    rotation, flip = np.arange(2 * n) % n, np.arange(2 * n) // n
    sign = 1 - 2 * flip[:, None]
    product = (rotation[:, None] + sign * rotation) % n + n * (flip[:, None] ^ flip)
    return make_group(f"D{n}", [f"{'rs'[e]}{k}" for k, e in zip(rotation, flip)], product)


def symmetric(n: int) -> Structure:
    return permutation_group(f"S{n}", all_permutations(n))


def alternating(n: int) -> Structure:
    permutations_ND = all_permutations(n)
    pairs = itertools.combinations(range(n), 2)
    inversions_N = sum(permutations_ND[:, i] > permutations_ND[:, j] for i, j in pairs)
    return permutation_group(f"A{n}", permutations_ND[inversions_N % 2 == 0])


def all_permutations(n: int) -> np.ndarray:
    """[n!, n], lexicographic."""
    return np.array(list(itertools.permutations(range(n))), dtype=np.int32)


def permutation_group(name: str, permutations_ND: np.ndarray) -> Structure:
    """The group of the given permutations, which are closed under composition and in lexicographic order."""
    n_elements, degree = permutations_ND.shape
    weights_D = degree ** np.arange(degree)[::-1]
    codes_N = permutations_ND @ weights_D  # read as numbers in base `degree`, they are sorted
    product = np.empty((n_elements, n_elements), np.int32)
    for x, permutation_D in enumerate(permutations_ND):
        product[x] = np.searchsorted(codes_N, permutations_ND[:, permutation_D] @ weights_D)
    labels = ["".join(map(str, permutation)) for permutation in permutations_ND]
    return make_group(name, labels, product, permutations=frozen(permutations_ND))


def direct_product(a: Structure, b: Structure) -> Structure:
    order = a.order * b.order
    product = a.product[:, None, :, None] * b.order + b.product[None, :, None, :]
    labels = [f"{left}|{right}" for left in a.labels for right in b.labels]
    return make_group(f"{a.name}x{b.name}", labels, product.reshape(order, order))


class Family(NamedTuple):
    build: Callable[[int], Structure]
    order: Callable[[int], int]
    smallest: int


FAMILIES = {
    "Z": Family(cyclic, lambda n: n, 2),
    "S": Family(
        symmetric, lambda n: math.factorial(min(n, 20)), 2
    ),  # min: 20! is too large already
    "A": Family(alternating, lambda n: math.factorial(min(n, 20)) // 2, 3),
    "D": Family(dihedral, lambda n: 2 * n, 2),
}
