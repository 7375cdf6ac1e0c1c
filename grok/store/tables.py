"""The tables of a results folder: runs.parquet, curves.parquet, and what is measured of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
from pyarrow import parquet

from grok.experiment import GrokError
from grok.files import disk_errors, replacing
from grok.store.outcomes import OUTCOMES, named_today

METRICS = (
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "val_fresh_accuracy",
    "val_mirrored_accuracy",
    "softmax_collapse",
    "weight_norm",
    "embedding_norm",
    "unembedding_norm",
)


def both_tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """runs.parquet and curves.parquet of unfinished results. Raises GrokError."""
    try:
        return (
            read_columns(folder, "runs", "run", *OUTCOMES),
            read_columns(folder, "curves", "run", "step"),
        )
    except (OSError, ValueError) as error:
        raise GrokError(
            f"the tables in {folder} cannot be read ({error}): restore them, or start over "
            "with --anew"
        ) from error


def write_tables(folder: Path, runs: pd.DataFrame, curves: pd.DataFrame) -> None:
    """Write runs.parquet and curves.parquet, each atomically."""
    write_table(folder, "runs", runs)
    write_table(folder, "curves", curves)


def write_table(folder: Path, name: str, frame: pd.DataFrame) -> Path:
    """Write <name>.parquet atomically, and return its path.

    Columns of numbers that hardly repeat are packed byte by byte, which takes a third less space;
    all others are packed by a dictionary of their values.
    """
    path = folder / f"{name}.parquet"
    numbers = frame.select_dtypes(["float32", "float64"])
    varied = [column for column in numbers if numbers[column].nunique() > len(frame) / 4]
    with disk_errors(folder), replacing(path) as side:
        frame.to_parquet(
            side,
            index=False,
            compression="zstd",
            use_dictionary=[column for column in frame if column not in varied],
            use_byte_stream_split=varied,
        )
    return path


def runs_table(rows: list[dict]) -> pd.DataFrame:
    """The rows of runs.parquet with fixed column types.

    Whole numbers that may be missing are Int64.
    """
    frame = pd.DataFrame(rows)
    for name in ("stopped_at", "steps_to_train_99", "steps_to_val_99", "steps_to_val_99_sustained"):
        frame[name] = frame[name].astype("Int64")
    for name in OUTCOMES[5:]:
        frame[name] = frame[name].astype("float32")
    return frame


def curves_table(run_M: np.ndarray, step_M: np.ndarray, metrics_MC: np.ndarray) -> pd.DataFrame:
    """The rows of curves.parquet, ordered by run and step."""
    frame = pd.DataFrame({"run": run_M.astype(np.int32), "step": step_M.astype(np.int32)})
    frame[list(METRICS)] = metrics_MC.astype(np.float32)
    return frame.sort_values(["run", "step"], ignore_index=True)


def read_table(path: Path) -> pd.DataFrame:
    """A table that may be replaced meanwhile.

    It is read in one go, for pyarrow opens a path more than once, and without pyarrow's threads,
    which at times abort Python's exit (apache/arrow#34314).
    """
    file = parquet.ParquetFile(pyarrow.BufferReader(path.read_bytes()), pre_buffer=False)
    return file.read(use_threads=False).to_pandas(use_threads=False)


def need(
    frame: pd.DataFrame, *columns: str, where: Path, advice: str = "Train them anew with --anew"
) -> None:
    """Raise GrokError for columns that a table lacks; where: its file."""
    missing = [name for name in columns if name not in frame]
    if missing:
        raise GrokError(
            f"{where} has no column {', '.join(missing)}: was it made by another version? {advice}"
        )


def read_columns(folder: Path, name: str, *columns: str) -> pd.DataFrame:
    """A table of a results folder. Raises GrokError where it lacks one of `columns`."""
    path = folder / f"{name}.parquet"
    table = read_table(path)
    need(table, *columns, where=path)
    return named_today(table) if name == "runs" else table


def has_tables(folder: Path) -> bool:
    return all((folder / f"{name}.parquet").exists() for name in ("runs", "curves"))
