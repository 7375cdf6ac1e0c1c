"""Learned embeddings as files that other programs read: `python -m grok embeddings results/<experiment> --out DIR`.

For every run and matrix a folder in DIR:

vectors.tsv       a row a token, without header
metadata.tsv      what is known of each token, under a header
embeddings.npz    vectors [n, d], labels [n], metadata_<column> [n]; special_vectors and special_labels, the rows of the operator and '='

The TensorBoard Embedding Projector loads the two .tsv as they are; `tensorboard --logdir DIR` shows all of them.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from grok.analysis import fourier, groups
from grok.experiment import GrokError
from grok.files import disk_errors, replacing
from grok.store.matrices import saved_matrix
from grok.store.results import Results, load
from grok.task.operations import Structure, is_prime, structure

RESIDUES = range(2, 11)
CONFIG_ENTRY = 'embeddings {{\n  tensor_name: "{name}"\n  tensor_path: "{name}/vectors.tsv"\n  metadata_path: "{name}/metadata.tsv"\n}}\n'


# --- Rows ---


# --- Metadata ---


def metadata(rows, group: Structure) -> pd.DataFrame:
    """What is known of each element of a structure, a row a token; `rows` [n, D] decide which subgroup fits best.

    Z<n>: mod_2 .. mod_10, parity, and for a prime log_<g>, the discrete logarithm to the smallest primitive root g.
    Other groups: cycle_type and sign of a permutation, order, best_coset_<side>_order_<k> (gH or Hg of the subgroup in
    which `rows` lie closest, `groups.best_subgroup`), and on S5 the cosets of the paper's subgroup (Figure 3) on both sides.
    """
    tokens = pd.DataFrame({"token": group.labels})
    return tokens.assign(
        **(ring_columns(group.order) if group.is_ring else group_columns(rows, group))
    )


def ring_columns(n: int) -> dict:
    token = np.arange(n)
    columns = {f"mod_{k}": token % k for k in RESIDUES if k < n}
    columns["parity"] = np.where(token % 2, "odd", "even")
    if n > 2 and is_prime(n):
        powers = fourier.discrete_log_order(n)
        columns[f"log_{powers[1]}"] = pd.Series(np.argsort([0, *powers]) - 1, dtype="Int64").where(
            token > 0
        )
    return columns


def group_columns(rows, group: Structure) -> dict:
    columns = {}
    if group.permutations is not None:
        columns["cycle_type"] = [
            "+".join(map(str, cycles)) for cycles in groups.cycle_types(group.permutations)
        ]
        columns["sign"] = groups.signs(group.permutations)
    columns["order"] = [
        int(groups.generated_subgroup(group, [x]).sum()) for x in range(group.order)
    ]
    if group.order <= groups.MAX_SUBGROUP_ORDER and len(groups.subgroups(group)) > 2:
        best = groups.best_subgroup(groups.coset_scores(rows, group))
        side = "gH" if best.side == "left" else "Hg"
        columns[f"best_coset_{side}_order_{best.order}"] = groups.cosets(
            group, groups.subgroups(group)[best.subgroup], best.side
        )
    if group.name == "S5":
        paper = groups.figure_3_subgroup(group)
        columns |= {
            "paper_coset_gH": groups.cosets(group, paper, "left"),
            "paper_coset_Hg": groups.cosets(group, paper, "right"),
        }
    return columns


# --- Files ---


def export(
    folder: Path | str,
    out: Path | str,
    runs: Iterable[int] | None = None,
    step: int | None = None,
    matrices: Iterable[str] = ("output",),
) -> tuple[list[Path], list[str]]:
    """Write the embeddings of runs of a results folder (default: all) into `out`; returns the folders made, and a line for each run left out.

    Raises GrokError where a run was asked for by number and has nothing to export, or where no run has.
    """
    loaded, made, left_out = load(folder), [], []
    for run in loaded.runs["run"] if runs is None else runs:
        for matrix in matrices:
            try:
                made.append(export_matrix(loaded, Path(out), int(run), matrix, step))
            except GrokError as error:
                if runs is not None:
                    raise
                left_out.append(f"run {run}, {matrix} matrix, left out: {error}")
    if not made:
        raise GrokError(left_out[0] if left_out else f"{folder} has no runs to export")
    write_projector_config(Path(out))
    return made, left_out


def export_matrix(loaded: Results, out: Path, run: int, matrix: str, step: int | None) -> Path:
    matrix_VD, labels_V = saved_matrix(loaded, run, matrix, step)
    group = structure(loaded.experiment_run(run).structure)
    rows_ND = matrix_VD[: group.order]
    fourier.token_matrix(rows_ND, group.order)
    known = metadata(rows_ND, group)
    folder = out / (f"run_{run:04d}" + ("" if step is None else f"_step_{step:08d}") + f"_{matrix}")
    columns = {f"metadata_{name}": plain(known[name]) for name in known}
    with disk_errors(folder, "--out DIR"):
        with replacing(folder / "vectors.tsv") as side:
            np.savetxt(
                side, rows_ND, fmt="%.9g", delimiter="\t"
            )  # nine digits give a float32 back exactly
        with replacing(folder / "metadata.tsv") as side:
            known.to_csv(side, sep="\t", index=False, na_rep="none")
        with replacing(folder / "embeddings.npz") as side, open(side, "wb") as file:
            np.savez_compressed(
                file,
                vectors=rows_ND,
                labels=np.array(group.labels),
                **columns,
                special_vectors=matrix_VD[group.order :],
                special_labels=labels_V[group.order :],
            )
    return folder


def plain(column: pd.Series) -> np.ndarray:
    """A column as an array that loads without pickle: text, whole numbers, or floats with NaN for what is missing."""
    if column.dtype == "Int64":
        return column.to_numpy(float, na_value=np.nan)
    return column.to_numpy(str) if not pd.api.types.is_numeric_dtype(column) else column.to_numpy()


def write_projector_config(out: Path) -> None:
    """The file by which TensorBoard finds every embedding that lies in `out`."""
    names = sorted(path.parent.name for path in out.glob("*/vectors.tsv"))
    with disk_errors(out, "--out DIR"), replacing(out / "projector_config.pbtxt") as side:
        side.write_text("".join(CONFIG_ENTRY.format(name=name) for name in names))
