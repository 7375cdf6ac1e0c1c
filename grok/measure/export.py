"""Learned embeddings as files that other programs read.

`python -m grok embeddings results/<experiment> --out DIR` makes a folder for every run and matrix:

vectors.tsv       a row a token, without header
metadata.tsv      what is known of each token, under a header
embeddings.npz    vectors [n, d], labels [n], metadata_<column> [n]; special_vectors and
                  special_labels of the other tokens: operator, '=' and <eos>

The TensorBoard Embedding Projector loads the .tsv files as they are; `tensorboard --logdir DIR`
shows all of them.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grok.analysis import groups, logarithm
from grok.experiment import GrokError
from grok.files import disk_errors, refuse_another_spelling, replacing
from grok.store.array_files import arrays_name
from grok.store.matrices import SavedMatrix, saved_matrix
from grok.store.results import Results, load
from grok.task.groups import Structure, structure
from grok.task.operations import is_prime

RESIDUES = range(2, 11)
CONFIG_ENTRY = """embeddings {{
  tensor_name: "{name}"
  tensor_path: "{name}/vectors.tsv"
  metadata_path: "{name}/metadata.tsv"
}}
"""


# --- Metadata ---


def metadata(rows, group: Structure) -> pd.DataFrame:
    """What is known of each element of a structure, a row an element.

    Z<n>: mod_2 .. mod_10, parity, and for a prime log_<g>, the discrete logarithm to the smallest
    primitive root g. Other groups: cycle_type and sign of a permutation; order;
    best_coset_<side>_order_<k>, the coset gH or Hg of the subgroup that fits `rows` [n, D] best
    (`groups.best_subgroup`); on S5 the cosets of the paper's subgroup (Fig 3) on both sides.
    """
    columns = ring_columns(group.order) if group.is_ring else group_columns(rows, group)
    return pd.DataFrame({"token": group.labels} | columns)


def ring_columns(n: int) -> dict:
    """The columns of Z<n>."""
    token = np.arange(n)
    columns = {f"mod_{k}": token % k for k in RESIDUES if k < n}
    columns["parity"] = np.where(token % 2, "odd", "even")
    if n > 2 and is_prime(n):
        powers = logarithm.discrete_log_order(n)
        exponent = pd.Series(np.argsort([0, *powers]) - 1, dtype="Int64")
        columns[f"log_{powers[1]}"] = exponent.where(token > 0)
    return columns


def group_columns(rows, group: Structure) -> dict:
    """The columns of a group other than Z<n>."""
    columns: dict[str, Any] = {}
    if group.permutations is not None:
        types = groups.cycle_types(group.permutations)
        columns["cycle_type"] = ["+".join(map(str, cycles)) for cycles in types]
        columns["sign"] = groups.signs(group.permutations)
    generated = [groups.generated_subgroup(group, [x]) for x in range(group.order)]
    columns["order"] = [int(members.sum()) for members in generated]
    if group.order <= groups.MAX_SUBGROUP_ORDER and len(groups.subgroups(group)) > 2:
        best = groups.best_subgroup(groups.coset_scores(rows, group))
        side = "gH" if best.side == "left" else "Hg"
        members = groups.subgroups(group)[best.subgroup]
        name = f"best_coset_{side}_order_{best.order}"
        columns[name] = groups.cosets(group, members, best.side)
    if group.name == "S5":
        paper = groups.figure_3_subgroup(group)
        columns["paper_coset_gH"] = groups.cosets(group, paper, "left")
        columns["paper_coset_Hg"] = groups.cosets(group, paper, "right")
    return columns


# --- Files ---


def export(
    folder: Path | str,
    out: Path | str,
    runs: Iterable[int] | None = None,
    step: int | None = None,
    matrices: Iterable[str] = ("output",),
) -> tuple[list[Path], list[str]]:
    """Write the embeddings of runs of a results folder (None: all) into `out`.

    Returns the folders that were made, and a line for each run left out. Raises GrokError where a
    run was asked for by number and has nothing to export, or where no run has.
    """
    loaded, made, left_out = load(folder), [], []
    for run in loaded.runs["run"] if runs is None else runs:
        for matrix in matrices:
            try:
                found = exported(loaded, int(run), matrix, step)
            except GrokError as error:
                if runs is not None:
                    raise
                left_out.append(f"run {run}, {matrix} matrix, left out: {error}")
            else:
                made.append(write(Path(out), found))
    if not made:
        raise GrokError(left_out[0] if left_out else f"{folder} has no runs to export")
    write_projector_config(Path(out))
    return made, left_out


class Exported(NamedTuple):
    """What is written of a matrix: the rows [n, D] of the elements and what is known of them."""

    name: str
    rows_ND: np.ndarray
    known: pd.DataFrame
    others: SavedMatrix


def exported(loaded: Results, run: int, matrix: str, step: int | None) -> Exported:
    """One matrix of a run. GrokError for one that is not kept, or not finite."""
    matrix_VD, labels_V = saved_matrix(loaded, run, matrix, step)
    group = structure(loaded.experiment_run(run).structure)
    rows_ND = matrix_VD[: group.order]
    if len(rows_ND) < group.order:
        raise GrokError(f"it has {len(rows_ND)} rows, but {group.name} has {group.order} elements")
    if not np.isfinite(rows_ND).all():
        raise GrokError("it has non-finite entries: this run diverged")
    # With the experiment's name, so that two experiments fit into one folder, and tell apart there.
    name = f"{loaded.folder.resolve().name}_{arrays_name(run, step)}_{matrix}"
    others = SavedMatrix(matrix_VD[group.order :], labels_V[group.order :])
    return Exported(name, rows_ND, metadata(rows_ND, group), others)


def write(out: Path, found: Exported) -> Path:
    """Write a matrix into a folder of its own in `out`; returns that folder."""
    folder, known = out / found.name, found.known
    refuse_another_spelling(folder)
    columns: dict[str, Any] = {f"metadata_{name}": plain(known[name]) for name in known}
    with disk_errors(folder, "--out DIR"):
        with replacing(folder / "vectors.tsv") as side:
            # Nine digits give a float32 back exactly.
            np.savetxt(side, found.rows_ND, fmt="%.9g", delimiter="\t")
        with replacing(folder / "metadata.tsv") as side:
            known.to_csv(side, sep="\t", index=False, na_rep="none")
        with replacing(folder / "embeddings.npz") as side, open(side, "wb") as file:
            np.savez_compressed(
                file,
                vectors=found.rows_ND,
                labels=known["token"].to_numpy(str),
                **columns,
                special_vectors=found.others.matrix_VD,
                special_labels=found.others.labels_V,
            )
    return folder


def plain(column: pd.Series) -> np.ndarray:
    """A column as an array that loads without pickle: text, whole numbers, or floats.

    Missing values are NaN.
    """
    if column.dtype == "Int64":
        return column.to_numpy(float, na_value=np.nan)
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy()
    return column.to_numpy(str)


def write_projector_config(out: Path) -> None:
    """The file by which TensorBoard finds every embedding that lies in `out`."""
    names = sorted(path.parent.name for path in out.glob("*/vectors.tsv"))
    with disk_errors(out, "--out DIR"), replacing(out / "projector_config.pbtxt") as side:
        side.write_text("".join(CONFIG_ENTRY.format(name=name) for name in names), encoding="utf-8")
