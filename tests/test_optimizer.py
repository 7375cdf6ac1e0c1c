"""Each intervention against a few lines of numpy, from the paper's description."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from grok.experiment import Run
from grok.training.optimizer import learning_rate_schedule, make_optimizer, optimizer_form

NUMBERS = (
    "learning_rate",
    "weight_decay",
    "b1",
    "b2",
    "eps",
    "warmup_steps",
    "num_steps",
    "update_noise",
)
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
GRADS = [draw(seed, SHAPES) for seed in range(1, N_UPDATES + 1)]


def trajectory(run, params=PARAMS, grads=GRADS, key=0):
    """The parameters before and after each update with the given gradients."""
    numbers = {name: jnp.float32(getattr(run, name)) for name in NUMBERS}
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
        learning_rate_schedule(run.schedule, {name: getattr(run, name) for name in NUMBERS})(
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
    ):
        assert optimizer_form(Run(**kinds)) != base
