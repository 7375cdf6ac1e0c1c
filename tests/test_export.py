"""Exported embeddings: rows come back exactly; metadata is that of another computation."""

import errno
import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from grok.__main__ import main
from grok.analysis import groups
from grok.experiment import Run
from grok.measure import export
from grok.store import array_files
from grok.task.operations import structure

RUNS = (
    Run(operation="x+y", structure="Z13"),
    Run(operation="xy", structure="S5"),
    Run(operation="xy", structure="D3"),
    Run(operation="x*y", structure="Z12"),
    Run(operation="x+y", structure="Z13", seed=1),
)
ORDERS = {"Z13": 13, "S5": 120, "D3": 6, "Z12": 12}


def arrays_of(run: Run, seed=0) -> dict:
    rng, n = np.random.default_rng(seed), ORDERS[run.structure]
    labels = np.array([*structure(run.structure).labels, "o", "="])
    return {
        "embedding": rng.normal(size=(n + 2, 5)).astype(np.float32),
        "unembedding": rng.normal(size=(n + 2, 5)).astype(np.float32),
        "labels": labels,
    }


@pytest.fixture
def folder(write_results):
    return write_results(RUNS, [*(arrays_of(run) for run in RUNS[:-1]), None])


def test_the_files_give_back_the_rows_of_both_matrices(folder, tmp_path):
    made, left_out = export.export(folder, tmp_path / "out", matrices=("output", "input"))
    assert (
        len(made) == 8
        and len(left_out) == 2
        and all(
            line.startswith("run 4") and "has it been trained to its end?" in line
            for line in left_out
        )
    )
    saved = arrays_of(RUNS[1])
    for matrix, name in (("output", "unembedding"), ("input", "embedding")):
        place = tmp_path / "out" / f"{folder.name}_run_0001_{matrix}"
        rows = pd.read_csv(place / "vectors.tsv", sep="\t", header=None)
        np.testing.assert_array_equal(rows.to_numpy(np.float32), saved[name][:120])
        known = pd.read_csv(place / "metadata.tsv", sep="\t", dtype=str)
        assert len(known) == len(rows) and known["token"].tolist() == list(structure("S5").labels)
        with np.load(place / "embeddings.npz") as file:
            np.testing.assert_array_equal(file["vectors"], saved[name][:120])
            np.testing.assert_array_equal(file["special_vectors"], saved[name][120:])
            assert (
                file["special_labels"].tolist() == ["o", "="]
                and file["labels"].tolist() == known["token"].tolist()
            )
            assert {f"metadata_{column}" for column in known} <= set(file.files)
            assert file["metadata_sign"].tolist() == known["sign"].astype(int).tolist()


def test_tensorboard_finds_every_embedding_of_a_folder_also_those_of_an_earlier_export(
    folder, tmp_path
):
    for run in (0, 2):
        export.export(folder, tmp_path / "out", [run])
    config = (tmp_path / "out" / "projector_config.pbtxt").read_text()
    paths = [line.split('"')[1] for line in config.splitlines() if "_path" in line]
    assert (
        len(paths) == 4
        and all((tmp_path / "out" / path).is_file() for path in paths)
        and config.count("{") == config.count("}") == 2
    )


def test_two_experiments_fit_into_one_folder(folder, tmp_path):
    other = shutil.copytree(folder, tmp_path / "other")
    first, _ = export.export(folder, tmp_path / "out", [1])
    kept = (first[0] / "vectors.tsv").read_bytes()
    second, _ = export.export(other, tmp_path / "out", [1])
    assert (first[0] / "vectors.tsv").read_bytes() == kept and second != first
    names = (tmp_path / "out" / "projector_config.pbtxt").read_text()
    assert '"written_run_0001_output"' in names and '"other_run_0001_output"' in names


def test_residues_and_discrete_logarithms():
    known = export.metadata(None, structure("Z13"))
    assert list(known) == ["token", *(f"mod_{k}" for k in range(2, 11)), "parity", "log_2"]
    for k in range(2, 11):
        assert known[f"mod_{k}"].tolist() == [t % k for t in range(13)]
    assert known["parity"].tolist() == ["even", "odd"] * 6 + ["even"]
    assert pd.isna(known["log_2"][0]) and all(
        2**log % 13 == t for t, log in enumerate(known["log_2"]) if t
    )
    assert sorted(known["log_2"][1:]) == list(range(12))
    assert not [
        name for name in export.metadata(None, structure("Z12")) if name.startswith("log")
    ], "12 has no primitive root that reaches all"


def test_permutations_are_described_and_so_are_the_cosets_of_the_planted_subgroup():
    group = structure("S5")
    members = groups.generated_subgroup(
        group,
        [
            groups.permutation_index(group, generator)
            for generator in ((1, 2, 0, 3, 4), (1, 0, 2, 3, 4), (0, 1, 2, 4, 3))
        ],
    )
    planted = groups.cosets(group, members, "right")
    known = export.metadata(
        np.random.default_rng(0).normal(size=(10, 16))[planted], group
    ).set_index("token")
    assert known.loc[["01234", "10234", "12034", "10324", "12340"], "cycle_type"].tolist() == [
        "1+1+1+1+1",
        "2+1+1+1",
        "3+1+1",
        "2+2+1",
        "5",
    ]
    for token, sign, order in zip(known.index, known["sign"], known["order"]):
        matrix = np.eye(5)[[int(c) for c in token]]
        assert sign == round(np.linalg.det(matrix)) and np.array_equal(
            np.linalg.matrix_power(matrix, order), np.eye(5)
        )
        assert not any(
            np.array_equal(np.linalg.matrix_power(matrix, k), np.eye(5)) for k in range(1, order)
        )
    assert (
        pd.crosstab(known["best_coset_Hg_order_12"], planted).astype(bool).sum().tolist()
        == [1] * 10
    )
    compose = lambda x, y: "".join(y[int(i)] for i in x)  # x first
    H = [
        token
        for token in known.index
        if known["paper_coset_gH"][token] == known["paper_coset_gH"]["01234"]
    ]
    assert len(H) == 10 and {"34201", "02143"} <= set(H) == {compose(x, y) for x in H for y in H}
    for g in ("10234", "12340"):
        for side, coset in (("gH", [compose(g, h) for h in H]), ("Hg", [compose(h, g) for h in H])):
            column = known[f"paper_coset_{side}"]
            assert set(column.index[column == column[g]]) == set(coset)


def test_a_group_without_permutations_has_orders_and_cosets(folder, tmp_path):
    [place], _ = export.export(folder, tmp_path / "out", [2])
    known = pd.read_csv(place / "metadata.tsv", sep="\t")
    assert (
        known["order"].tolist() == [1, 3, 3, 2, 2, 2]
        and known.columns[-1].startswith("best_coset")
        and "cycle_type" not in known
    )


def test_a_snapshot_goes_to_a_folder_of_its_own(folder, tmp_path):
    array_files.write_arrays(folder, array_files.arrays_name(0, 20), arrays_of(RUNS[0], seed=5))
    assert (
        main(
            [
                "embeddings",
                str(folder),
                "--run",
                "0",
                "--step",
                "20",
                "--out",
                str(tmp_path / "out"),
            ]
        )
        == 0
    )
    found = np.loadtxt(
        tmp_path / "out" / f"{folder.name}_run_0000_step_00000020_output" / "vectors.tsv"
    )
    np.testing.assert_array_equal(
        found.astype(np.float32), arrays_of(RUNS[0], seed=5)["unembedding"][:13]
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--run", "9"], "has no run 9: its runs are 0 to 4"),
        (["--run", "4"], "no arrays of run 4: has it been trained to its end?"),
        (["--run", "0", "--step", "7"], "no arrays of run 0 at update 7: .*updates 20"),
        (["--run", "3"], "non-finite entries: this run diverged"),
    ],
)
def test_bad_input_is_one_line(folder, tmp_path, capsys, arguments, message):
    array_files.write_arrays(folder, array_files.arrays_name(0, 20), arrays_of(RUNS[0]))
    array_files.write_arrays(
        folder,
        array_files.arrays_name(3),
        {"unembedding": np.full((14, 5), np.nan), "embedding": np.zeros((14, 5))},
    )
    assert main(["embeddings", str(folder), *arguments, "--out", str(tmp_path / "out")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert re.search(message, line)


def test_a_full_disk_is_no_matter_of_one_matrix(folder, tmp_path, capsys, monkeypatch):
    """It is said once, and not that a run was left out."""

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(export.np, "savetxt", full)
    assert main(["embeddings", str(folder), "--out", str(tmp_path / "out")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("grok: the disk that holds ") and "left out" not in line


@pytest.mark.parametrize("structure_", ["Z2", "Z3", "S2", "A3", "D2"])
@pytest.mark.parametrize("width", [1, 3])
def test_the_smallest_groups_are_written_too(write_results, tmp_path, structure_, width):
    run = Run(operation="xy", structure=structure_)
    n = structure(structure_).order
    W = np.random.default_rng(0).normal(size=(n + 2, width)).astype(np.float32)
    folder = write_results([run], [{"embedding": W, "unembedding": W}])
    [made], left_out = export.export(folder, tmp_path / "out")
    found = np.loadtxt(made / "vectors.tsv", ndmin=2)
    assert not left_out
    np.testing.assert_array_equal(found.astype(np.float32), W[:n])


def test_a_place_that_cannot_be_written_to_is_one_line(folder, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["embeddings", str(folder), "--out", str(tmp_path / "file")]) == 2
    assert "choose another place with --out DIR" in capsys.readouterr().err
