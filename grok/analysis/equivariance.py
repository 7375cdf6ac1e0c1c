"""Is the function of a network symmetric like its operation?

The equivariance error of the logits under the exact symmetries of the operation. Logits come as
arrays [x, y, output] over the whole operation table, elements in their natural order. Shape
letters: N elements of a structure, C outputs.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from grok.experiment import GrokError
from grok.task.groups import Structure, structure
from grok.task.operations import operation_table


class Move(NamedTuple):
    """A permutation [N] of the elements that may be a symmetry.

    action: 'shift' (t -> t + element), 'scale' (t -> element t), 'left' (t -> element t in the
    group) or 'right' (t -> t element).
    """

    action: str
    element: int
    permutation: np.ndarray


class Symmetry(NamedTuple):
    """An exact symmetry of an operation: `sigma` [N] on an operand moves the answer by `tau` [N].

    operand: 'x' or 'y'. action and element: those of the `Move` sigma.
    """

    operand: str
    action: str
    element: int
    sigma: np.ndarray
    tau: np.ndarray


class Equivariance(NamedTuple):
    """The `equivariance_error` of logits under one `Symmetry` of the operation."""

    operand: str
    action: str
    element: int
    error: float


def centre_outputs(logits) -> np.ndarray:
    """Logits less their mean over the outputs, float64: the softmax does not see a common shift."""
    z_NNC = np.asarray(logits, np.float64)
    return z_NNC - z_NNC.mean(axis=-1, keepdims=True)


def input_variance(z_NNC: np.ndarray) -> float:
    """Mean squared distance of the defined logit vectors from their mean; NaN if all are equal."""
    z_RC = z_NNC[~np.isnan(z_NNC[..., 0])]
    variance = float(z_RC.var(axis=0).sum()) if len(z_RC) else 0.0
    return variance if variance > 1e-20 * np.sum(z_RC**2) else np.nan


def equivariance_error(z_NNC: np.ndarray, variance: float, symmetry: Symmetry) -> float:
    """e = mean |z(sigma(a), b) - P_tau z(a, b)|^2 / variance, with P_tau z [tau(c)] = z[c].

    0 for an equivariant function, 2 for unrelated logits, NaN for logits that are the same at all
    inputs. z_NNC: `centre_outputs` of the logits, NaN where the operation is undefined; only pairs
    defined before and after the move count. variance: `input_variance` of them.
    """
    sigma, tau = symmetry.sigma, symmetry.tau
    moved_NNC = z_NNC[sigma] if symmetry.operand == "x" else z_NNC[:, sigma]
    distance_NN = ((moved_NNC[..., tau] - z_NNC) ** 2).sum(axis=-1)
    distance = distance_NN[~np.isnan(distance_NN)]
    return float(distance.mean() / variance) if distance.size else np.nan


def equivariance_profile(
    logits, operation: str, structure_name: str, moves: int = 8
) -> list[Equivariance]:
    """Equivariance errors under the symmetries that an operation has in one operand.

    logits [N, N, N]: over the elements of the structure, without the logits of the other tokens;
    NaN where undefined. The symmetries are shifts (x+y, x-y), scalings by units (x*y, x/y), left
    multiplication of x and right multiplication of y (xy in a group), and for any other operation
    those of these moves that its table obeys. At most `moves` elements, evenly spaced, stand for
    each operand and action. Raises GrokError where no move is a symmetry.
    """
    n = structure(structure_name).order
    if np.shape(logits) != (n, n, n):
        raise GrokError(
            f"the symmetry of {operation} on {structure_name} needs logits [{n}, {n}, {n}], "
            f"not {list(np.shape(logits))}"
        )
    z_NNC = centre_outputs(logits)
    variance = input_variance(z_NNC)
    profile = []
    for s in evenly_spaced(symmetries(operation, structure_name), moves):
        error = equivariance_error(z_NNC, variance, s)
        profile.append(Equivariance(s.operand, s.action, s.element, error))
    return profile


def renamed_errors(
    logits, operation: str, structure_name: str, moves: int, draws: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """The null of `equivariance_profile`: mean error of each operand, [draws].

    In every draw the elements of the function are renamed at random: z'(a, b, c) = z(o(a), o(b),
    o(c)). Conjugated moves give the same number for less work: z' under (sigma, tau) has the error
    that z has under (o sigma o^-1, o tau o^-1).
    """
    z_NNC = centre_outputs(logits)
    variance = input_variance(z_NNC)
    chosen = evenly_spaced(symmetries(operation, structure_name), moves)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(z_NNC)) for _ in range(draws)]
    errors = {}
    for operand in sorted({s.operand for s in chosen}):
        moved = MovedLogits.of(z_NNC, operand)
        of_operand = [s for s in chosen if s.operand == operand]
        distances = [renamed_distance(moved, of_operand, order) for order in orders]
        errors[operand] = np.array(distances) / variance
    return errors


def conjugated(permutation: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The permutation [N] once the elements are renamed: o(t) goes to o(permutation(t))."""
    renamed = np.empty_like(permutation)
    renamed[order] = order[permutation]
    return renamed


class MovedLogits(NamedTuple):
    """Centred logits laid out to be moved often: output first, the operand that moves second.

    z_CAB: the logits, 0 where undefined; float32 takes half the memory, and a null needs no more
    digits. square_AB: their sum of squares over the outputs. defined_AB: where they are defined.
    """

    z_CAB: np.ndarray
    square_AB: np.ndarray
    defined_AB: np.ndarray

    @classmethod
    def of(cls, z_NNC: np.ndarray, operand: str) -> "MovedLogits":
        operands = (0, 1) if operand == "x" else (1, 0)
        z_CAB = np.ascontiguousarray(z_NNC.transpose(2, *operands))
        defined_AB = ~np.isnan(z_CAB[0])
        z_CAB = np.nan_to_num(z_CAB)
        return cls(z_CAB.astype(np.float32), (z_CAB**2).sum(axis=0), defined_AB)

    def distance(self, sigma: np.ndarray, tau: np.ndarray) -> float:
        """Mean |z(sigma(a), b) - P_tau z(a, b)|^2 over pairs defined before and after the move.

        NaN where there is no such pair.
        """
        pairs_AB = self.defined_AB[sigma] & self.defined_AB
        if not pairs_AB.any():
            return np.nan
        squares = (self.square_AB[sigma] + self.square_AB)[pairs_AB].sum()
        product = np.vdot(self.z_CAB[tau[:, None], sigma], self.z_CAB)
        return float((squares - 2 * product) / pairs_AB.sum())


def renamed_distance(moved: MovedLogits, chosen: list[Symmetry], order: np.ndarray) -> float:
    """Mean distance under some symmetries of one operand, once the elements are renamed."""
    distances = []
    for s in chosen:
        distances.append(moved.distance(conjugated(s.sigma, order), conjugated(s.tau, order)))
    return float(np.mean(distances))


def symmetries(operation: str, structure_name: str) -> list[Symmetry]:
    """All moves of one operand that permute the answers of an operation.

    Raises GrokError where there is none.
    """
    answers_NN = operation_table(operation, structure_name).answers
    found = []
    for action, element, sigma in candidate_moves(structure(structure_name)):
        for operand, answers in (("x", answers_NN), ("y", answers_NN.T)):
            tau = induced_permutation(answers, sigma)
            if tau is not None:
                found.append(Symmetry(operand, action, element, sigma, tau))
    if not found:
        raise GrokError(
            f"no shift, scaling or multiplication of one operand permutes the answers of "
            f"{operation} on {structure_name}: equivariance fits x+y, x-y, x*y and x/y on Z<n>, "
            "and xy and xyx^-1 on a group"
        )
    return found


def candidate_moves(group: Structure) -> Iterator[Move]:
    """Every move but the identity; 'right' moves only where they differ from the 'left' ones."""
    elements = np.arange(group.order)
    if group.is_ring:
        for k in elements[1:]:
            yield Move("shift", int(k), group.product[k])
        for u in elements[2:]:
            if np.gcd(u, group.order) == 1:
                yield Move("scale", int(u), elements * u % group.order)
        return
    others = [int(g) for g in elements if g != group.identity]
    for g in others:
        yield Move("left", g, group.product[g])
    if not np.array_equal(group.product, group.product.T):
        for g in others:
            yield Move("right", g, group.product[:, g])


def induced_permutation(answers_NN: np.ndarray, sigma: np.ndarray) -> np.ndarray | None:
    """The tau [N] with answer(sigma(a), b) = tau(answer(a, b)) at all a, b; None if there is none.

    -1 marks undefined answers. Outputs that are no answer stay where they are.
    """
    moved_NN, defined_NN = answers_NN[sigma], answers_NN >= 0
    tau = np.arange(len(answers_NN))
    tau[answers_NN[defined_NN]] = moved_NN[defined_NN]
    image = np.where(defined_NN, tau[answers_NN], -1)
    return tau if np.array_equal(image, moved_NN) else None


def evenly_spaced(found: list[Symmetry], moves: int) -> list[Symmetry]:
    """At most `moves` symmetries of each operand and action, evenly spaced over its elements."""
    families: dict[tuple[str, str], list[Symmetry]] = {}
    for symmetry in found:
        families.setdefault((symmetry.operand, symmetry.action), []).append(symmetry)
    chosen = []
    for family in families.values():
        places = np.unique(np.linspace(0, len(family) - 1, moves).round().astype(int))
        chosen += [family[place] for place in places]
    return chosen
