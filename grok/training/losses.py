"""The losses that a run can train on: logits [B, A, V], targets [B, A] -> losses [B, A], in nats.

A new one is a function, its entry in `LOSSES` and its name among the values of `Run.loss`.
"""

import jax
import jax.numpy as jnp


def is_target(logits_BAV, target_BA):
    """Where the target stands: a mask and no index, whose gradient would be a scatter."""
    return target_BA[..., None] == jnp.arange(logits_BAV.shape[-1])


def cross_entropy(logits_BAV, target_BA):
    """-log p(target) of softmax."""
    target_logit_BA = jnp.where(is_target(logits_BAV, target_BA), logits_BAV, 0).sum(-1)
    return jax.nn.logsumexp(logits_BAV, -1) - target_logit_BA


def stablemax(logits_BAV, target_BA):
    """-log s(x_target) / sum s(x), s(x) = x + 1 for x >= 0 and 1 / (1 - x) below.

    (Prieto et al. 2025.) log s is sign(x) log(1 + |x|), so that it is softmax of that.
    """
    log_s_BAV = jnp.where(
        logits_BAV >= 0,
        jnp.log1p(jnp.maximum(logits_BAV, 0)),
        -jnp.log1p(jnp.maximum(-logits_BAV, 0)),
    )
    return cross_entropy(log_s_BAV, target_BA)


def softmax_exact(logits_BAV, target_BA):
    """-log p(target) of softmax as log(1 + sum over the others of exp(x - x_target)).

    The usual form takes p(target) - 1, which is exactly 0 in float32 once p(target) rounds to 1:
    softmax collapse. Here loss and gradient keep their relative precision down to 1e-38, beyond
    what the usual form has in float64. It is the control for StableMax: nothing collapses, and the
    loss is the same.
    """
    target_BAV = is_target(logits_BAV, target_BA)
    target_logit_BA = jnp.where(target_BAV, logits_BAV, 0).sum(-1)
    others_BA = jax.nn.logsumexp(jnp.where(target_BAV, -jnp.inf, logits_BAV), -1)
    return jax.nn.softplus(others_BA - target_logit_BA)


LOSSES = {"softmax": cross_entropy, "stablemax": stablemax, "softmax_exact": softmax_exact}
