"""What becomes of a gradient before the optimiser sees it, as optax transformations.

The filter takes the gradient of the loss. L2 in the gradient comes after it, as in the sources,
where it belongs to the optimiser. A new filter is a function of (form, numbers), its entry in
`FILTERS` and its name among the values of `Run.gradient_filter`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from grok.training.orthogonal import SMALLEST, length


class SlowState(NamedTuple):
    """The updates so far, and what is kept of each tensor's gradients."""

    count: Any
    kept: Any


def begin(kept) -> SlowState:
    return SlowState(jnp.zeros((), jnp.int32), kept)


def grokfast_ema(form, numbers) -> optax.GradientTransformation:
    """h <- a h + (1 - a) g; g <- g + strength h (Lee et al. 2024). h begins as the first g."""
    memory = numbers["filter_memory"]

    def update(grads, state, params=None):
        kept = jnp.where(state.count == 0, 0, memory)
        slow = jax.tree.map(lambda h, g: kept * h + (1 - kept) * g, state.kept, grads)
        return added(grads, slow, numbers["filter_strength"]), SlowState(state.count + 1, slow)

    return optax.GradientTransformation(
        lambda params: begin(jax.tree.map(jnp.zeros_like, params)), update
    )


def grokfast_ma(form, numbers) -> optax.GradientTransformation:
    """g <- g + strength x the mean of the last `window` g, once so many are there (Lee et al.).

    kept: these gradients, [window, ...]. The mean is taken anew: a running sum would keep the
    rounding of early, large gradients for ever.
    """
    window = form.filter_window

    def init(params):
        return begin(jax.tree.map(lambda p: jnp.zeros((window, *p.shape), p.dtype), params))

    def update(grads, state, params=None):
        at = state.count % window
        kept = jax.tree.map(lambda ring, g: ring.at[at].set(g), state.kept, grads)
        strength = jnp.where(state.count + 1 >= window, numbers["filter_strength"], 0)
        slow = jax.tree.map(lambda ring: ring.mean(0), kept)
        return added(grads, slow, strength), SlowState(state.count + 1, kept)

    return optax.GradientTransformation(init, update)


def added(grads, slow, strength):
    return jax.tree.map(lambda g, h: g + strength * h, grads, slow)


def orthogonal(form, numbers) -> optax.GradientTransformation:
    """Per tensor g - (w.g / w.w) w, scaled back to the length of g (Prieto et al. 2025)."""

    def across(g, w):
        rest = g - (w * g).sum() / ((w * w).sum() + SMALLEST) * w
        return rest * (jnp.linalg.norm(g) / length(rest))

    return optax.stateless(lambda grads, params: jax.tree.map(across, grads, params))


FILTERS = {"grokfast_ema": grokfast_ema, "grokfast_ma": grokfast_ma, "orthogonal": orthogonal}
