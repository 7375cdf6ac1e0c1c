"""Is the network's function symmetric like its operation? Equivariance error of the logits under its exact symmetries.

Logits come as arrays [x, y, output] over the whole table of an operation, elements in their natural order. Shape
letters: N elements of a structure, C outputs.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from grok.experiment import GrokError
from grok.task.operations import Structure, table
from grok.task.operations import structure as find_structure


class Symmetry(NamedTuple):
    """An exact symmetry of an operation: moving one operand by `sigma` [N] moves the answer by `tau` [N].

    operand: 'x' or 'y'. action: 'shift' (t -> t + element), 'scale' (t -> element t), 'left' (t -> element t
    in the group) or 'right' (t -> t element).
    """

    operand: str
    action: str
    element: int
    sigma: np.ndarray
    tau: np.ndarray


class Equivariance(NamedTuple):
    """Equivariance error of the logits under one symmetry of the operation; see `Symmetry` and `equivariance_error`."""

    operand: str
    action: str
    element: int
    error: float


def equivariance_error(logits, operand: str, sigma, tau) -> float:
    """e = mean |z(sigma(a), b) - P_tau z(a, b)|^2 / mean |z - z_mean|^2; 0 for an equivariant function, 2 for unrelated logits.

    logits [N, N, C], NaN where the operation is undefined: only pairs defined before and after the move
    count. They are centred over the outputs first, for the softmax does not see a common shift; z_mean is the
    mean over inputs. sigma [N]: permutation of `operand` ('x' as written here, or 'y'); tau [C]: of the
    outputs, P_tau z [tau(c)] = z[c]. NaN for logits that are the same at all inputs.
    """
    z_NNC = centre_outputs(logits)
    return relative_error(z_NNC, input_variance(z_NNC), operand, sigma, tau)


def centre_outputs(logits) -> np.ndarray:
    """Logits less their mean over the outputs, float64."""
    z_NNC = np.asarray(logits, np.float64)
    return z_NNC - z_NNC.mean(axis=-1, keepdims=True)


def input_variance(z_NNC: np.ndarray) -> float:
    """Mean squared distance of the defined logit vectors from their mean; NaN where they are all equal."""
    z_RC = z_NNC[~np.isnan(z_NNC[..., 0])]
    variance = float(z_RC.var(axis=0).sum()) if len(z_RC) else 0.0
    return variance if variance > 1e-20 * np.sum(z_RC**2) else np.nan


def relative_error(z_NNC: np.ndarray, variance: float, operand: str, sigma, tau) -> float:
    """`equivariance_error` of centred logits whose input variance is known."""
    moved_NNC = z_NNC[sigma] if operand == "x" else z_NNC[:, sigma]
    distance_NN = ((moved_NNC[..., tau] - z_NNC) ** 2).sum(axis=-1)
    distance = distance_NN[~np.isnan(distance_NN)]
    return float(distance.mean() / variance) if distance.size else np.nan


def equivariance_profile(
    logits, operation: str, structure: str, moves: int = 8
) -> list[Equivariance]:
    """Equivariance errors of a network's logits under the symmetries that its operation has in one operand.

    logits [N, N, N] over the elements of `structure` (order N), NaN where undefined: without the logits of
    operator tokens. x+y and x-y are tried under cyclic shifts, x*y and x/y under scaling by units (shifts of
    the discrete logarithm), xy in a group under left multiplication of x and right multiplication of y; any other
    operation under those of these moves that its table obeys. At most `moves` elements, evenly spread,
    stand for each operand and action. Raises GrokError where no move is a symmetry.
    """
    n = find_structure(structure).order
    if np.shape(logits) != (n, n, n):
        raise GrokError(
            f"the symmetry of {operation} on {structure} needs logits [{n}, {n}, {n}], not {list(np.shape(logits))}"
        )
    z_NNC = centre_outputs(logits)
    variance = input_variance(z_NNC)
    return [
        Equivariance(
            s.operand,
            s.action,
            s.element,
            relative_error(z_NNC, variance, s.operand, s.sigma, s.tau),
        )
        for s in spread(symmetries(operation, structure), moves)
    ]


def renamed_errors(
    logits, operation: str, structure: str, moves: int, draws: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """The null of `equivariance_profile`: its mean for each operand once the elements are renamed at random, [draws].

    To rename the elements of a function, z'(a, b, c) = z(o(a), o(b), o(c)), comes to the same as conjugating the moves, which is
    cheaper: z' under (sigma, tau) has the error that z has under (o sigma o^-1, o tau o^-1).
    """
    z_NNC = centre_outputs(logits)
    variance, chosen = input_variance(z_NNC), spread(symmetries(operation, structure), moves)
    by_operand = {
        operand: MovedLogits.of(z_NNC, operand) for operand in sorted({s.operand for s in chosen})
    }
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(z_NNC)) for _ in range(draws)]
    return {
        operand: np.array(
            [
                np.mean(
                    [
                        moved.distance(conjugated(s.sigma, order), conjugated(s.tau, order))
                        for s in chosen
                        if s.operand == operand
                    ]
                )
                for order in orders
            ]
        )
        / variance
        for operand, moved in by_operand.items()
    }


def conjugated(permutation: np.ndarray, order: np.ndarray) -> np.ndarray:
    """The permutation [N] once the elements are renamed: o(t) goes to o(permutation(t))."""
    renamed = np.empty_like(permutation)
    renamed[order] = order[permutation]
    return renamed


class MovedLogits(NamedTuple):
    """Centred logits laid out to be moved often: output first, the operand that is moved second; 0 where undefined.

    z_CAB (float32: half the memory to move, and a null needs no more digits), square_AB: the sum of squares over the outputs,
    defined_AB: where the operation is defined.
    """

    z_CAB: np.ndarray
    square_AB: np.ndarray
    defined_AB: np.ndarray

    @classmethod
    def of(cls, z_NNC: np.ndarray, operand: str) -> "MovedLogits":
        z_CAB = np.ascontiguousarray(
            z_NNC.transpose(2, 0, 1) if operand == "x" else z_NNC.transpose(2, 1, 0)
        )
        defined_AB = ~np.isnan(z_CAB[0])
        z_CAB = np.nan_to_num(z_CAB)
        return cls(z_CAB.astype(np.float32), (z_CAB**2).sum(axis=0), defined_AB)

    def distance(self, sigma: np.ndarray, tau: np.ndarray) -> float:
        """Mean |z(sigma(a), b) - P_tau z(a, b)|^2 over the pairs that are defined before and after; NaN without any."""
        pairs_AB = self.defined_AB[sigma] & self.defined_AB
        if not pairs_AB.any():
            return np.nan
        squares = (self.square_AB[sigma] + self.square_AB)[pairs_AB].sum()
        return float(
            (squares - 2 * np.vdot(self.z_CAB[tau[:, None], sigma], self.z_CAB)) / pairs_AB.sum()
        )


def symmetries(operation: str, structure: str) -> list[Symmetry]:
    """All moves of one operand that the table of an operation turns into a permutation of its answers.

    Raises GrokError where there is none.
    """
    domain, answers_NN = find_structure(structure), table(operation, structure).answers
    found = []
    for action, element, sigma in candidate_moves(domain):
        for operand, answers in (("x", answers_NN), ("y", answers_NN.T)):
            tau = induced_permutation(answers, sigma)
            if tau is not None:
                found.append(Symmetry(operand, action, element, sigma, tau))
    if not found:
        raise GrokError(
            f"no shift, scaling or multiplication of one operand permutes the answers of {operation} on {structure}: "
            "equivariance fits x+y, x-y, x*y and x/y on Z<n>, and xy and xyx^-1 on a group"
        )
    return found


def candidate_moves(domain: Structure) -> Iterator[tuple[str, int, np.ndarray]]:
    """(action, element, permutation [N]) of every move but the identity; a commutative group has no 'right' ones."""
    elements = np.arange(domain.order)
    if domain.is_ring:
        yield from (("shift", int(k), domain.product[k]) for k in elements[1:])
        yield from (
            ("scale", int(u), elements * u % domain.order)
            for u in elements[2:]
            if np.gcd(u, domain.order) == 1
        )
        return
    others = [int(g) for g in elements if g != domain.identity]
    yield from (("left", g, domain.product[g]) for g in others)
    if not np.array_equal(domain.product, domain.product.T):
        yield from (("right", g, domain.product[:, g]) for g in others)


def induced_permutation(answers_NN: np.ndarray, sigma: np.ndarray) -> np.ndarray | None:
    """The tau [N] with answer(sigma(a), b) = tau(answer(a, b)) at all a, b, or None; -1 marks undefined answers.

    Outputs that are no answer stay where they are.
    """
    moved_NN, defined_NN = answers_NN[sigma], answers_NN >= 0
    tau = np.arange(len(answers_NN))
    tau[answers_NN[defined_NN]] = moved_NN[defined_NN]
    image = np.where(defined_NN, tau[answers_NN], -1)
    return tau if np.array_equal(image, moved_NN) else None


def spread(found: list[Symmetry], moves: int) -> list[Symmetry]:
    """At most `moves` symmetries of each operand and action, evenly spread over its elements."""
    families: dict[tuple[str, str], list[Symmetry]] = {}
    for symmetry in found:
        families.setdefault((symmetry.operand, symmetry.action), []).append(symmetry)
    chosen = []
    for family in families.values():
        places = np.unique(np.linspace(0, len(family) - 1, moves).round().astype(int))
        chosen += [family[place] for place in places]
    return chosen
