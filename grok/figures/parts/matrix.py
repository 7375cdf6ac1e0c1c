"""Pictures of one matrix on given axes: spectra, similarities, circles, components, irreps.

Each takes `W` [n, d], a row an element of its structure, and draws on matplotlib axes (a notebook's
or a figure's). It returns in words what it found, with the null beside it where it scores.
"""

import math

import numpy as np
from matplotlib.figure import Figure

from grok.analysis import fourier, geometry, groups
from grok.analysis.irreps import MAX_IRREP_DEGREE, explained_by_irrep
from grok.analysis.irreps import irreps as representations
from grok.analysis.matrix_rows import centred, token_matrix
from grok.analysis.nulls import null_distribution
from grok.analysis.similarity import circulant_score, cosine_similarity, dot_similarity, number_line
from grok.experiment import GrokError
from grok.figures.parts import style, tsne
from grok.measure.findings.words import pretty
from grok.store.matrices import element_rows
from grok.task.operations import Structure

RESIDUES = range(2, 30)
COSINE, DOT = "cosine", "dot product"
SIMILARITIES = {COSINE: cosine_similarity, DOT: dot_similarity}
NAMED_KEYS = 6
NAME_SHARE = 0.1  # of a spectrum's width, which a name takes
DRAWS = 50  # permuted matrices behind a null that is only named
rows = element_rows


# --- Spectrum ---


def spectrum(axes, W, order=None) -> str:
    """Share of variance at each frequency, its 95% band over permuted rows, the key threshold.

    order: elements in the order of a cyclic axis, such as `discrete_log_order(p)`; natural
    without.
    """
    rows_TD = placed(W, order)
    share_K = 100 * fourier.frequency_power_share(rows_TD)
    null_NK = 100 * null_distribution(fourier.frequency_power_share, rows_TD)
    keys = fourier.key_frequencies(rows_TD)
    k = np.arange(1, len(share_K) + 1)
    axes.bar(k, share_K, color=np.where(np.isin(k, keys), style.BLUE, "0.6"), width=0.85)
    low, high = np.quantile(null_NK, [0.025, 0.975], axis=0)
    style.band(
        axes,
        [0.5, *k, len(k) + 0.5],
        [low[0], *low, low[-1]],
        [high[0], *high, high[-1]],
        style.VERMILION,
    )
    axes.axhline(
        100 * fourier.key_threshold(rows_TD), color=style.VERMILION, linewidth=0.7, linestyle="--"
    )
    name_bars(axes, share_K, sorted(int(key) for key in keys[:NAMED_KEYS]))
    axes.set_xlim(0.3, len(k) + 0.7)
    axes.set_ylabel("% of variance")
    axes.set_xlabel("frequency" + ("" if order is None else " (discrete log)"))
    return named_keys(keys)


def named_keys(keys) -> str:
    """How many key frequencies there are, and which are the strongest."""
    if not len(keys):
        return "no key frequency"
    named = ", ".join(map(str, keys[:NAMED_KEYS]))
    more = f" and {len(keys) - NAMED_KEYS} more" if len(keys) > NAMED_KEYS else ""
    return f"{len(keys)} key: {named}{more}"


def name_bars(axes, share_K: np.ndarray, keys: list[int]) -> None:
    """The numbers of bars above them; neighbours' names, and those at an edge, give way sideways.

    keys: frequencies from 1 on, in order.
    """
    reach = NAME_SHARE * len(share_K)
    for before, key, after in zip([0, *keys], keys, [*keys[1:], len(share_K) + 1]):
        near = key - before < reach, after - key < reach
        side = {(True, False): "left", (False, True): "right"}.get(near, "center")
        axes.annotate(
            str(key),
            (key, share_K[key - 1]),
            xytext=(0, 1),
            textcoords="offset points",
            ha=side,
            va="bottom",
            fontsize=5.5,
        )


def placed(W, order) -> np.ndarray:
    """The rows of `W` in an order of the elements, or as they are."""
    W = token_matrix(W)
    return W if order is None else W[order]


def strongest(W, order=None) -> int | None:
    """The strongest key frequency that has a plane, or None where there is none.

    Half of an even number of rows has no plane.
    """
    rows_TD = placed(W, order)
    return next((int(k) for k in fourier.key_frequencies(rows_TD) if 2 * k < len(rows_TD)), None)


# --- Similarity ---


def similarity(axes, W, measure: str = COSINE, order=None, words: str | None = None) -> None:
    """Similarities 'cosine' or 'dot product' of all pairs of rows, in natural order or another."""
    if measure not in SIMILARITIES:
        raise GrokError(f"similarities are {' or '.join(map(repr, SIMILARITIES))}, not {measure!r}")
    rows_TD = placed(W, order)
    S_TT = SIMILARITIES[measure](rows_TD)
    limit = 1 if measure == COSINE else np.abs(S_TT[~np.eye(len(S_TT), dtype=bool)]).max()
    axes.imshow(S_TT, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[["top", "right"]].set_visible(True)
    axes.set_xlabel(
        f"{measure}, {words or ('natural order' if order is None else 'reordered')}", fontsize=7
    )


def circulant_words(W, measure: str = COSINE, order=None) -> str:
    """How far similarities depend on the difference of two places in an order alone."""

    def score(rows_TD):
        return circulant_score(SIMILARITIES[measure](rows_TD))

    rows_TD = placed(W, order)
    null = null_distribution(score, rows_TD, DRAWS).mean()
    return f"circulant {score(rows_TD):.2f} (permuted {null:.2f})"


def frequency_order(n: int, k: int) -> np.ndarray:
    """Elements in the order in which they stand on the circle of frequency k."""
    return np.argsort(k * np.arange(n) % n, kind="stable")


# --- Circles ---


def key_plane(axes, W, k: int | None = None, step: int | None = None, order=None) -> str:
    """The rows in the plane of frequency k, each n joined to n + step.

    Without k it is the strongest key frequency; without step the one that k asks for.

    With an `order` of g^0, g^1, ... the steps are factors: n is joined to n times g^step.
    """
    rows_TD = placed(W, order)
    n = len(rows_TD)
    k = (
        k
        or strongest(rows_TD)
        or int(fourier.frequency_norms(rows_TD)[: (n - 1) // 2].argmax()) + 1
    )
    step = step or fourier.turn_step(n, k)
    points = fourier.frequency_plane(rows_TD, k)
    tsne.join(axes, points, step)
    tsne.scatter(axes, points, tsne.Colouring((k * np.arange(n) % n).astype(float), n, ""), size=10)
    axes.set_xlabel(f"plane of frequency {k}", fontsize=7)
    null = null_distribution(lambda permuted: angle_error(permuted, k), rows_TD, DRAWS)
    error = angle_error(rows_TD, k)
    return f"{joint_words(step, order)}; angle error {error:.0f}° (permuted {null.mean():.0f}°)"


def angle_error(W, k: int) -> float:
    """Degrees by which the rows miss their places on the circle of frequency k."""
    return fourier.circle_statistics(fourier.frequency_plane(W, k), k)["angle_error"]


def joint_words(step: int, order) -> str:
    return (
        f"n joined to n + {step}" if order is None else f"n joined to {order[step % len(order)]}·n"
    )


def principal_plane(
    axes,
    W,
    plane: int = 0,
    colouring: tsne.Colouring | None = None,
    step: int | None = None,
    order=None,
    size: float = 14,
) -> str:
    """The rows in a plane of two components (0: the first two), joined by a step if given."""
    rows_TD = placed(W, order)
    z_TK = geometry.principal_planes(rows_TD)
    if not 0 <= plane < z_TK.shape[1]:
        raise GrokError(
            f"the matrix has {z_TK.shape[1]} principal planes: "
            f"choose 0 to {z_TK.shape[1] - 1}, not {plane}"
        )
    points = np.stack([z_TK[:, plane].real, z_TK[:, plane].imag], axis=1)
    if step:
        tsne.join(axes, points, step)
    n = len(points)
    colouring = colouring or tsne.Colouring(np.arange(n, dtype=float), n, "")
    tsne.scatter(axes, points, colouring, size)
    share = (points**2).sum() / (centred(rows_TD) ** 2).sum()
    axes.set_xlabel(
        f"PC {2 * plane + 1} and {2 * plane + 2}: {100 * share:.0f}% of variance", fontsize=7
    )
    return joint_words(step, order) if step else ""


def tsne_plane(
    axes,
    W,
    colouring: tsne.Colouring,
    neighbours: float | None = None,
    seed: int | None = None,
    size: float = 14,
) -> str:
    """t-SNE of the rows at a perplexity, from PCA or from a seed's random start; `order_words`."""
    points = tsne.coordinates(W, neighbours, seed)
    tsne.scatter(axes, points, colouring, size)
    return order_words(points, colouring)


def order_words(points, colouring: tsne.Colouring) -> str:
    """How well points [n, 2] keep together what their colours do.

    For colours round a circle the mean distance of neighbours in colour over that of all pairs. For
    parts the share of the variance within them, beside random parts of the same sizes.
    """
    coloured = ~np.isnan(colouring.value_T)
    points, value_N = np.asarray(points)[coloured], colouring.value_T[coloured]
    if colouring.period:
        ordered = points[np.argsort(value_N, kind="stable")]
        return f"{number_line(ordered)[1][0]:.2f} of chance"
    labels = np.unique(value_N, return_inverse=True)[1]
    rng = np.random.default_rng(0)
    null = np.mean(
        [groups.coset_concentration(points, rng.permutation(labels)) for _ in range(DRAWS)]
    )
    return f"{groups.coset_concentration(points, labels):.2f} (random {null:.2f})"


def residue_sheet(points, moduli=RESIDUES) -> Figure:
    """A panel for each k: the same points [n, 2] coloured by n mod k.

    The points come from `tsne.coordinates` or a plane.
    """
    moduli = list(moduli)
    columns = min(7, len(moduli))
    picture, panels = style.panels(
        -(-len(moduli) // columns), columns, width=style.DOUBLE, height=1.1
    )
    for ax in panels.flat[len(moduli) :]:
        ax.set_visible(False)
    residue_T = np.arange(len(points))
    for ax, k in zip(panels.flat, moduli):
        tsne.scatter(ax, points, tsne.Colouring((residue_T % k).astype(float), k, ""), size=6)
        ax.set_xlabel(f"n mod {k}", fontsize=6, labelpad=2)
    return picture


# --- Groups ---


def sign_colouring(group: Structure) -> tsne.Colouring:
    """Even and odd permutations."""
    signs = groups.signs(permutations_of(group))
    return tsne.Colouring((signs < 0).astype(float), None, "sign", ("even", "odd"))


def cycle_type_colouring(group: Structure) -> tsne.Colouring:
    """Permutations by the lengths of their cycles: the conjugacy classes of S_n."""
    types = groups.cycle_types(permutations_of(group))
    names = sorted(set(types))
    return tsne.Colouring(
        np.array([names.index(t) for t in types], float),
        None,
        "cycle type",
        tuple(map(shape_name, names)),
    )


def permutations_of(group: Structure) -> np.ndarray:
    """One-line notations [n, degree]. Raises GrokError for structures of other elements."""
    if group.permutations is None:
        raise GrokError(
            f"the elements of {group.name} are no permutations: "
            "signs and cycle types need S<n> or A<n>"
        )
    return group.permutations


def shape_name(shape) -> str:
    """(2, 1, 1, 1) as 2 1³."""
    powers = [(part, shape.count(part)) for part in dict.fromkeys(shape)]
    return " ".join(pretty(f"{part}^{times}") if times > 1 else str(part) for part, times in powers)


def colourings(W, group: Structure) -> list[tsne.Colouring]:
    """What elements can be coloured by: best cosets, for permutations sign and cycle type."""
    found = [tsne.coset_colouring(W, group)]
    return (
        found
        if group.permutations is None
        else [*found, sign_colouring(group), cycle_type_colouring(group)]
    )


def group_sheet(W, group: Structure) -> Figure:
    """The rows by cosets, sign and cycle type: principal plane above, t-SNE below."""
    shades = colourings(W, group)
    picture, panels = style.panels(
        2, len(shades), width=style.DOUBLE if len(shades) > 1 else style.SINGLE, height=2.6
    )
    points = tsne.coordinates(W)
    for (above, below), colouring in zip(panels.T, shades):
        principal_plane(above, W, colouring=colouring)
        tsne.scatter(below, points, colouring)
        share = order_words(points, colouring)
        below.set_xlabel(f"t-SNE\nvariance within {share}", fontsize=6.5)
        above.set_title(colouring.words.replace(" (z", "\n(z"), fontsize=7)
        if colouring.names:
            handles = {name: handle for handle, name in zip(*below.get_legend_handles_labels())}
            below.legend(
                handles.values(),
                handles,
                loc="upper center",
                bbox_to_anchor=(0.5, -0.16),
                ncols=4,
                fontsize=6,
                handletextpad=0.1,
                columnspacing=0.6,
            )
    return picture


def irreps(axes, W, group: Structure) -> str:
    """Share of the rows in each irrep of S_n, beside that of a random matrix: dimension² / n!."""
    n = permutations_of(group).shape[1]
    if group.order != math.factorial(n):
        raise GrokError(
            f"irreducible representations are built for S2..S{MAX_IRREP_DEGREE}, "
            f"not for {group.name}: use the coset scores"
        )
    shares = explained_by_irrep(W, n)
    expected = [representations(n)[shape].shape[1] ** 2 / group.order for shape in shares]
    place = np.arange(len(shares))
    share_R = 100 * np.array(list(shares.values()))
    axes.bar(place, share_R, color=style.BLUE, width=0.75)
    axes.hlines(
        100 * np.array(expected), place - 0.45, place + 0.45, color=style.VERMILION, linewidth=1.2
    )
    style.name_ticks(axes.xaxis, place, map(shape_name, shares))
    axes.tick_params(axis="x", rotation=90, labelsize=6)
    axes.set_ylim(0, 100)
    axes.set_ylabel("% of squares")
    axes.set_xlabel(f"irreps of {group.name}")
    largest = int(share_R.argmax())
    name = shape_name(list(shares)[largest])
    return f"{name}: {share_R[largest]:.0f}% (random {100 * expected[largest]:.0f}%)"
