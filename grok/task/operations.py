"""Operation tables: an expression in x and y over the integers mod n, or a word in a finite group.

    operation_table("x^2+xy+y^2", "Z97")
    operation_table("xyx^-1", "S5")
    operation_table("x/y if y odd else x-y", "Z97")

Over Z<n> an expression (grammar: grok.task.expression) is a polynomial. xy is the product of the
ring, not the addition of the cyclic group. a/b and a^-k use the inverse mod n, and n must be prime
for it. 0^0 is 1. Odd and even speak of 0..n-1. An equation that divides by zero is left out.

Over every other structure (grok.task.groups) an expression is a word in the group: products,
powers, and a/b for ab^-1.
"""

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from grok.experiment import GrokError
from grok.task.expression import (
    Conditional,
    Node,
    Number,
    Operand,
    Power,
    Product,
    Sum,
    mistake,
    parse,
)
from grok.task.groups import Structure, frozen, structure

PAPER, RELEASED_CODE = "paper", "released code"
# (operation, structure, origin): the paper's twelve (appendix A.1.1), then five more of its code.
NAMED = (
    ("x+y", "Z97", PAPER),
    ("x-y", "Z97", PAPER),
    ("x/y", "Z97", PAPER),
    ("x/y if y odd else x-y", "Z97", PAPER),
    ("x^2+y^2", "Z97", PAPER),
    ("x^2+xy+y^2", "Z97", PAPER),
    ("x^2+xy+y^2+x", "Z97", PAPER),
    ("x^3+xy", "Z97", PAPER),
    ("x^3+xy^2+y", "Z97", PAPER),
    ("xy", "S5", PAPER),
    ("xyx^-1", "S5", PAPER),
    ("xyx", "S5", PAPER),
    ("x*y", "Z97", RELEASED_CODE),
    ("x^2+y", "Z97", RELEASED_CODE),
    ("x^3+y", "Z97", RELEASED_CODE),
    ("x+y if x even else x*y", "Z97", RELEASED_CODE),
    ("x+y if x even else x-y", "Z97", RELEASED_CODE),
)


class Partial(NamedTuple):
    """Values mod n and where they are defined, both of a shape that broadcasts to [n, n]."""

    value: np.ndarray
    defined: np.ndarray


@dataclass(frozen=True)
class RingEvaluator:
    """Values of trees at int64 operands in 0..modulus-1.

    Exact: every step reduces its result mod n, so no number outgrows 64 bits.
    """

    expression: str
    operands: dict[str, np.ndarray]
    modulus: int

    def evaluate(self, node: Node) -> Partial:
        """Raises GrokError at a division by a composite modulus, with its position."""
        match node:
            case Number(value):
                return Partial(np.full((1, 1), value % self.modulus), np.ones((1, 1), bool))
            case Operand(name):
                return Partial(self.operands[name], np.ones((1, 1), bool))
            case Power(base, exponent, column):
                return self.power(self.evaluate(base), exponent, column)
            case Product(factors):
                values, defined = self.evaluate_all(factors)
                return Partial(functools.reduce(self.multiply, values), defined)
            case Sum(signed_terms):
                signs, terms = zip(*signed_terms)
                values, defined = self.evaluate_all(terms)
                total = sum(sign * value for sign, value in zip(signs, values))
                return Partial(total % self.modulus, defined)
            case Conditional(then, operand, parity, otherwise):
                chosen = self.operands[operand] % 2 == parity
                a, b = self.evaluate(then), self.evaluate(otherwise)
                chosen_value = np.where(chosen, a.value, b.value)
                return Partial(chosen_value, np.where(chosen, a.defined, b.defined))

    def evaluate_all(self, nodes: tuple[Node, ...]) -> tuple[list[np.ndarray], np.ndarray]:
        """The values, and where all of them are defined."""
        values, defined = zip(*map(self.evaluate, nodes))
        return list(values), functools.reduce(np.logical_and, defined)

    def multiply(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a * b % self.modulus

    def power(self, base: Partial, exponent: int, column: int) -> Partial:
        """base^exponent; a negative exponent inverts by Fermat: base^-1 = base^(modulus-2)."""
        value, defined = base
        one = np.ones_like(value)
        if exponent < 0:
            self.require_prime(column)
            defined = defined & (value != 0)
            value = power_by_squaring(value, self.modulus - 2, one, self.multiply)
        return Partial(power_by_squaring(value, abs(exponent), one, self.multiply), defined)

    def require_prime(self, column: int) -> None:
        """Raise GrokError at a division by a composite modulus."""
        if is_prime(self.modulus):
            return
        prime = next(filter(is_prime, itertools.count(self.modulus)))
        what = f"division needs a prime modulus and {self.modulus} is composite"
        raise mistake(self.expression, column, f"{what}: choose Z{prime}, say")


@dataclass(frozen=True)
class GroupEvaluator:
    """Element indices of words at the operands' element indices."""

    expression: str
    operands: dict[str, np.ndarray]
    group: Structure

    def evaluate(self, node: Node) -> np.ndarray:
        """Raises GrokError at a part that has no meaning in a group, with its position."""
        match node:
            case Operand(name):
                return self.operands[name]
            case Power(base, exponent):
                value = self.evaluate(base)
                if exponent < 0:
                    value = self.group.inverse[value]
                one = np.full_like(value, self.group.identity)
                return power_by_squaring(value, abs(exponent), one, self.multiply)
            case Product(factors):
                return functools.reduce(self.multiply, map(self.evaluate, factors))
        part = {
            Number: "a number",
            Sum: "a sum, difference or sign",
            Conditional: "'odd' or 'even'",
        }[type(node)]
        what = f"{part} has no meaning in the group {self.group.name}: write a word such as xyx^-1"
        raise mistake(self.expression, node.column, what)

    def multiply(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return self.group.product[a, b]


def power_by_squaring(
    base: np.ndarray, exponent: int, one: np.ndarray, multiply: Callable
) -> np.ndarray:
    """base^exponent by repeated squaring, for exponent >= 0; `one` [like base] is neutral."""
    result = one
    while exponent:
        if exponent & 1:
            result = multiply(result, base)
        exponent >>= 1
        if exponent:
            base = multiply(base, base)
    return result


def is_prime(n: int) -> bool:
    """Whether n >= 2 is prime."""
    return all(n % divisor for divisor in range(2, math.isqrt(n) + 1))


@dataclass(frozen=True, eq=False)
class OperationTable:
    """The table of a binary operation z = x ∘ y. An element is its index in `structure`.

    answers: int32 [order, order], z at row x and column y, -1 where the operation is undefined.
    x_N, y_N, z_N: int32, the defined equations; x is the outer loop and y the inner one.
    """

    operation: str
    structure: Structure
    answers: np.ndarray
    x_N: np.ndarray
    y_N: np.ndarray
    z_N: np.ndarray

    @property
    def rows(self) -> int:
        """Number of equations: pairs (x, y) at which the operation is defined."""
        return len(self.z_N)

    @property
    def domain(self) -> str:
        """Where the operation is defined, in words such as 'x, y in Z97, y != 0'."""
        everywhere = f"x, y in {self.structure.name}"
        undefined = self.answers < 0
        if not undefined.any():
            return everywhere
        if undefined[:, 0].all() and not undefined[:, 1:].any():
            return f"{everywhere}, y != {self.structure.labels[0]}"
        return f"{everywhere}, without {undefined.sum()} pairs that divide by zero"


@functools.lru_cache(maxsize=32)
def operation_table(operation: str, structure_name: str) -> OperationTable:
    """The table of an expression over a structure, from exact integer arithmetic.

    Raises GrokError, with the position, for an expression that cannot be parsed or has no meaning
    in the structure. Raises it also for an unknown structure, and for an expression that is
    defined nowhere.
    """
    group, node = structure(structure_name), parse(operation)
    element = np.arange(group.order)
    operands = {"x": element[:, None], "y": element[None, :]}
    if group.modulus is None:
        values = GroupEvaluator(operation, operands, group).evaluate(node)
    else:
        found = RingEvaluator(operation, operands, group.modulus).evaluate(node)
        values = np.where(found.defined, found.value, -1)
    answers = np.broadcast_to(values, (group.order, group.order))
    x_N, y_N = np.nonzero(answers >= 0)
    if not x_N.size:
        raise GrokError(
            f"operation {operation!r} divides by zero for every x and y in {group.name}"
        )
    z_N = answers[x_N, y_N]
    return OperationTable(operation, group, frozen(answers), frozen(x_N), frozen(y_N), frozen(z_N))
