"""The training of one run: loss, gradient, interventions, metrics; networks memorise and grok."""

import contextlib
import dataclasses
import functools
import json
import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats
from scipy.special import log_softmax

import grok.training.update
from grok.experiment import Run
from grok.model.transformer import Transformer
from grok.task.dataset import TRAIN, VAL, VAL_MIRRORED, make_dataset
from grok.training.program import make_program, round_up
from grok.training.schedule import evaluation_steps
from grok.training.update import (
    batch_loss,
    evaluate,
    forward,
    gradient,
    init_state,
    stream,
    train,
)

quick_jit = functools.partial(
    jax.jit, compiler_options={"xla_backend_optimization_level": 0}
)  # most programs here run once
jitted_train = quick_jit(train, static_argnums=0)
jitted_evaluate = quick_jit(evaluate, static_argnums=0)
jitted_gradient = quick_jit(gradient, static_argnums=0)


def random_like(params, scale=0.3):
    """Numpy weights that no random generator of a JAX version changes."""
    leaves, treedef = jax.tree.flatten(params)
    rng = np.random.default_rng(0)
    return treedef.unflatten(
        [jnp.float32(scale * rng.standard_normal(leaf.shape)) for leaf in leaves]
    )


def leaves_with_names(tree):
    paths_and_leaves = jax.tree.leaves_with_path(tree)
    name = functools.partial(jax.tree_util.keystr, simple=True, separator="/")
    return [(name(path), np.asarray(leaf)) for path, leaf in paths_and_leaves]


def types(tree):
    return [leaf.dtype for leaf in jax.tree.leaves(tree)]


def assert_bit_identical(a, b):
    """Not the same values alone: a float32 that became a float64 is another number."""
    jax.tree.map(np.testing.assert_array_equal, a, b)
    assert types(a) == types(b)


# --- The environment ---

KINDS = [
    {},
    {"dropout": 0.1, "weight_noise": 0.01},
    {"update_noise": 0.1, "decay_form": "jiggle"},
    {"optimizer": "muon", "schedule": "cosine", "decay_form": "to_init"},
    {"optimizer": "sgd", "decay_form": "honest"},
    {"optimizer": "sam", "token_format": "eos", "norm": "pre", "activation": "gelu"},
    {"positions": "learned", "values": "fourier", "frequencies": 2},
    {"positions": "rotary", "values": "random", "tied": True},
]


def trained(here, n_updates):
    """State and metrics of a run after some updates from its initial weights."""
    state = init_state(here.program, here.numbers, here.data.features)
    state = train(here.program, state, here.numbers, here.data, np.int32(n_updates))
    return state, evaluate(here.program, state, here.data)


def other_defaults():
    """What JAX_ENABLE_X64 and JAX_DEFAULT_PRNG_IMPL may ask for."""
    stack = contextlib.ExitStack()
    stack.enter_context(jax.enable_x64(True))
    stack.enter_context(jax.default_prng_impl("rbg"))
    return stack


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_types_and_generator_do_not_come_from_the_environment(tiny, on_device, kind):
    here = on_device(tiny.replace(**kind))
    with other_defaults():
        text = str(jax.make_jaxpr(lambda: trained(here, 3))())
    assert "key<fry>" in text and "key<rbg>" not in text
    assert not re.findall(r"f64\[\d.*", text)


def test_a_run_is_the_same_bits_in_another_environment(tiny, on_device):
    here = on_device(tiny.replace(dropout=0.1, weight_noise=0.01))
    expected = quick_jit(lambda: trained(here, 20))()
    with other_defaults():
        found = quick_jit(lambda: trained(here, 20))()
    assert_bit_identical(found, expected)


def test_no_setting_of_the_environment_changes_what_a_seed_draws():
    code = (
        "import jax; from grok.training.update import stream;"
        "print(jax.random.bits(stream({'seed': 7}, 'init'), (3,), 'uint32').tolist())"
    )
    asked = {
        "JAX_ENABLE_X64": "1",
        "JAX_DEFAULT_PRNG_IMPL": "rbg",
        "JAX_THREEFRY_PARTITIONABLE": "0",
        "JAX_RANDOM_SEED_OFFSET": "5",
        "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    }
    expected = jax.random.bits(stream({"seed": 7}, "init"), (3,), "uint32").tolist()
    found = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(found.stdout) == expected


# --- The initial state ---


def test_init_scale_multiplies_every_weight_but_not_layer_norm(tiny, on_device):
    base, scaled = (on_device(tiny.replace(init_scale=s)).state.params for s in (1.0, 3.0))
    for (name, a), (_, b) in zip(leaves_with_names(base), leaves_with_names(scaled)):
        np.testing.assert_allclose(b, a if "ln" in name else 3 * a, rtol=1e-6, err_msg=name)


def test_initial_weights_depend_on_the_seed_alone(tiny, on_device):
    base = on_device(tiny).state.params
    for changes in (
        {"split_seed": 1},
        {"optimizer": "adam", "weight_decay": 0.0},
        {"train_fraction": 0.3},
        {"operation": "x-y"},
    ):
        assert_bit_identical(on_device(tiny.replace(**changes)).state.params, base)
    assert (on_device(tiny.replace(seed=1)).state.params["embedding"] != base["embedding"]).all()


# --- Programs ---


def test_numbers_share_a_program_and_kinds_do_not(tiny):
    def program(**changes):
        run = tiny.replace(**changes)
        return make_program(run, make_dataset(run))

    for numbers in (
        {"learning_rate": 3e-3},
        {"weight_decay": 0.1},
        {"seed": 4},
        {"split_seed": 4},
        {"operation": "x^2+y"},
        {"init_scale": 2.0},
        {"num_steps": 7},
        {"corrupted_labels": 3},
    ):
        assert program(**numbers) == program(), numbers
    for kinds in (
        {"dropout": 0.1},
        {"weight_noise": 0.1},
        {"optimizer": "sam"},
        {"d_model": 16},
        {"token_format": "eos"},
        {"precision": "bf16"},
    ):
        assert program(**kinds) != program(), kinds


def test_round_up_pads_by_less_than_a_quarter():
    for size in range(1, 20_000, 7):
        padded = round_up(size)
        assert size <= padded < 1.25 * size
        assert round_up(padded) == padded
    assert len({round_up(size) for size in range(1, 513)}) <= 32
    assert round_up(512) == 512


@pytest.mark.parametrize(
    ("num_steps", "eval_every", "steps"),
    [
        (1000, 200, [1, 2, 5, 10, 20, 50, 100, 200, 400, 600, 800, 1000]),
        (450, 200, [1, 2, 5, 10, 20, 50, 100, 200, 400, 450]),
        (30, 200, [1, 2, 5, 10, 20, 30]),
        (4, 1, [1, 2, 3, 4]),
        (1, 200, [1]),
    ],
)
def test_evaluations_are_dense_at_the_start(num_steps, eval_every, steps):
    assert evaluation_steps(num_steps, eval_every) == steps


# --- The loss and its gradient ---


def numpy_loss(numpy_logits, lane, params, rows):
    """Mean cross-entropy over rows and answer positions, in float64 numpy."""
    n, tokens = lane.program.tokens.n_elements, lane.program.tokens
    answers = lane.dataset.answer_N[rows]
    logits_BAV = numpy_logits(
        params,
        tokens.sequences(*map(jnp.asarray, (rows // n, rows % n, answers))),
        lane.program.arch,
    )
    log_p_BAV = log_softmax(logits_BAV, axis=-1)
    return -np.take_along_axis(
        log_p_BAV, np.asarray(tokens.targets(jnp.asarray(answers)))[..., None], -1
    ).mean()


@pytest.mark.parametrize("token_format", ["answer", "eos"])
def test_the_batches_of_an_epoch_have_the_loss_of_their_rows(
    tiny, on_device, numpy_logits, token_format
):
    """25 training rows in batches of 10: the third counts its five rows, not its padding."""
    lane = on_device(tiny.replace(token_format=token_format, batch_size=10, train_fraction=0.51))
    assert (lane.dataset.n_train, lane.program.batch_cap) == (25, 10)
    params = random_like(lane.state.params)
    losses = quick_jit(
        jax.vmap(lambda s: batch_loss(lane.program, params, lane.numbers, lane.data, s))
    )(jnp.arange(3))
    expected = numpy_loss(numpy_logits, lane, params, lane.dataset.train_rows)
    assert float(losses @ jnp.array([10, 10, 5]) / 25) == pytest.approx(expected, rel=1e-5)
    assert len(set(np.asarray(losses).tolist())) == 3


@pytest.fixture(scope="module")
def golden(tiny, on_device):
    """Full batches from weights made by numpy: no random generator but the split's has a say."""
    lane = on_device(tiny.replace(batch_size=0, warmup_steps=0, learning_rate=0.01))
    params = random_like(lane.state.params)
    lane.state = lane.state._replace(params=params)
    return lane


def test_gradient_is_the_slope_of_the_numpy_loss(golden, numpy_logits):
    """Along a random direction in each tensor, by central differences in float64."""
    params = jax.tree.map(np.float64, golden.state.params)
    grads = jitted_gradient(golden.program, golden.state.params, golden.numbers, golden.data, 0)
    rng, h = np.random.default_rng(1), 1e-5
    paths = [path for path, _ in jax.tree.leaves_with_path(params)]
    for i, (path, grad) in enumerate(jax.tree.leaves_with_path(grads)):
        direction = rng.standard_normal(grad.shape)

        def loss(sign):
            moved = jax.tree.map_with_path(
                lambda p, leaf: leaf + sign * h * direction if p == paths[i] else leaf, params
            )
            return numpy_loss(numpy_logits, golden, moved, golden.dataset.train_rows)

        slope = (loss(1) - loss(-1)) / (2 * h)
        assert float((grad * direction).sum()) == pytest.approx(slope, rel=1e-3, abs=1e-6), path


GOLDEN_LOSSES = [2.158739, 2.132122, 2.051245]
GOLDEN_NORMS = [7.838310, 7.775550, 7.574085]


def test_golden_training_steps(golden, numpy_logits):
    """Loss and weight norm after 0, 1 and 5 updates: accidental changes of training show here."""
    states = [golden.state] + [
        jitted_train(golden.program, golden.state, golden.numbers, golden.data, n) for n in (1, 5)
    ]
    losses = [
        float(jitted_evaluate(golden.program, state, golden.data)["train_loss"]) for state in states
    ]
    np.testing.assert_allclose(losses, GOLDEN_LOSSES, rtol=1e-4)
    np.testing.assert_allclose(
        [float(optax.tree.norm(state.params)) for state in states], GOLDEN_NORMS, rtol=1e-4
    )
    np.testing.assert_allclose(
        losses,
        [
            numpy_loss(numpy_logits, golden, state.params, golden.dataset.train_rows)
            for state in states
        ],
        rtol=1e-5,
    )


# --- Interventions on the gradient ---


def test_sam_takes_the_gradient_at_the_point_up_the_hill(golden):
    plain, sam = golden.program, dataclasses.replace(golden.program, sam=True)
    numbers = golden.numbers | {"sam_radius": jnp.float32(0.7)}
    here = jitted_gradient(plain, golden.state.params, numbers, golden.data, 0)
    norm = np.sqrt(sum((np.float64(g) ** 2).sum() for g in jax.tree.leaves(here)))
    there = jax.tree.map(
        lambda p, g: np.float32(p + 0.7 * np.float64(g) / norm), golden.state.params, here
    )
    expected = jitted_gradient(plain, there, numbers, golden.data, 0)
    got = jitted_gradient(sam, golden.state.params, numbers, golden.data, 0)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), got, expected)
    assert float(optax.tree.norm(jax.tree.map(jnp.subtract, got, here))) > 0.1 * norm


@pytest.fixture
def weights_seen(on_device, monkeypatch):
    """(run, steps) -> the weights that each step's loss is given, and those of the run."""

    def see(run, steps):
        lane = on_device(run)

        def seen_at(step):
            seen = []
            monkeypatch.setattr(
                grok.training.update,
                "forward",
                lambda program, params, rows_B, data, dropout: (
                    seen.append(params) or jnp.zeros((len(rows_B), 1, 9))
                ),
            )
            batch_loss(lane.program, lane.state.params, lane.numbers, lane.data, step)
            return seen[0]

        seen = quick_jit(jax.vmap(seen_at))(jnp.array(steps))
        return [
            jax.tree.map(lambda p, i=i: p[i], seen) for i in range(len(steps))
        ], lane.state.params

    return see


def test_weight_noise_is_fresh_gaussian_noise_on_every_weight(tiny, weights_seen):
    noisy, params = weights_seen(tiny.replace(weight_noise=0.25), [0, 1, 0])
    difference = lambda seen: jax.tree.map(lambda a, b: (np.float64(a) - b) / 0.25, seen, params)
    z = [np.concatenate([*map(np.ravel, jax.tree.leaves(difference(seen)))]) for seen in noisy]
    for step in (0, 1):
        assert stats.kstest(z[step], "norm").pvalue > 1e-3
        for name, leaf in leaves_with_names(
            jax.tree.map(lambda a, b: (a - b) / 0.25, noisy[step], params)
        ):
            assert leaf.std() == pytest.approx(1, abs=5 / np.sqrt(2 * leaf.size)), name
    assert abs(np.corrcoef(z[0], z[1])[0, 1]) < 5 / np.sqrt(len(z[0]))
    np.testing.assert_array_equal(z[0], z[2])


def test_without_weight_noise_the_weights_are_the_runs_own(tiny, weights_seen):
    (seen, _), params = weights_seen(tiny, [3, 4])
    assert_bit_identical(seen, params)


@pytest.fixture(scope="module")
def dropped(tiny, on_device):
    """(rate, seed) -> what dropout left of the FFN's output at the answer, as factors [B, D].

    In one block without LayerNorm the logits are linear in the FFN's output, and d_model <
    vocab_size makes the output layer invertible: the factor can be solved for.
    """
    lane = on_device(tiny.replace(norm="none", dropout=0.1, structure="Z13", operation="x+y"))
    rows_B, params = jnp.arange(169), random_like(lane.state.params)
    inverse_VD = np.linalg.pinv(np.float64(params["unembedding"]))
    apply = quick_jit(functools.partial(forward, lane.program))
    silent = params | {
        "block0": params["block0"] | {"w_out": {"kernel": 0 * params["block0"]["w_out"]["kernel"]}}
    }
    attention_only = np.float64(apply(silent, rows_B, lane.data)[:, 0])
    whole_BD = (np.float64(apply(params, rows_B, lane.data)[:, 0]) - attention_only) @ inverse_VD

    def factors(rate, seed):
        logits_BV = np.float64(
            apply(params, rows_B, lane.data, (jnp.float32(rate), jax.random.key(seed)))[:, 0]
        )
        return ((logits_BV - attention_only) @ inverse_VD / whole_BD)[abs(whole_BD) > 0.02]

    return factors


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_dropout_removes_a_share_of_the_ffn_output_and_scales_the_rest(dropped, rate):
    factors = dropped(rate, 0)
    gone = abs(factors) < 1e-2
    np.testing.assert_allclose(factors[~gone], 1 / (1 - rate), rtol=1e-2)
    assert len(factors) > 600
    assert stats.binomtest(int(gone.sum()), len(gone), rate).pvalue > 1e-3


def test_dropout_is_drawn_per_key(dropped):
    first, again, other = (abs(dropped(0.5, seed)) < 1e-2 for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert stats.binomtest(int((first != other).sum()), len(first), 0.5).pvalue > 1e-3


def test_dropout_is_fresh_at_each_update_and_absent_without(tiny, on_device):
    """Full batches hold the same rows at every step, so that only the masks can change the loss."""
    spread = {}
    for rate in (0.0, 0.3):
        lane = on_device(tiny.replace(batch_size=0, dropout=rate))
        losses = quick_jit(
            jax.vmap(
                lambda s, lane=lane: batch_loss(
                    lane.program, lane.state.params, lane.numbers, lane.data, s
                )
            )
        )(jnp.arange(4))
        spread[rate] = np.ptp(losses)
    assert spread[0.0] < 1e-5 < 1e-2 < spread[0.3]


# --- Metrics ---


def direct_metrics(lane, state):
    """The metrics from their definitions: the plain path over all rows at once, then numpy."""
    tokens, n = lane.program.tokens, lane.program.tokens.n_elements
    rows = np.flatnonzero(lane.dataset.kind_N > 0)
    kinds, answers = lane.dataset.kind_N[rows], jnp.asarray(lane.dataset.answer_N[rows])
    sequences = tokens.sequences(jnp.asarray(rows // n), jnp.asarray(rows % n), answers)
    logits_BAV = np.asarray(
        quick_jit(Transformer(lane.program.arch).apply)({"params": state.params}, sequences)
    )
    target_BA = np.asarray(tokens.targets(answers))
    loss_B = -np.take_along_axis(
        log_softmax(np.float64(logits_BAV), axis=-1), target_BA[..., None], -1
    ).mean((1, 2))
    right_B = (logits_BAV.argmax(-1) == target_BA).all(-1)
    one_hot_B = (np.exp(logits_BAV - logits_BAV.max(-1, keepdims=True)).sum(-1) == 1).all(-1)
    is_train, is_fresh, is_mirrored = (kinds == kind for kind in (TRAIN, VAL, VAL_MIRRORED))
    return {
        "train_loss": loss_B[is_train].mean(),
        "train_accuracy": right_B[is_train].mean(),
        "val_loss": loss_B[~is_train].mean(),
        "val_accuracy": right_B[~is_train].mean(),
        "val_fresh_accuracy": right_B[is_fresh].mean(),
        "val_mirrored_accuracy": right_B[is_mirrored].mean(),
        "softmax_collapse": one_hot_B[is_train].mean(),
        "weight_norm": np.sqrt(
            sum((np.float64(p) ** 2).sum() for p in jax.tree.leaves(state.params))
        ),
        "embedding_norm": np.linalg.norm(state.params["embedding"]),
        "unembedding_norm": np.linalg.norm(state.params["unembedding"]),
        "rows_answered_right": rows[right_B].tolist(),
    }


def between_memorising_and_not(lane, output_factor):
    """A state a few updates in, its logits so large that some float32 softmaxes are one-hot."""
    state = jitted_train(lane.program, lane.state, lane.numbers, lane.data, 200)
    return state._replace(
        params=state.params | {"unembedding": output_factor * state.params["unembedding"]}
    )


@pytest.mark.parametrize(("token_format", "operation"), [("answer", "x/y"), ("eos", "x^2+xy")])
def test_metrics_are_those_of_the_whole_table(tiny, on_device, token_format, operation):
    """Over Z37 evaluation goes in two blocks, the second ragged; x/y leaves rows out."""
    lane = on_device(
        tiny.replace(
            operation=operation,
            structure="Z37",
            token_format=token_format,
            learning_rate=0.005,  # higher, rounding alone would decide where 200 updates lead
            train_fraction=0.4,
            d_model=16,
            num_steps=300,
            corrupted_labels=100,
        )
    )
    assert grok.training.update.EVALUATION_ROWS < 37 * 37
    for factor in (
        1000.0,
        300.0,
        100.0,
        30.0,
    ):  # the first at which some rows' softmax is one-hot and some rows' is not
        state = between_memorising_and_not(lane, factor)
        evaluated = jitted_evaluate(lane.program, state, lane.data)
        bits = evaluated.pop("correct")
        metrics = {name: float(value) for name, value in evaluated.items()}
        if 0 < metrics["softmax_collapse"] < 1:
            break
    expected = direct_metrics(lane, state)
    correct_N = np.unpackbits(np.asarray(bits), count=37 * 37)
    assert np.flatnonzero(correct_N).tolist() == expected.pop("rows_answered_right")
    assert set(metrics) == set(expected)
    for name, value in expected.items():
        assert metrics[name] == pytest.approx(
            value, rel=2e-5, abs=5e-3 if name == "softmax_collapse" else 1e-7
        ), name
    for name in (
        "train_accuracy",
        "val_fresh_accuracy",
        "val_mirrored_accuracy",
        "softmax_collapse",
    ):
        assert 0 < metrics[name] < 1, name
    assert (
        len({metrics[f"{kind}_accuracy"] for kind in ("train", "val", "val_fresh", "val_mirrored")})
        == 4
    )

    none_mirrored = lane.data._replace(
        kind_N=jnp.where(lane.data.kind_N == VAL_MIRRORED, VAL, lane.data.kind_N)
    )
    again = jitted_evaluate(lane.program, state, none_mirrored)
    assert np.isnan(again["val_mirrored_accuracy"])
    assert float(again["val_fresh_accuracy"]) == pytest.approx(metrics["val_accuracy"], rel=1e-6)
    assert float(again["val_accuracy"]) == pytest.approx(metrics["val_accuracy"], rel=1e-6)


# --- Training ---


def test_same_seed_gives_the_same_bits_and_another_seed_does_not(tiny, on_device):
    def curve(seed):
        lane = on_device(tiny.replace(seed=seed))
        state, points = lane.state, []
        for _ in range(3):
            state = jitted_train(lane.program, state, lane.numbers, lane.data, 10)
            points.append(jitted_evaluate(lane.program, state, lane.data))
        return points, state

    first, again, other = curve(0), curve(0), curve(1)
    assert_bit_identical(first, again)
    assert float(first[0][-1]["train_loss"]) != float(other[0][-1]["train_loss"])


def test_chunks_do_not_change_a_run_and_do_not_recompile(tiny, on_device):
    lane = on_device(tiny)
    whole = jitted_train(lane.program, lane.state, lane.numbers, lane.data, 30)
    compiled = jitted_train._cache_size()
    parts = lane.state
    for n_updates in (1, 7, 22):
        parts = jitted_train(lane.program, parts, lane.numbers, lane.data, n_updates)
    assert_bit_identical(whole, parts)
    assert int(whole.step) == 30
    assert jitted_train._cache_size() == compiled


def test_a_run_stands_still_at_its_end(tiny, on_device):
    lane = on_device(tiny.replace(num_steps=12))
    at_end = jitted_train(lane.program, lane.state, lane.numbers, lane.data, 12)
    beyond = jitted_train(lane.program, lane.state, lane.numbers, lane.data, 30)
    assert int(beyond.step) == 12
    assert_bit_identical(at_end, beyond)


def test_first_update_has_learning_rate_0(tiny, on_device):
    lane = on_device(tiny)
    after = [
        jitted_train(lane.program, lane.state, lane.numbers, lane.data, n).params for n in (1, 2)
    ]
    assert_bit_identical(after[0], lane.state.params)
    assert (after[1]["embedding"] != lane.state.params["embedding"]).any()


def test_memorises_random_labels(on_device):
    """Every label is corrupted: training reaches 100% from memory, validation stays at chance."""
    run = Run(
        operation="x+y",
        structure="Z11",
        n_layers=1,
        n_heads=2,
        d_model=64,
        batch_size=0,
        num_steps=500,
        corrupted_labels=60,
        token_format="eos",
        optimizer="adam",
        weight_decay=0.0,
    )
    lane = on_device(run)
    state = jitted_train(lane.program, lane.state, lane.numbers, lane.data, run.num_steps)
    metrics = jitted_evaluate(lane.program, state, lane.data)
    assert metrics["train_accuracy"] == 1
    assert metrics["train_loss"] < 0.01
    assert metrics["val_accuracy"] < 0.25


@pytest.mark.slow
def test_groks(on_device):
    """x+y mod 23 is memorised within hundreds of updates, generalises thousands later."""
    run = Run(
        operation="x+y",
        structure="Z23",
        train_fraction=0.6,
        n_layers=1,
        d_model=64,
        learning_rate=4e-3,
        init_scale=0.5,
        num_steps=12_000,
    )
    lane, fast_train = on_device(run), jax.jit(train, static_argnums=0)
    state, curve = lane.state, []
    while not curve or (curve[-1][2] < 0.99 and curve[-1][0] < run.num_steps):
        state = fast_train(lane.program, state, lane.numbers, lane.data, 100)
        metrics = jitted_evaluate(lane.program, state, lane.data)
        curve.append(
            (int(state.step), float(metrics["train_accuracy"]), float(metrics["val_accuracy"]))
        )
    memorised = next(point for point in curve if point[1] >= 0.99)
    assert memorised[2] < 0.6
    assert curve[-1][2] >= 0.99
    assert curve[-1][0] > 3 * memorised[0]
