"""A network over training: each view against a planted structure that grows."""

import numpy as np
import pytest

from grok.analysis import fourier, logarithm, projection
from grok.analysis.matrix_rows import centred
from grok.experiment import GrokError, Run
from grok.measure import growth
from grok.store import results
from grok.store.snapshots import Moment
from grok.task.dataset import make_dataset
from grok.task.groups import structure

RING = Run(operation="x+y", structure="Z31", num_steps=1000, d_model=8, n_heads=2)
QUOTIENT = RING.replace(operation="x/y")
GROUP = RING.replace(operation="xy", structure="S4")
SIZES = {1: 0.1, 10: 0.5, 100: 1.0, 1000: 2.0}


def circle(n, k, noise=0.05, seed=0):
    """Rows [n, 8] on a circle of frequency k in the first two of 8 dimensions, and noise."""
    angle = 2 * np.pi * k * np.arange(n) / n
    rows = noise * np.random.default_rng(seed).normal(size=(n, 8))
    rows[:, 0] += np.cos(angle)
    rows[:, 1] += np.sin(angle)
    return rows


def answers(run, share, seed=0):
    """All training rows right, and about a share of the others, [n, n]."""
    n = structure(run.structure).order
    kind_N = make_dataset(run).kind_N
    right = (np.random.default_rng(seed).random(n * n) < share) | (kind_N == 1)
    return (right & (kind_N > 0)).reshape(n, n)


@pytest.fixture
def ring(write_growth):
    """A circle of frequency 5 that grows, and is best before the end."""
    rows = {step: size * circle(31, 5) for step, size in SIZES.items()}
    shares = dict(zip(SIZES, (0.0, 0.3, 1.0, 0.8)))
    moments = {step: (rows[step], answers(RING, shares[step])) for step in SIZES}
    return growth.follow(results.load(write_growth("ring", RING, moments)), 0)


def test_the_moments_are_in_order_and_the_best_is_known(ring):
    assert ring.updates == [1, 10, 100, 1000] and ring.best == 2
    assert [W[0, 0] for W in ring.W_MnD] == pytest.approx(
        [size * circle(31, 5)[0, 0] for size in SIZES.values()]
    )


def test_the_table_is_that_of_the_run(ring):
    found = growth.table(ring)
    assert (found.kind_nn == make_dataset(RING).kind_N.reshape(31, 31)).all()
    for right, share in zip(found.right_Mnn, (0.0, 0.3, 1.0, 0.8)):
        assert (right == answers(RING, share)).all()


def test_results_of_before_the_answers_were_kept_say_so(write_growth):
    moments = {step: (circle(31, 5), answers(RING, 1.0)) for step in (1, 1000)}
    loaded = results.load(write_growth("old", RING, moments, with_answers=False))
    with pytest.raises(GrokError, match="kept before they held which equations"):
        growth.table(growth.follow(loaded, 0))


def test_a_circle_grows_in_a_plane_that_stays(ring):
    axis = growth.axis(ring)
    assert axis.order.tolist() == list(range(31)) and axis.words == "n"
    found = growth.planes(ring, axis.order)
    assert found.is_key and found.keys == [5]
    np.testing.assert_allclose(
        found.points_MPT2[2, 0], fourier.frequency_plane(ring.W_MnD[2], 5), atol=1e-12
    )
    for size, points in zip(SIZES.values(), found.points_MPT2[:, 0]):
        np.testing.assert_allclose(points, size * found.points_MPT2[2, 0], atol=1e-12)
    assert (found.share_MP > 0.9).all()


def test_without_a_key_frequency_the_strongest_is_shown_and_called_so(write_growth):
    noise = np.random.default_rng(3).normal(size=(31, 8))
    moments = {1: (noise, answers(RING, 0.1)), 1000: (noise, answers(RING, 0.1))}
    grown = growth.follow(results.load(write_growth("noise", RING, moments)), 0)
    found = growth.planes(grown, np.arange(31))
    assert not found.is_key
    assert found.keys == [1 + fourier.frequency_power_share(noise)[:15].argmax()]


def test_division_is_followed_on_the_logarithm(write_growth):
    order, rows = logarithm.discrete_log_order(31), np.zeros((31, 8))
    rows[order] = circle(30, 7)
    moments = {1: (rows, answers(QUOTIENT, 0.0)), 1000: (rows, answers(QUOTIENT, 1.0))}
    grown = growth.follow(results.load(write_growth("log", QUOTIENT, moments)), 0)
    axis = growth.axis(grown)
    assert axis.order.tolist() == order.tolist() and axis.words == "log n to base 3"
    assert growth.planes(grown, axis.order).keys == [7]


def test_pictures_that_are_only_turned_or_mirrored_come_to_lie_on_each_other():
    rng = np.random.default_rng(0)
    picture = rng.normal(size=(20, 2))
    turned = [
        picture @ np.linalg.qr(rng.normal(size=(2, 2)))[0] + rng.normal(size=2) for _ in range(4)
    ]
    for points in growth.aligned(turned):
        np.testing.assert_allclose(points, turned[-1] - turned[-1].mean(0), atol=1e-12)


def test_components_are_those_of_each_moment(ring):
    for W, points in zip(ring.W_MnD, growth.components(ring)):
        variance = np.linalg.svd(centred(W), compute_uv=False)[:2] ** 2
        assert (points**2).sum() == pytest.approx(variance.sum())


def test_tsne_is_the_figures_own_at_the_best_moment_and_goes_on_from_there(ring):
    found = growth.tsne(ring)
    assert found.shape == (4, 31, 2)
    np.testing.assert_allclose(found.std((1, 2)), 1, rtol=1e-5)
    distance = [
        np.linalg.norm(points[:, None] - points, axis=-1)
        for points in (found[2], projection.coordinates(ring.W_MnD[2]))
    ]
    ratio = distance[0][0, 1:] / distance[1][0, 1:]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


def test_the_null_band_holds_what_has_no_structure_and_the_circle_leaves_it(ring):
    found = growth.frequencies(ring, np.arange(31))
    np.testing.assert_allclose(found.share.sum(1), 1)
    assert (found.share[:, 4] > found.high).all() and found.names[4] == "5"
    shuffled = np.random.default_rng(1).permutation(circle(31, 5))
    inside = fourier.frequency_power_share(shuffled)
    outside = (inside < found.low[2]) | (inside > found.high[2])
    assert outside.mean() <= 0.2


def test_a_group_has_irreps_and_cosets_and_no_circle(write_growth):
    rows = np.random.default_rng(0).normal(size=(24, 200))
    moments = {step: (rows, answers(GROUP, 0.5)) for step in (1, 1000)}
    grown = growth.follow(results.load(write_growth("group", GROUP, moments)), 0)
    found = growth.irrep_shares(grown)
    np.testing.assert_allclose(found.share.sum(1), 1)
    np.testing.assert_allclose(found.low.sum(), 1)
    np.testing.assert_allclose(found.share[0], found.low, atol=0.05)
    assert "4" in found.names and "1+1+1+1" in found.names
    planted = np.eye(2)[(signs() < 0).astype(int)]
    assert growth.best_cosets(planted, grown.group).words.startswith("cosets gH of H, order 12")
    with pytest.raises(GrokError, match="not a cyclic group"):
        growth.axis(grown)


def signs():
    """The sign of each permutation of S4, from the determinant of its matrix."""
    return np.array([np.linalg.det(np.eye(4)[row]) for row in structure("S4").permutations])


def test_a_moment_that_diverged_is_left_out(write_growth):
    rows = circle(31, 5)
    moments = {1: (rows, answers(RING, 0.0)), 1000: (np.nan * rows, answers(RING, 0.0))}
    loaded = results.load(write_growth("diverged", RING, moments))
    assert growth.follow(loaded, 0).updates == [1]


@pytest.mark.parametrize("most", [3, 5, 40])
def test_few_of_many_moments_keep_the_ends_and_the_best(most):
    found = [Moment(step, step, 1.0, 0.0) for step in range(100, 10_100, 100)]
    chosen = growth.evenly(found, found[37], most)
    assert len(chosen) <= most
    assert {found[0], found[37], found[-1]} <= set(chosen)
    assert chosen == sorted(chosen, key=lambda moment: moment.update)
