"""Gaussian noise on weights and updates; a key and the step fix it, so that none is carried."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class CountState(NamedTuple):
    count: jax.Array


def normal_like(key, tree):
    """Independent standard normal numbers in the shape of a tree of arrays."""
    leaves, treedef = jax.tree.flatten(tree)
    keys = jax.random.split(key, len(leaves))
    draws = [jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves)]
    return treedef.unflatten(draws)


def add_update_noise(scale, b1, key) -> optax.GradientTransformation:
    """u <- u + scale N(0, 1) / (1 - b1^t), before the bias-corrected rate (released code)."""

    def update(updates, state, params=None):
        count = state.count + 1
        noise = normal_like(jax.random.fold_in(key, state.count), updates)
        factor = scale / (1 - jnp.asarray(b1, jnp.float32) ** count)
        return jax.tree.map(lambda u, z: u + factor * z, updates, noise), CountState(count)

    return optax.GradientTransformation(lambda params: CountState(jnp.zeros((), jnp.int32)), update)
