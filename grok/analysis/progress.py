"""What the *function* of a network looks like: progress measures, and clock or pizza.

Logits come as arrays [x, y, output] over the whole table of an operation, elements in their natural
order. Sources: Nanda et al. 2023 (restricted and excluded loss, neuron frequencies), Zhong et al.
2023 (distance irrelevance, gradient symmetricity).

Shape letters: P elements of Z/p, K frequencies 1..p//2, N neurons, C outputs, D d_model.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import log_softmax

from grok.analysis.fourier import fourier_basis
from grok.experiment import GrokError

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
        raise GrokError(
            "restricted loss needs answers that each occur p times: it fits x+y and x-y, and x*y and x/y in discrete logarithms"
        )
    if not all(1 <= k <= p // 2 for k in frequencies):
        raise GrokError(f"key frequencies must lie in 1..{p // 2} for p={p}")
    basis_FP = np.concatenate(
        [np.empty((0, p)), *(fourier_basis(p)[2 * k - 1 : 2 * k + 1] for k in frequencies)]
    )
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


# --- Clock against pizza ---


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
    return float(
        jax.jit(lambda embedding_PD: mean_gradient_cosine(logits, embedding_PD, key, draws))(
            jnp.asarray(embedding)
        )
    )


def mean_gradient_cosine(logits: Callable, embedding_PD, key, draws: int):
    """`gradient_symmetricity` as a JAX scalar, for a caller that compiles it for many networks at once."""

    def cosine(triple):
        a, b, c = triple
        towards_a, towards_b = jax.grad(lambda x, y: logits(x, y)[c], argnums=(0, 1))(
            embedding_PD[a], embedding_PD[b]
        )
        norms = jnp.linalg.norm(towards_a) * jnp.linalg.norm(towards_b)
        return jnp.where(norms > 0, towards_a @ towards_b / jnp.where(norms > 0, norms, 1), 0)

    triples_R3 = jax.random.randint(key, (draws, 3), 0, len(embedding_PD), jnp.int32)
    return jax.lax.map(cosine, triples_R3, batch_size=256).mean()
