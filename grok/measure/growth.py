"""A network over training: what pictures show of it, at every update at which it was kept.

The page in the browser and animations draw the same numbers. All are of one matrix, the output
layer's rows W [n, d], a row an element. Shape letters: M moments, n elements, T places on a cyclic
axis, K frequencies, P key frequencies, I irreps.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.linalg import orthogonal_procrustes

from grok.analysis import fourier, groups, irreps, logarithm, projection
from grok.analysis.matrix_rows import centred
from grok.analysis.similarity import cosine_similarity
from grok.experiment import GrokError
from grok.store.matrices import MATRICES, answered_right, element_rows
from grok.store.results import Results
from grok.store.snapshots import Moment, best, moments
from grok.task.dataset import make_dataset
from grok.task.groups import Structure, structure

NULL_DRAWS = 20  # permutations; every frequency of each is a draw of the null
MOST_KEYS = 6
MATRIX = next(iter(MATRICES))


@dataclass(frozen=True)
class Growth:
    """The kept moments of a run, in order, with its matrix at each.

    best: the place among them of the moment with the highest validation accuracy.
    """

    results: Results
    run: int
    group: Structure
    moments: list[Moment]
    best: int
    W_MnD: list[np.ndarray]

    @property
    def updates(self) -> list[int]:
        return [moment.update for moment in self.moments]


def follow(results: Results, run: int, most: int | None = None) -> Growth:
    """A run over training: at all its kept moments, or `most` (3 or more), evenly in log updates.

    Moments at which the network had diverged are left out. Raises GrokError where none is left.
    """
    found = moments(results, run)
    rows = {moment: element_rows(results, run, MATRIX, moment.step)[0] for moment in found}
    found = [moment for moment in found if np.isfinite(rows[moment]).all()]
    if not found:
        raise GrokError(f"run {run} in {results.folder} diverged: no matrix of it can be drawn")
    at_best = best(found)
    found = evenly(found, at_best, most)
    group = structure(results.experiment_run(run).structure)
    place = found.index(at_best)
    return Growth(results, run, group, found, place, [rows[moment] for moment in found])


def evenly(found: list[Moment], always: Moment, most: int | None) -> list[Moment]:
    """At most `most` moments, about evenly in log updates; the ends and `always` are among them."""
    if most is None or len(found) <= most:
        return found
    log_M = np.log([max(moment.update, 1) for moment in found])
    wanted = np.linspace(log_M[0], log_M[-1], most - 1)
    nearest = {int(np.abs(log_M - log).argmin()) for log in wanted}
    return [found[i] for i in sorted(nearest | {found.index(always)})]


# --- The table ---


class Table(NamedTuple):
    """The table of a run: kinds [n, n] as in `grok.task.dataset`, and what is right [M, n, n]."""

    kind_nn: np.ndarray
    right_Mnn: np.ndarray


def table(growth: Growth) -> Table:
    """Which equations are trained on, and which are answered right at each moment.

    Raises GrokError for results of before the answers were kept.
    """
    n = growth.group.order
    kind_nn = make_dataset(growth.results.experiment_run(growth.run)).kind_N.reshape(n, n)
    right = [answered_right(growth.results, growth.run, moment.step) for moment in growth.moments]
    return Table(kind_nn, np.array(right))


# --- Planes ---


class Axis(NamedTuple):
    """The cyclic axis of a ring: its elements in order, and whether that is the discrete log."""

    order: np.ndarray
    is_log: bool

    @property
    def words(self) -> str:
        return f"log n to base {self.order[1]}" if self.is_log else "n"


def axis(growth: Growth) -> Axis:
    """The axis that the rows show at the best moment. Raises GrokError for other groups."""
    fourier.require_cyclic(growth.group)
    order = logarithm.element_order(growth.W_MnD[growth.best])
    return Axis(order, len(order) < growth.group.order)


class Planes(NamedTuple):
    """The planes of frequencies `keys` at the best moment, which stay: points [M, P, T, 2].

    is_key: whether the frequencies stand out from permuted rows; otherwise it is the strongest one.
    share_MP: each plane's share of the rows' variance.
    """

    keys: list[int]
    is_key: bool
    points_MPT2: np.ndarray
    share_MP: np.ndarray


def planes(growth: Growth, order: np.ndarray) -> Planes:
    """The rows in the planes of the key frequencies, by an axis' order.

    The planes are those of the best moment, so that what is seen to grow does not turn with them.
    """
    rows_MTD = [centred(W[order]) for W in growth.W_MnD]
    at_best = rows_MTD[growth.best]
    highest = (len(order) - 1) // 2
    found = [int(k) for k in fourier.key_frequencies(at_best) if k <= highest][:MOST_KEYS]
    keys = found or [1 + int(fourier.frequency_power_share(at_best)[:highest].argmax())]
    bases_PD2 = [fourier.frequency_basis(at_best, k).T for k in keys]
    points = np.array(rows_MTD)[:, None] @ np.array(bases_PD2)
    power_M = np.array([(rows**2).sum() for rows in rows_MTD])
    return Planes(keys, bool(found), points, (points**2).sum((2, 3)) / power_M[:, None])


def components(growth: Growth) -> np.ndarray:
    """The rows on the first two principal components of each moment, [M, n, 2].

    Components have no sign and may change places: each moment is turned to fit the one after it.
    """
    return aligned([principal(W) for W in growth.W_MnD])


def principal(W) -> np.ndarray:
    """Rows [n, d] on their first two principal components, [n, 2]."""
    U, S, _ = np.linalg.svd(centred(W), full_matrices=False)
    return U[:, :2] * S[:2]


def tsne(growth: Growth) -> np.ndarray:
    """t-SNE of the rows at each moment, [M, n, 2], of standard deviation 1: it has no scale.

    The best moment has the setting of every figure. From there to either end each starts from the
    picture beside it, so that a point can be followed.
    """
    picture = {growth.best: projection.coordinates(growth.W_MnD[growth.best])}
    for i in [*range(growth.best - 1, -1, -1), *range(growth.best + 1, len(growth.moments))]:
        beside = picture[i + 1 if i < growth.best else i - 1]
        picture[i] = projection.coordinates_from(growth.W_MnD[i], beside)
    points_Mn2 = aligned([picture[i] for i in range(len(growth.moments))])
    return points_Mn2 / points_Mn2.std((1, 2), keepdims=True)


def aligned(points_Mn2: list[np.ndarray]) -> np.ndarray:
    """Each picture about its centre, turned or mirrored to lie as near as can be to the next."""
    turned = [points - points.mean(0) for points in points_Mn2]
    for i in range(len(turned) - 2, -1, -1):
        rotation, _ = orthogonal_procrustes(turned[i], turned[i + 1])
        turned[i] = turned[i] @ rotation
    return np.array(turned)


# --- Spectra ---


class Spectrum(NamedTuple):
    """Shares of variance [M, K or I], and what they are in a matrix without structure.

    low, high: that null's 95% band, [M] for frequencies, or its mean twice, [I], for irreps.
    names: of the frequencies or irreps.
    """

    names: list[str]
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray


def frequencies(growth: Growth, order: np.ndarray) -> Spectrum:
    """The spectrum along an axis; its null is that of the same rows permuted, all frequencies."""
    rows_MTD = [W[order] for W in growth.W_MnD]
    share_MK = np.array([fourier.frequency_power_share(rows) for rows in rows_MTD])
    null_MRK = [fourier.permuted_power_shares(rows, NULL_DRAWS) for rows in rows_MTD]
    low, high = np.quantile(np.reshape(null_MRK, (len(rows_MTD), -1)), [0.025, 0.975], axis=1)
    names = [str(k) for k in range(1, share_MK.shape[1] + 1)]
    return Spectrum(names, share_MK, low, high)


def irrep_shares(growth: Growth) -> Spectrum:
    """The share of each irrep of S_n, beside that of random rows: dimension squared over n!."""
    if growth.group.name not in {f"S{n}" for n in range(2, irreps.MAX_IRREP_DEGREE + 1)}:
        raise GrokError(f"irreps are built for S2..S{irreps.MAX_IRREP_DEGREE}")
    degree = int(growth.group.name[1:])
    found = irreps.irreps(degree)
    share_MI = np.array([list(irreps.explained_by_irrep(W, degree).values()) for W in growth.W_MnD])
    random_I = np.array([rho.shape[1] ** 2 / growth.group.order for rho in found.values()])
    names = ["+".join(map(str, shape)) for shape in found]
    return Spectrum(names, share_MI, random_I, random_I)


class Cosets(NamedTuple):
    """The coset that each element lies in, [n], of the subgroup whose cosets fit best, in words."""

    label_n: np.ndarray
    words: str


def best_cosets(W, group: Structure) -> Cosets:
    """The cosets that fit rows [n, d] best. Raises GrokError where no subgroup can be scored."""
    best_row = groups.best_subgroup(groups.coset_scores(W, group))
    members = groups.subgroups(group)[int(best_row.subgroup)]
    side = "gH" if best_row.side == "left" else "Hg"
    is_paper = group.name == "S5" and groups.is_figure_3_subgroup(group, members)
    paper = ", the paper's" if is_paper else ""
    z = f"{best_row.z:.1f}".replace("-", "−")
    words = f"cosets {side} of H, order {int(best_row.order)}{paper} (z = {z})"
    return Cosets(groups.cosets(group, members, best_row.side), words)


def cosines(growth: Growth) -> np.ndarray:
    """Cosines between the centred rows at each moment, [M, n, n]."""
    return np.array([cosine_similarity(W) for W in growth.W_MnD])
