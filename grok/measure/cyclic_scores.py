"""The scores of a matrix of element rows over Z<n>, each beside its null distribution.

Fourier spectrum, circles, number line (in the rows and in the t-SNE picture), residues, analogies.
For a prime n also the spectrum, circles and number line of the non-zero tokens by discrete
logarithm (names 'log_...').
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import pdist, squareform

from grok.analysis import fourier, geometry, logarithm, probes, projection
from grok.analysis.nulls import p_value
from grok.analysis.similarity import (
    circulant_score,
    cosine_similarity,
    dot_similarity,
    number_line_of,
)
from grok.measure import chance
from grok.measure.chance import PERMUTED, Score, Scorer, null_draws
from grok.task.groups import Structure
from grok.task.operations import is_prime

SPECTRUM = (
    "key_frequencies",
    "top_share",
    "gini",
    "ipr",
    "circularity",
    "circulant_cosine",
    "circulant_dot",
    "norm_effect",
    "number_line",
)
ANALOGIES = 300
PLANES = 3  # whose parallelograms are a score of their own


class Cyclic(NamedTuple):
    """Rows [n, D] along a cyclic axis, with what a permutation of the rows merely permutes.

    A null need not compute these anew. components_TC: `fourier.leading_components`. cosine_TT,
    dot_TT, distance_TT: of all pairs of rows. threshold: `fourier.key_threshold`.
    """

    W: np.ndarray
    components_TC: np.ndarray
    cosine_TT: np.ndarray
    dot_TT: np.ndarray
    distance_TT: np.ndarray
    threshold: float

    @classmethod
    def of(cls, W) -> "Cyclic":
        return cls(
            W,
            fourier.leading_components(W),
            cosine_similarity(W),
            dot_similarity(W),
            squareform(pdist(W)),
            fourier.key_threshold(W),
        )

    def permuted(self, order: np.ndarray) -> "Cyclic":
        both = np.ix_(order, order)
        return Cyclic(
            self.W[order],
            self.components_TC[order],
            self.cosine_TT[both],
            self.dot_TT[both],
            self.distance_TT[both],
            self.threshold,
        )

    @property
    def keys(self) -> list[int]:
        """The key frequencies, strongest first."""
        return fourier.frequencies_above(self.W, self.threshold).tolist()

    @property
    def planes(self) -> list[int]:
        """The key frequencies that have a plane: without half of an even number of rows."""
        return [k for k in self.keys if 2 * k < len(self.W)]


def spectrum_values(rows: Cyclic) -> np.ndarray:
    """The scores of SPECTRUM."""
    norms_K = fourier.frequency_norms(rows.W)
    share_K = norms_K**2 / (norms_K**2).sum()
    cosine = circulant_score(rows.cosine_TT)
    dot = circulant_score(rows.dot_TT)
    return np.array(
        [
            np.count_nonzero(share_K > rows.threshold),
            share_K.max(),
            fourier.gini(norms_K),
            fourier.ipr(norms_K),
            fourier.circularity(rows.components_TC),
            cosine,
            dot,
            dot - cosine,
            number_line_of(rows.distance_TT).length,
        ]
    )


def spectrum_scores(rows: Cyclic, draws: int, prefix: str = "") -> list[Score]:
    """The scores of SPECTRUM of rows along a cyclic axis, beside permuted rows."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(rows.W)) for _ in range(draws)]
    null = [spectrum_values(rows.permuted(order)) for order in orders]
    null_RS = np.array(null).reshape(draws, len(SPECTRUM))
    details = {
        "key_frequencies": " ".join(map(str, rows.keys)),
        "top_share": f"k={1 + fourier.frequency_power_share(rows.W).argmax()}",
        "norm_effect": "circulant score of dots less that of cosines",
        "number_line": f"step {number_line_of(rows.distance_TT).step}",
    }
    found = []
    for name, value, null_R in zip(SPECTRUM, spectrum_values(rows), null_RS.T):
        smaller, detail = name == "number_line", details.get(name, "")
        found.append(Score(prefix + name, value, null_R, PERMUTED, smaller, detail))
    return found


def picture_scores(points, prefix: str = "") -> list[Score]:
    """Number line and circle in a picture [n, 2], beside the same picture with permuted tokens.

    See `projection.shows_circle`.
    """
    found, n = projection.picture_circle(points), len(points)
    rng = np.random.default_rng(0)
    null = [projection.picture_circle(points[rng.permutation(n)]) for _ in range(chance.DRAWS)]
    shown = float(projection.shows_circle(found, null, n))
    scores = [
        Score(
            "tsne_number_line",
            found.length,
            np.array([circle.length for circle in null]),
            smaller=True,
            detail=f"step {found.step}",
        ),
        Score(
            "tsne_angle_order",
            found.order,
            np.array([circle.order for circle in null]),
            detail=f"{found.turns} turns",
        ),
        Score(
            "tsne_circle",
            shown,
            np.array([projection.shows_circle(circle, null, n) for circle in null], float),
            detail="1: the circle appears",
        ),
    ]
    return [score._replace(name=prefix + score.name, null_name=PERMUTED) for score in scores]


def plane_scores(W, keys: list[int], draws: int, prefix: str = "") -> list[Score]:
    """How round the plane of a key frequency is, mean over the key frequencies.

    Beside permuted rows; nothing if there is no key frequency.
    """
    if not keys:
        return []
    details = {
        "radius_cv": "standard deviation of the radius over its mean",
        "angle_error": "degrees",
    }

    def statistics(rows):
        found = [fourier.circle_statistics(fourier.frequency_plane(rows, k), k) for k in keys]
        radius_cv = np.mean([circle["radius_cv"] for circle in found])
        angle_error = np.mean([circle["angle_error"] for circle in found])
        return np.array([radius_cv, angle_error])

    null = null_draws(statistics, W, draws, len(details))
    scores = []
    for (name, words), value, null_R in zip(details.items(), statistics(W), null):
        detail = f"{words}; k = {' '.join(map(str, keys))}"
        scores.append(Score(f"{prefix}plane_{name}", value, null_R, PERMUTED, True, detail))
    return scores


def axis_scores(W, found: Iterable[Score], draws: int) -> Iterator[Score]:
    """Which axis orders the tokens, from the Gini coefficients of the spectra on both axes.

    That on discrete logarithms less that on residues: above its null, of permuted rows, the
    logarithms order them; below it, the residues do.
    """
    axis_of_score = {"gini": "additive", "log_gini": "multiplicative"}
    ginis = {}
    for score in found:
        if score.name in axis_of_score:
            p = p_value(score.value, score.null) if len(score.null) else 1.0
            ginis[axis_of_score[score.name]] = logarithm.AxisGini(score.value, p)
    if len(ginis) < 2:
        return
    order = logarithm.discrete_log_order(len(W))

    def difference(rows):
        on_logarithms = fourier.gini(fourier.frequency_norms(rows[order]))
        return np.array([on_logarithms - fourier.gini(fourier.frequency_norms(rows))])

    [null_R] = null_draws(difference, W, draws, 1)
    detail = f"{logarithm.better_axis(ginis)} (Gini on discrete logarithms less Gini)"
    yield Score("axis", float(difference(W)[0]), null_R, PERMUTED, None, detail)


def residue_scores(W, draws: int) -> Iterator[Score]:
    """How many moduli can be read from the rows after Holm's correction, and the one read best.

    The best one also by the estimators of scikit-learn. Each permuted labelling goes the same way,
    with the modulus that is read best from *it*, so that the choice flatters neither.
    """
    if not draws:
        return
    test = probes.residue_test(W, draws=chance.LARGE_DRAWS)
    known = test.scores[test.scores.scored]
    if known.empty:
        return
    readable = known[known.holm < chance.SIGNIFICANT]
    words = f"of {len(known)} moduli none"
    if len(readable):
        words = "k = " + " ".join(map(str, readable.k))
    null = test.null_readable(chance.SIGNIFICANT)
    yield Score("residues", float(len(readable)), null, PERMUTED, detail=words)
    excess, best = test.best().excess, test.scores.loc[test.best().row[0]]
    accuracy = f"accuracy {best.accuracy:.2f}, Holm's p {best.holm:.3f}"
    words = f"k={best.k} by {best.probe}: {accuracy}"
    yield Score("best_residue", excess[0], excess[1:], PERMUTED, detail=words)
    for name, probe in test.library_probes(chance.SLOW_DRAWS).items():
        words = f"k={best.k}: accuracy {probe.accuracy:.2f}"
        yield Score(f"residue_{name}", probe.excess[0], probe.excess[1:], PERMUTED, detail=words)


def analogy_scores(W, keys: list[int], draws: int) -> list[Score]:
    """The accuracy of every kind of analogy, beside permuted rows."""

    found = geometry.analogies(W, keys, count=ANALOGIES)
    names = [f"analogy_{row.space}_{row.rule}_{row.similarity}" for row in found.itertuples()]

    def accuracy(rows):
        return geometry.analogies(rows, keys, count=ANALOGIES)["accuracy"].to_numpy()

    null = null_draws(accuracy, W, draws, len(names))
    return [
        Score(name, value, null_R, PERMUTED)
        for name, value, null_R in zip(names, found["accuracy"], null)
    ]


def parallelogram_scores(W, keys: list[int], draws: int) -> list[Score]:
    """Parallelograms that close in principal planes and in planes of key frequencies.

    In the best of five principal planes, in each of the first three, and in those of the three
    strongest key frequencies, beside permuted rows.
    """
    keys = keys[:PLANES]
    n_principal = min(PLANES, geometry.principal_planes(W).shape[1])
    details = {"parallelogram": "the best of five principal planes"}
    details |= {f"parallelogram_plane{i + 1}": "" for i in range(n_principal)}
    details |= {f"parallelogram_key{i + 1}": f"k={k}" for i, k in enumerate(keys)}

    def shares(rows):
        principal_K, key_K = geometry.parallelogram_scores(rows), np.empty(0)
        if keys:
            key_K = geometry.parallelograms(geometry.frequency_coefficients(rows, keys))
        return np.array([principal_K.max(), *principal_K[:n_principal], *key_K])

    null = null_draws(shares, W, draws, len(details))
    return [
        Score(name, value, null_R, PERMUTED, detail=detail)
        for (name, detail), value, null_R in zip(details.items(), shares(W), null)
    ]


def cyclic_scorers(W, group: Structure, draws: int) -> list[Scorer]:
    """The scorers of a matrix over Z<n>; GrokError for any other structure."""
    n = fourier.require_cyclic(group)
    points, few, rows = projection.coordinates(W), min(draws, chance.SLOW_DRAWS), Cyclic.of(W)
    scorers = axis_scorers(rows, points, draws)
    if n > 3 and is_prime(n):
        order = logarithm.discrete_log_order(n)
        scorers += axis_scorers(Cyclic.of(W[order]), points[order], draws, "log_")
    return [
        *scorers,
        lambda: residue_scores(W, draws),
        lambda: analogy_scores(W, rows.planes, few),
        lambda: parallelogram_scores(W, rows.planes, few),
    ]


def axis_scorers(rows: Cyclic, points, draws: int, prefix: str = "") -> list[Scorer]:
    """The scorers that depend on the order of the rows, and of their points [n, 2], on an axis."""
    return [
        lambda: spectrum_scores(rows, draws, prefix),
        lambda: plane_scores(rows.W, rows.planes, draws, prefix),
        lambda: picture_scores(points, prefix),
    ]
