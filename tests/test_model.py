"""The Transformer against numpy and the released code; the fast path against the plain one."""

import dataclasses
import functools
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from grok.experiment import Run
from grok.model.layers import attend, layer_norm, linear, take_rows
from grok.model.transformer import (
    Architecture,
    Scalars,
    Transformer,
    architecture,
    sinusoidal_positions,
)
from grok.task.dataset import Tokens
from grok.task.operations import operation_table
from grok.training.optimizer import make_optimizer, optimizer_form

FIXTURES = [Path(__file__).parent / "parity" / "reference_small.npz"]
if os.environ.get("PARITY_FIXTURE"):
    FIXTURES.append(Path(os.environ["PARITY_FIXTURE"]))


QUICK_COMPILE = {
    "xla_backend_optimization_level": 0
}  # the same programs, for a test that runs each of them once


def initial_params(arch, n_positions):
    return jax.jit(Transformer(arch).init)(
        jax.random.key(0), jnp.zeros((1, n_positions), jnp.int32)
    )["params"]


def random_params(arch, n_positions, scale=0.2, seed=0):
    """Weights N(0, scale^2), embedding N(0, 1), LayerNorms away from their initial values."""
    shapes = jax.eval_shape(
        Transformer(arch).init, jax.random.key(0), jnp.zeros((1, n_positions), jnp.int32)
    )["params"]
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        name, value = path[-1].key, rng.standard_normal(leaf.shape).astype(np.float32)
        return value if name == "embedding" else (name == "scale") + scale * value

    return jax.tree.map_with_path(draw, shapes)


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


# --- The definition ---


def test_positions_follow_the_formula():
    positions = sinusoidal_positions(7, 10)
    for pos in range(7):
        for i in range(10):
            expected = (
                np.sin(pos / 10000 ** (i / 10))
                if i % 2 == 0
                else np.cos(pos / 10000 ** ((i - 1) / 10))
            )
            assert positions[pos, i] == pytest.approx(expected, abs=1e-6)


@pytest.fixture(scope="module")
def paper_params():
    return initial_params(architecture(Run(), 99, 1), 4)


def test_the_papers_blocks_have_394240_parameters(paper_params):
    assert count(paper_params["block0"]) + count(paper_params["block1"]) == 394_240
    assert set(paper_params) == {"embedding", "unembedding", "block0", "block1"}
    assert count(paper_params) == 394_240 + 2 * 99 * 128


def test_initial_scales(paper_params):
    """Embedding N(0, 1); linear maps U(+-1/sqrt(fan_in)), variance 1/(3 fan_in); LayerNorm 1, 0."""
    embedding = np.asarray(paper_params["embedding"])
    assert embedding.var() == pytest.approx(1, rel=0.05)
    assert embedding.mean() == pytest.approx(0, abs=0.05)
    assert (abs(embedding) > 2).mean() == pytest.approx(0.0455, abs=0.01)
    kernels = {
        (b, name): leaf["kernel"]
        for b in ("block0", "block1")
        for name, leaf in paper_params[b].items()
        if "kernel" in leaf
    }
    assert len(kernels) == 12
    kernels["output"] = paper_params["unembedding"]
    for name, kernel in kernels.items():
        fan_in = 512 if "w_out" in name else 128
        assert kernel.shape[0] == fan_in, name
        assert np.var(kernel) == pytest.approx(1 / (3 * fan_in), rel=0.05), name
        assert abs(kernel).max() <= fan_in**-0.5, name
        assert abs(kernel).max() > 0.99 * fan_in**-0.5, name
    for b in ("block0", "block1"):
        for ln in ("ln1", "ln2"):
            np.testing.assert_array_equal(paper_params[b][ln]["scale"], 1)
            np.testing.assert_array_equal(paper_params[b][ln]["bias"], 0)


def test_initial_scales_of_nanda():
    """Every matrix N(0, 1/d_model), the output layer N(0, 1/vocabulary), the hidden layer's too."""
    run = Run(init="normal", positions="learned", norm="none", n_layers=1)
    params = dict(initial_params(architecture(run, 115, 1), 4))
    unembedding = np.asarray(params.pop("unembedding"))
    assert unembedding.var() == pytest.approx(1 / 115, rel=0.05)
    assert abs(unembedding).max() > 3 / 115**0.5  # a uniform one would end before
    for leaf in jax.tree.leaves(params):
        tolerance = 4 * (2 / leaf.size) ** 0.5
        assert np.var(leaf) == pytest.approx(1 / 128, rel=tolerance)


@pytest.mark.parametrize("norm", ["post", "pre", "none"])
def test_no_position_sees_a_later_one(norm):
    """d logits_t / d embedding of a token at s only is exactly 0 for s > t, else not 0."""
    n_positions = 6
    arch = Architecture(n_positions, n_positions, 2, 2, 8, 16, norm)
    tokens_1T = jnp.arange(n_positions)[None]
    params = random_params(arch, n_positions)

    def logits_TV(embedding):
        return Transformer(arch).apply({"params": params | {"embedding": embedding}}, tokens_1T)[0]

    jacobian_TVSD = jax.jit(jax.jacrev(logits_TV), compiler_options=QUICK_COMPILE)(
        params["embedding"]
    )
    influence_TS = np.asarray(abs(jacobian_TVSD).sum((1, 3)))
    for t in range(n_positions):
        assert (influence_TS[t, t + 1 :] == 0).all()
        assert (influence_TS[t, : t + 1] > 1e-3).all()


def test_activations_can_be_had_for_probing(numpy_logits):
    arch = Architecture(13, 1, 2, 4, 16, 24)
    params, tokens_BT = random_params(arch, 4), jnp.array([[1, 11, 2, 12], [3, 11, 4, 12]])
    logits, kept = jax.jit(
        lambda p, t: Transformer(arch).apply({"params": p}, t, mutable="intermediates")
    )(params, tokens_BT)
    kept = kept["intermediates"]
    residual = [*kept["block0"]["residual"], *kept["block1"]["residual"], *kept["residual"]]
    assert [r.shape for r in residual] == [(2, 4, 16)] * 3
    np.testing.assert_allclose(
        residual[0], params["embedding"][tokens_BT] + sinusoidal_positions(4, 16), atol=1e-6
    )
    np.testing.assert_allclose(residual[-1][:, -1:] @ params["unembedding"], logits, atol=1e-5)
    for block in ("block0", "block1"):
        (attention_BHTT,), (hidden_BTF,) = kept[block]["attention"], kept[block]["hidden"]
        assert hidden_BTF.shape == (2, 4, 24)
        assert attention_BHTT.shape == (2, 4, 4, 4)
        np.testing.assert_allclose(attention_BHTT.sum(-1), 1, atol=1e-6)
        np.testing.assert_array_equal(np.triu(np.asarray(attention_BHTT), 1), 0)
        assert hidden_BTF.min() == 0 < hidden_BTF.max()


# --- Hand-written gradients ---


def assert_gradient_is_that_of(tuned, plain, *arguments):
    """Value and all gradients of a random linear function of the output agree to 1e-5."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal(jax.eval_shape(plain, *arguments).shape).astype(np.float32)
    every = tuple(range(len(arguments)))
    of_tuned, of_plain = (
        jax.jit(jax.value_and_grad(lambda *a: (f(*a) * weight).sum(), every))
        for f in (tuned, plain)
    )
    for a, b in zip(jax.tree.leaves(of_tuned(*arguments)), jax.tree.leaves(of_plain(*arguments))):
        assert abs(np.asarray(b)).max() > 0.1
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize(("fan_in", "fan_out"), [(5, 3), (4, 4), (3, 7)])
def test_linear_has_the_gradient_of_a_matrix_product(fan_in, fan_out):
    assert_gradient_is_that_of(
        linear,
        lambda x, kernel: jnp.einsum("...i,io->...o", x, kernel),
        normal(2, 6, fan_in),
        normal(fan_in, fan_out, seed=1),
    )


def test_layer_norm_has_the_gradient_of_its_formula():
    def formula(x, scale, bias):
        return (x - x.mean(-1, keepdims=True)) / jnp.sqrt(
            x.var(-1, keepdims=True) + 1e-5
        ) * scale + bias

    assert_gradient_is_that_of(
        layer_norm, formula, 3 * normal(2, 6, 8) + 1, normal(8, seed=1), normal(8, seed=2)
    )


def test_take_rows_adds_up_the_gradients_of_repeated_rows():
    index_B = jnp.array([0, 4, 4, 1, 4, 0, 3])
    assert_gradient_is_that_of(
        lambda table: take_rows(table, index_B), lambda table: table[index_B], normal(5, 3)
    )


def test_attend_is_softmax_attention():
    def textbook(q_BHK, k_JBHK, v_JBHK):
        weights_BHJ = jax.nn.softmax(jnp.einsum("bhk,jbhk->bhj", q_BHK, k_JBHK))
        return jnp.einsum("bhj,jbhk->bhk", weights_BHJ, v_JBHK)

    assert_gradient_is_that_of(
        lambda q, k, v: attend(q, list(k), list(v)),
        textbook,
        normal(5, 2, 4),
        normal(3, 5, 2, 4, seed=1),
        normal(3, 5, 2, 4, seed=2),
    )


# --- Plain path, fast path and numpy are the same function ---

ARCHITECTURES = [  # where LayerNorm stands, activation, blocks, heads
    ("post", "relu", 2, 4, "answer"),
    ("post", "relu", 2, 4, "eos"),
    ("post", "gelu", 3, 1, "eos"),
    ("pre", "gelu", 2, 2, "eos"),
    ("none", "relu", 1, 4, "answer"),
    ("sphere", "relu", 2, 4, "eos"),
]
UNUSED = [(jax.tree_util.DictKey("wq"),), (jax.tree_util.DictKey("wk"),)]
SCALARS = [Scalars(attention_mix=0.3), Scalars(attention_mix=0.0), Scalars(logit_scale=7.0)]
OPERATIONS = [
    ("x+y", "Z12"),
    ("x^3+xy^2+y", "Z12"),
    ("x+y if x even else x*y", "Z12"),
    ("xyx^-1", "A4"),
    ("xyx", "D6"),
    ("xy", "Z2xS3"),
]


@functools.cache
def both_paths(arch, tokens, scalars=None):
    """Functions (params, x, y, answers) -> gradient of the loss and logits: plain, fast path."""

    def plain(params, x_B, y_B, answer_B):
        return Transformer(arch, scalars=scalars).apply(
            {"params": params}, tokens.sequences(x_B, y_B, answer_B)
        )

    def fast(params, x_B, y_B, answer_B):
        prefix_PT = tokens.prefixes(jnp.arange(tokens.n_elements))
        return Transformer(arch, tuned=True, scalars=scalars).apply(
            {"params": params}, prefix_PT, x_B, tokens.suffix(y_B, answer_B), method="shared"
        )

    def with_gradient(forward):
        def loss(params, *rows):
            logits = forward(params, *rows)
            return optax.softmax_cross_entropy_with_integer_labels(
                logits, tokens.targets(rows[-1])
            ).mean(), logits

        return jax.jit(jax.grad(loss, has_aux=True), compiler_options=QUICK_COMPILE)

    return with_gradient(plain), with_gradient(fast)


def small(norm, activation, n_layers, n_heads, token_format):
    tokens = Tokens(12, token_format)
    return Architecture(
        tokens.vocab_size, tokens.n_answers, n_layers, n_heads, 16, 24, norm, activation
    ), tokens


def table_rows(operation, structure, n_rows=64):
    defined = operation_table(operation, structure)
    chosen = np.random.default_rng(0).integers(0, defined.rows, n_rows)
    return tuple(jnp.asarray(column[chosen]) for column in (defined.x_N, defined.y_N, defined.z_N))


def assert_paths_agree(arch, tokens, params, rows, scalars=None):
    """Logits and every gradient to 1e-5; returns the logits."""
    plain, fast = both_paths(arch, tokens, scalars)
    (grads_plain, logits_plain), (grads_fast, logits_fast) = (
        plain(params, *rows),
        fast(params, *rows),
    )
    np.testing.assert_allclose(logits_fast, logits_plain, atol=1e-5)
    jax.tree.map_with_path(
        lambda path, a, b: np.testing.assert_allclose(a, b, atol=1e-5, err_msg=str(path)),
        grads_fast,
        grads_plain,
    )
    used = jax.tree.leaves_with_path(grads_plain)
    if scalars and scalars.attention_mix == 0:  # queries and keys are of no use
        used = [(path, g) for path, g in used if path[-2:-1] not in UNUSED]
    assert all(float(abs(g).max()) > 1e-6 for _, g in used)
    return logits_plain


@pytest.mark.parametrize("choices", ARCHITECTURES, ids=lambda choices: "-".join(map(str, choices)))
def test_every_architecture_is_the_same_function_three_times(numpy_logits, choices):
    arch, tokens = small(*choices)
    rows = table_rows("x^2+xy+y^2", "Z12")
    sequences_BT = np.asarray(tokens.sequences(*rows))
    params = random_params(arch, sequences_BT.shape[1])
    logits = assert_paths_agree(arch, tokens, params, rows)
    np.testing.assert_allclose(
        logits, numpy_logits(params, sequences_BT, arch), atol=2e-5, rtol=1e-5
    )


@pytest.mark.parametrize("scalars", SCALARS, ids=str)
def test_scalars_of_a_network_are_the_same_on_both_paths(numpy_logits, scalars):
    arch, tokens = small("post", "relu", 2, 4, "eos")
    arch = dataclasses.replace(
        arch, mixed=scalars.attention_mix != 1, scaled=scalars.logit_scale != 1
    )
    rows = table_rows("x^2+xy+y^2", "Z12")
    sequences_BT = np.asarray(tokens.sequences(*rows))
    params = random_params(arch, sequences_BT.shape[1])
    logits = assert_paths_agree(arch, tokens, params, rows, scalars)
    expected = numpy_logits(params, sequences_BT, arch, *scalars)
    np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("token_format", ["answer", "eos"])
@pytest.mark.parametrize(("operation", "structure"), OPERATIONS)
def test_paths_agree_for_every_kind_of_operation(operation, structure, token_format):
    arch, tokens = small("post", "relu", 2, 4, token_format)
    assert_paths_agree(
        arch,
        tokens,
        random_params(arch, 4 + 2 * (token_format == "eos"), seed=1),
        table_rows(operation, structure),
    )


def test_paths_agree_at_the_papers_size():
    tokens = Tokens(120, "answer")
    arch = architecture(Run(), tokens.vocab_size, 1)
    assert_paths_agree(arch, tokens, initial_params(arch, 4), table_rows("xy", "S5"))


# --- Parity with the released PyTorch code ---


@pytest.fixture(scope="module", params=FIXTURES, ids=lambda path: path.stem)
def reference(request):
    with np.load(request.param) as arrays:
        return dict(arrays)


def from_reference(reference, folder):
    """Our parameters from the arrays under `folder`: kernels [in, out], outputs head by head."""
    tree = {}
    for name, value in reference.items():
        if not name.startswith(folder + "/"):
            continue
        *parents, leaf = name.removeprefix(folder + "/").split("/")
        if leaf in ("wq", "wk", "wv"):
            value = value.transpose(1, 0, 2).reshape(value.shape[1], -1)
        if parents and parents[-1] in ("attention", "mlp"):
            tree.setdefault(parents[0], {})[leaf] = {"kernel": value}
        elif parents:
            tree.setdefault(parents[0], {}).setdefault(parents[1], {})[leaf] = value
        else:
            tree[leaf] = value
    return tree


def from_reference_name(name):
    """block0/attention/wq -> the path in our tree."""
    parts = name.split("/")
    return (
        (parts[0], parts[2], "kernel")
        if len(parts) == 3 and parts[1] in ("attention", "mlp")
        else tuple(parts)
    )


def at(tree, path):
    return functools.reduce(lambda node, key: node[key], path, tree)


def reference_architecture(reference):
    n_heads, d_model, _ = reference["params/block0/attention/wq"].shape
    n_layers = len({name.split("/")[1] for name in reference if name.startswith("params/block")})
    return Architecture(
        len(reference["params/embedding"]),
        2,
        n_layers,
        n_heads,
        d_model,
        reference["params/block0/mlp/w_in"].shape[1],
    )


def reference_loss(arch, params, tokens_BT):
    """Mean cross-entropy at the answer and at the closing <eos>."""
    logits = Transformer(arch).apply({"params": params}, tokens_BT[:, :-1])
    return optax.softmax_cross_entropy_with_integer_labels(logits, tokens_BT[:, -2:]).mean()


def test_parity_of_logits_and_loss(reference):
    arch, params = reference_architecture(reference), from_reference(reference, "params")
    tokens_BT = jnp.asarray(reference["tokens"], jnp.int32)
    logits, loss = jax.jit(
        lambda p: (
            Transformer(arch).apply({"params": p}, tokens_BT[:, :-1]),
            reference_loss(arch, p, tokens_BT),
        )
    )(params)
    np.testing.assert_allclose(logits, reference["logits_answer"], atol=1e-5, rtol=0)
    assert float(loss) == pytest.approx(float(reference["loss"]), rel=1e-5)
    np.testing.assert_allclose(
        sinusoidal_positions(*reference["position_encoding"].shape),
        reference["position_encoding"],
        atol=1e-5,
    )


def trained_on_reference(reference, form):
    """The losses before each of the reference's updates, and the parameters after the last."""
    run = Run(weight_decay=0.0) if form == "none" else Run(decay_form=form)
    numbers = {
        name: getattr(run, name)
        for name in (
            "learning_rate",
            "weight_decay",
            "b1",
            "b2",
            "eps",
            "warmup_steps",
            "num_steps",
        )
    }
    arch, params = reference_architecture(reference), from_reference(reference, "params")
    tx = make_optimizer(optimizer_form(run), numbers, jax.random.key(0))

    def update(carry, tokens_BT):
        params, opt_state = carry
        loss, grads = jax.value_and_grad(functools.partial(reference_loss, arch))(params, tokens_BT)
        updates, opt_state = tx.update(grads, opt_state, params)
        return (optax.apply_updates(params, updates), opt_state), loss

    batches_SBT = jnp.asarray(reference["batches"], jnp.int32)
    (params, _), losses_S = jax.jit(lambda p: jax.lax.scan(update, (p, tx.init(p)), batches_SBT))(
        params
    )
    return losses_S, params


@pytest.mark.parametrize("form", ["none", "to_zero", "to_init", "honest"])
def test_parity_of_twenty_updates(reference, form):
    losses_S, params = trained_on_reference(reference, form)
    np.testing.assert_allclose(losses_S, reference[f"losses/{form}"], rtol=1e-4)
    names = [str(name) for name in reference["norm_names"]]
    norms = [float(jnp.linalg.norm(at(params, from_reference_name(name)))) for name in names]
    np.testing.assert_allclose(norms, reference[f"norms/{form}"], rtol=1e-4, atol=1e-4)
    final = from_reference(reference, f"params_final/{form}")
    assert bool(final) == (form == "to_zero")
    for name in names if final else []:
        path = from_reference_name(name)
        np.testing.assert_allclose(
            at(params, path), at(final, path), atol=1e-4, rtol=0, err_msg=name
        )
