"""Pictures of one matrix against planted structure; which network and moment are shown."""

import math
import shutil

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from scipy.spatial import distance

from grok.analysis import fourier, groups, logarithm
from grok.experiment import Experiment, GrokError, Run
from grok.figures import embedding_growth, embedding_structure, tsne_sheet
from grok.figures.parts import gallery, matrix, style, tsne
from grok.measure import findings
from grok.measure.findings import figure3, ranking
from grok.store import array_files, outcomes, provenance, results, sessions, tables
from grok.store.snapshots import Moment, at_step, best, moments
from grok.task.operations import structure

matplotlib.use("agg")
DEVICE = {"device": "2 x cpu", "platform": "cpu", "cores": 2, "processes": 1}
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def alike(monkeypatch):
    """The same numbers whichever tests ran before, and nobody asks git who made these results."""
    RNG.bit_generator.state = np.random.default_rng(0).bit_generator.state
    monkeypatch.setattr(provenance, "git", lambda *arguments: None)


def axes_of_a_panel():
    return style.panels()[1][0, 0]


def circle(n: int, k: int, noise: float = 0.05, width: int = 12) -> np.ndarray:
    """Rows whose first two columns run round a circle k times."""
    angle = 2 * np.pi * k * np.arange(n) / n
    return np.pad(
        np.stack([np.cos(angle), np.sin(angle)], axis=1), [(0, 0), (0, width - 2)]
    ) + noise * RNG.normal(size=(n, width))


def logarithmic(p: int, k: int) -> np.ndarray:
    """Rows of Z/p on a circle by discrete logarithm; token 0 lies apart."""
    W = 0.05 * RNG.normal(size=(p, 12))
    W[logarithm.discrete_log_order(p)] += circle(p - 1, k, noise=0)
    return W


def joints_of(axes) -> np.ndarray:
    """The ends [n, 2, 2] of the lines that join points."""
    return np.concatenate([np.array(drawn.get_data()).T for drawn in axes.lines]).reshape(-1, 2, 2)


# --- The step that draws a circle ---


@pytest.mark.parametrize("n", [5, 12, 30, 31, 97])
def test_the_step_of_a_frequency_turns_it_least(n):
    for k in range(1, n // 2 + 1):
        turns = {m: min(k * m % n, -k * m % n) for m in range(1, n // 2 + 1)}
        moving = {m: turn for m, turn in turns.items() if turn}
        step = fourier.turn_step(n, k)
        assert moving[step] == min(moving.values()) == math.gcd(k, n)
    assert n != 97 or {k for k in range(1, 49) if fourier.turn_step(97, k) == 8} == {
        12
    }  # the paper's


def test_a_frequency_out_of_range_is_one_line():
    with pytest.raises(
        GrokError, match=r"frequency 16 is no frequency of 31 tokens: choose 1\.\.15"
    ):
        fourier.turn_step(31, 16)


def test_the_axes_of_a_plane_are_orthonormal_and_give_its_coordinates():
    W = circle(31, 5)
    axes_2D = fourier.frequency_basis(W, 5)
    assert np.allclose(axes_2D @ axes_2D.T, np.eye(2))
    angle = np.angle(fourier.frequency_plane(W, 5) @ [1, 1j])
    assert np.abs(np.exp(1j * angle) - np.exp(2j * np.pi * 5 * np.arange(31) / 31)).max() < 0.3
    assert np.abs(axes_2D[:, :2]).max() > 0.95  # the planted plane


def test_the_key_plane_joins_neighbours_on_its_circle():
    axes = axes_of_a_panel()
    words = matrix.key_plane(axes, circle(31, 12))
    assert (
        "n joined to n + 13;" in words and axes.get_xlabel() == "plane of frequency 12"
    )  # 12 x 13 = 1 mod 31
    joints = joints_of(axes)
    assert len(joints) == 31
    assert np.allclose(
        np.linalg.norm(joints[:, 0] - joints[:, 1], axis=1).mean(), 2 * np.sin(np.pi / 31), rtol=0.5
    )
    error, null = (
        int(part)
        for part in words.split("angle error ")[1]
        .replace("°", "")
        .replace(" (permuted", "")
        .replace(")", "")
        .split()
    )
    assert error < 10 and null > 40
    other = axes_of_a_panel()
    assert "n joined to n + 8;" in matrix.key_plane(other, circle(31, 12), step=8)
    assert np.linalg.norm(np.subtract(*joints_of(other).transpose(1, 0, 2)), axis=1).mean() > 0.5


def test_limits_that_are_fixed_are_kept_without_a_warning(caplog):
    axes = axes_of_a_panel()
    axes.set(xlim=(-3, 3), ylim=(-3, 3))
    matrix.key_plane(axes, circle(31, 12))
    axes.figure.draw_without_rendering()
    assert axes.get_xlim() == axes.get_ylim() == (-3, 3) and not caplog.records


def test_on_the_axis_of_logarithms_a_step_is_a_factor():
    order = logarithm.discrete_log_order(31)  # of 3
    axes = axes_of_a_panel()
    words = matrix.key_plane(axes, logarithmic(31, 7), order=order)
    assert f"n joined to {pow(3, 13, 31)}·n" in words  # 7 x 13 = 1 mod 30
    assert len(joints_of(axes)) == 30  # 0 has no logarithm


# --- Spectra and similarities ---


def test_the_spectrum_shows_shares_and_what_permuted_rows_give():
    W = circle(31, 4)
    axes = axes_of_a_panel()
    assert matrix.spectrum(axes, W) == "1 key: 4"
    heights = [bar.get_height() for bar in axes.patches]
    basis = np.exp(-2j * np.pi * np.outer(np.arange(1, 16), np.arange(31)) / 31)
    power = (np.abs(basis @ W) ** 2).sum(axis=1)
    assert np.allclose(heights, 100 * power / power.sum())
    [band] = axes.collections
    low, high = band.get_paths()[0].vertices[:, 1].min(), band.get_paths()[0].vertices[:, 1].max()
    assert 0 < low < 100 / 15 < high < heights[3]
    assert (
        matrix.spectrum(axes_of_a_panel(), np.random.default_rng(1).normal(size=(31, 12)))
        == "no key frequency"
    )


def test_key_frequencies_that_are_not_named_are_counted():
    words = [matrix.named_keys(range(1, count + 1)) for count in (0, 1, 6, 7)]
    assert words == [
        "no key frequency",
        "1 key: 1",
        "6 key: 1, 2, 3, 4, 5, 6",
        "7 key: 1, 2, 3, 4, 5, 6 and 1 more",
    ]


def test_an_order_of_logarithms_finds_what_natural_order_hides():
    W, order = logarithmic(31, 7), logarithm.discrete_log_order(31)
    assert matrix.strongest(W) is None and matrix.strongest(W, order) == 7
    score = {
        name: float(matrix.circulant_words(W, order=o).split()[1])
        for name, o in {"natural": None, "log": order}.items()
    }
    assert score["natural"] < 0.3 and score["log"] > 0.95
    assert (logarithm.element_order(W) == order).all() and (
        logarithm.element_order(circle(31, 4)) == np.arange(31)
    ).all()


def test_round_the_circle_the_nearest_are_the_most_similar():
    W, order = circle(31, 12, noise=0), matrix.frequency_order(31, 12)
    axes = axes_of_a_panel()
    matrix.similarity(axes, W, order=order)
    shown = axes.images[0].get_array()
    apart = np.abs(np.arange(31)[:, None] - np.arange(31))
    assert np.allclose(shown, np.cos(2 * np.pi * apart / 31))
    matrix.similarity(natural := axes_of_a_panel(), W, "dot product")
    assert np.allclose(natural.images[0].get_array(), (W - W.mean(0)) @ (W - W.mean(0)).T)
    with pytest.raises(GrokError, match="'cosine' or 'dot product', not 'euclid'"):
        matrix.similarity(axes, W, "euclid")


@pytest.mark.parametrize(
    "draw", [matrix.spectrum, matrix.similarity, matrix.key_plane, matrix.principal_plane]
)
@pytest.mark.parametrize(
    "W, message",
    [
        (np.ones((1, 4)), "at least 3 rows"),
        (np.ones((7, 4)), "all rows of the matrix are equal"),
        (np.full((7, 4), np.nan), "this run diverged"),
    ],
)
def test_matrices_without_structure_are_one_line(draw, W, message):
    with pytest.raises(GrokError, match=message):
        draw(axes_of_a_panel(), W)


def test_a_frequency_without_a_plane_is_passed_over():
    """A network that parts residues from non-residues alone has one key frequency, (p - 1)/2."""
    W = 0.05 * RNG.normal(size=(31, 12))
    W[logarithm.discrete_log_order(31), 0] += (-1.0) ** np.arange(30)
    order = logarithm.discrete_log_order(31)
    assert fourier.key_frequencies(W[order]).tolist() == [15] and matrix.strongest(W, order) is None
    axes = embedding_structure.page([("xy Z31", W, structure("Z31"))]).axes
    assert axes[0].get_title() == "1 key: 15" and axes[2].get_xlabel().endswith("no circle is key")


# --- Components, t-SNE, residues ---


def test_the_principal_plane_says_its_share():
    axes = axes_of_a_panel()
    W = circle(31, 3)
    assert (
        matrix.principal_plane(axes, W, step=10) == "n joined to n + 10"
        and len(joints_of(axes)) == 31
    )
    S = np.linalg.svd(W - W.mean(0), compute_uv=False) ** 2
    assert axes.get_xlabel() == f"PC 1 and 2: {100 * S[:2].sum() / S.sum():.0f}% of variance"
    with pytest.raises(GrokError, match="has 6 principal planes: choose 0 to 5, not 6"):
        matrix.principal_plane(axes, W, plane=6)


def test_words_on_a_picture_measure_it_against_chance():
    angle = 2 * np.pi * np.arange(31) / 31
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    clear = matrix.order_words(points, tsne.Colouring(np.arange(31.0), 31, ""))
    length = 2 * np.sin(np.pi / 31) / distance.pdist(points).mean()
    assert clear == f"{length:.2f} of chance"
    at_random = tsne.Colouring(RNG.permutation(31).astype(float), 31, "")
    assert 0.7 < float(matrix.order_words(points, at_random).split()[0]) < 1.3
    parts = tsne.Colouring(np.repeat([2.0, 5.0], [16, 15]), None, "")
    apart = np.repeat([[0.0, 0.0], [9.0, 0.0]], [16, 15], axis=0) + 0.01 * RNG.normal(size=(31, 2))
    assert matrix.order_words(apart, parts).startswith("0.00 (random 0.9")


def test_residues_have_a_panel_each():
    picture = matrix.residue_sheet(circle(31, 3)[:, :2])
    shown = [axes for axes in picture.axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in shown] == [f"n mod {k}" for k in range(2, 30)]
    coloured = next(
        drawn
        for drawn in shown[3].collections
        if isinstance(drawn, PathCollection) and len(drawn.get_offsets()) == 31
    )
    assert (coloured.get_array() == np.arange(31) % 5).all()


def test_a_sheet_has_every_perplexity_and_start_that_fits(monkeypatch):
    monkeypatch.setattr(tsne_sheet, "PERPLEXITIES", (3, 40))
    monkeypatch.setattr(tsne_sheet, "STARTS", (None, 1))
    W = circle(13, 2)
    picture = tsne_sheet.page([("", W, tsne.colouring(W, structure("Z13")))])
    first, second, third, _ = picture.axes
    assert first.get_ylabel() == "PCA start" and third.get_ylabel() == "random start 1"
    assert first.get_title() == "perplexity 3" and first.get_xlabel().endswith(" of chance")
    assert [ax.get_visible() for ax in picture.axes] == [True, False, True, False]
    assert not np.allclose(first.collections[-1].get_offsets(), third.collections[-1].get_offsets())


def test_sheets_of_several_networks_stand_side_by_side(monkeypatch):
    monkeypatch.setattr(tsne_sheet, "PERPLEXITIES", (3, 5))
    monkeypatch.setattr(tsne_sheet, "STARTS", (None, 1))
    W = circle(13, 2)
    shades = tsne.colouring(W, structure("Z13"))
    picture = tsne_sheet.page([(name, W, shades) for name in ("a", "b", "c")])
    shape = (4, 4)  # three blocks of two by two, the fourth empty
    shown = np.reshape([ax.get_visible() for ax in picture.axes], shape)
    assert shown[:2].all() and shown[2:, :2].all() and not shown[2:, 2:].any()
    names = np.reshape([ax.get_ylabel() for ax in picture.axes], shape)
    assert [names[0, 0], names[0, 2], names[2, 0]] == [f"{name}\nPCA start" for name in "abc"]


def test_names_of_bars_that_are_close_give_way_sideways():
    axes = style.panels()[1][0, 0]
    matrix.name_bars(axes, np.ones(50), [1, 20, 30, 31, 50])
    sides = {text.get_text(): text.get_horizontalalignment() for text in axes.texts}
    assert sides == {"1": "left", "20": "center", "30": "right", "31": "left", "50": "right"}


# --- Groups ---


def test_signs_and_cycle_types_name_their_parts():
    group = structure("S4")
    sign, kind = matrix.sign_colouring(group), matrix.cycle_type_colouring(group)
    determinant = [
        round(np.linalg.det(np.eye(4)[permutation])) for permutation in group.permutations
    ]
    assert [sign.names[int(v)] for v in sign.value_T] == [
        {1: "even", -1: "odd"}[d] for d in determinant
    ]
    fixed = (group.permutations == np.arange(4)).sum(axis=1)
    points_of = {"1⁴": 4, "2 1²": 2, "2²": 0, "3 1": 1, "4": 0}
    assert [points_of[kind.names[int(v)]] for v in kind.value_T] == fixed.tolist() and set(
        kind.names
    ) == set(points_of)
    with pytest.raises(GrokError, match="elements of D4 are no permutations"):
        matrix.sign_colouring(structure("D4"))


def test_irreps_stand_beside_a_random_matrix():
    group = structure("S4")
    axes = axes_of_a_panel()
    signs = matrix.sign_colouring(group).value_T * 2 - 1
    words = matrix.irreps(axes, np.outer(signs, [1.0, 2.0]), group)
    assert words == "1⁴: 100% (random 4%)"
    lines = np.array([segment[:, 1] for segment in axes.collections[0].get_segments()])
    assert np.allclose(sorted(lines[:, 0]), sorted(100 * d**2 / 24 for d in (1, 3, 2, 3, 1)))
    for name in ("A4", "D4"):
        with pytest.raises(GrokError):
            matrix.irreps(axes, RNG.normal(size=(structure(name).order, 5)), structure(name))


def test_a_group_sheet_has_a_column_a_colouring():
    group = structure("S3")
    W = RNG.normal(size=(6, 5))
    assert [axes.get_title().split()[0] for axes in matrix.group_sheet(W, group).axes[:3]] == [
        "cosets",
        "sign",
        "cycle",
    ]
    assert len(matrix.group_sheet(RNG.normal(size=(8, 5)), structure("D4")).axes) == 2


# --- Which network, and when ---


def saved(root, runs, curves_of, snapshots=()) -> results.Results:
    """Ended runs: curves_of(number) gives {update: val accuracy}; matrices grow clearer."""
    folder = root / "figure3"
    sessions.begin(folder, Experiment(name="figure3", runs=tuple(runs)), DEVICE)
    rows, curves = [], []
    for number, run in enumerate(runs):
        steps = curves_of(number)
        metrics = np.zeros((len(steps), len(tables.METRICS)))
        metrics[:, tables.METRICS.index("val_accuracy")] = list(steps.values())
        curve = tables.curves_table(np.full(len(steps), number), np.array(list(steps)), metrics)
        rows.append(
            {
                "run": number,
                **{
                    k: getattr(run, k)
                    for k in ("operation", "structure", "seed", "precision", "snapshots")
                },
                **outcomes.outcome(curve, run, False, True),
            }
        )
        curves.append(curve)
        n = structure(run.structure).order
        for step in (*snapshots, max(steps)):
            W = (
                circle(n, 2, noise=(1 + number) * 10 / step)
                if step > 1
                else RNG.normal(size=(n, 12))
            )
            suffix = "" if step == max(steps) else f"_step_{step:08d}"
            array_files.write_arrays(
                folder, f"run_{number:04d}{suffix}", {"embedding": W, "unembedding": W}
            )
    tables.write_tables(folder, tables.runs_table(rows), pd.concat(curves, ignore_index=True))
    sessions.finish(folder, {"seconds": 1.0, "run_updates": 1})
    return results.load(folder)


ADDITION = Run(operation="x+y", structure="Z13", num_steps=400)


def test_the_best_moment_is_the_last_of_the_most_accurate(tmp_path):
    found = moments(
        saved(
            tmp_path,
            [ADDITION],
            lambda number: {1: 0.1, 100: 1.0, 200: 1.0, 400: 0.3},
            snapshots=(1, 100, 200),
        ),
        0,
    )
    assert [(moment.step, moment.update) for moment in found] == [
        (1, 1),
        (100, 100),
        (200, 200),
        (None, 400),
    ]
    assert (
        best(found) == (200, 200, 0.0, 1.0)
        and best(found).words == "update 200\n0% train, 100% val"
    )


def test_the_best_moment_of_a_network_that_memorises_is_one_at_which_it_has():
    early, late, end = moments_of_a_run = [
        Moment(2, 2, 0.02, 0.03),
        Moment(100, 100, 1.0, 0.02),
        Moment(None, 400, 1.0, 0.01),
    ]
    assert best(moments_of_a_run) is late and best([early]) is early
    assert at_step(moments_of_a_run, 400) is end and at_step(moments_of_a_run, 2) is early
    with pytest.raises(GrokError, match="nothing is kept after 3 updates: choose 2, 100, 400"):
        at_step(moments_of_a_run, 3)


def test_figure_3_shows_networks_before_they_collapse_and_says_in_what_share_the_structure_appears(
    tmp_path,
):
    accuracies = [
        {1: 0.1, 100: 1.0, 400: 0.3},
        {1: 0.1, 100: 0.5, 400: 0.995},
        {1: 0.1, 100: 0.2, 400: 0.4},
    ]
    found = saved(
        tmp_path,
        [Run(operation="x+y", structure="Z31", seed=seed) for seed in range(3)],
        accuracies.__getitem__,
        snapshots=(1, 100),
    )
    noise = RNG.normal(size=(31, 12))
    array_files.write_arrays(
        found.folder, "run_0000", {"embedding": noise, "unembedding": noise}
    )  # collapsed
    rows = findings.of(found).tables["networks"]
    assert {row["run"]: row["update"] for row in rows if row["rank"]} == {0: 100, 1: 400}
    assert [row["rank"] for row in rows if row["run"] == 2] == [0]
    seen = ranking.network(found, 0)
    assert np.array_equal(seen.W, found.arrays(0, 100)["unembedding"][:31])
    assert findings.of(found)["circle"].here == "2 of 2: 100% [34, 100]"
    lost = ranking.Network(0, moments(found, 0)[-1], noise, structure("Z31"))
    assert not figure3.pictured(lost, {})["circle"]


def test_figure_3_counts_cosets_in_pictures_and_the_papers_subgroup():
    group = structure("S5")
    W = RNG.normal(size=(12, 20))[
        groups.cosets(group, groups.figure_3_subgroup(group), "right")
    ] + 0.2 * RNG.normal(size=(120, 20))
    shown = pictured(W, group)
    assert shown["cluster"] and shown["is_papers"] and shown["papers_z"] < -10
    signs = matrix.sign_colouring(group).value_T.astype(int)
    other = pictured(RNG.normal(size=(2, 20))[signs] + 0.2 * RNG.normal(size=(120, 20)), group)
    assert not other["is_papers"]
    noise = pictured(RNG.normal(size=(120, 20)), group)
    assert not noise["cluster"]


def pictured(W, group) -> dict:
    """What Figure 3 finds in the rows of a network."""
    seen = ranking.Network(0, Moment(None, 100, 1.0, 1.0), W, group)
    return figure3.pictured(seen, ranking.described(seen))


def clearest(found, followed=False) -> list[tuple[str, int, int]]:
    """(task and run, rank, of how many) of each task's clearest network."""
    rows = ranking.chosen(findings.of(found).table("networks"), followed)
    return [(ranking.title_of(row), row["rank"], row["of"]) for row in rows]


def test_the_clearest_of_those_that_generalised_is_shown(tmp_path):
    runs = [ADDITION.replace(seed=seed) for seed in range(3)]
    found = saved(
        tmp_path, runs, lambda number: {1: 0.1, 400: [0.5, 1.0, 1.0][number]}, snapshots=(1,)
    )
    # Run 0 is clearer, but did not generalise.
    assert clearest(found) == [("x+y Z13, run 1", 1, 2)]
    shutil.rmtree(found.folder)
    alone = saved(tmp_path, runs[:1], lambda number: {1: 0.1, 400: 0.5})
    assert clearest(alone) == [("x+y Z13, run 0", 1, 1)]
    assert not findings.of(alone).tables["networks"][0]["generalised"]


def test_every_figure_shows_the_same_clearest_network(tmp_path, monkeypatch):
    monkeypatch.setattr(tsne_sheet, "PERPLEXITIES", (4,))
    monkeypatch.setattr(tsne_sheet, "STARTS", (None,))
    runs = [ADDITION.replace(structure="Z31", seed=seed) for seed in range(3)]
    found = saved(tmp_path, runs, lambda number: {1: 0.1, 400: 1.0})
    [(title, rank, of)] = clearest(found)
    assert rank == 1 and of == 3
    sheet, structures, pictures = (
        gallery.ENTRIES[name].picture(found.folder).axes[0]
        for name in ("tsne_sheet", "embedding_structure", "figure3")
    )
    assert sheet.get_ylabel().startswith(title) and structures.get_ylabel().startswith(title)
    assert pictures.get_title() == f"{title}, clearest of 3"


def test_growth_shows_the_first_and_the_last_moments(tmp_path):
    found = saved(
        tmp_path,
        [ADDITION],
        lambda number: {step: step / 400 for step in (1, 2, 10, 100, 200, 400)},
        snapshots=(1, 2, 10, 100, 200),
    )
    _, axes = style.panels(2, 4)
    assert embedding_growth.draw(axes, found, 0) == embedding_growth.RING
    assert [ax.get_title().split("\n")[0] for ax in axes[0]] == [
        "update 1",
        "update 100",
        "update 200",
        "update 400",
    ]
    shares = [int(ax.get_xlabel().split("%")[0]) for ax in axes[0]]
    assert shares[0] < 60 and shares[1] < shares[-1] > 95
    _, axes = style.panels(2, 8)
    assert embedding_growth.draw(axes, found, 0) == embedding_growth.RING
    assert [ax.get_visible() for ax in axes[1]] == [True] * 6 + [False] * 2


def test_a_composite_modulus_has_no_panel_of_logarithms():
    W = circle(12, 5)
    picture = embedding_structure.page([("x+y Z12", W, structure("Z12"))])
    labels = [axes.get_xlabel() for axes in picture.axes]
    assert labels == [
        "frequency",
        "cosine, natural order",
        "cosine, round the circle",
        "plane of frequency 5",
    ]
    picture = embedding_structure.page([("xy Z31", logarithmic(31, 7), structure("Z31"))])
    assert (
        picture.axes[0].get_xlabel() == "frequency (discrete log)"
        and picture.axes[0].get_title() == "1 key: 7"
    )
    assert picture.axes[2].images[0].get_array().shape == (30, 30)


@pytest.mark.parametrize("name, said", [("S4", "% (random"), ("D4", ""), ("A4", "")])
def test_a_page_of_any_group_is_drawn(name, said):
    group = structure(name)
    members = next(orbit[0] for orbit in groups.subgroup_classes(group) if orbit[0].sum() == 4)
    label = groups.cosets(group, members, "left")
    W = RNG.normal(size=(label.max() + 1, 12))[label] + 0.05 * RNG.normal(size=(group.order, 12))
    irreps, _, similarity, plane = embedding_structure.page([(name, W, group)]).axes
    assert said in irreps.get_title() and bool(irreps.texts) == (not said)
    best = groups.best_subgroup(groups.coset_scores(W, group))  # H, or a subgroup that holds it
    assert f" of H, order {int(best.order)} (z = " in plane.get_title()
    within, across = (
        float(part.split()[-1].replace("−", "-")) for part in similarity.get_title().split(", ")
    )
    assert within > across + 0.3


def test_a_matrix_that_is_not_kept_is_named(tmp_path):
    found = saved(tmp_path, [ADDITION], lambda number: {1: 0.1, 400: 1.0})
    array_files.write_arrays(found.folder, "run_0000", {"unembedding": np.zeros((15, 4))})
    with pytest.raises(GrokError, match="hold no input matrix 'embedding': they hold unembedding"):
        matrix.rows(found, 0, "input")
    with pytest.raises(GrokError, match="no arrays of run 0 at update 7"):
        matrix.rows(found, 0, step=7)
    assert {"embedding_structure", "embedding_growth", "tsne_sheet"} < {
        entry.name for entry in gallery.entries_of("figure3")
    }


def test_growth_follows_a_network_that_kept_snapshots(tmp_path):
    runs = [ADDITION.replace(seed=0), ADDITION.replace(seed=1, snapshots="log")]
    found = saved(tmp_path, runs, lambda number: {1: 0.1, 400: 1.0})
    rows = {row["run"]: row for row in findings.of(found).tables["networks"]}
    assert rows[0]["clarity"] != rows[1]["clarity"]
    [(title, _, _)] = clearest(found, followed=True)
    assert title == "x+y Z13, run 1"
    without = saved(tmp_path / "none", runs[:1], lambda number: {1: 0.1, 400: 1.0})
    assert clearest(without, followed=True) == [("x+y Z13, run 0", 1, 1)]
