"""Harmonics and axes against character theory and plain Fourier analysis."""

import numpy as np
import pytest

from grok.analysis import harmonics
from grok.analysis.harmonics import axis_of, frequencies, real_irreps
from grok.analysis.irreps import irreps
from grok.experiment import GrokError
from grok.task.groups import structure
from grok.task.operations import operation_table

RNG = np.random.default_rng(0)
# Degrees of the complex irreducible characters; a pair in brackets is one real representation.
KNOWN = {
    "S3": [1, 1, 2],
    "S4": [1, 1, 2, 3, 3],
    "S5": [1, 1, 4, 4, 5, 5, 6],
    "A4": [1, (1, 1), 3],
    "A5": [1, 3, 3, 4, 5],
    "D4": [1, 1, 1, 1, 2],
    "D7": [1, 1, 2, 2, 2],
    "Z2xS3": [1, 1, 1, 1, 2, 2],
    "A4xZ3": [1, (1, 1), (1, 1), (1, 1), (1, 1), 3, (3, 3)],
    "Z2xZ2xZ2": [1] * 8,
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_parts_of_a_group_are_its_irreducible_representations(name):
    group, found = structure(name), real_irreps(structure(name))
    n = group.order
    np.testing.assert_allclose(found.basis_FM @ found.basis_FM.T, np.eye(n), atol=1e-9)
    expected = sorted(
        2 * known[0] ** 2 if isinstance(known, tuple) else known**2 for known in KNOWN[name]
    )
    assert sorted(found.dimensions.tolist()) == expected
    assert len(set(found.names)) == len(found.names)
    np.testing.assert_allclose(found.basis_FM[0], found.basis_FM[0, 0], atol=1e-9)


@pytest.mark.parametrize("name", ["S4", "A4", "D5", "Z2xS3", "Z3xZ3"])
def test_characters_are_orthogonal_and_translations_keep_the_parts(name):
    group, found = structure(name), real_irreps(structure(name))
    characters = np.array(
        [
            harmonics.real_character(found.basis_FM[found.part_F == part])
            for part in range(len(found.names))
        ]
    )
    products = characters @ characters.T / group.order
    assert np.abs(products - np.diag(np.diagonal(products))).max() < 1e-9
    assert set(np.diagonal(products).round(9)) <= {1.0, 2.0}  # 2: a complex pair
    f, g = RNG.normal(size=group.order), 1
    for part in range(len(found.names)):
        on_part = found.rows([part]).T @ (found.rows([part]) @ f)
        for moved in (on_part[group.product[g]], on_part[group.product[:, g]]):
            np.testing.assert_allclose(
                found.rows([part]).T @ (found.rows([part]) @ moved), moved, atol=1e-9
            )


def test_the_parts_of_s4_are_those_of_youngs_matrices():
    found = real_irreps(structure("S4"))
    W = RNG.normal(size=(24, 5))
    power = found.power(W).sum(axis=1)
    for shape, rho in irreps(4).items():
        entries = rho.reshape(24, -1)
        fitted = entries @ np.linalg.lstsq(entries, W, rcond=None)[0]
        name = f"({','.join(map(str, shape))})"
        assert power[found.names.index(name)] == pytest.approx((fitted**2).sum())


@pytest.mark.parametrize("n", [7, 8])
def test_frequencies_have_the_power_of_the_discrete_fourier_transform(n):
    values = RNG.normal(size=n)
    power = np.abs(np.fft.fft(values)) ** 2 / n
    expected = [power[k] + (power[-k] if 0 < k < n / 2 else 0) for k in range(n // 2 + 1)]
    found = frequencies(n)
    np.testing.assert_allclose(found.power(values), expected, atol=1e-12)
    assert found.names == tuple(map(str, range(n // 2 + 1)))
    assert found.dimensions.sum() == n


def test_other_rows_are_other_frequencies_or_a_random_space_without_constant():
    found = frequencies(11)
    draws = found.other_rows([2], [2, 5], 20, RNG)
    assert len(draws) == 3  # 1, 3 and 4, each once
    for other in draws:
        assert other.shape == (2, 11)
        assert np.abs(other @ found.rows([0, 2, 5]).T).max() < 1e-12
    assert np.linalg.matrix_rank(np.concatenate(draws)) == 6
    assert len(found.other_rows([2, 5], [2, 5], 20, RNG)) == 3  # pairs of 1, 3 and 4
    assert len(found.other_rows([2], [2], 2, RNG)) == 2
    assert found.other_rows([1, 2, 3], [], 20, RNG) == []
    group = real_irreps(structure("S3"))
    [other, another] = group.other_rows([2], [2], 2, RNG)
    assert other.shape == (4, 6) and np.abs(other - another).max() > 0.01
    np.testing.assert_allclose(other @ other.T, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(other.sum(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("operation", "name", "axis", "balanced"),
    [
        ("x+y", "Z12", "residues", True),
        ("x-y", "Z13", "residues", True),
        ("3x+5y+2", "Z13", "residues", True),
        ("x*y", "Z13", "discrete logarithms", True),
        ("x/y", "Z13", "discrete logarithms", True),
        ("x^2+y^2", "Z13", "residues", False),
        ("x^3+xy", "Z13", "residues", False),
        ("xy", "S3", "elements", True),
        ("xyx^-1", "S3", "elements", True),
        ("x^2y^2", "S3", "elements", False),
    ],
)
def test_the_axis_that_fits_an_operation(operation, name, axis, balanced):
    found = axis_of(operation, name)
    assert (found.name, found.balanced) == (axis, balanced)
    answers = operation_table(operation, name).answers
    for _ in range(20):
        i, j = RNG.integers(len(found.order), size=2)
        place = found.answers_MM[i, j]
        if axis == "discrete logarithms":
            assert 0 not in found.order
            assert place == (i + j if operation == "x*y" else i - j) % 12
        assert found.order[place] == answers[found.order[i], found.order[j]]


def test_a_part_that_is_not_there_gives_one_line():
    assert frequencies(13).numbers([1, "6"]) == [1, 6]
    with pytest.raises(GrokError, match="no frequency 7 here: choose from 1..6"):
        frequencies(13).numbers([7])
    with pytest.raises(GrokError, match=r"no irrep \(9\) here: choose from \(1,1,1\), \(2,1\)"):
        real_irreps(structure("S3")).numbers(["(9)"])
    with pytest.raises(GrokError, match="D400 has 800 elements"):
        real_irreps(structure("D400"))


@pytest.mark.parametrize(
    ("operation", "structure"), [("x+y", "Z6"), ("x-y", "Z9"), ("x*y", "Z7"), ("x/y", "Z11")]
)
def test_under_other_names_the_answer_is_the_sum(operation, structure):
    axis = axis_of(operation, structure)
    x_M, y_M, answer_M = axis.sum_names
    place = np.arange(len(axis.order))
    found_MM = axis.answers_MM[np.ix_(x_M, y_M)]
    np.testing.assert_array_equal(found_MM, answer_M[(place[:, None] + place) % len(place)])


@pytest.mark.parametrize(("operation", "structure"), [("xy", "S3"), ("x^2+y^2", "Z7")])
def test_of_other_operations_it_is_not(operation, structure):
    assert axis_of(operation, structure).sum_names is None
