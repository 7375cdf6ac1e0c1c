"""Classical models on the vectors of a run: its rows and split, and what is left out."""

import numpy as np
import pandas as pd
import pytest

from grok.analysis import classical
from grok.experiment import GrokError, Run
from grok.measure import classical as measured
from grok.store import array_files
from grok.task.dataset import make_dataset

RUN = Run(operation="x-y", structure="Z23", train_fraction=0.6, n_layers=1, n_heads=2, d_model=8)


@pytest.fixture
def circles():
    """Rows of Z/23 on three circles, and two rows of other tokens."""
    angle_NK = 2 * np.pi * np.arange(23)[:, None] * [1, 3, 7] / 23
    rows = np.concatenate([np.cos(angle_NK), np.sin(angle_NK), np.zeros((23, 2))], axis=1)
    return np.concatenate([rows, np.full((2, 8), 7.0)]).astype(np.float32)


@pytest.fixture
def folder(write_results, circles):
    arrays = {
        "embedding": circles,
        "unembedding": circles,
        "labels": np.array([*map(str, range(23)), "o", "="]),
    }
    return write_results([RUN, RUN.replace(seed=1)], [arrays, None])


def test_planted_circles_help_and_no_control_does(folder, monkeypatch):
    monkeypatch.setattr(classical.compare, "__defaults__", (0, ("logistic, bilinear",)))
    table, notes, path = measured.measure(folder)
    found = table.set_index("features")["val_accuracy"]
    assert found["learned, output"] == found["learned, input"] > 0.7
    assert max(found.drop(["learned, output", "learned, input"])) < 0.3
    assert set(found.index) == {
        "learned, output",
        "learned, input",
        "untrained, output",
        "untrained, input",
        "random",
        "one_hot",
    }
    assert pd.read_parquet(path).equals(table[["run", *table.columns.drop("run")]])
    assert len(notes) == 1 and notes[0].startswith("run 1: ") and "has it been trained" in notes[0]
    assert "mean of 1 runs" in measured.summary(table)


def test_the_rows_and_the_split_are_the_runs_own(circles, monkeypatch):
    seen = {}
    monkeypatch.setattr(
        classical,
        "compare",
        lambda vectors, x, y, z, train: seen.update(x=x, y=y, z=z, train=train) or pd.DataFrame(),
    )
    measured.compare_run(RUN, {"any": circles[:23]})
    assert np.array_equal((seen["x"] - seen["y"]) % 23, seen["z"])
    assert set(23 * seen["x"][seen["train"]] + seen["y"][seen["train"]]) == set(
        make_dataset(RUN).train_rows.tolist()
    )
    assert len(seen["x"]) == 529


def test_vectors_that_tell_nothing_apart_are_left_out_and_named(folder, circles, monkeypatch):
    monkeypatch.setattr(classical.compare, "__defaults__", (0, ("logistic, bilinear",)))
    arrays = {"embedding": 0 * circles, "unembedding": circles}
    array_files.write_arrays(folder, "run_0000", arrays)
    table, notes, _ = measured.measure(folder, [0])
    assert "learned, input" not in set(table["features"]) >= {"learned, output", "random"}
    assert notes == ["run 0: learned, input left out: all its rows are equal"]
    array_files.write_arrays(folder, "run_0000", arrays | {"unembedding": 0 * circles})
    with pytest.raises(GrokError, match="all rows of the matrix are equal"):
        measured.measure(folder, [0])


def test_unknown_runs_and_folders_without_networks_are_one_line(folder, write_results):
    with pytest.raises(GrokError, match="has no run 9: its runs are 0 to 1"):
        measured.measure(folder, [9])
    with pytest.raises(GrokError, match="no run of .* can be measured: run 1: "):
        measured.measure(folder, [1])
