"""A network in the hand: against the plain path, the curves of training, and under patches."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import grok
from grok.experiment import Experiment, GrokError, Run
from grok.measure import ablations, forward, kept_networks, network, symmetry
from grok.model.transformer import Transformer
from grok.store import results
from grok.task.dataset import make_dataset
from grok.task.groups import structure
from grok.training import sweep
from grok.training.program import program_of, traced_numbers, traced_scalars
from grok.training.update import init_state

pytestmark = pytest.mark.usefixtures("quick_sweeps")
TINY = Run(operation="x/y", structure="Z7", d_model=8, n_heads=2, n_layers=2, d_ff=12)
SHAPES = {
    "paper": TINY,
    "nanda": TINY.replace(norm="none", positions="learned", n_layers=1, init="normal"),
    "rotary": TINY.replace(
        operation="x+y",
        norm="pre",
        positions="rotary",
        tied=True,
        token_format="eos",
        activation="gelu",
    ),
    "fourier": TINY.replace(values="fourier", frequencies=2, operation="x-y"),
    "sphere": TINY.replace(n_layers=1, norm="sphere", attention_mix=0.5, logit_scale=3.0),
    "group": TINY.replace(
        operation="xyx^-1", structure="S3", dropout=0.1, values="onehot", positions="none"
    ),
}
ENCODINGS = {
    "scalar": {"values": "scalar", "structure": "Z8", "operation": "x*y"},
    "bins": {"values": "bins", "bins": 3, "operation": "x^2+y^2"},
    "digits": {"values": "digits", "base": 3},
    "random": {"values": "random", "structure": "D4", "operation": "xy"},
    "product": {"structure": "Z2xS3", "operation": "xy"},
}


def params_of(run):
    """Parameters of the shape that a run's have, all of them at random."""
    built = functools.partial(init_state, program_of(run))
    features = symmetry.device_data(run).features
    shapes = jax.eval_shape(built, traced_numbers(run), features).params
    rng = np.random.default_rng(run.seed)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.4, leaf.shape).astype(np.float32), shapes)


def plain(run, params):
    """The whole table by the definition: logits [N, A, V] and intermediates."""
    program, dataset = program_of(run), make_dataset(run)
    n = program.tokens.n_elements
    rows = np.arange(n * n)
    sequences = program.tokens.sequences(
        jnp.asarray(rows // n), jnp.asarray(rows % n), jnp.maximum(dataset.answer_N, 0)
    )
    scalars = traced_scalars(run)
    model = Transformer(program.arch, features=dataset.features, scalars=scalars)
    logits, kept = model.apply({"params": params}, sequences, mutable="intermediates")
    return np.asarray(logits), kept["intermediates"]


@pytest.mark.parametrize("shape", SHAPES)
def test_logits_and_activations_are_those_of_the_plain_path(shape):
    run = SHAPES[shape].replace(seed=3)
    params = params_of(run)
    found = network.of_params(run, params)
    logits, kept = plain(run, params)
    n, defined = found.n, found.rows()
    at = -program_of(run).arch.n_answers
    expected = logits[:, 0, :n].reshape(n, n, n)
    np.testing.assert_allclose(found.logits()[defined], expected[defined], atol=1e-5)
    assert np.isnan(found.logits()[~defined]).all() and (~defined).sum() in (0, n)
    cache = found.activations()
    for layer in range(run.n_layers):
        block = kept[f"block{layer}"]
        for name, position in (("residual", at), ("heads", at), ("hidden", at)):
            wanted = np.asarray(block[name][0])[:, position].reshape(
                n, n, *block[name][0].shape[2:]
            )
            here = getattr(cache, name)[:, :, layer]
            np.testing.assert_allclose(here[defined], wanted[defined], atol=1e-5)
        attention = np.asarray(block["attention"][0])
        attention = attention.reshape(n, n, *attention.shape[1:])
        here = cache.attention[:, :, layer]
        np.testing.assert_allclose(here[defined], attention[defined], atol=1e-5)
    last = np.asarray(kept["residual"][0])[:, at].reshape(n, n, -1)
    np.testing.assert_allclose(cache.residual[:, :, -1][defined], last[defined], atol=1e-5)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, quick_sweeps):
    kept = TINY.replace(num_steps=20, eval_every=10, stop_after=0, keep_params=True)
    runs = (
        kept.replace(snapshots="10", train_fraction=0.4),
        kept.replace(keep_params=False),
        kept.replace(
            operation="xy",
            structure="S3",
            values="onehot",
            n_layers=1,
            token_format="eos",
            corrupted_labels=2,
        ),
    )
    return results.load(
        sweep.train_experiment(
            Experiment(name="kept", runs=runs),
            sweep.Options(root=tmp_path_factory.mktemp("network"), slots=2),
        )
    )


@pytest.mark.parametrize(("run", "step"), [(0, None), (0, 10), (0, 20), (2, None)])
def test_loss_and_accuracy_are_those_of_the_curves(trained, run, step):
    found = kept_networks.network(trained, run, step)
    curve = trained.curve(run).set_index("step")
    at = step or max(
        trained.snapshot_steps(run, params=True) + [20],
        key=lambda s: (curve["val_accuracy"][s], s),
    )
    for split in ("train", "val"):
        assert found.loss(split) == pytest.approx(curve[f"{split}_loss"][at], rel=1e-4)
        assert found.accuracy(split) == pytest.approx(curve[f"{split}_accuracy"][at], abs=1e-6)


def test_the_same_from_the_package(trained):
    loaded = grok.load(trained.folder)
    np.testing.assert_array_equal(
        loaded.network(run=2).logits(), kept_networks.network(trained, 2).logits()
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_and_structure_has_parts_to_take_away(encoding):
    run = TINY.replace(n_layers=1, **ENCODINGS[encoding])
    found = network.of_params(run, params_of(run))
    harmonics, before = found.axis.harmonics, found.logits()
    argument = {"frequency": "frequencies", "irrep": "irreps"}[harmonics.kind]
    part = harmonics.names[2]
    after = found.ablate(**{argument: [part]})
    np.testing.assert_array_equal(found.ablate(**{argument: part}).embedding, after.embedding)
    left = harmonics.rows(harmonics.numbers([part])) @ after.embedding[found.axis.order]
    np.testing.assert_allclose(left, 0, atol=1e-5)
    defined = found.rows()
    assert np.abs(after.logits() - before)[defined].max() > 1e-3
    assert np.isfinite(after.loss("val"))


@pytest.mark.parametrize("shape", ["rotary", "group"])
def test_patching_with_what_is_there_changes_nothing(shape):
    run = SHAPES[shape].replace(seed=5)
    found = network.of_params(run, params_of(run))
    cache, logits = found.activations(), found.logits()
    loss, accuracy = found.loss("train"), found.accuracy("val")
    for name in forward.PATCHED:
        own = np.nan_to_num(getattr(cache, name)[:, :, run.n_layers - 1])
        for value in (own, lambda activation: activation):
            same = found.patch(name, value, layer=run.n_layers - 1)
            np.testing.assert_allclose(same.logits(), logits, atol=1e-5)
            assert same.loss("train") == pytest.approx(loss, rel=1e-4)
            assert same.accuracy("val") == pytest.approx(accuracy)
    assert found.ablate().params is found.params and not found.ablate().patches
    assert repr(found) == f"<network of {run.operation} over {run.structure}>"
    assert repr(same).endswith(f", patched: hidden of layer {run.n_layers - 1}>")


def test_patching_the_last_residual_stream_sets_the_logits():
    run = SHAPES["nanda"].replace(seed=1)
    found = network.of_params(run, params_of(run))
    place = np.random.default_rng(0).normal(size=(7, 7, 8)).astype(np.float32)
    logits = found.patch("residual", place, layer=1).logits()
    expected = place @ found.unembedding.T
    np.testing.assert_allclose(logits[found.rows()], expected[found.rows()], atol=1e-5)
    doubled = found.patch("residual", lambda x: 2 * x, layer=1).logits()
    np.testing.assert_allclose(doubled, 2 * found.logits(), atol=1e-5)


def test_ablation_takes_frequencies_out_of_the_input_table():
    run = SHAPES["nanda"].replace(operation="x+y", seed=2)
    params = params_of(run)
    found = network.of_params(run, params)
    without, alone = found.ablate(frequencies=[2]), found.ablate(keep=[2])
    before = np.abs(np.fft.fft(found.embedding, axis=0)) ** 2
    expected = before * (np.arange(7) != 2)[:, None] * (np.arange(7) != 5)[:, None]
    after = np.abs(np.fft.fft(without.embedding, axis=0)) ** 2
    np.testing.assert_allclose(after, expected, atol=1e-4)
    kept = np.isin(np.arange(7), [0, 2, 5])[:, None] * before
    np.testing.assert_allclose(np.abs(np.fft.fft(alone.embedding, axis=0)) ** 2, kept, atol=1e-4)
    table = np.array(params["embedding"])
    table[:7] = without.embedding
    logits, _ = plain(run, params | {"embedding": jnp.asarray(table)})
    np.testing.assert_allclose(without.logits().reshape(49, 7), logits[:, 0, :7], atol=1e-5)


def test_on_logarithms_zero_keeps_its_row_and_groups_lose_an_irrep():
    run = SHAPES["paper"]
    found = network.of_params(run, params_of(run))
    without = found.ablate(frequencies=[1, 2, 3])
    np.testing.assert_array_equal(without.embedding[0], found.embedding[0])
    np.testing.assert_allclose(np.ptp(without.embedding[1:], axis=0), 0, atol=1e-5)
    group = SHAPES["group"]
    found = network.of_params(group, params_of(group))
    sign = np.linalg.det(np.eye(3)[np.array([list(map(int, s)) for s in structure("S3").labels])])
    np.testing.assert_allclose(sign @ found.ablate(irreps=["(1,1,1)"]).embedding, 0, atol=1e-5)


def test_heads_and_neurons_at_their_mean_and_uniform_attention():
    run = SHAPES["paper"].replace(seed=4)
    found = network.of_params(run, params_of(run))
    defined = found.rows()
    for name, argument in (("heads", {"heads": [1]}), ("hidden", {"neurons": [1]})):
        before, ablated = found.activations(), found.ablate(**argument, layer=1).activations()
        here, there = (getattr(cache, name)[:, :, 1][defined] for cache in (before, ablated))
        mean = here[:, 1].mean(axis=0)
        np.testing.assert_allclose(there[:, 1], np.broadcast_to(mean, there[:, 1].shape), atol=1e-5)
        np.testing.assert_allclose(there[:, 0], here[:, 0], atol=1e-5)
    attention = found.ablate(attention="uniform").activations().attention[defined]
    for position, even in ((3, [1 / 4] * 4), (1, [1 / 2, 1 / 2, 0, 0])):
        here = attention[..., position, :]
        np.testing.assert_allclose(here, np.broadcast_to(even, here.shape))


@pytest.mark.parametrize("shape", ["nanda", "rotary", "group"])
def test_losses_of_networks_taken_together_are_their_own(shape, monkeypatch):
    run = SHAPES[shape].replace(seed=6)
    found = network.of_params(run, params_of(run))
    rng = np.random.default_rng(0)
    monkeypatch.setattr(forward, "BLOCK_ROWS", 50)  # several blocks, of which the last one is short
    together = [
        [found.ablate(heads=[head], layer=run.n_layers - 1) for head in range(2)],
        [found.ablate(neurons=neurons) for neurons in ([0, 3], [1, 7], [2, 5])],
        [found.with_moved_attention(rng) for _ in range(3)],
    ]
    for networks in together:
        losses = ablations.losses_of(networks)
        for split, loss_R in losses.items():
            own = [one.loss(split) for one in networks]
            np.testing.assert_allclose(loss_R, own, rtol=1e-5)
            assert np.ptp(own) > 1e-4


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda n: n.ablate(frequencies=[4]), "no frequency 4 here: choose from 1..3"),
        (lambda n: n.ablate(frequencies=[0]), "no frequency 0 here: choose from 1..3"),
        (lambda n: n.ablate(irreps=["(2,1)"]), "has no irrep to take away"),
        (lambda n: n.ablate(heads=[2]), "layer 0 has no head 2: choose from 0..1"),
        (lambda n: n.ablate(heads="first"), "layer 0 has no head first: choose from 0..1"),
        (lambda n: n.ablate(neurons=[12], layer=1), "layer 1 has no neuron 12: choose from 0..11"),
        (lambda n: n.ablate(heads=[0], layer=2), "no layer 2: choose from 0..1"),
        (lambda n: n.ablate(attention="none"), "attention='none' is not known"),
        (lambda n: n.patch("logits", 0), "no activation 'logits': choose residual"),
        (lambda n: n.patch("hidden", np.zeros((3, 12))).logits(), r"has shape \(3, 12\)"),
        (lambda n: n.patch("hidden", lambda x: x[:, :2]).logits(), r"has shape \(49, 2\), not"),
        (lambda n: n.loss("test"), "no split 'test': choose train, val, all"),
    ],
)
def test_what_is_not_there_gives_one_line(ask, said):
    run = SHAPES["paper"].replace(operation="x+y")
    with pytest.raises(GrokError, match=said) as refusal:
        ask(network.of_params(run, params_of(run)))
    assert "\n" not in str(refusal.value)


def test_runs_without_weights_give_one_line_that_names_the_field(trained):
    with pytest.raises(GrokError, match="no weights of run 1 .*keep_params=True.*--keep-params"):
        kept_networks.network(trained, 1)
    with pytest.raises(GrokError, match="no weights of run 2 after 10 updates.*snapshots=") as said:
        kept_networks.network(trained, 2, 10)
    assert "\n" not in str(said.value)
    with pytest.raises(GrokError, match="no weights of run 0 after 15 updates.*choose 10, 20"):
        kept_networks.network(trained, 0, 15)
    with pytest.raises(GrokError, match="has no run 9"):
        kept_networks.network(trained, 9)


def test_a_large_table_has_losses_but_no_whole_logits():
    run = Run(operation="x+y", structure="Z211", d_model=8, n_heads=2, n_layers=1)
    found = network.of_params(run, jax.tree.map(np.asarray, params_of(run)))
    assert 0 <= found.accuracy("val") < 0.1
    with pytest.raises(GrokError, match="computed up to 200 elements"):
        found.logits()
