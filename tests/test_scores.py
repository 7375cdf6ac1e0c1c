"""Scores find what is planted and nothing in noise; every run gets what fits its task."""

import re

import jax
import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from grok.__main__ import main
from grok.analysis import fourier, geometry, groups, nulls, projection
from grok.analysis.precedence import precedence
from grok.experiment import GrokError, Run
from grok.measure import chance, cyclic_scores, matrix_scores, scores, skipgram
from grok.store import array_files, results
from grok.store.snapshots import Moment
from grok.task.operations import structure

N = 31
TINY = Run(operation="x+y", structure=f"Z{N}", n_layers=1, n_heads=2, d_model=8, d_ff=8)


def gaussian(n=N, d=16, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def circle(k, n=N, noise=0.1):
    angle = 2 * np.pi * k * np.arange(n) / n
    return np.concatenate(
        [np.stack([np.cos(angle), np.sin(angle)], 1), np.zeros((n, 14))], 1
    ) + noise * gaussian(n)


def on_logarithms(rows, g=3):
    """Rows of the non-zero tokens of Z31, given by discrete logarithm to the root 3."""
    W = gaussian(seed=2) * 0.1
    for e, row in enumerate(rows):
        W[pow(g, e, N)] = row
    return W


def cosets_of_order_10(noise=0.3):
    """Rows that are constant on the right cosets of the paper's subgroup of S5, and some noise."""
    group = structure("S5")
    return gaussian(12)[
        groups.cosets(group, groups.figure_3_subgroup(group), "right")
    ] + noise * gaussian(120, seed=1), group


def table_of(W, group):
    found, _ = matrix_scores.matrix_scores(W, group)
    return pd.DataFrame(
        [scores.as_row(0, "output", Moment(None, 10, 1.0, 1.0), score, np.nan) for score in found]
    ).set_index("score")


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(chance, "DRAWS", 119)
    monkeypatch.setattr(chance, "SLOW_DRAWS", 19)
    with threadpool_limits(1):  # as the command does
        yield


# --- Z/n ---


def test_a_planted_circle_is_found_in_the_rows_and_in_the_picture():
    found = table_of(circle(8), structure(f"Z{N}"))
    assert found.loc["key_frequencies", ["value", "detail"]].tolist() == [1, "8"]
    for name in (
        "gini",
        "ipr",
        "top_share",
        "circularity",
        "circulant_cosine",
        "circulant_dot",
        "number_line",
        "tsne_number_line",
        "tsne_angle_order",
    ):
        assert found.p[name] == pytest.approx(1 / 120), name
    assert found.detail["number_line"] == "step 4", (
        "4 x 8 = 32 = 1 mod 31: neighbours on the circle"
    )
    assert found.value["tsne_circle"] == 1 and found.null_mean["tsne_circle"] < 0.1
    assert found.detail["axis"].startswith("additive") and found.value["log_key_frequencies"] == 0
    assert (
        found.value["residues"] >= 1
        and found.value["analogy_key_rotation_cosine"]
        > found.null_high["analogy_key_rotation_cosine"]
    )


def test_a_circle_on_discrete_logarithms_is_found_on_that_axis_alone():
    found = table_of(on_logarithms(circle(7, n=N - 1)), structure(f"Z{N}"))
    assert found.detail["axis"].startswith("multiplicative") and found.value["axis"] > 0.2
    assert found.detail["log_key_frequencies"] == "7" and found.value["key_frequencies"] == 0
    assert found.p["log_gini"] == pytest.approx(1 / 120) and found.p["gini"] > 0.01


def test_noise_has_no_structure_of_any_kind():
    found = table_of(gaussian(seed=5), structure(f"Z{N}"))
    for name in ("key_frequencies", "tsne_circle", "log_tsne_circle", "residues"):
        assert found.value[name] == 0, name
    assert found.detail["axis"].startswith("neither")
    tested = found.p.dropna()
    assert len(tested) > 25 and (tested < 0.05).mean() < 0.2
    inside = (found.null_low <= found.null_mean) & (found.null_mean <= found.null_high)
    rare = found.index.str.contains(
        "circle|key_frequencies"
    )  # 0 but for one draw in a hundred: the mean may lie above the 95%
    assert inside[found.p.notna() & ~rare].all()


def test_the_circle_appears_only_where_number_line_and_angles_agree():
    angle = 2 * np.pi * 8 * np.arange(N) / N
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    rng = np.random.default_rng(0)
    twice = np.stack([np.cos(2 * angle), np.sin(2 * angle)], 1) * (
        1 + 0.5 * np.cos(angle[:, None])
    )  # a loop that winds twice
    row = np.stack(
        [np.argsort(np.argsort(8 * np.arange(N) % N)), np.zeros(N)], 1
    )  # an open line with the same neighbours
    shown = []
    for points in (ring, twice, row, rng.normal(size=(N, 2))):
        null = [projection.picture_circle(points[rng.permutation(N)]) for _ in range(200)]
        shown.append(projection.shows_circle(projection.picture_circle(points), null, N))
    assert shown[0] and not shown[1] and not shown[3]
    assert projection.picture_circle(ring).order == pytest.approx(1) and projection.picture_circle(
        ring
    ).turns in (8, N - 8)
    assert projection.picture_circle(row).order < 0.9


def test_every_score_of_a_ring_stands_beside_a_null():
    found = table_of(circle(8), structure(f"Z{N}"))
    assert found.null_mean.notna().all() and (found.null != "").all()
    assert found.p["effective_rank"] == found.p["norm_cv"] == 0.05, (
        "the least that 19 draws can give"
    )
    assert (
        found.p["axis"] == pytest.approx(1 / 120) and found.value["axis"] < found.null_low["axis"]
    ), "far below its null: the residues"
    assert (
        found.p["residues"] < 0.05
        and found.p["best_residue"] < 0.05
        and found.value["residue_knn"] > found.null_high["residue_knn"]
    )


def test_key_planes_are_round_and_parallelograms_close_plane_by_plane():
    W = circle(8, noise=0.02)
    found = table_of(W, structure(f"Z{N}"))
    z_T = fourier.frequency_plane(W, 8) @ [1, 1j]
    assert (
        found.value["plane_radius_cv"] == pytest.approx(np.abs(z_T).std() / np.abs(z_T).mean())
        and found.detail["plane_angle_error"] == "degrees; k = 8"
    )
    assert (
        found.value["plane_angle_error"] < 5
        and found.null_low["plane_angle_error"] > 50
        and found.p["plane_angle_error"] == pytest.approx(1 / 120)
    )
    planes = geometry.parallelogram_scores(W)
    assert (
        found.value["parallelogram"] == planes.max()
        and found.value[[f"parallelogram_plane{i}" for i in (1, 2, 3)]].tolist()
        == planes[:3].tolist()
    )
    assert (
        found.value["parallelogram_key1"] > found.null_high["parallelogram_key1"]
        and "parallelogram_key2" not in found.index
    )
    assert "plane_radius_cv" not in table_of(gaussian(seed=5), structure(f"Z{N}")).index, (
        "noise has no key plane"
    )


def test_the_nulls_of_dimensions_keep_lengths_or_the_spectrum():
    W = circle(8) * np.linspace(1, 3, N)[:, None]
    centred_lengths = np.linalg.norm(W - W.mean(0), axis=1)
    for rows in matrix_scores.gaussian_rows(W, 3):
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), centred_lengths)
    spectrum = np.linalg.svd(W - W.mean(0), compute_uv=False)
    for rows in matrix_scores.permuted_components(W, 3):
        np.testing.assert_allclose(np.sqrt((rows**2).sum(axis=0)), spectrum, atol=1e-9)
        assert np.abs(rows.T @ rows - np.diag((rows**2).sum(axis=0))).max() > 0.1, (
            "the rows are not those of W turned"
        )


def test_small_and_large_values_may_both_mean_structure():
    null = np.arange(-9.0, 10)
    assert [
        chance.null_summary(chance.Score("s", value, null, "", smaller))[-1]
        for smaller in (False, True, None)
        for value in (-9.5, 9.5)
    ] == [1, 0.05, 0.05, 1, 0.05, 0.05]
    assert chance.null_summary(chance.Score("s", 0.0, null, "", None))[-1] == 1


# --- Groups ---


def test_planted_cosets_of_the_papers_subgroup_are_found_and_named():
    W, group = cosets_of_order_10()
    found = table_of(W, group)
    assert found.detail["coset_z"] == found.detail["paper_coset_z"] == "Hg, order 10, the paper's"
    assert found.value["best_is_paper"] == 1 and found.null_mean["best_is_paper"] < 0.3
    assert (
        found.p["coset_z"] == found.p["coset_z_right"] == pytest.approx(1e-3)
        and found.value["coset_z"] < found.value["coset_z_left"]
    )
    for name in ("tsne_silhouette", "plane1_silhouette"):
        assert found.p[name] < 0.03 and found.value[name] > found.null_high[name], name
    shares = found.value[
        [name for name in found.index if name.startswith("irrep_") and name != "irrep_top"]
    ]
    assert len(shares) == 7 and shares.sum() == pytest.approx(1) and shares["irrep_5"] < 1e-12, (
        "centred rows hold no trivial part"
    )


def test_the_best_coset_of_noise_is_what_chance_gives():
    found = table_of(gaussian(24, seed=3), structure("S4"))
    assert found.value["coset_z"] < -2, "without the correction this would look like something"
    assert (
        found.p["coset_z"] > 0.05
        and found.p["irrep_top"] > 0.02
        and "paper_coset_z" not in found.index
    )


def test_a_ring_score_of_a_group_names_what_fits_instead():
    with pytest.raises(
        GrokError, match="S5 is not a cyclic group.*coset_scores.*explained_by_irrep"
    ):
        cyclic_scores.cyclic_scorers(gaussian(120), structure("S5"), 9)


# --- The command ---


def with_specials(W):
    rows = np.concatenate([W, gaussian(2, W.shape[1], seed=9)]).astype(np.float32)
    return {"embedding": rows, "unembedding": rows}


def test_a_folder_of_mixed_tasks(write_results, capsys, monkeypatch, quick_sweeps):
    monkeypatch.setattr(chance, "DRAWS", 19)
    monkeypatch.setattr(chance, "LARGE_DRAWS", 19)
    monkeypatch.setattr(projection, "coordinates", lambda W: projection.plane_points(W, 1)[0])
    runs = (
        TINY,
        TINY.replace(seed=1),
        TINY.replace(operation="xy", structure="S3"),
        TINY.replace(seed=2),
        TINY.replace(seed=3),
    )
    rows = [
        with_specials(circle(8)),
        with_specials(gaussian()),
        with_specials(gaussian(6, 4)),
        with_specials(np.full((N, 4), np.nan)),
        None,
    ]
    folder = write_results(runs, rows, val=lambda number: 0.1 if number == 1 else 1.0)
    assert main(["scores", str(folder)]) == 0
    said = capsys.readouterr().out
    for line in (
        "run 3: the matrix has 124 non-finite entries",
        "run 4: .* has no arrays: has it been trained",
        "runs 0, 1, 2: symmetry of the function needs all parameters",
    ):
        assert re.search(line, said), line
    found = pd.read_parquet(folder / "scores.parquet")
    assert (
        list(found.columns) == scores.COLUMNS
        and sorted(found.run.unique()) == [0, 1, 2]
        and set(found.matrix) == {"output", "input"}
    )
    by_run = {run: set(part.score) for run, part in found.groupby("run")}
    assert (
        {"gini", "log_gini"} <= by_run[0]
        and "coset_z" not in by_run[0]
        and {"coset_z", "irrep_top"} <= by_run[2]
        and "gini" not in by_run[2]
    )
    gini = found[(found.score == "gini") & (found.matrix == "output")].set_index("run")
    assert gini.memorised[0] == gini.value[1] and np.isnan(gini.memorised[1]), (
        "run 1 alone learned the training rows only"
    )
    assert (gini.untrained < gini.value[0] / 2).all() and not (
        folder / "equivariance.parquet"
    ).exists()


def test_only_networks_that_fail_on_rows_without_a_mirror_have_memorised(write_results):
    """Without decay x+y stands at 57% through mirrored rows, without the rule."""
    folder = write_results(
        [TINY.replace(seed=seed) for seed in range(3)],
        [with_specials(gaussian(seed=seed)) for seed in range(3)],
        val=lambda number: 0.4,
    )
    loaded = results.load(folder)
    loaded.curves["val_accuracy"] = [0.57, 0.57, 0.4]
    loaded.curves["val_fresh_accuracy"] = [0.1, 0.6, 0.2]
    loaded.curves["train_accuracy"] = [1.0, 1.0, 0.9]
    assert list(scores.memorised_runs(loaded)) == [0]


def test_runs_that_are_not_scored_keep_their_rows(write_results, monkeypatch, quick_sweeps, capsys):
    for name in ("DRAWS", "SLOW_DRAWS", "LARGE_DRAWS"):
        monkeypatch.setattr(chance, name, 5)
    monkeypatch.setattr(projection, "coordinates", lambda W: projection.plane_points(W, 1)[0])
    folder = write_results(
        [TINY.replace(operation="xy", structure="S3", seed=seed) for seed in range(2)],
        [with_specials(gaussian(6, 4, seed)) for seed in range(2)],
    )
    first = scores.measure(folder).scores
    array_files.write_arrays(folder, array_files.arrays_name(1), with_specials(gaussian(6, 4, 7)))
    assert main(["scores", str(folder), "--run", "1"]) == 0
    again = pd.read_parquet(folder / "scores.parquet")
    assert len(again) == len(first) and again["run"].is_monotonic_increasing
    rank = [
        table[table.score == "effective_rank"].set_index(["run", "matrix"]).value
        for table in (first, again)
    ]
    assert rank[0][0].equals(rank[1][0]) and (rank[0][1] != rank[1][1]).all()
    assert (
        main(["scores", str(folder), "--run", "2"]) == 2
        and "has no run 2" in capsys.readouterr().err
    )
    assert (
        main(["scores", str(folder), "--step", "7"]) == 2
        and "nothing is kept after 7 updates: choose 100000" in capsys.readouterr().err
    )


@pytest.mark.parametrize("structure_name", ["Z7", "S3"])
def test_skip_gram_vectors_stand_beside_those_they_began_with(
    tmp_path, monkeypatch, structure_name
):
    for name in ("DRAWS", "SLOW_DRAWS", "LARGE_DRAWS"):
        monkeypatch.setattr(chance, name, 5)
    monkeypatch.setattr(projection, "coordinates", lambda W: projection.plane_points(W, 1)[0])
    folder = skipgram.learn(
        tmp_path,
        "s",
        "x+y" if structure_name == "Z7" else "xy",
        structure_name,
        d_model=6,
        epochs=2,
    )
    measured = scores.measure(folder)
    words = " ".join(note.words for note in measured.notes)
    assert "skip-gram learns vectors and no function" in words and "keep_params" not in words
    rank = measured.scores[measured.scores.score == "effective_rank"].set_index("matrix")
    run = results.load(folder).experiment_run(0)
    begun = skipgram.init_vectors(
        jax.random.split(jax.random.key(run.seed), 3)[0], structure(structure_name).order + 2, 6
    )
    assert rank.untrained["input"] == pytest.approx(
        geometry.effective_rank(np.asarray(begun.input)[: structure(structure_name).order])
    )
    assert np.isnan(rank.untrained["output"]), "context vectors begin at zero"


def test_a_folder_without_a_single_score_is_one_line(write_results):
    folder = write_results([TINY], [None])
    with pytest.raises(
        GrokError, match="no run of .* can be scored: run 0: .* has no arrays of run 0"
    ):
        scores.measure(folder)


def test_a_matrix_of_one_column_has_a_picture():
    points = projection.coordinates(np.random.default_rng(0).normal(size=(9, 1)))
    assert points.shape == (9, 2) and np.isfinite(points).all()


@pytest.mark.parametrize("name", ["Z3", "Z4", "A3", "D2", "Z2xZ2", "S3"])
@pytest.mark.parametrize("width", [1, 2])
def test_a_null_that_cannot_vary_is_left_out_and_that_is_said(name, width):
    """Of the smallest groups a permutation changes little: no score is beyond chance by rounding.

    A score is beyond chance only where its own null is below it by more than rounding.
    """
    group = structure(name)
    W = gaussian(group.order, width)
    found, _ = matrix_scores.matrix_scores(W, group)
    said = " ".join(chance.gaps(found))
    for score in found:
        summary = chance.null_summary(score)
        alike = np.isclose(score.null, score.value, rtol=1e-6, atol=0).all()
        if alike and not float(score.value).is_integer():
            assert np.isnan(summary.p_value) and score.name in said
        if len(score.null) and np.ptp(score.null) < 1e-6 * abs(score.value) and alike:
            assert not summary.p_value < 1


def test_draws_that_equal_the_observation_but_for_rounding_are_ties():
    null = np.array([0.5, 2.1 - 1e-9, 2.1 + 1e-9])
    assert nulls.p_value(2.1, null) == 3 / 4
    assert np.isnan(nulls.null_summary(2.1, null[1:]).p_value)
    assert nulls.null_summary(2.0, np.array([2.0, 2.0])).p_value == 1, "counts are often equal"
    assert np.isnan(nulls.null_summary(np.nan, null).p_value)
    assert nulls.null_summary(1.5, np.array([1.0, np.inf])).p_value == 2 / 3
    noted = nulls.gaps([("a", np.nan, null, np.nan), ("b", 2.1, null[1:], np.nan)])
    assert [line.split(":")[0] for line in noted] == ["a", "b"]
    assert nulls.gaps([("c", 1.0, null[:0], np.nan), ("d", 2.1, null, 0.75)]) == []


def test_what_came_first_is_told_as_far_as_it_is_known():
    never = [np.nan, np.nan]
    assert "no run tells" in scores.first_words(precedence(never, never))
    assert "inf" not in scores.first_words(precedence([10.0, 20.0], never))
    assert "3 times as many" in scores.first_words(precedence([9.0, 9.0], [29.0, 29.0]))


def test_the_smallest_groups_are_scored_or_refused_in_one_line(write_results, capsys):
    """Vectors of one number are scored as others are; of two elements there is nothing to order."""
    runs = [TINY.replace(structure=name, d_model=1, n_heads=1) for name in ("Z3", "Z5")]
    runs.append(TINY.replace(structure="D2", operation="xy", d_model=1, n_heads=1))
    kept = []
    for run in runs:
        W = gaussian(structure(run.structure).order + 2, 1)
        kept.append(array_files.matrix_arrays(W, W, ["0"]))
    folder = write_results(runs, kept)
    assert main(["scores", str(folder)]) == 0
    out = capsys.readouterr().out
    table = pd.read_parquet(folder / "scores.parquet")
    assert set(table["run"]) == {0, 1, 2} and "not measured for run" in out
    assert table["p"].dropna().between(0, 1, inclusive="right").all()


def test_runs_without_parameters_are_named_in_one_line(write_results, capsys):
    runs = [TINY.replace(seed=seed, keep_params=True) for seed in range(3)]
    W = gaussian(structure(TINY.structure).order + 2, TINY.d_model)
    folder = write_results(runs, [array_files.matrix_arrays(W, W, ["0"])] * 3)
    assert main(["scores", str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.count("has no parameters") == 1
    assert f"not measured for runs 0, 1, 2: {folder} has no parameters (they stay" in out


def test_two_elements_are_refused_in_one_line(write_results, capsys):
    W = gaussian(4, 3)
    folder = write_results([TINY.replace(structure="Z2")], [array_files.matrix_arrays(W, W, ["0"])])
    assert main(["scores", str(folder)]) == 2
    [line] = [text for text in capsys.readouterr().err.splitlines() if "grok:" in text]
    assert "at least 3 rows" in line
