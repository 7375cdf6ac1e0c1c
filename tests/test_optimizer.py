"""Each intervention against a few lines of numpy, from the paper's description."""

import dataclasses
import functools
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from grok.experiment import Run
from grok.training.decays import DECAYS
from grok.training.filters import FILTERS
from grok.training.losses import LOSSES
from grok.training.optimizer import RULES, learning_rate_schedule, make_optimizer, optimizer_form
from grok.training.program import TRACED

BASE = Run(learning_rate=0.02, weight_decay=0.7, b1=0.8, b2=0.95, warmup_steps=2, num_steps=50)
N_UPDATES = 4


def draw(seed, shapes):
    rng = np.random.default_rng(seed)
    return jax.tree.map(
        lambda shape: rng.standard_normal(shape).astype(np.float32),
        shapes,
        is_leaf=lambda s: isinstance(s, tuple),
    )


SHAPES = {
    "embedding": (4, 3),
    "block0": {"ln1": {"scale": (3,)}, "w_in": {"kernel": (3, 6)}, "w_out": {"kernel": (6, 3)}},
}
PARAMS = draw(0, SHAPES)
LEAVES = jax.tree.leaves_with_path(PARAMS)
GRADS = [draw(seed, SHAPES) for seed in range(1, N_UPDATES + 1)]


def trajectory(run, params=PARAMS, grads=GRADS, key=0):
    """The parameters before and after each update with the given gradients."""
    numbers = {name: jnp.float32(getattr(run, name)) for name in TRACED}
    stacked = jax.tree.map(lambda *g: np.stack(g), *grads)
    later = all_updates(optimizer_form(run), numbers, jax.random.key(key), params, stacked)
    return [params] + [jax.tree.map(lambda p, i=i: p[i], later) for i in range(len(grads))]


@functools.partial(
    jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0}
)
def all_updates(form, numbers, key, params, grads):
    """The parameters after each update, stacked. Numbers are traced: only the form is static."""
    tx = make_optimizer(form, numbers, key)

    def update(carry, grads):
        params, opt_state = carry
        updates, opt_state = tx.update(grads, opt_state, params)
        params = optax.apply_updates(params, updates)
        return (params, opt_state), params

    return jax.lax.scan(update, (params, tx.init(params)), grads)[1]


def rate(run, step):
    return run.learning_rate * min(step / run.warmup_steps, 1)


def assert_follows(run, leaf_update, leaves=None):
    """leaf_update(p, g, lr, memory) -> p: checked leaf by leaf; memory is a dict, p0 in it."""
    computed = [jax.tree.leaves(params) for params in trajectory(run)]
    grads = [jax.tree.leaves(g) for g in GRADS]
    for i in leaves or range(len(grads[0])):
        p = computed[0][i].astype(np.float64)
        memory = {"p0": p, "t": 0}
        for step in range(N_UPDATES):
            memory["t"] += 1
            p = leaf_update(p, grads[step][i].astype(np.float64), rate(run, step), memory)
            np.testing.assert_allclose(computed[step + 1][i], p, rtol=2e-6, atol=2e-6)


def adam(run, g, memory):
    """m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps): Kingma and Ba, algorithm 1."""
    memory["m"] = run.b1 * memory.get("m", 0) + (1 - run.b1) * g
    memory["v"] = run.b2 * memory.get("v", 0) + (1 - run.b2) * g**2
    t = memory["t"]
    return memory["m"] / (1 - run.b1**t) / (np.sqrt(memory["v"] / (1 - run.b2**t)) + run.eps)


def test_adamw():
    assert_follows(
        BASE, lambda p, g, lr, memory: p - lr * adam(BASE, g, memory) - lr * BASE.weight_decay * p
    )


def test_adam_does_not_decay():
    run = BASE.replace(optimizer="adam", weight_decay=0.0)
    assert_follows(run, lambda p, g, lr, memory: p - lr * adam(run, g, memory))


def test_eps_stands_outside_the_root():
    run = BASE.replace(eps=0.5)
    assert_follows(
        run, lambda p, g, lr, memory: p - lr * adam(run, g, memory) - lr * run.weight_decay * p
    )


def test_decay_to_init_pulls_towards_the_initial_weights():
    run = BASE.replace(decay_form="to_init")
    assert_follows(
        run,
        lambda p, g, lr, memory: (
            p - lr * adam(run, g, memory) + lr * run.weight_decay * (memory["p0"] - p)
        ),
    )


def test_honest_decay_goes_through_adam():
    run = BASE.replace(decay_form="honest")
    assert_follows(
        run, lambda p, g, lr, memory: p - lr * adam(run, g + run.weight_decay * p, memory)
    )


def test_sgd_with_momentum():
    run = BASE.replace(optimizer="sgd")

    def update(p, g, lr, memory):
        memory["v"] = run.b1 * memory.get("v", 0) + g
        return p - lr * memory["v"] - lr * run.weight_decay * p

    assert_follows(run, update)


def test_muon_orthogonalises_kernels_and_leaves_the_rest_to_adam():
    run = BASE.replace(optimizer="muon")

    def muon(p, g, lr, memory):
        m = memory["m"] = run.b1 * memory.get("m", 0) + (1 - run.b1) * g
        t = memory["t"]
        nesterov = run.b1 * m / (1 - run.b1 ** (t + 1)) + (1 - run.b1) * g / (1 - run.b1**t)
        u = newton_schulz(nesterov) * np.sqrt(max(1, p.shape[1] / p.shape[0]))
        return p - lr * u - lr * run.weight_decay * p

    kernels = [
        i
        for i, (path, _) in enumerate(jax.tree.leaves_with_path(PARAMS))
        if path[-1].key == "kernel"
    ]
    others = [i for i in range(len(jax.tree.leaves(PARAMS))) if i not in kernels]
    assert (len(kernels), len(others)) == (2, 2)
    assert_follows(run, muon, kernels)
    assert_follows(
        run,
        lambda p, g, lr, memory: p - lr * adam(run, g, memory) - lr * run.weight_decay * p,
        others,
    )


def newton_schulz(g):
    """Singular values sent near 1 by five quintic steps with the coefficients of Jordan's Muon."""
    u, s, vt = np.linalg.svd(g, full_matrices=False)
    s = s / np.linalg.norm(g)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    assert (abs(s - 1) < 0.5).all()
    return u * s @ vt


def test_muon_without_orthogonalisation_is_its_momentum_at_muons_size():
    run = BASE.replace(optimizer="muon_norm_only")

    def norm_only(p, g, lr, memory):
        m = memory["m"] = run.b1 * memory.get("m", 0) + (1 - run.b1) * g
        t = memory["t"]
        u = run.b1 * m / (1 - run.b1 ** (t + 1)) + (1 - run.b1) * g / (1 - run.b1**t)
        u = u / np.linalg.norm(u) * np.sqrt(min(p.shape) * max(1, p.shape[1] / p.shape[0]))
        return p - lr * u - lr * run.weight_decay * p

    kernels = [i for i, (path, _) in enumerate(LEAVES) if path[-1].key == "kernel"]
    assert_follows(run, norm_only, kernels)


def test_egalitarian_descent_goes_along_all_singular_vectors_alike():
    run = BASE.replace(optimizer="egalitarian")

    def egalitarian(p, g, lr, memory):
        return p - lr * along_singular_vectors(g) - lr * run.weight_decay * p

    assert_follows(run, egalitarian)


def along_singular_vectors(matrix):
    """U V^T; of a vector, the vector of length 1."""
    if matrix.ndim == 1:
        return matrix / np.linalg.norm(matrix)
    u, _, vt = np.linalg.svd(matrix, full_matrices=False)
    return u @ vt


# --- Filters of the gradient ---


def test_grokfast_ema_adds_the_slow_gradient():
    run = BASE.replace(gradient_filter="grokfast_ema", filter_strength=3.0, filter_memory=0.6)

    def update(p, g, lr, memory):
        memory["h"] = 0.6 * memory["h"] + 0.4 * g if "h" in memory else g
        return p - lr * adam(run, g + 3 * memory["h"], memory) - lr * run.weight_decay * p

    assert_follows(run, update)


def test_grokfast_ma_adds_the_mean_of_a_full_window():
    run = BASE.replace(gradient_filter="grokfast_ma", filter_strength=3.0, filter_window=2)
    run = run.replace(optimizer="sgd")

    def update(p, g, lr, memory):
        memory["last"] = [*memory.get("last", []), g][-2:]
        slow = np.mean(memory["last"], axis=0) if len(memory["last"]) == 2 else 0
        memory["v"] = run.b1 * memory.get("v", 0) + g + 3 * slow
        return p - lr * memory["v"] - lr * run.weight_decay * p

    assert_follows(run, update)


def test_orthogonal_keeps_the_length_of_the_gradient_and_leaves_the_weights_direction():
    run = BASE.replace(gradient_filter="orthogonal", optimizer="sgd", decay_form="honest")

    def update(p, g, lr, memory):
        across = g - (p * g).sum() / (p * p).sum() * p
        across *= np.linalg.norm(g) / np.linalg.norm(across)
        memory["v"] = run.b1 * memory.get("v", 0) + across + run.weight_decay * p
        return p - lr * memory["v"]

    assert_follows(run, update)


# --- Decay ---


def test_low_rank_decay_shrinks_singular_values_of_queries_and_keys_by_as_much():
    run = BASE.replace(decay_form="low_rank")
    params = {"wq": {"kernel": PARAMS["embedding"]}, "wv": {"kernel": PARAMS["embedding"]}}
    grads = [jax.tree.map(np.zeros_like, params)] * N_UPDATES
    steps = trajectory(run, params, grads)
    for step in range(N_UPDATES):
        rate_now = rate(run, step) * run.weight_decay
        before, after = (steps[i]["wq"]["kernel"] for i in (step, step + 1))
        np.testing.assert_allclose(
            after, before - rate_now * along_singular_vectors(before), rtol=1e-5, atol=1e-6
        )
        before, after = (steps[i]["wv"]["kernel"] for i in (step, step + 1))
        np.testing.assert_allclose(after, (1 - rate_now) * before, rtol=1e-6)


def test_constant_norm_scales_all_weights_back_together():
    run = BASE.replace(constant_norm=True)
    constant, free = trajectory(run)[:3], trajectory(BASE)[:3]
    norms = [float(optax.tree.norm(params)) for params in (*constant, free[2])]
    np.testing.assert_allclose(norms[:3], norms[0], rtol=1e-6)
    assert abs(norms[3] / norms[0] - 1) > 1e-3
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b * norms[0] / norms[3], rtol=1e-4, atol=1e-6),
        constant[2],
        free[2],
    )


def test_every_method_that_a_run_may_name_is_there():
    named = {spec.name: set(get_args(spec.type)) for spec in dataclasses.fields(Run)}
    assert named["loss"] == LOSSES.keys()
    assert named["gradient_filter"] == FILTERS.keys() | {"none"}
    assert named["optimizer"] == RULES.keys() | {"adam", "sam"}
    assert named["decay_form"] == DECAYS.keys() | {"honest"}


# --- Noise ---

WIDE = {"embedding": (40, 50), "block0": {"ln1": {"scale": (300,)}, "wq": {"kernel": (50, 50)}}}
MANY = {f"tensor{i}": (3,) for i in range(60)}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_update_noise_is_added_before_the_bias_corrected_learning_rate(optimizer):
    """The difference to no noise is -lr / (1 - b1^t) times N(0, factor^2), fresh everywhere."""
    run = BASE.replace(weight_decay=0.0, update_noise=0.3, optimizer=optimizer)
    params, grads = draw(0, WIDE), [draw(1, WIDE)] * N_UPDATES
    noisy, quiet = (
        trajectory(run, params, grads),
        trajectory(run.replace(update_noise=0.0), params, grads),
    )
    differences = [
        jax.tree.map(lambda a, b: np.asarray(a, np.float64) - b, *pair)
        for pair in zip(noisy, quiet)
    ]
    assert optax.tree.norm(differences[1]) == 0  # learning rate 0
    seen = []
    for step in range(1, N_UPDATES):
        change = jax.tree.map(np.subtract, differences[step + 1], differences[step])
        factor = -rate(run, step) / (1 - run.b1 ** (step + 1)) * run.update_noise
        for leaf in jax.tree.leaves(change):
            z = leaf.reshape(-1) / factor
            assert stats.kstest(z, "norm").pvalue > 1e-3
            assert z.std() == pytest.approx(1, abs=4 / np.sqrt(2 * z.size))
            seen.append(z[:300])
    assert abs(np.corrcoef(seen) - np.eye(len(seen))).max() < 5 / np.sqrt(300)


def test_jiggle_scales_each_tensor_by_one_random_factor():
    """Without gradients p <- p exp(N(0, 1) lr wd) alone happens; the first update has lr 0."""
    run = BASE.replace(decay_form="jiggle")
    steps = trajectory(
        run,
        draw(0, MANY),
        [jax.tree.map(np.zeros, MANY, is_leaf=lambda s: isinstance(s, tuple))] * N_UPDATES,
    )
    jax.tree.map(np.testing.assert_array_equal, steps[1], steps[0])
    seen = []
    for step in range(1, N_UPDATES):
        ratios = np.array(
            [np.asarray(steps[step + 1][name], np.float64) / steps[step][name] for name in MANY]
        )
        np.testing.assert_allclose(ratios, ratios[:, :1] * np.ones(3), rtol=1e-5)
        z = np.log(ratios.mean(1)) / (rate(run, step) * run.weight_decay)
        assert stats.kstest(z, "norm").pvalue > 1e-3
        seen.append(z)
    assert abs(np.corrcoef(seen) - np.eye(N_UPDATES - 1)).max() < 5 / np.sqrt(len(MANY))


def test_jiggle_adds_to_adams_update():
    """What Adam does to a weight of 0 stays as it is, for a factor leaves 0 at 0."""
    jiggled, plain = (
        trajectory(
            run,
            params={"w": np.zeros(5, np.float32)},
            grads=[{"w": np.arange(5, dtype=np.float32)}] * 2,
        )
        for run in (
            BASE.replace(decay_form="jiggle"),
            BASE.replace(optimizer="adam", weight_decay=0.0),
        )
    )
    np.testing.assert_allclose(jiggled[2]["w"], plain[2]["w"], rtol=1e-6)
    assert abs(plain[2]["w"][1:]).min() > 0


@pytest.mark.parametrize("changes", [{"update_noise": 0.3}, {"decay_form": "jiggle"}])
def test_noise_is_a_function_of_the_key_alone(changes):
    first, again, other = (trajectory(BASE.replace(**changes), key=key)[-1] for key in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert (first["embedding"] != other["embedding"]).any()


# --- Learning rate ---


def scheduled(run, steps):
    return np.asarray(
        learning_rate_schedule(run.schedule, {name: getattr(run, name) for name in TRACED})(
            np.asarray(steps)
        )
    )


def test_warm_up_of_the_paper():
    np.testing.assert_allclose(
        scheduled(Run(), [0, 1, 5, 10, 11, 99_999]), [0, 1e-4, 5e-4, 1e-3, 1e-3, 1e-3], rtol=1e-6
    )


def test_learning_rate_that_the_updates_have():
    """Adam moves every weight by just lr while the gradient's sign and size stay."""
    run = Run(optimizer="adam", weight_decay=0.0, num_steps=20)
    steps = trajectory(run, {"w": np.zeros(1, np.float32)}, [{"w": np.ones(1, np.float32)}] * 13)
    moves = np.diff([float(step["w"][0]) for step in steps])
    np.testing.assert_allclose(moves[[0, 1, 10, 11]], [0, -1e-4, -1e-3, -1e-3], rtol=1e-4)


def test_no_warm_up_starts_at_the_full_rate():
    np.testing.assert_allclose(scheduled(Run(warmup_steps=0), [0, 1]), 1e-3)


def test_cosine_annealing():
    run = Run(schedule="cosine", learning_rate=0.1, warmup_steps=10, num_steps=110)
    for step in (0, 5, 10, 35, 60, 85, 110, 200):
        expected = (
            0.1 * min(step / 10, 1) * (1 + np.cos(np.pi * min(max(step - 10, 0), 100) / 100)) / 2
        )
        assert scheduled(run, step) == pytest.approx(expected, abs=1e-8)


# --- What fixes the code ---


def test_numbers_do_not_change_the_form_and_kinds_do():
    base = optimizer_form(Run())
    for numbers in (
        {"learning_rate": 3e-3},
        {"weight_decay": 0.1},
        {"b1": 0.5},
        {"warmup_steps": 0},
        {"num_steps": 5},
        {"optimizer": "adam", "weight_decay": 0.0},
    ):
        assert optimizer_form(Run(**numbers)) == base
    for kinds in (
        {"decay_form": "to_init"},
        {"schedule": "cosine"},
        {"optimizer": "sgd"},
        {"update_noise": 0.1},
        {"gradient_filter": "orthogonal"},
        {"gradient_filter": "grokfast_ma", "filter_window": 7},
        {"constant_norm": True},
    ):
        assert optimizer_form(Run(**kinds)) != base
