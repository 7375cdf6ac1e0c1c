"""Progress measures of logits that are planted, so that the right answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grok.analysis import progress
from grok.analysis.harmonics import frequencies, real_irreps
from grok.analysis.irreps import irreps
from grok.experiment import GrokError
from grok.task.groups import structure
from grok.task.operations import operation_table

P = 13


def planted(answers, frequencies=(3,), scale=5.0):
    """Logits sum_k scale cos(2 pi k (answer - c) / p): a network of the clock kind."""
    p = len(answers)
    difference = np.asarray(answers)[..., None] - np.arange(p)
    return scale * sum(np.cos(2 * np.pi * k * difference / p) for k in frequencies)


def addition(p=P):
    return np.add.outer(np.arange(p), np.arange(p)) % p


def softmax_loss(logits, answers):
    """Cross-entropy by its definition."""
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return -np.mean(np.log(np.take_along_axis(chances, answers[..., None], -1)))


def restricted(logits, answers, keys, rows=None):
    harmonics = frequencies(len(answers))
    part = progress.answer_part(logits, answers, harmonics)
    return progress.restricted_loss(part, harmonics.rows(keys), rows)


def excluded(logits, answers, keys, rows=None):
    harmonics = frequencies(len(answers))
    part = progress.answer_part(logits, answers, harmonics)
    return progress.excluded_loss(logits, part, harmonics.rows(keys), rows)


@pytest.mark.parametrize("answers", [addition(), np.subtract.outer(np.arange(P), np.arange(P)) % P])
def test_planted_frequencies_carry_the_whole_loss(answers):
    logits = planted(answers, (3, 5))
    full = softmax_loss(logits, answers)
    assert restricted(logits, answers, [3, 5]) == pytest.approx(full, abs=1e-9)
    assert excluded(logits, answers, [3, 5]) == pytest.approx(np.log(P), abs=1e-9)
    assert restricted(logits, answers, [2]) == pytest.approx(np.log(P), abs=1e-9)
    assert restricted(logits, answers, [3]) == pytest.approx(
        softmax_loss(planted(answers, (3,)), answers), abs=1e-9
    )


def test_the_part_on_the_key_frequencies_is_a_regression_on_their_waves():
    """Per output, on cos and sin of 2 pi k (a + b)/p over the whole table (Nanda et al.)."""
    answers, logits = addition(), np.random.default_rng(7).normal(size=(P, P, P))
    waves = [f(2 * np.pi * k * answers.ravel() / P) for k in (2, 6) for f in (np.cos, np.sin)]
    X = np.stack(waves, -1)
    fitted = (X @ np.linalg.lstsq(X, logits.reshape(P * P, P), rcond=None)[0]).reshape(P, P, P)
    part = progress.answer_part(logits, answers, frequencies(P))
    np.testing.assert_allclose(part.on(frequencies(P).rows([2, 6]))[answers], fitted, atol=1e-12)
    assert part.power()[[2, 6]].sum() == pytest.approx((fitted**2).sum())
    centre = logits.mean((0, 1))
    assert restricted(logits, answers, [2, 6]) == pytest.approx(
        softmax_loss(fitted + centre, answers)
    )
    assert excluded(logits, answers, [2, 6]) == pytest.approx(
        softmax_loss(logits - fitted, answers)
    )


def test_restricted_loss_keeps_the_mean_and_drops_memorised_rows():
    answers, rng = addition(), np.random.default_rng(1)
    bias, memory = rng.normal(size=P), rng.normal(size=(P, P, P)) * 3
    logits = planted(answers) + bias
    assert restricted(logits, answers, [3]) == pytest.approx(
        softmax_loss(logits, answers), abs=1e-9
    )
    assert restricted(logits + memory, answers, [3]) < 0.5 * softmax_loss(logits + memory, answers)


def test_losses_count_only_the_chosen_rows():
    answers, rows = addition(), np.random.default_rng(2).random((P, P)) < 0.4
    logits = planted(answers) + np.where(rows, 2.0, 0.0)[..., None] * np.eye(P)[answers]
    expected = -np.mean(
        [z[c] - np.log(np.exp(z).sum()) for z, c in zip(logits[rows], answers[rows])]
    )
    assert restricted(logits, answers, [], rows) == pytest.approx(
        softmax_loss(np.broadcast_to(logits.mean((0, 1)), (rows.sum(), P)), answers[rows])
    )
    assert excluded(logits, answers, [], rows) == pytest.approx(expected)


def test_even_modulus_has_its_alternating_frequency():
    answers = addition(8)
    logits = planted(answers, (2, 4))
    assert restricted(logits, answers, [2, 4]) == pytest.approx(
        softmax_loss(logits, answers), abs=1e-9
    )


def test_an_irrep_planted_in_the_logits_of_a_group_carries_them():
    """tr rho(x y z^-1), as in Chughtai et al.; the other irreps have nothing of it."""
    group, harmonics = structure("S4"), real_irreps(structure("S4"))
    character = np.trace(irreps(4)[3, 1], axis1=1, axis2=2)
    logits = 4 * character[group.product[group.product][:, :, group.inverse]]
    part = progress.answer_part(logits, group.product, harmonics)
    key = harmonics.numbers(["(3,1)"])
    full = softmax_loss(logits, group.product)
    assert full < 0.1
    assert progress.restricted_loss(part, harmonics.rows(key)) == pytest.approx(full)
    assert progress.excluded_loss(logits, part, harmonics.rows(key)) == pytest.approx(np.log(24))
    power = part.power()
    assert power[key[0]] == pytest.approx(power.sum())


def test_restricted_loss_refuses_other_tables():
    with pytest.raises(GrokError, match="fits x\\+y"):
        restricted(np.zeros((P, P, P)), operation_table("x^2+y^2", "Z13").answers, [3])


def test_neuron_shares_are_those_of_a_regression_on_the_products():
    rng = np.random.default_rng(3)
    a, b = (2 * np.pi * grid / P for grid in np.meshgrid(np.arange(P), np.arange(P), indexing="ij"))
    hidden = np.stack(
        [
            np.cos(2 * a) * np.sin(2 * b) + 4,
            np.maximum(np.cos(5 * a + 1) + np.cos(5 * b + 1), 0),
            rng.normal(size=(P, P)),
            0.1 * np.ones((P, P)),
        ],
        -1,
    )
    shares = progress.neuron_shares(hidden, frequencies(P))
    assert shares.shape == (7, 4)
    for k in range(1, 7):
        one_a, one_b = ([np.ones_like(x), np.cos(k * x), np.sin(k * x)] for x in (a, b))
        features = np.stack([(u * v).ravel() for u in one_a for v in one_b], -1)
        for n in range(3):
            signal = hidden[..., n].ravel() - hidden[..., n].mean()
            fitted = features @ np.linalg.lstsq(features, signal, rcond=None)[0]
            assert shares[k, n] == pytest.approx(fitted @ fitted / (signal @ signal), abs=1e-9)
    assert not shares[:, 3].any()


def test_neuron_frequencies_name_the_planted_keys():
    a, b = np.meshgrid(np.arange(P), np.arange(P), indexing="ij")
    hidden = np.stack(
        [np.maximum(np.cos(2 * np.pi * k * (a + b) / P), -0.9) for k in (2, 5, 5)]
        + [np.zeros((P, P))],
        -1,
    )
    found = progress.neuron_parts(progress.neuron_shares(hidden, frequencies(P)))
    assert list(found.part) == [2, 5, 5, 0]
    assert (found.share[:3] > 0.85).all() and found.share[3] == 0
    noise = np.random.default_rng(4).normal(size=(P, P, 20))
    assert progress.neuron_shares(noise, frequencies(P)).max() < 0.3


def test_distance_irrelevance_tells_clock_from_pizza():
    a, b = np.meshgrid(np.arange(P), np.arange(P), indexing="ij")
    waves = planted(addition())
    pizza = waves * np.abs(np.cos(np.pi * (a - b) * 3 / P))[..., None]
    assert progress.distance_irrelevance(pizza) == pytest.approx(0, abs=1e-9)
    rng = np.random.default_rng(5)
    by_sum = waves * rng.uniform(0.5, 1.5, P)[(a + b) % P][..., None]
    assert progress.distance_irrelevance(by_sum) == pytest.approx(1)
    assert np.isnan(progress.distance_irrelevance(np.zeros((P, P, P))))


def test_gradient_symmetricity_of_known_functions():
    rng = np.random.default_rng(6)
    embedding, weights = rng.normal(size=(P, 6)), jnp.asarray(rng.normal(size=(6, P)))
    score = lambda logits: progress.gradient_symmetricity(logits, embedding, jax.random.key(0), 300)
    assert score(lambda x, y: jnp.tanh(x + y) @ weights) == pytest.approx(1, abs=1e-5)
    assert score(lambda x, y: (x - y) @ weights) == pytest.approx(-1, abs=1e-5)
    assert score(lambda x, y: x @ weights) == 0
    # Of factor x . y the gradients are factor y and factor x: their cosine is that of y and x.
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    expected = np.mean(unit @ unit.T)
    assert score(lambda x, y: (x @ y) * jnp.arange(1.0, P + 1)) == pytest.approx(expected, abs=0.1)
