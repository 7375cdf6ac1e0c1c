"""Optimisers and regularisers as optax transformations whose numbers are traced.

Learning rate, decay and noise scales come in as arrays, never as Python floats, so one compiled
program trains runs that differ in them. An `OptimizerForm` fixes what a transformation *does*.
A new update rule is a function of numbers, its entry in `RULES` and its name among the values of
`Run.optimizer`. Filters of the gradient and forms of decay have modules of their own.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from grok.experiment import Run
from grok.training.decays import DECAYS, at_constant_norm
from grok.training.filters import FILTERS
from grok.training.noise import add_update_noise
from grok.training.orthogonal import egalitarian, muon, muon_norm_only


@dataclass(frozen=True)
class OptimizerForm:
    """What fixes the code of an update.

    Rule, filter of the gradient (filter_window: 0 unless that filter keeps so many), form of decay,
    schedule, whether noise is added, whether the norm of all weights stays.
    """

    rule: str
    gradient_filter: str
    filter_window: int
    decay_form: str
    schedule: str
    update_noise: bool
    constant_norm: bool


def optimizer_form(run: Run) -> OptimizerForm:
    """The form that a run asks for. Runs without decay share one, whatever decay they name."""
    return OptimizerForm(
        rule="adamw" if run.optimizer in ("adam", "sam") else run.optimizer,
        gradient_filter=run.gradient_filter,
        filter_window=run.filter_window if run.gradient_filter == "grokfast_ma" else 0,
        decay_form=run.decay_form if run.weight_decay else "to_zero",
        schedule=run.schedule,
        update_noise=run.update_noise > 0,
        constant_norm=run.constant_norm,
    )


def make_optimizer(
    form: OptimizerForm, numbers: dict[str, Any], noise_key
) -> optax.GradientTransformation:
    """The whole update as one transformation.

    numbers: scalars (arrays or floats) named as the traced fields of `Run`. noise_key seeds jiggle
    and update noise. The step is folded into it, so no key is carried and resuming is exact.
    """
    stages = []
    if form.gradient_filter != "none":
        stages.append(FILTERS[form.gradient_filter](form, numbers))
    if form.decay_form == "honest":
        stages.append(optax.add_decayed_weights(numbers["weight_decay"]))
    stages.append(RULES[form.rule](numbers))
    if form.update_noise:
        key = jax.random.fold_in(noise_key, 0)
        stages.append(add_update_noise(numbers["update_noise"], numbers["b1"], key))
    rate = learning_rate_schedule(form.schedule, numbers)
    if form.decay_form != "honest":
        key, decay = jax.random.fold_in(noise_key, 1), DECAYS[form.decay_form]
        stages.append(decay(rate, numbers["weight_decay"], key))
    stages.append(optax.scale_by_learning_rate(rate))
    if form.constant_norm:
        stages.append(at_constant_norm())
    return optax.chain(*stages)


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


def adam(numbers) -> optax.GradientTransformation:
    """First moment over the root of the second (Kingma and Ba); AdamW's decay comes later."""
    return optax.scale_by_adam(b1=numbers["b1"], b2=numbers["b2"], eps=numbers["eps"])


def sgd(numbers) -> optax.GradientTransformation:
    """The gradient with momentum b1."""
    return optax.trace(decay=numbers["b1"])


def with_adam(kernels_rule):
    """A rule for the kernels of the blocks, with Adam for all that it is not meant for."""

    def rule(numbers):
        parts = {"muon": kernels_rule(numbers["b1"]), "adam": adam(numbers)}
        return optax.partition(parts, muon_labels)

    return rule


def muon_labels(params):
    """'muon' for the kernels of the blocks, 'adam' for what Muon is not meant for.

    That is embeddings, output layer and LayerNorm.
    """

    def label(path, _leaf):
        return "muon" if path[-1].key == "kernel" else "adam"

    return jax.tree_util.tree_map_with_path(label, params)


RULES = {
    "adamw": adam,
    "sgd": sgd,
    "muon": with_adam(muon),
    "muon_norm_only": with_adam(muon_norm_only),
    "egalitarian": egalitarian,
}
