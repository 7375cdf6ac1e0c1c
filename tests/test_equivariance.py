"""Equivariance errors of logits whose symmetry is planted, and the moves each operation obeys."""

import numpy as np
import pytest

from grok.analysis import equivariance
from grok.experiment import GrokError
from grok.task.groups import structure
from grok.task.operations import operation_table

P = 13


def group_logits(operation, name):
    """One-hot logits, NaN where undefined, plus a common shift that the softmax does not see."""
    answers = operation_table(operation, name).answers
    shift = np.random.default_rng(0).normal(size=answers.shape)
    logits = np.eye(len(answers))[answers] + shift[..., None]
    return np.where((answers < 0)[..., None], np.nan, logits)


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
    profile = equivariance.equivariance_profile(shuffled, operation, name)
    assert np.mean([record.error for record in profile]) > 1


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
        conjugates = group.product[group.product[s.element], group.inverse[s.element]]
        assert np.array_equal(s.tau, conjugates)


def test_equivariance_error_by_its_definition():
    rng = np.random.default_rng(8)
    logits = rng.normal(size=(P, P, P))
    logits[2, 5] = np.nan
    z = logits - logits.mean(-1, keepdims=True)
    distances, k = [], 4
    for a in range(P):
        for b in range(P):
            distances.append(np.sum((z[a, (b + k) % P] - np.roll(z[a, b], k)) ** 2))
    squares = np.sum((z - np.nanmean(z, axis=(0, 1))) ** 2, -1, where=~np.isnan(z))
    squares[2, 5] = np.nan
    expected = np.nanmean(distances) / np.nanmean(squares)
    profile = equivariance.equivariance_profile(logits, "x+y", "Z13", moves=P)
    [found] = [record for record in profile if (record.operand, record.element) == ("y", k)]
    assert found.error == pytest.approx(expected)
    assert expected == pytest.approx(2, abs=0.2)


def test_constant_logits_have_no_equivariance_error():
    logits = np.full((P, P, P), 0.1) + np.arange(P)
    profile = equivariance.equivariance_profile(logits, "x+y", "Z13")
    assert np.isnan([record.error for record in profile]).all()


def test_profile_spaces_its_moves_evenly_and_refuses_what_has_no_symmetry():
    profile = equivariance.equivariance_profile(group_logits("x+y", "Z13"), "x+y", "Z13", moves=3)
    moves = [(record.operand, record.element) for record in profile]
    assert moves == [(operand, element) for operand in "xy" for element in (1, 7, 12)]
    with pytest.raises(GrokError, match="no shift.*x-y"):
        equivariance.equivariance_profile(np.zeros((13, 13, 13)), "x^2+xy+y^2+x", "Z13")
    with pytest.raises(GrokError, match=r"needs logits \[13, 13, 13\]"):
        equivariance.equivariance_profile(np.zeros((13, 13, 15)), "x+y", "Z13")
