"""What the *function* of a network looks like: progress measures, and clock or pizza.

Logits come as arrays [x, y, output] over the whole table of an operation, in the order of an axis
(`grok.analysis.harmonics`). Sources: Nanda et al. 2023 (restricted and excluded loss, neurons of
one frequency), Chughtai et al. 2023 (the same for groups), Zhong et al. 2023 (distance irrelevance,
gradient symmetricity).

Shape letters: M elements of an axis, P those of Z/p, C parts (frequencies or irreducible
representations), N neurons, O outputs, R rows, D d_model.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import log_softmax

from grok.analysis.harmonics import Harmonics
from grok.experiment import GrokError

# --- Progress measures ---


class AnswerPart(NamedTuple):
    """The part of the logits that depends on the answer alone.

    means_MO: the mean logits over the equations with each answer. centre_O: over all equations.
    Basis functions of the answer, such as cos and sin of 2 pi k answer/p, pick the logits' part on
    them from it.
    """

    means_MO: np.ndarray
    centre_O: np.ndarray
    answers_MM: np.ndarray
    harmonics: Harmonics

    def on(self, rows_FM: np.ndarray) -> np.ndarray:
        """What the equations with each answer have on some orthonormal functions of it, [M, O]."""
        return rows_FM.T @ (rows_FM @ self.means_MO)

    def power(self) -> np.ndarray:
        """The squared norm of the logits over the whole table on each part, [C]; constant: 0."""
        power_CO = self.harmonics.power(self.means_MO - self.centre_O)
        return len(self.means_MO) * power_CO.sum(axis=1)


def answer_part(logits, answers, harmonics: Harmonics) -> AnswerPart:
    """See `AnswerPart`. logits [M, M, O]; answers [M, M] in 0..M-1, each equally often."""
    logits_MMO, answers_MM = np.asarray(logits), np.asarray(answers)
    m = len(logits_MMO)
    if answers_MM.min() < 0 or np.any(np.bincount(answers_MM.ravel(), minlength=m) != m):
        raise GrokError(
            f"restricted loss needs answers that each occur {m} times: it fits x+y and x-y, "
            "x*y and x/y in discrete logarithms, and words in a group such as xy"
        )
    means_MO = answer_means(logits_MMO, answers_MM)
    return AnswerPart(means_MO, means_MO.mean(axis=0), answers_MM, harmonics)


def answer_means(logits_MMO, answers_MM) -> np.ndarray:
    """The mean logits over the equations with each answer, [M, O], where each has M of them."""
    m = len(answers_MM)
    entries = np.full(m * m, 1 / m), (answers_MM.ravel(), np.arange(m * m))
    return csr_matrix(entries, shape=(m, m * m)) @ logits_MMO.reshape(m * m, -1)


def restricted_loss(part: AnswerPart, rows_FM: np.ndarray, rows=None) -> float:
    """Cross-entropy (nats) when only some functions of the answer are kept (Nanda et al.).

    rows_FM: these functions, such as the basis of the key frequencies. The logits' mean over all
    equations is added back. rows: bool [M, M], the equations that count (training or validation;
    default all). In float64. It depends on an equation's answer alone.
    """
    log_chance_MO = log_softmax(part.on(rows_FM) + part.centre_O, axis=-1)
    answers_R = part.answers_MM[all_rows(part.answers_MM) if rows is None else rows]
    return float(-np.diagonal(log_chance_MO)[answers_R].mean())


def excluded_loss(logits, part: AnswerPart, rows_FM: np.ndarray, rows=None) -> float:
    """Cross-entropy (nats) when some functions of the answer are taken out of logits [M, M, O].

    Meant for the training rows: it rises while the network moves from memory to the key functions.
    """
    chosen = all_rows(part.answers_MM) if rows is None else np.asarray(rows, bool)
    answers_R = part.answers_MM[chosen]
    rest_RO = np.asarray(logits)[chosen] - part.on(rows_FM)[answers_R]
    return cross_entropy(rest_RO, answers_R)


def all_rows(answers_MM) -> np.ndarray:
    return np.ones(np.shape(answers_MM), bool)


def cross_entropy(logits_RO: np.ndarray, answers_R: np.ndarray) -> float:
    """Mean of -log softmax at the answers."""
    log_chance_RO = log_softmax(logits_RO, axis=-1)
    return float(-np.take_along_axis(log_chance_RO, answers_R[:, None], axis=-1).mean())


def neuron_shares(hidden, harmonics: Harmonics) -> np.ndarray:
    """Share of each neuron's variance over all inputs that one part explains, [C, N].

    hidden [M, M, N]: activations at inputs (a, b). Part k stands for its functions of a, those of b
    and their products: of a frequency cos ka, sin ka, cos kb, sin kb and their four products. The
    constant part, and a neuron that does not vary, have shares 0.
    """
    starts, basis_FM = harmonics.starts, harmonics.basis_FM
    along_a = np.tensordot(basis_FM, np.asarray(hidden, np.float64), axes=1)
    both_FFN = np.matmul(basis_FM, along_a)
    power_CCN = np.add.reduceat(np.add.reduceat(both_FFN**2, starts, axis=0), starts, axis=1)
    all_N = power_CCN.sum(axis=(0, 1))
    total_N = all_N - power_CCN[0, 0]
    alive_N = total_N > 1e-20 * all_N  # what rounding leaves of a constant is no variance
    own_CN = np.einsum("ccn->cn", power_CCN) + power_CCN[0] + power_CCN[:, 0]
    own_CN[0] = 0
    return np.divide(own_CN, total_N, out=np.zeros_like(own_CN), where=alive_N)


class NeuronParts(NamedTuple):
    """The part that explains most of each neuron [N] (0 for a constant one), and its share [N]."""

    part: np.ndarray
    share: np.ndarray


def neuron_parts(shares_CN: np.ndarray) -> NeuronParts:
    """The part that explains most of each neuron, from `neuron_shares`."""
    return NeuronParts(shares_CN.argmax(axis=0), shares_CN.max(axis=0))


# --- Clock against pizza ---


def distance_irrelevance(logits, order=None) -> float:
    """How little the correct logit of x+y depends on the operands' distance, 0..1 (Zhong et al.).

    q = mean_d std_i(L[i, i+d]) / std(L) with L[i, j] the logit of i+j, logits [p, p, p]: 0.4-1 for
    a clock, 0-0.4 for a pizza; NaN when the correct logit is constant. order [p]: the elements
    under other names, for a null.
    """
    logits_PPC = np.asarray(logits)
    i = np.arange(len(logits_PPC))
    name = i if order is None else np.asarray(order)
    j_DP = (i + i[:, None]) % len(i)
    correct_DP = logits_PPC[name[i], name[j_DP], name[(i + j_DP) % len(i)]].astype(np.float64)
    deviation = correct_DP.std()
    return float(correct_DP.std(axis=1).mean() / deviation) if deviation > 0 else np.nan


def gradient_symmetricity(logits: Callable, embedding, key, draws: int = 1000) -> float:
    """Mean cosine of an output's gradients to the two operands' embeddings (Zhong et al.).

    -1..1, near 1 for a pizza. logits: JAX function of two embedding rows ([D], [D]) to logits [p];
    embedding [p, D]. The mean runs over `draws` random triples (a, b, output); a triple with a zero
    gradient counts as 0.
    """
    return float(
        jax.jit(lambda embedding_PD: mean_gradient_cosine(logits, embedding_PD, key, draws))(
            jnp.asarray(embedding)
        )
    )


def mean_gradient_cosine(logits: Callable, embedding_PD, key, draws: int):
    """`gradient_symmetricity` as a JAX scalar, for a caller that compiles it once."""

    def cosine(triple):
        a, b, c = triple
        towards_a, towards_b = jax.grad(lambda x, y: logits(x, y)[c], argnums=(0, 1))(
            embedding_PD[a], embedding_PD[b]
        )
        norms = jnp.linalg.norm(towards_a) * jnp.linalg.norm(towards_b)
        return jnp.where(norms > 0, towards_a @ towards_b / jnp.where(norms > 0, norms, 1), 0)

    triples_R3 = jax.random.randint(key, (draws, 3), 0, len(embedding_PD), jnp.int32)
    return jax.lax.map(cosine, triples_R3, batch_size=256).mean()
