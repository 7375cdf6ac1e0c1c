"""Weights that are written down: they answer the table, and the measures find what was put in."""

import numpy as np
import pytest

from grok.analysis import progress
from grok.analysis.harmonics import frequencies
from grok.experiment import GrokError
from grok.measure import handbuilt as measured
from grok.measure import network
from grok.model.handbuilt import handbuilt


@pytest.mark.parametrize("pizza", [False, True])
@pytest.mark.parametrize(("n", "waves"), [(97, [12, 30, 41]), (113, [8, 14, 22, 41, 56])])
def test_it_answers_every_equation(n, waves, pizza):
    found = network.of_params(*handbuilt(n, waves, pizza=pizza))
    assert found.accuracy("all") == 1
    assert found.loss("all") < 0.5


@pytest.mark.parametrize(("n", "waves"), [(23, [1, 5, 11]), (24, [5, 7])])
def test_the_measures_find_exactly_its_frequencies(n, waves):
    found = network.of_params(*handbuilt(n, waves))
    answers, logits = found.axis.answers_MM, found.logits()
    part = progress.answer_part(logits, answers, found.axis.harmonics)
    power = part.power()
    assert set(np.flatnonzero(power > 1e-3 * power.max())) == set(waves)
    total = ((logits - logits.mean((0, 1))) ** 2).sum()
    assert power.sum() / total > 0.9  # the rest: the distance of the operands, and harmonics
    keys = found.axis.harmonics.rows(waves)
    assert progress.restricted_loss(part, keys) < 0.05
    assert progress.excluded_loss(logits, part, keys) > np.log(n)
    shares = progress.neuron_shares(found.activations().hidden[:, :, 0], frequencies(n))
    neurons = progress.neuron_parts(shares)
    assert set(neurons.part[neurons.share > 0]) == set(waves)
    assert neurons.share[neurons.share > 0].min() > 0.95


def test_taking_a_frequency_away_costs_and_another_one_does_not():
    found = network.of_params(*handbuilt(23, [1, 5, 11], logit=20.0))
    loss = found.loss("all")
    assert found.ablate(frequencies=[2, 3, 4]).loss("all") == pytest.approx(loss, rel=1e-3)
    assert found.ablate(keep=[1, 5, 11]).loss("all") == pytest.approx(loss, rel=1e-3)
    assert found.ablate(frequencies=[5]).loss("all") > 2 * loss
    nothing = found.ablate(frequencies=[1, 5, 11])
    assert nothing.loss("all") == pytest.approx(np.log(25), rel=0.01)  # of 23 elements, o and =


def test_attention_reads_both_operands_and_the_pizza_needs_no_more_than_an_even_one():
    clock, pizza = (
        network.of_params(*handbuilt(23, [1, 5, 11], pizza=pizza)) for pizza in (False, True)
    )
    of_equals = clock.activations().attention[0, 0, 0, :, -1]
    np.testing.assert_allclose(of_equals[:2, 0], 1, atol=1e-6)
    np.testing.assert_allclose(of_equals[2:, 2], 1, atol=1e-6)
    assert pizza.ablate(attention="uniform").accuracy("all") == 1
    # With even attention the neurons with a minus sign see nothing: what is left is the pizza.
    even = clock.ablate(attention="uniform")
    minus = (np.arange(42) // 7) % 2 == 1
    hidden = even.activations().hidden[:, :, 0, :42]
    assert np.abs(hidden[..., minus]).max() < 1e-5 < hidden[..., ~minus].max()
    assert progress.distance_irrelevance(even.logits()) < progress.distance_irrelevance(
        clock.logits()
    )


@pytest.mark.parametrize(
    ("waves", "said"),
    [([0], "1..11"), ([12], "1..11"), ([], "at least one"), ([3, 3], "each once")],
)
def test_a_wrong_choice_of_frequencies_gives_one_line(waves, said):
    with pytest.raises(GrokError, match=said):
        handbuilt(23, waves)


def test_how_few_suffice_is_the_accuracy_of_such_networks(monkeypatch):
    monkeypatch.setattr(measured, "MODULI", (23,))
    monkeypatch.setattr(measured, "MOST", 2)
    monkeypatch.setattr(measured, "DRAWS", 2)
    table = measured.enough_frequencies()
    assert len(table) == 2 * 2 * len(measured.NOISE)
    clean = table[table["noise"] == 0]
    assert (clean["accuracy"] == 1).all() and (clean["margin"] > 0).all()
    by_count = clean.groupby("frequencies")["margin"].mean()
    assert by_count[2] > by_count[1]
    noisy = table[table["noise"] == 0.3].groupby("frequencies")["accuracy"].mean()
    assert noisy[1] < noisy[2] < 1
