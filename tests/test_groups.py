"""Irreps, subgroups and coset scores against known counts, characters and brute force."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from grok.analysis import groups, irreps
from grok.experiment import GrokError
from grok.task.operations import structure

DIMENSIONS = {
    2: {(2,): 1, (1, 1): 1},
    3: {(3,): 1, (2, 1): 2, (1, 1, 1): 1},
    4: {(4,): 1, (3, 1): 3, (2, 2): 2, (2, 1, 1): 3, (1, 1, 1, 1): 1},
    5: {
        (5,): 1,
        (4, 1): 4,
        (3, 2): 5,
        (3, 1, 1): 6,
        (2, 2, 1): 5,
        (2, 1, 1, 1): 4,
        (1, 1, 1, 1, 1): 1,
    },
}


def gaussian(n=120, d=32, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def subgroup_of_order(group, order, index=0):
    members = groups.subgroups(group)
    return members[members.sum(axis=1) == order][index]


# --- Permutations ---


def test_cycle_types_of_s5_have_the_known_class_sizes():
    counts = Counter(groups.cycle_types(structure("S5").permutations))
    assert counts == {
        (1,) * 5: 1,
        (2, 1, 1, 1): 10,
        (2, 2, 1): 15,
        (3, 1, 1): 20,
        (3, 2): 20,
        (4, 1): 30,
        (5,): 24,
    }


def test_signs_are_determinants():
    permutations = structure("S4").permutations
    determinants = [round(np.linalg.det(np.eye(4)[permutation])) for permutation in permutations]
    assert groups.signs(permutations).tolist() == determinants


# --- Irreducible representations ---


@pytest.mark.parametrize("n", DIMENSIONS)
def test_irreps_are_orthogonal_homomorphisms_of_the_known_dimensions(n):
    product = structure(f"S{n}").product
    representations = irreps.irreps(n)
    assert {shape: rho.shape[1] for shape, rho in representations.items()} == DIMENSIONS[n]
    for rho in representations.values():
        np.testing.assert_allclose(
            rho @ rho.transpose(0, 2, 1),
            np.broadcast_to(np.eye(rho.shape[1]), rho.shape),
            atol=1e-12,
        )
        np.testing.assert_allclose(rho[product], rho[:, None] @ rho[None], atol=1e-12)


def test_characters_are_irreducible_and_pairwise_different():
    characters = np.array([np.trace(rho, axis1=1, axis2=2) for rho in irreps.irreps(5).values()])
    np.testing.assert_allclose(characters @ characters.T / 120, np.eye(7), atol=1e-12)


def test_characters_of_s5_are_those_of_known_constructions():
    group = structure("S5")
    permutations = group.permutations
    character = {shape: np.trace(rho, axis1=1, axis2=2) for shape, rho in irreps.irreps(5).items()}
    fixed = (permutations == np.arange(5)).sum(axis=1)
    pairs = list(itertools.combinations(range(5), 2))
    images = np.sort(permutations[:, pairs], axis=-1)
    fixed_pairs = (images == pairs).all(axis=-1).sum(axis=1)
    square = np.diag(group.product)
    np.testing.assert_allclose(character[5,], 1, atol=1e-12)
    np.testing.assert_allclose(character[4, 1], fixed - 1, atol=1e-12)
    np.testing.assert_allclose(character[3, 2], fixed_pairs - fixed, atol=1e-12)
    np.testing.assert_allclose(
        character[3, 1, 1], ((fixed - 1) ** 2 - (fixed[square] - 1)) / 2, atol=1e-12
    )
    for shape, conjugate in (((5,), (1,) * 5), ((4, 1), (2, 1, 1, 1)), ((3, 2), (2, 2, 1))):
        np.testing.assert_allclose(
            character[conjugate], character[shape] * groups.signs(permutations), atol=1e-12
        )


def test_explained_shares_are_the_projections_of_the_definition_and_sum_to_one():
    W = gaussian() + 0.3
    shares = irreps.explained_by_irrep(W, 5)
    assert sum(shares.values()) == pytest.approx(1)
    for shape, rho in irreps.irreps(5).items():
        Q = np.linalg.qr(rho.reshape(120, -1))[0]
        assert shares[shape] == pytest.approx(((Q.T @ W) ** 2).sum() / (W**2).sum())


def test_a_planted_irrep_explains_everything():
    W = irreps.irreps(5)[3, 2].reshape(120, -1) @ gaussian(25, 8)
    shares = irreps.explained_by_irrep(W, 5)
    assert shares[3, 2] == pytest.approx(1)
    assert irreps.explained_by_irrep(np.ones((24, 2)), 4)[4,] == pytest.approx(1)


# --- Subgroups ---


@pytest.mark.parametrize(
    "name, count, classes",
    [
        ("S3", 6, 4),
        ("S4", 30, 11),
        ("A5", 59, 9),
        ("S5", 156, 19),
        ("D12", 34, 16),
        ("Z12", 6, 6),
        ("Z2xZ2xZ2", 16, 16),
    ],
)
def test_number_of_subgroups_and_of_their_classes(name, count, classes):
    group = structure(name)
    members = groups.subgroups(group)
    assert len(members) == len(np.unique(members, axis=0)) == count
    assert len(set(groups.conjugacy_classes_of_subgroups(group))) == classes
    assert members[0].sum() == 1 and members[-1].all()


def test_subgroups_of_s3_are_all_closed_subsets():
    group = structure("S3")
    subsets = [s for r in range(1, 7) for s in itertools.combinations(range(6), r)]
    closed = {s for s in subsets if set(group.product[np.ix_(s, s)].ravel()) == set(s)}
    assert {tuple(np.flatnonzero(row)) for row in groups.subgroups(group)} == closed


def test_conjugacy_classes_are_orbits_of_conjugation():
    group = structure("S4")
    members, labels = groups.subgroups(group), groups.conjugacy_classes_of_subgroups(group)
    label_of = {
        frozenset(np.flatnonzero(row).tolist()): label for row, label in zip(members, labels)
    }
    for subgroup, label in label_of.items():
        orbit = set()
        for g in range(24):
            conjugate = group.product[group.product[group.inverse[g], list(subgroup)], g]
            orbit.add(frozenset(conjugate.tolist()))
        assert {other for other, its_label in label_of.items() if its_label == label} == orbit


def test_cosets_hold_elements_that_differ_by_a_member_of_the_subgroup():
    group = structure("S4")
    members = subgroup_of_order(group, 6)
    x, y = np.meshgrid(np.arange(24), np.arange(24), indexing="ij")
    left, right = (groups.cosets(group, members, side) for side in ("left", "right"))
    assert ((left[x] == left[y]) == members[group.product[group.inverse[x], y]]).all()
    assert ((right[x] == right[y]) == members[group.product[x, group.inverse[y]]]).all()
    assert (left != right).any()
    assert sorted(Counter(left.tolist()).items()) == [(label, 6) for label in range(4)]


def test_the_subgroup_of_figure_3_has_order_10_and_6_conjugates():
    group = structure("S5")
    members = groups.subgroups(group)
    found = [groups.is_figure_3_subgroup(group, row) for row in members]
    assert sum(found) == 6
    assert set(members[found].sum(axis=1)) == {10}
    labels = list(group.labels)
    both = (
        members[:, labels.index("34201")]
        & members[:, labels.index("02143")]
        & (members.sum(axis=1) == 10)
    )
    assert groups.is_figure_3_subgroup(group, members[both][0])


# --- Coset concentration ---


def test_coset_concentration_is_the_within_share_of_the_definition():
    W, labels = gaussian(12, 3), np.arange(12) % 4
    within = sum(((W[labels == c] - W[labels == c].mean(0)) ** 2).sum() for c in range(4))
    assert groups.coset_concentration(W, labels) == pytest.approx(
        within / ((W - W.mean(0)) ** 2).sum()
    )
    assert groups.coset_concentration(gaussian(4, 5)[labels], labels) == pytest.approx(0)


@pytest.mark.parametrize("side, other", [("left", "right"), ("right", "left")])
def test_a_matrix_constant_on_cosets_gives_its_subgroup_away(side, other):
    group = structure("S5")
    subgroups = groups.subgroups(group)
    planted = next(h for h, row in enumerate(subgroups) if groups.is_figure_3_subgroup(group, row))
    W = gaussian(12, 32)[groups.cosets(group, subgroups[planted], side)]
    scores = groups.coset_scores(W, group, draws=50)
    best = groups.best_subgroup(scores)
    assert (best.subgroup, best.side, best.order) == (planted, side, 10)
    inside = ~(subgroups & ~subgroups[planted]).any(axis=1)
    constant = scores.concentration < 1e-9
    np.testing.assert_array_equal(constant[scores.side == side], inside)
    assert scores[(scores.side == other) & constant & (scores.order > 1)].empty


def test_noise_does_not_hide_the_subgroup_and_a_random_matrix_has_none():
    group = structure("S5")
    planted = subgroup_of_order(group, 20)
    W = gaussian(6, 32)[groups.cosets(group, planted, "left")] + 2 * gaussian(120, 32, seed=1)
    best = groups.best_subgroup(groups.coset_scores(W, group))
    assert (groups.subgroups(group)[int(best.subgroup)] == planted).all() and best.side == "left"
    assert best.z < -10
    assert groups.best_subgroup(groups.coset_scores(gaussian(), group)).z > -6


def test_null_mean_is_that_of_random_partitions():
    scores = groups.coset_scores(gaussian(), structure("S5"), draws=300)
    proper = scores[(scores.order > 1) & (scores.order < 120)]
    expected = (120 - 120 / proper.order) / 119
    assert (abs(proper.null_mean - expected) < 5 * proper.null_sd / np.sqrt(300)).all()
    trivial = scores[scores.order.isin([1, 120])]
    assert trivial.z.isna().all()
    np.testing.assert_allclose(trivial.concentration, [0, 1, 0, 1], atol=1e-12)


def test_coset_scores_of_a_normal_subgroup_do_not_depend_on_the_side():
    scores = groups.coset_scores(gaussian(), structure("S5"), draws=2)
    alternating = scores[scores.order == 60]
    assert len(alternating) == 2 and alternating.concentration.nunique() == 1


# --- Bad input ---


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: irreps.explained_by_irrep(gaussian(97), 5), "97 rows but the structure has 120"),
        (
            lambda: irreps.explained_by_irrep(gaussian(math.factorial(6)), 6),
            "not for S6: use the coset scores",
        ),
        (lambda: irreps.explained_by_irrep(np.zeros((120, 3)), 5), "the matrix is zero"),
        (lambda: groups.coset_scores(np.full((120, 3), np.inf), structure("S5")), "360 non-finite"),
        (
            lambda: groups.coset_scores(np.ones((120, 3)), structure("S5")),
            "all rows of the matrix are equal",
        ),
        (lambda: groups.coset_scores(gaussian(119), structure("S5")), "119 rows"),
        (
            lambda: groups.best_subgroup(groups.coset_scores(gaussian(97), structure("Z97"))),
            "no subgroups but the trivial one",
        ),
        (lambda: groups.subgroups(structure("S7")), "at most 720"),
        (lambda: groups.cosets(structure("S3"), np.ones(6, bool), "top"), "'left'.*'right'"),
        (lambda: groups.is_figure_3_subgroup(structure("S4"), np.ones(24, bool)), "not in S4"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(GrokError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


# --- Coset test ---


def test_relabelled_concentrations_are_those_of_the_relabelled_matrix():
    group, W = structure("S4"), gaussian(24, 5)
    relabelling = np.random.default_rng(3).permutation(24)
    found = groups.relabelled_concentrations(W, group, relabelling[None])[:, 0]
    expected = [
        groups.coset_concentration(W[relabelling], groups.cosets(group, members, side))
        for side in ("left", "right")
        for members in groups.subgroups(group)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_best_of_all_subgroups_is_beyond_chance_only_where_cosets_are_planted():
    group = structure("S4")
    planted = subgroup_of_order(group, 4)
    for W, significant in (
        (gaussian(24, 8), False),
        (
            gaussian(6, 8)[groups.cosets(group, planted, "left")] + 0.5 * gaussian(24, 8, seed=1),
            True,
        ),
    ):
        test = groups.coset_test(W, group, draws=400)
        smallest = np.nanmin(test.null_z, axis=0)
        assert test.relabellings.shape == (400, 24) and len(smallest) == 400
        assert (np.mean(smallest <= test.scores.z.min()) < 0.01) == significant
        assert test.scores.z.min() < -2, (
            "the best of many subgroups looks like something in any matrix"
        )
