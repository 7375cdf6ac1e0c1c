"""Progress measures and symmetry of logits that are planted, so that the right answer is known."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grok.analysis import equivariance, progress
from grok.experiment import GrokError
from grok.task.operations import structure, table

P = 13


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def planted(answers, frequencies=(3,), scale=5.0):
    """Logits sum_k scale cos(2 pi k (answer - c) / p): what a network of the clock kind computes."""
    p = len(answers)
    difference = np.asarray(answers)[..., None] - np.arange(p)
    return scale * sum(np.cos(2 * np.pi * k * difference / p) for k in frequencies)


def addition(p=P):
    return np.add.outer(np.arange(p), np.arange(p)) % p


def group_logits(operation, name):
    """One-hot logits of a table, NaN where undefined, plus a common shift that softmax does not see."""
    answers = table(operation, name).answers
    logits = (
        np.eye(len(answers))[answers]
        + np.random.default_rng(0).normal(size=answers.shape)[..., None]
    )
    return np.where((answers < 0)[..., None], np.nan, logits)


def softmax_loss(logits, answers):
    """Cross-entropy by its definition."""
    chances = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return -np.mean(np.log(np.take_along_axis(chances, answers[..., None], -1)))


@pytest.mark.parametrize("answers", [addition(), np.subtract.outer(np.arange(P), np.arange(P)) % P])
def test_planted_frequencies_carry_the_whole_loss(answers):
    logits = planted(answers, (3, 5))
    full = softmax_loss(logits, answers)
    assert progress.restricted_loss(logits, answers, [3, 5]) == pytest.approx(full, abs=1e-9)
    assert progress.excluded_loss(logits, answers, [3, 5]) == pytest.approx(np.log(P), abs=1e-9)
    assert progress.restricted_loss(logits, answers, [2]) == pytest.approx(np.log(P), abs=1e-9)
    assert progress.restricted_loss(logits, answers, [3]) == pytest.approx(
        softmax_loss(planted(answers, (3,)), answers), abs=1e-9
    )


def test_restricted_loss_keeps_the_mean_and_drops_memorised_rows():
    answers, rng = addition(), np.random.default_rng(1)
    bias, memory = rng.normal(size=P), rng.normal(size=(P, P, P)) * 3
    logits = planted(answers) + bias
    assert progress.restricted_loss(logits, answers, [3]) == pytest.approx(
        softmax_loss(logits, answers), abs=1e-9
    )
    assert progress.restricted_loss(logits + memory, answers, [3]) < 0.5 * softmax_loss(
        logits + memory, answers
    )


def test_losses_count_only_the_chosen_rows():
    answers, rows = addition(), np.random.default_rng(2).random((P, P)) < 0.4
    logits = planted(answers) + np.where(rows, 2.0, 0.0)[..., None] * np.eye(P)[answers]
    expected = -np.mean(
        [z[c] - np.log(np.exp(z).sum()) for z, c in zip(logits[rows], answers[rows])]
    )
    assert progress.restricted_loss(logits, answers, [], rows) == pytest.approx(
        softmax_loss(np.broadcast_to(logits.mean((0, 1)), (rows.sum(), P)), answers[rows])
    )
    assert progress.cross_entropy(logits, answers, rows) == pytest.approx(expected)


def test_even_modulus_has_its_alternating_frequency():
    answers = addition(8)
    logits = planted(answers, (2, 4))
    assert progress.restricted_loss(logits, answers, [2, 4]) == pytest.approx(
        softmax_loss(logits, answers), abs=1e-9
    )


def test_restricted_loss_refuses_other_tables_and_frequencies():
    with pytest.raises(GrokError, match="fits x\\+y"):
        progress.restricted_loss(np.zeros((P, P, P)), table("x^2+y^2", "Z13").answers, [3])
    with pytest.raises(GrokError, match="1..6"):
        progress.excluded_loss(np.zeros((P, P, P)), addition(), [7])


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
    shares = progress.neuron_frequency_shares(hidden)
    assert shares.shape == (6, 4)
    for k in range(1, 7):
        one_a, one_b = ([np.ones_like(x), np.cos(k * x), np.sin(k * x)] for x in (a, b))
        features = np.stack([(u * v).ravel() for u in one_a for v in one_b], -1)
        for n in range(3):
            signal = hidden[..., n].ravel() - hidden[..., n].mean()
            fitted = features @ np.linalg.lstsq(features, signal, rcond=None)[0]
            assert shares[k - 1, n] == pytest.approx(fitted @ fitted / (signal @ signal), abs=1e-9)
    assert not shares[:, 3].any()


def test_neuron_frequencies_name_the_planted_keys():
    a, b = np.meshgrid(np.arange(P), np.arange(P), indexing="ij")
    hidden = np.stack(
        [np.maximum(np.cos(2 * np.pi * k * (a + b) / P), -0.9) for k in (2, 5, 5)]
        + [np.zeros((P, P))],
        -1,
    )
    found = progress.neuron_frequencies(hidden)
    assert list(found.frequency) == [2, 5, 5, 0]
    assert list(found.keys()) == [2, 5]
    noise = progress.neuron_frequencies(np.random.default_rng(4).normal(size=(P, P, 20)))
    assert len(noise.keys()) == 0


def test_softmax_collapse_counts_rows_that_float32_cannot_tell_from_one_hot():
    rows = np.array([[0.0, 10, 0], [0, 15, 0], [0, 19, 0], [0, 200, 0], [np.nan] * 3], np.float32)
    # exp(-15) = 3e-7 still moves a float32 sum of 1; exp(-19) = 6e-9 is below half of its last place.
    assert progress.softmax_collapse(rows) == 0.5
    assert progress.softmax_collapse(np.zeros((4, 5, 6)) + 1e4) == 0


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
    # Of factor x . y the gradients are factor y and factor x: their cosine is that of the two embeddings.
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    expected = np.mean(unit @ unit.T)
    assert score(lambda x, y: (x @ y) * jnp.arange(1.0, P + 1)) == pytest.approx(expected, abs=0.1)


OPERATIONS = [
    ("x+y", "Z13"),
    ("x-y", "Z13"),
    ("x*y", "Z13"),
    ("x/y", "Z13"),
    ("xy", "S3"),
    ("xy", "D4"),
    ("xyx^-1", "S4"),
    ("x^2+y", "Z13"),
    ("x*y", "Z12"),
]


@pytest.mark.parametrize("operation, name", OPERATIONS)
def test_exact_answers_are_equivariant_and_shuffled_ones_are_not(operation, name):
    logits = group_logits(operation, name)
    profile = equivariance.equivariance_profile(logits, operation, name)
    assert max(record.error for record in profile) < 1e-20
    defined = ~np.isnan(logits[..., 0])
    shuffled = logits.copy()
    shuffled[defined] = np.random.default_rng(7).permutation(logits[defined])
    errors = [
        record.error for record in equivariance.equivariance_profile(shuffled, operation, name)
    ]
    assert np.mean(errors) > 1


def kinds(operation, name):
    return {(s.operand, s.action) for s in equivariance.symmetries(operation, name)}


def test_each_operation_gets_the_moves_that_fit_it():
    assert kinds("x+y", "Z13") == kinds("x-y", "Z13") == {("x", "shift"), ("y", "shift")}
    assert kinds("x*y", "Z13") == kinds("x/y", "Z13") == {("x", "scale"), ("y", "scale")}
    assert kinds("xy", "S4") == {("x", "left"), ("y", "right")}
    assert kinds("xyx^-1", "S4") == {("x", "left")}
    assert len(equivariance.symmetries("xy", "S4")) == 2 * 23
    assert len(equivariance.symmetries("x/y", "Z13")) == 2 * 11


def test_symmetries_permute_the_answers_in_the_expected_direction():
    n = np.arange(13)
    for s in equivariance.symmetries("x-y", "Z13"):
        assert np.array_equal(s.tau, (n + (s.element if s.operand == "x" else -s.element)) % 13)
    for s in equivariance.symmetries("x/y", "Z13"):
        factor = s.element if s.operand == "x" else pow(s.element, -1, 13)
        assert np.array_equal(s.tau, n * factor % 13)
    group = structure("S4")
    for s in equivariance.symmetries("xyx^-1", "S4"):
        assert np.array_equal(
            s.tau,
            [
                group.product[group.product[s.element, t], group.inverse[s.element]]
                for t in range(24)
            ],
        )


def test_equivariance_error_by_its_definition():
    rng = np.random.default_rng(8)
    logits = rng.normal(size=(P, P, P))
    logits[2, 5] = np.nan
    z = logits - logits.mean(-1, keepdims=True)
    distances, k = [], 4
    for a in range(P):
        for b in range(P):
            distances.append(np.sum((z[a, (b + k) % P] - np.roll(z[a, b], k)) ** 2))
    mean = np.nanmean(z, axis=(0, 1))
    expected = np.nanmean(distances) / np.nanmean(
        np.where(np.isnan(z[..., 0]), np.nan, np.sum((z - mean) ** 2, -1))
    )
    shift = (np.arange(P) + k) % P
    assert equivariance.equivariance_error(logits, "y", shift, shift) == pytest.approx(expected)
    assert expected == pytest.approx(2, abs=0.2)
    assert equivariance.equivariance_error(logits, "x", np.arange(P), np.arange(P)) == 0


def test_constant_logits_have_no_equivariance_error():
    assert np.isnan(
        equivariance.equivariance_error(
            np.full((P, P, P), 0.1) + np.arange(P), "x", np.arange(P), np.arange(P)
        )
    )


def test_profile_spreads_its_moves_and_refuses_what_has_no_symmetry():
    profile = equivariance.equivariance_profile(group_logits("x+y", "Z13"), "x+y", "Z13", moves=3)
    assert [(r.operand, r.element) for r in profile] == [
        ("x", 1),
        ("x", 7),
        ("x", 12),
        ("y", 1),
        ("y", 7),
        ("y", 12),
    ]
    with pytest.raises(GrokError, match="no shift.*x-y"):
        equivariance.equivariance_profile(np.zeros((13, 13, 13)), "x^2+xy+y^2+x", "Z13")
    with pytest.raises(GrokError, match=r"needs logits \[13, 13, 13\]"):
        equivariance.equivariance_profile(np.zeros((13, 13, 15)), "x+y", "Z13")
