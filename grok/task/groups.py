"""The finite groups under the operation tables: Z<n>, S<n>, A<n>, D<n> and direct products."""

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
    """A finite group; for Z<n> also the ring on the same elements. An element is its index.

    labels: the names of the elements. Z<n>: '0', '1', ... S<n> and A<n>: one-line notation such as
        '01234'. D<n>: 'r0', 'r1', ... for the rotations r^k, 's0', 's1', ... for the reflections
        r^k s. Direct products: the labels of the factors joined by '|', the last factor fastest.
    product: int32 [order, order], the Cayley table (of Z<n>: addition). S<n> and A<n> list their
        permutations in lexicographic order and apply x first, (xy)[i] = y[x[i]] (released code).
    inverse: int32 [order].
    modulus: n of Z<n>, else None.
    permutations: int32 [order, degree], one-line notation of S<n> and A<n>, else None.
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
    def degree(self) -> int:
        """How many things the permutations of S<n> or A<n> permute."""
        assert self.permutations is not None, f"{self.name} is no group of permutations"
        return self.permutations.shape[1]

    @property
    def identity(self) -> int:
        """Index of the neutral element of the group (for Z<n>: of addition)."""
        return 0

    @property
    def is_ring(self) -> bool:
        """Whether an expression is read as a polynomial mod n (Z<n>), not as a word in a group."""
        return self.modulus is not None


@functools.lru_cache(maxsize=16)
def structure(name: str) -> Structure:
    """The structure called Z<n>, S<n>, A<n>, D<n> (2n elements), or a product such as Z2xS3.

    Raises GrokError for an unknown name and for an order above MAX_ORDER.
    """
    factors = [parse_factor(name, part) for part in name.split("x")]
    order = math.prod(FAMILIES[family].order(n) for family, n in factors)
    if order > MAX_ORDER:
        raise GrokError(
            f"structure {name!r} is too large: at most {MAX_ORDER} elements fit "
            "(S7 is the largest S<n>)"
        )
    built = [FAMILIES[family].build(n) for family, n in factors]
    return functools.reduce(direct_product, built)


def parse_factor(name: str, part: str) -> tuple[str, int]:
    """Family letter and number of one factor of the structure `name`."""
    match = re.fullmatch(r"([ZSAD])([1-9][0-9]*)", part)
    if not match:
        raise GrokError(
            f"unknown structure {name!r}: choose Z<n>, S<n>, A<n>, D<n> or a product such as Z2xS3"
        )
    family, n = match[1], int(match[2][:7])  # seven digits are too large in any family
    smallest = FAMILIES[family].smallest
    if n < smallest:
        raise GrokError(
            f"structure {name!r}: {part} is too small, {family}<n> starts at {family}{smallest}"
        )
    return family, n


def make_group(name: str, labels: list[str], product: np.ndarray, **extra) -> Structure:
    """A structure from its Cayley table, whose element 0 is neutral. Its arrays are read-only."""
    product = frozen(product)
    inverse = frozen((product == 0).argmax(axis=1))
    return Structure(name, tuple(labels), product, inverse, **extra)


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
    labels = [f"{'rs'[e]}{k}" for k, e in zip(rotation, flip)]
    return make_group(f"D{n}", labels, product)


def symmetric(n: int) -> Structure:
    return permutation_group(f"S{n}", all_permutations(n))


def alternating(n: int) -> Structure:
    permutations_ND = all_permutations(n)
    pairs = itertools.combinations(range(n), 2)
    inversions_N = sum(permutations_ND[:, i] > permutations_ND[:, j] for i, j in pairs)
    return permutation_group(f"A{n}", permutations_ND[inversions_N % 2 == 0])


def all_permutations(n: int) -> np.ndarray:
    """The permutations of 0..n-1 in lexicographic order, int32 [n!, n]."""
    return np.array(list(itertools.permutations(range(n))), dtype=np.int32)


def permutation_group(name: str, permutations_ND: np.ndarray) -> Structure:
    """The group of some permutations, closed under composition and in lexicographic order."""
    n_elements, degree = permutations_ND.shape
    weights_D = degree ** np.arange(degree)[::-1]
    # Read as numbers in base `degree`, the permutations ascend: a binary search finds a product.
    codes_N = permutations_ND @ weights_D
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
    """A family of groups by its number n: how to build one, its order, and the smallest n."""

    build: Callable[[int], Structure]
    order: Callable[[int], int]
    smallest: int


FAMILIES = {
    "Z": Family(cyclic, lambda n: n, smallest=2),
    # The order of S999999 would take minutes to compute, and 20! is too large already.
    "S": Family(symmetric, lambda n: math.factorial(min(n, 20)), smallest=2),
    "A": Family(alternating, lambda n: math.factorial(min(n, 20)) // 2, smallest=3),
    "D": Family(dihedral, lambda n: 2 * n, smallest=2),
}
