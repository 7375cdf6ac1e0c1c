"""Findings about embeddings: what is counted from the scores and drawn, also without any."""

import numpy as np
import pandas as pd
import pytest

from grok.experiment import Experiment, GrokError, Run
from grok.figures import embedding_scores
from grok.figures.parts import gallery
from grok.measure.findings import circles, cosets, embeddings
from grok.store import outcomes, provenance, results, sessions, tables

DEVICE = {"device": "2 x cpu", "platform": "cpu", "cores": 2, "processes": 1}
BASE = Run(operation="x+y", structure="Z31", num_steps=1000)
TASKS = [
    BASE.replace(operation=operation, weight_decay=decay, seed=seed)
    for operation in ("x+y", "x*y")
    for decay in (0.0, 1.0)
    for seed in range(3)
]
WAYS = [
    BASE.replace(label=label, seed=seed) for label in ("base", "more data") for seed in range(8)
]
GROUPS = [
    BASE.replace(operation="xy", structure="S4", weight_decay=decay, seed=seed)
    for decay in (1.0, 0.0)
    for seed in range(4)
]
RUNS = [*TASKS, *WAYS, *GROUPS]
COLLAPSED = len(
    TASKS
)  # a network that is scored where it had not generalised, though the curve says that it did


def circled(run: int) -> bool:
    """The planted truth: three of the first way, all eight of the second."""
    return run >= len(TASKS) and (run - len(TASKS) < 3 or run - len(TASKS) >= 8)


def clustered(run: int, score: str) -> bool:
    """The planted truth: cosets stand out with decay, and cluster in three of four t-SNEs."""
    decays = len(TASKS) + len(WAYS) <= run < len(RUNS) - 4
    return decays and (score == "coset_z" or score == "tsne_silhouette" and run < len(RUNS) - 5)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A results folder of RUNS that all generalised, without score tables."""
    monkeypatch.setattr(provenance, "git", lambda *arguments: None)
    made = tmp_path / "embeddings"
    sessions.begin(made, Experiment(name="embeddings", runs=tuple(RUNS)), DEVICE)
    steps = np.array([1, 1000])
    curves = [
        tables.curves_table(np.full(2, n), steps, np.ones((2, len(tables.METRICS))))
        for n in range(len(RUNS))
    ]
    rows = [
        {"run": n, **vars(run), "n_train": 5, **outcomes.outcome(curve, run, False, True)}
        for (n, run), curve in zip(enumerate(RUNS), curves)
    ]
    tables.write_tables(made, tables.runs_table(rows), pd.concat(curves))
    sessions.finish(made, {"seconds": 1.0})
    return made


def write_scores(folder):
    rows = []
    for n, run in enumerate(RUNS):
        values = {
            "gini": 0.1 + 0.5 * (run.weight_decay > 0) + 0.01 * n,
            "tsne_circle": float(circled(n)),
            "key_frequencies": 1 + 4 * (not circled(n)),
        }
        if run.structure == "S4":
            values = dict.fromkeys(("coset_z", "tsne_silhouette", "plane1_silhouette"), 0.0)
        rows += [
            {
                "run": n,
                "matrix": matrix,
                "val_accuracy": 0.5 if n == COLLAPSED else 1.0,
                "p": 0.01 if clustered(n, name) else 0.2,
                "memorised": 0.3,
                "score": name,
                "value": value if matrix == "output" else -1.0,
                "null_mean": 0.01,
                "null_low": 0.0,
                "null_high": 0.2,
                "untrained": 0.1,
                "detail": "",
            }
            for name, value in values.items()
            for matrix in ("output", "input")
        ]
    tables.write_table(folder, "scores", pd.DataFrame(rows))


def picture(name: str, folder):
    drawn = gallery.ENTRIES[name].picture(folder)
    drawn.draw_without_rendering()
    return drawn


def words(drawn) -> str:
    parts = [text.get_text() for text in drawn.texts]
    for ax in drawn.axes:
        if ax.get_visible():
            parts += [ax.get_title(), *(text.get_text() for text in ax.texts)]
    return " ".join(" ".join(parts).split())


@pytest.mark.parametrize("name", ["embedding_scores", "circles", "cosets", "symmetry_first"])
def test_without_score_tables_the_figures_say_so(folder, name):
    said = words(picture(name, folder))
    assert (
        "no network scored yet" in said
        or "no network followed yet" in said
        or "no network of a group scored yet" in said
    )


@pytest.mark.parametrize("name", ["circles", "cosets", "symmetry_first"])
def test_figures_of_networks_that_nobody_trained_are_left_out(folder, name):
    write_scores(folder)
    scores = pd.read_parquet(folder / "scores.parquet")
    tables.write_table(folder, "scores", scores[scores["run"] < len(TASKS)])
    with pytest.raises(gallery.NothingToDraw, match="none of its networks"):
        picture(name, folder)
    assert "Gini" in words(picture("embedding_scores", folder))


def scores_of(folder):
    """The scores of the networks compared by task, and of those in which circles are counted."""
    scores = embeddings.scored(results.load(folder))
    return scores[scores["label"] == ""], scores[scores["label"] != ""]


def test_means_are_those_of_the_output_layers_of_a_task_with_the_range_of_three(folder):
    write_scores(folder)
    table = pd.DataFrame(embeddings.score_rows(scores_of(folder)[0]))
    gini = table[table["score"] == "gini"].set_index(["operation", "structure", "decays"])
    values = [
        0.1 + 0.5 + 0.01 * n
        for n, run in enumerate(TASKS)
        if run.operation == "x*y" and run.weight_decay
    ]
    row = gini.loc[("x*y", "Z31", True)]
    assert row[["networks", "mean", "low", "high"]].tolist() == pytest.approx(
        [3, np.mean(values), min(values), max(values)]
    )
    assert row.memorised == pytest.approx(0.3)
    # The networks in which circles are counted are no part of it.
    assert set(gini["networks"]) == {3}


def test_the_drawn_means_stand_at_their_tasks(folder):
    write_scores(folder)
    axes = next(
        ax
        for ax in picture("embedding_scores", folder).axes
        if ax.get_title() == embedding_scores.PANELS["gini"]
    )
    drawn = {
        (round(line.get_xdata()[0], 2), round(float(line.get_ydata()[0]), 3))
        for line in axes.lines
        if line.get_marker() in "so" and len(line.get_xdata())
    }
    assert drawn == {(-0.16, 0.11), (0.16, 0.64), (0.84, 0.17), (1.16, 0.7)}
    assert [tick.get_text().split() for tick in axes.get_xticklabels()] == [
        ["x+y", "Z31"],
        ["x*y", "Z31"],
    ]  # S4 has no spectrum


def test_circles_are_counted_by_way_and_by_key_frequencies(folder):
    write_scores(folder)
    found = circles.circle_table(scores_of(folder)[1])
    assert found.groupby("label")["circle"].sum().to_dict() == {"base": 3, "more data": 8}
    assert found.groupby("keys")["circle"].agg(["sum", "size"]).to_dict("index") == {
        1: {"sum": 11, "size": 11},
        5: {"sum": 0, "size": 5},
    }
    assert set(found["null"]) == {0.01}
    left = next(ax for ax in picture("circles", folder).axes if "with a circle" in ax.get_xlabel())
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["base (7/8)", "more data (8/8)"]
    shares = sorted(float(line.get_xdata()[0]) for line in left.lines)
    assert shares == pytest.approx([37.5, 100])


def test_coset_clusters_are_counted_by_decay_in_every_picture(folder):
    write_scores(folder)
    table = (
        cosets.coset_table(scores_of(folder)[0])
        .groupby(["decays", "score"])["appear"]
        .agg(["sum", "size"])
    )
    assert table.loc[True].to_dict("index") == {
        "coset_z": {"sum": 4, "size": 4},
        "tsne_silhouette": {"sum": 3, "size": 4},
        "plane1_silhouette": {"sum": 0, "size": 4},
    }
    assert table.loc[False]["sum"].eq(0).all()
    axes = picture("cosets", folder).axes
    assert [tick.get_text() for tick in axes[0].get_yticklabels()] == [
        "xy S4, no weight decay (4/4)",
        "xy S4, weight decay (4/4)",
    ]
    shares = {}
    for ax in axes:
        shares[ax.get_title()] = [float(line.get_xdata()[0]) for line in ax.lines]
    assert shares == {
        "z of the best cosets": [0, 100],
        "clusters in t-SNE": [0, 75],
        "clusters in PCA": [0, 0],
    }
    low, high = axes[1].collections[1].get_segments()[0][:, 0]
    assert (low, high) == (pytest.approx(30.06, abs=0.01), pytest.approx(95.44, abs=0.01)), (
        "Wilson's interval of 3 in 4, worked by hand"
    )


def test_what_comes_first_is_told_for_each_task_of_networks_with_decay(folder):
    rows = []
    for n, run in enumerate(TASKS):
        halved = 10 if run.operation == "x+y" else 500  # validation passes 50% at 100
        for step in (0, 10, 100, 500, 1000):
            rows += [
                {
                    "run": n,
                    "step": step,
                    "operand": operand,
                    "error": 0.1 if step >= halved else 2.0,
                    "val_accuracy": float(step >= 100),
                }
                for operand in "xy"
            ]
    tables.write_table(folder, "equivariance", pd.DataFrame(rows))
    titles = [" ".join(ax.get_title().split()) for ax in picture("symmetry_first", folder).axes]
    assert titles == ["x+y Z31 first in 3 of 3", "x*y Z31 first in 0 of 3"]


def test_a_table_of_another_layout_is_one_line(folder):
    tables.write_table(folder, "scores", pd.DataFrame({"run": [0], "score": ["gini"]}))
    with pytest.raises(GrokError, match="scores.parquet has no column matrix, val_accuracy, value"):
        gallery.ENTRIES["circles"].picture(folder)
    (folder / "scores.parquet").write_text("no table")
    with pytest.raises(GrokError, match="scores.parquet cannot be read"):
        gallery.ENTRIES["circles"].picture(folder)
