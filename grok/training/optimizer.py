"""Optimisers and regularisers of the paper as optax transformations whose numbers are traced.

Learning rate, decay and noise scales come in as arrays, never as Python floats, so one compiled
program trains runs that differ in them. An `OptimizerForm` fixes what a transformation *does*.
"""

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax import contrib

from grok.experiment import Run

# Optax's own coefficients. They are part of the state, where the environment could widen them.
NEWTON_SCHULZ = np.array([3.4445, -4.7750, 2.0315], np.float32)


@dataclass(frozen=True)
class OptimizerForm:
    """What fixes the code of an update: rule, form of decay, schedule, whether noise is added."""

    rule: str
    decay_form: str
    schedule: str
    update_noise: bool


def optimizer_form(run: Run) -> OptimizerForm:
    """The form that a run asks for. Runs without decay share one, whatever decay they name."""
    rule = "adamw" if run.optimizer in ("adam", "sam") else run.optimizer
    decay_form = run.decay_form if run.weight_decay else "to_zero"
    return OptimizerForm(rule, decay_form, run.schedule, run.update_noise > 0)


def make_optimizer(
    form: OptimizerForm, numbers: dict[str, Any], noise_key
) -> optax.GradientTransformation:
    """The whole update as one transformation.

    numbers: scalars (arrays or floats) named as the fields of `Run`: learning_rate, weight_decay,
    b1, b2, eps, warmup_steps, num_steps, update_noise. noise_key seeds jiggle and update noise. The
    step is folded into it, so no key is carried and resuming is exact.
    """
    stages = []
    if form.decay_form == "honest":
        stages.append(optax.add_decayed_weights(numbers["weight_decay"]))
    stages.append(direction(form.rule, numbers))
    if form.update_noise:
        key = jax.random.fold_in(noise_key, 0)
        stages.append(add_update_noise(numbers["update_noise"], numbers["b1"], key))
    rate = learning_rate_schedule(form.schedule, numbers)
    if form.decay_form != "honest":
        key, decay = jax.random.fold_in(noise_key, 1), DECAYS[form.decay_form]
        stages.append(decay(rate, numbers["weight_decay"], key))
    return optax.chain(*stages, optax.scale_by_learning_rate(rate))


def learning_rate_schedule(schedule: str, numbers) -> optax.Schedule:
    """lr(s) = learning_rate * min(s / warmup_steps, 1), then constant or a half cosine to 0.

    The cosine reaches 0 at num_steps.
    The first update (s = 0) has learning rate 0, as in the released code.
    """

    def rate(step):
        warmup = jnp.asarray(numbers["warmup_steps"], jnp.float32)
        factor = jnp.where(warmup > 0, jnp.minimum(step / jnp.maximum(warmup, 1), 1), 1.0)
        if schedule == "cosine":
            progress = jnp.clip(
                (step - warmup) / jnp.maximum(numbers["num_steps"] - warmup, 1), 0, 1
            )
            factor = factor * (1 + jnp.cos(jnp.pi * progress)) / 2
        return numbers["learning_rate"] * factor

    return rate


def direction(rule: str, numbers) -> optax.GradientTransformation:
    """The normalised update before noise, decay and learning rate."""
    adam = optax.scale_by_adam(b1=numbers["b1"], b2=numbers["b2"], eps=numbers["eps"])
    if rule == "sgd":
        return optax.trace(decay=numbers["b1"])
    if rule == "muon":
        return optax.partition({"muon": muon(numbers["b1"]), "adam": adam}, muon_labels)
    return adam


def muon(momentum) -> optax.GradientTransformation:
    """Orthogonalised momentum of kernels [fan_in, fan_out], times sqrt(max(1, fan_out/fan_in))."""
    kernel = contrib.MuonDimensionNumbers(reduction_axis=0, output_axis=1)

    def dimensions(params):
        return jax.tree.map(lambda _: kernel, params)

    def scale_by_width(updates, params=None):
        return jax.tree.map(lambda u: u * math.sqrt(max(1, u.shape[1] / u.shape[0])), updates)

    return optax.chain(
        contrib.scale_by_muon(NEWTON_SCHULZ, beta=momentum, weight_dimension_numbers=dimensions),
        optax.stateless(scale_by_width),
    )


def muon_labels(params):
    """'muon' for the kernels of the blocks, 'adam' for what Muon is not meant for.

    That is embeddings, output layer and LayerNorm.
    """

    def label(path, _leaf):
        return "muon" if path[-1].key == "kernel" else "adam"

    return jax.tree_util.tree_map_with_path(label, params)


class CountState(NamedTuple):
    count: jax.Array


class DecayState(NamedTuple):
    initial_params: Any


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


DECAYS = {"to_zero": decay_to_zero, "to_init": decay_to_init, "jiggle": jiggle}
