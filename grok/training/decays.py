"""Forms of weight decay, and the norm that is kept, as optax transformations.

A new form is a function of (rate, weight_decay, key), its entry in `DECAYS` and its name among the
values of `Run.decay_form`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from grok.training.noise import CountState
from grok.training.orthogonal import polar


class DecayState(NamedTuple):
    initial_params: Any


class NormState(NamedTuple):
    initial_norm: Any


def decay_to_zero(rate, weight_decay, key) -> optax.GradientTransformation:
    """p <- p - lr wd p: decoupled decay (AdamW), also of LayerNorm and embeddings."""
    return optax.add_decayed_weights(weight_decay)


def decay_to_init(rate, weight_decay, key) -> optax.GradientTransformation:
    """p <- p + (p_0 - p) lr wd: decay towards the initial weights p_0."""

    def update(updates, state, params):
        pulled = jax.tree.map(
            lambda u, p, p0: u + weight_decay * (p - p0), updates, params, state.initial_params
        )
        return pulled, state

    return optax.GradientTransformation(
        lambda params: DecayState(jax.tree.map(jnp.array, params)), update
    )


def jiggle(rate, weight_decay, key) -> optax.GradientTransformation:
    """p <- p exp(N(0, 1) lr wd), one scalar a tensor: noise on the norms instead of decay."""

    def update(updates, state, params):
        lr = rate(state.count)
        leaves, treedef = jax.tree.flatten(params)
        step_key = jax.random.fold_in(key, state.count)
        z = treedef.unflatten(list(jax.random.normal(step_key, (len(leaves),), jnp.float32)))

        def relative_change(z):
            """Divided by lr (0 at the first update), because -lr multiplies it later."""
            change = jnp.expm1(z * lr * weight_decay) / jnp.where(lr > 0, lr, 1)
            return jnp.where(lr > 0, change, 0)

        change = jax.tree.map(relative_change, z)
        return jax.tree.map(lambda u, p, c: u - c * p, updates, params, change), CountState(
            state.count + 1
        )

    return optax.GradientTransformation(lambda params: CountState(jnp.zeros((), jnp.int32)), update)


def low_rank(rate, weight_decay, key) -> optax.GradientTransformation:
    """Q and K shrink along U V^T of W = U S V^T, in place of W; the rest as under AdamW.

    Every singular value shrinks by the same amount an update, so that small ones vanish: U V^T is a
    subgradient of the nuclear norm (arXiv 2606.04405, whose own choice Q and K are).
    """

    def decayed(path, u, p):
        asked = path[-2:-1] and path[-2].key in ("wq", "wk")
        return u + weight_decay * (polar(p) if asked else p)

    return optax.stateless(
        lambda updates, params: jax.tree_util.tree_map_with_path(decayed, updates, params)
    )


DECAYS = {
    "to_zero": decay_to_zero,
    "to_init": decay_to_init,
    "jiggle": jiggle,
    "low_rank": low_rank,
}


def at_constant_norm() -> optax.GradientTransformation:
    """p <- p |p_0| / |p| after the update, with the L2 norm of all weights together.

    (Liu et al. 2023, Omnigrok: training on a sphere in weight space.)
    """

    def update(updates, state, params):
        moved = optax.apply_updates(params, updates)
        factor = state.initial_norm / optax.tree.norm(moved)
        return jax.tree.map(lambda q, p: q * factor - p, moved, params), state

    return optax.GradientTransformation(lambda params: NormState(optax.tree.norm(params)), update)
