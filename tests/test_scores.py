"""Scores find what is planted and nothing in noise, and a folder of mixed tasks gets for each run what fits it."""

import re

import numpy as np
import pandas as pd
import pytest

from grok import scores
from grok.__main__ import main
from grok.analysis import groups, projection, scoring
from grok.experiment import GrokError, Run
from grok.moments import Moment
from grok.operations import structure

N = 31
TINY = Run(operation="x+y", structure=f"Z{N}", n_layers=1, n_heads=2, d_model=8, d_ff=8)


def gaussian(n=N, d=16, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def circle(k, n=N, noise=0.1):
    angle = 2 * np.pi * k * np.arange(n) / n
    return np.concatenate([np.stack([np.cos(angle), np.sin(angle)], 1), np.zeros((n, 14))], 1) + noise * gaussian(n)


def on_logarithms(rows, g=3):
    """Rows of the non-zero tokens, given in the order of their discrete logarithms to the primitive root 3 of 31."""
    W = gaussian(seed=2) * 0.1
    for e, row in enumerate(rows):
        W[pow(g, e, N)] = row
    return W


def cosets_of_order_10(noise=0.3):
    """Rows that are constant on the right cosets of the paper's subgroup of S5, and some noise."""
    group = structure("S5")
    return gaussian(12)[groups.cosets(group, groups.figure_3_subgroup(group), "right")] + noise * gaussian(120, seed=1), group


def table_of(W, group):
    found, _ = scoring.matrix_scores(W, group)
    return pd.DataFrame([scores.as_row(0, "output", Moment(None, 10, 1.0, 1.0), score, np.nan) for score in found]).set_index("score")


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(scoring, "DRAWS", 119)
    monkeypatch.setattr(scoring, "SLOW_DRAWS", 19)


# --- Z/n ---


def test_a_planted_circle_is_found_in_the_rows_and_in_the_picture():
    found = table_of(circle(8), structure(f"Z{N}"))
    assert found.loc["key_frequencies", ["value", "detail"]].tolist() == [1, "8"]
    for name in ("gini", "ipr", "top_share", "circularity", "circulant_cosine", "circulant_dot", "number_line", "tsne_number_line", "tsne_angle_order"):
        assert found.p[name] == pytest.approx(1 / 120), name
    assert found.detail["number_line"] == "step 4", "4 x 8 = 32 = 1 mod 31: neighbours on the circle"
    assert found.value["tsne_circle"] == 1 and found.null_mean["tsne_circle"] < 0.1
    assert found.detail["axis"].startswith("additive") and found.value["log_key_frequencies"] == 0
    assert found.value["residues"] >= 1 and found.value["analogy_key_rotation_cosine"] > found.null_high["analogy_key_rotation_cosine"]


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
    rare = found.index.str.contains("circle|key_frequencies")  # 0 but for one draw in a hundred: the mean may lie above the 95%
    assert inside[found.p.notna() & ~rare].all()


def test_the_circle_appears_only_where_number_line_and_angles_agree():
    angle = 2 * np.pi * 8 * np.arange(N) / N
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    rng = np.random.default_rng(0)
    twice = np.stack([np.cos(2 * angle), np.sin(2 * angle)], 1) * (1 + 0.5 * np.cos(angle[:, None]))  # a loop that winds twice
    row = np.stack([np.argsort(np.argsort(8 * np.arange(N) % N)), np.zeros(N)], 1)  # an open line with the same neighbours
    shown = []
    for points in (ring, twice, row, rng.normal(size=(N, 2))):
        null = [projection.picture_circle(points[rng.permutation(N)]) for _ in range(200)]
        shown.append(projection.shows_circle(projection.picture_circle(points), null, N))
    assert shown[0] and not shown[1] and not shown[3]
    assert projection.picture_circle(ring).order == pytest.approx(1) and projection.picture_circle(ring).turns in (8, N - 8)
    assert projection.picture_circle(row).order < 0.9


# --- Groups ---


def test_planted_cosets_of_the_papers_subgroup_are_found_and_named():
    W, group = cosets_of_order_10()
    found = table_of(W, group)
    assert found.detail["coset_z"] == found.detail["paper_coset_z"] == "Hg, order 10, the paper's"
    assert found.value["best_is_paper"] == 1 and found.null_mean["best_is_paper"] < 0.3
    assert found.p["coset_z"] == found.p["coset_z_right"] == pytest.approx(1e-3) and found.value["coset_z"] < found.value["coset_z_left"]
    for name in ("tsne_silhouette", "plane1_silhouette"):
        assert found.p[name] < 0.03 and found.value[name] > found.null_high[name], name
    shares = found.value[[name for name in found.index if name.startswith("irrep_") and name != "irrep_top"]]
    assert len(shares) == 7 and shares.sum() == pytest.approx(1) and shares["irrep_5"] < 1e-12, "centred rows hold no trivial part"


def test_the_best_coset_of_noise_is_what_chance_gives():
    found = table_of(gaussian(24, seed=3), structure("S4"))
    assert found.value["coset_z"] < -2, "without the correction this would look like something"
    assert found.p["coset_z"] > 0.05 and found.p["irrep_top"] > 0.02 and "paper_coset_z" not in found.index


def test_a_ring_score_of_a_group_names_what_fits_instead():
    with pytest.raises(GrokError, match="S5 is not a cyclic group.*coset_scores.*explained_by_irrep"):
        scoring.cyclic_parts(gaussian(120), structure("S5"), 9)


# --- The command ---


def with_specials(W):
    rows = np.concatenate([W, gaussian(2, W.shape[1], seed=9)]).astype(np.float32)
    return {"embedding": rows, "unembedding": rows}


def test_a_folder_of_mixed_tasks(write_results, capsys, monkeypatch, quick_sweeps):
    monkeypatch.setattr(scoring, "DRAWS", 19)
    monkeypatch.setattr(scoring, "LARGE_DRAWS", 19)
    monkeypatch.setattr(projection, "coordinates", lambda W: projection.plane_points(W, 1)[0])
    runs = (TINY, TINY.replace(seed=1), TINY.replace(operation="xy", structure="S3"), TINY.replace(seed=2), TINY.replace(seed=3))
    rows = [with_specials(circle(8)), with_specials(gaussian()), with_specials(gaussian(6, 4)), with_specials(np.full((N, 4), np.nan)), None]
    folder = write_results(runs, rows, val=lambda number: 0.1 if number == 1 else 1.0)
    assert main(["scores", str(folder)]) == 0
    said = capsys.readouterr().out
    for line in ("run 3: the matrix has 124 non-finite entries", "run 4: .* has no arrays of run 4", "runs 0, 1, 2: symmetry of the function needs all parameters"):
        assert re.search(line, said), line
    found = pd.read_parquet(folder / "scores.parquet")
    assert list(found.columns) == scores.COLUMNS and sorted(found.run.unique()) == [0, 1, 2] and set(found.matrix) == {"output", "input"}
    by_run = {run: set(part.score) for run, part in found.groupby("run")}
    assert {"gini", "log_gini"} <= by_run[0] and "coset_z" not in by_run[0] and {"coset_z", "irrep_top"} <= by_run[2] and "gini" not in by_run[2]
    gini = found[(found.score == "gini") & (found.matrix == "output")].set_index("run")
    assert gini.memorised[0] == gini.value[1] and np.isnan(gini.memorised[1]), "run 1 alone learned the training rows only"
    assert (gini.untrained < gini.value[0] / 2).all() and not (folder / "equivariance.parquet").exists()


def test_a_folder_without_a_single_score_is_one_line(write_results):
    folder = write_results([TINY], [None])
    with pytest.raises(GrokError, match="no run of .* can be scored: run 0: .* has no arrays of run 0"):
        scores.measure(folder)
