"""What the network's *function* looks like: progress measures, clock or pizza, and symmetry of the logits.

Logits come as arrays [x, y, output] over the whole table of an operation, elements in their natural order.
Sources: Nanda et al. 2023 (restricted and excluded loss, neuron frequencies), Zhong et al. 2023 (distance
irrelevance, gradient symmetricity), Prieto et al. 2025 (softmax collapse).

Shape letters: P elements of Z/p, K frequencies 1..p//2, N neurons or elements of a structure, C outputs, D d_model.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import log_softmax

from grok.analysis.fourier import fourier_basis
from grok.experiment import GrokError
from grok.operations import Structure, table
from grok.operations import structure as find_structure

# --- Progress measures on key frequencies ---


def restricted_loss(logits, answers, frequencies, rows=None) -> float:
    """Cross-entropy (nats) when only the key frequencies' part of the logits is kept (Nanda et al.).

    Each output's logit, a function on the p x p inputs, is projected on cos and sin of 2 pi k answer/p for
    k in `frequencies`; its mean over all inputs is added back. logits [p, p, p]; answers [p, p] in 0..p-1,
    each equally often, as of x+y, x-y, or x*y and x/y in discrete logarithms; rows: bool [p, p], the
    entries that count (training or validation; default all). Computed in float64.
    """
    part_PPC, _ = key_part(logits, answers, frequencies)
    mean_C = np.asarray(logits, np.float64).mean(axis=(0, 1))
    return cross_entropy(part_PPC + mean_C, answers, rows)


def excluded_loss(logits, answers, frequencies, rows=None) -> float:
    """Cross-entropy (nats) when the key frequencies' part of the logits is taken away; arguments as in `restricted_loss`.

    Meant for the training rows: it rises while the network moves from memory to the key frequencies.
    """
    _, rest_PPC = key_part(logits, answers, frequencies)
    return cross_entropy(rest_PPC, answers, rows)


def key_part(logits, answers, frequencies) -> tuple[np.ndarray, np.ndarray]:
    """The logits' component on cos and sin of the key frequencies of the answer, and the rest; float64 [p, p, p] each."""
    logits_PPC, answers_PP = np.asarray(logits, np.float64), np.asarray(answers)
    p = len(logits_PPC)
    if answers_PP.min() < 0 or np.any(np.bincount(answers_PP.ravel(), minlength=p) != p):
        raise GrokError("restricted loss needs answers that each occur p times: it fits x+y and x-y, and x*y and x/y in discrete logarithms")
    if not all(1 <= k <= p // 2 for k in frequencies):
        raise GrokError(f"key frequencies must lie in 1..{p // 2} for p={p}")
    basis_FP = np.concatenate([np.empty((0, p)), *(fourier_basis(p)[2 * k - 1 : 2 * k + 1] for k in frequencies)])
    waves_FPP = basis_FP[:, answers_PP] / np.sqrt(p)
    part_PPC = np.tensordot(waves_FPP, np.tensordot(waves_FPP, logits_PPC, axes=2), axes=(0, 0))
    return part_PPC, logits_PPC - part_PPC


def cross_entropy(logits_PPC: np.ndarray, answers, rows=None) -> float:
    """Mean of -log softmax at the answers over the chosen entries of the table."""
    answers_PP = np.asarray(answers)
    rows = np.ones(answers_PP.shape, bool) if rows is None else np.asarray(rows, bool)
    log_chances_RC = log_softmax(logits_PPC[rows], axis=-1)
    return float(-np.take_along_axis(log_chances_RC, answers_PP[rows][:, None], axis=-1).mean())


def neuron_frequency_shares(hidden) -> np.ndarray:
    """Share of each hidden neuron's variance over all inputs that one frequency explains; [p//2, n_neurons] for k = 1..p//2.

    hidden [p, p, n_neurons]: activations at inputs (a, b). Frequency k stands for cos ka, sin ka, cos kb,
    sin kb and their products, that is for the 2-D Fourier components (+-k, 0), (0, +-k), (+-k, +-k).
    A constant neuron has shares 0.
    """
    hidden_PPN = np.asarray(hidden, np.float64)
    p, _, n_neurons = hidden_PPN.shape
    power_PPN = np.abs(np.fft.fft2(hidden_PPN, axes=(0, 1))) ** 2
    scale_N = power_PPN.sum(axis=(0, 1))
    power_PPN[0, 0] = 0
    total_N = power_PPN.sum(axis=(0, 1))
    alive_N = total_N > 1e-20 * scale_N  # what rounding leaves of a constant is no variance
    shares_KN = np.zeros((p // 2, n_neurons))
    for k in range(1, p // 2 + 1):
        wave = np.unique([0, k, p - k])
        explained_N = power_PPN[np.ix_(wave, wave)].sum(axis=(0, 1))
        np.divide(explained_N, total_N, out=shares_KN[k - 1], where=alive_N)
    return shares_KN


class NeuronFrequencies(NamedTuple):
    """The best frequency of each neuron [n_neurons] (0 for a constant one), and the share of variance it explains."""

    frequency: np.ndarray
    share: np.ndarray

    def keys(self, least_share: float = 0.85) -> np.ndarray:
        """Key frequencies: those of the neurons with more than `least_share` explained, sorted (Nanda et al.: 85%)."""
        return np.unique(self.frequency[self.share > least_share])


def neuron_frequencies(hidden) -> NeuronFrequencies:
    """The frequency that explains most of each hidden neuron; `hidden` as in `neuron_frequency_shares`."""
    shares_KN = neuron_frequency_shares(hidden)
    share_N = shares_KN.max(axis=0)
    return NeuronFrequencies(np.where(share_N > 0, shares_KN.argmax(axis=0) + 1, 0), share_N)


# --- Numerics, and clock against pizza ---


def softmax_collapse(logits) -> float:
    """Share of rows whose float32 softmax is exactly one-hot, so that a correct row's gradient vanishes (Prieto et al.).

    logits [..., C]. Rows with NaN (undefined entries of the table) are left out.
    """
    logits_RC = np.asarray(logits, np.float32).reshape(-1, np.shape(logits)[-1])
    logits_RC = logits_RC[~np.isnan(logits_RC).any(axis=1)]
    exponentials_RC = np.exp(logits_RC - logits_RC.max(axis=1, keepdims=True))
    return float(np.mean(exponentials_RC.sum(axis=1, dtype=np.float32) == 1)) if len(logits_RC) else np.nan


def distance_irrelevance(logits) -> float:
    """How little the correct logit of x+y depends on the distance of the operands, 0..1 (Zhong et al.).

    q = mean_d std_i(L[i, i+d]) / std(L) with L[i, j] the logit of i+j, logits [p, p, p]: 0.4-1 for a
    clock, 0-0.4 for a pizza; NaN when the correct logit is constant.
    """
    logits_PPC = np.asarray(logits, np.float64)
    i = np.arange(len(logits_PPC))
    j_DP = (i + i[:, None]) % len(i)
    correct_DP = logits_PPC[i, j_DP, (i + j_DP) % len(i)]
    spread = correct_DP.std()
    return float(correct_DP.std(axis=1).mean() / spread) if spread > 0 else np.nan


def gradient_symmetricity(logits: Callable, embedding, key, draws: int = 1000) -> float:
    """Mean cosine of an output's gradients to the two operands' embeddings, -1..1 (Zhong et al.); near 1 for a pizza.

    logits: JAX function of two embedding rows ([D], [D]) to logits [p]; embedding [p, D]. The mean runs
    over `draws` random triples (a, b, output); a triple with a zero gradient counts as 0.
    """
    return float(jax.jit(lambda embedding_PD: mean_gradient_cosine(logits, embedding_PD, key, draws))(jnp.asarray(embedding)))


def mean_gradient_cosine(logits: Callable, embedding_PD, key, draws: int):
    """`gradient_symmetricity` as a JAX scalar, for a caller that compiles it for many networks at once."""

    def cosine(triple):
        a, b, c = triple
        towards_a, towards_b = jax.grad(lambda x, y: logits(x, y)[c], argnums=(0, 1))(embedding_PD[a], embedding_PD[b])
        norms = jnp.linalg.norm(towards_a) * jnp.linalg.norm(towards_b)
        return jnp.where(norms > 0, towards_a @ towards_b / jnp.where(norms > 0, norms, 1), 0)

    triples_R3 = jax.random.randint(key, (draws, 3), 0, len(embedding_PD))
    return jax.lax.map(cosine, triples_R3, batch_size=256).mean()


# --- Symmetry of the function ---


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


def equivariance_profile(logits, operation: str, structure: str, moves: int = 8) -> list[Equivariance]:
    """Equivariance errors of a network's logits under the symmetries that its operation has in one operand.

    logits [N, N, N] over the elements of `structure` (order N), NaN where undefined: without the logits of
    operator tokens. x+y and x-y are tried under cyclic shifts, x*y and x/y under scaling by units (shifts of
    the discrete logarithm), xy in a group under left multiplication of x and right multiplication of y; any other
    operation under those of these moves that its table obeys. At most `moves` elements, evenly spread,
    stand for each operand and action. Raises GrokError where no move is a symmetry.
    """
    n = find_structure(structure).order
    if np.shape(logits) != (n, n, n):
        raise GrokError(f"the symmetry of {operation} on {structure} needs logits [{n}, {n}, {n}], not {list(np.shape(logits))}")
    z_NNC = centre_outputs(logits)
    variance = input_variance(z_NNC)
    return [
        Equivariance(s.operand, s.action, s.element, relative_error(z_NNC, variance, s.operand, s.sigma, s.tau))
        for s in spread(symmetries(operation, structure), moves)
    ]


def renamed_errors(logits, operation: str, structure: str, moves: int, draws: int, seed: int = 0) -> dict[str, np.ndarray]:
    """The null of `equivariance_profile`: its mean for each operand once the elements are renamed at random, [draws].

    To rename the elements of a function, z'(a, b, c) = z(o(a), o(b), o(c)), comes to the same as conjugating the moves, which is
    cheaper: z' under (sigma, tau) has the error that z has under (o sigma o^-1, o tau o^-1).
    """
    z_NNC = centre_outputs(logits)
    variance, chosen = input_variance(z_NNC), spread(symmetries(operation, structure), moves)
    by_operand = {operand: MovedLogits.of(z_NNC, operand) for operand in sorted({s.operand for s in chosen})}
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(z_NNC)) for _ in range(draws)]
    return {
        operand: np.array([np.mean([moved.distance(conjugated(s.sigma, order), conjugated(s.tau, order)) for s in chosen if s.operand == operand]) for order in orders]) / variance
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
        z_CAB = np.ascontiguousarray(z_NNC.transpose(2, 0, 1) if operand == "x" else z_NNC.transpose(2, 1, 0))
        defined_AB = ~np.isnan(z_CAB[0])
        z_CAB = np.nan_to_num(z_CAB)
        return cls(z_CAB.astype(np.float32), (z_CAB**2).sum(axis=0), defined_AB)

    def distance(self, sigma: np.ndarray, tau: np.ndarray) -> float:
        """Mean |z(sigma(a), b) - P_tau z(a, b)|^2 over the pairs that are defined before and after; NaN without any."""
        pairs_AB = self.defined_AB[sigma] & self.defined_AB
        if not pairs_AB.any():
            return np.nan
        squares = (self.square_AB[sigma] + self.square_AB)[pairs_AB].sum()
        return float((squares - 2 * np.vdot(self.z_CAB[tau[:, None], sigma], self.z_CAB)) / pairs_AB.sum())


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
        yield from (("scale", int(u), elements * u % domain.order) for u in elements[2:] if np.gcd(u, domain.order) == 1)
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
