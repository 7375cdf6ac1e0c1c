"""An experiment as the page holds it: its runs as columns, and the curves of each."""

from pathlib import Path

import numpy as np
import pandas as pd

from grok.page.pack import pack
from grok.store import outcomes
from grok.store.results import Results

CURVES = ("train_accuracy", "val_accuracy", "train_loss", "val_loss")
MOST_EVALUATIONS = 60_000  # of an experiment; longer curves are thinned, evenly in log updates
LEAST_OF_A_RUN = 12
TIMES = ("steps_to_train_99", "steps_to_val_99", "steps_to_val_99_sustained")


def block(loaded: Results, name: str) -> str:
    """The runs and curves of an experiment, packed."""
    curves, every = thinned(loaded.curves)
    starts = np.searchsorted(curves["run"], [*loaded.runs["run"], np.inf]).astype(np.int32)
    arrays = {"starts": starts, "step": curves["step"].to_numpy(np.int32)}
    for metric in CURVES:
        arrays[metric] = curves[metric].to_numpy(np.float32)
    columns = []
    for field in loaded.runs.columns:
        column, array = packed_column(loaded.runs[field])
        columns.append({"name": field} | column)
        if array is not None:
            arrays[f"column_{field}"] = array
    facts = {
        "name": name,
        "columns": columns,
        "names": outcomes.run_names([loaded.experiment_run(run) for run in loaded.runs["run"]]),
        "ended": list(outcomes.ENDED),
        "thinned": every,
        **description(loaded),
    }
    return pack(facts, arrays)


def packed_column(values: pd.Series) -> tuple[dict, np.ndarray | None]:
    """A column of runs.parquet: how it is held, and its array if it is one of varied numbers."""
    if values.nunique(dropna=False) == 1:
        return {"constant": plain(values.iloc[0])}, None
    if pd.api.types.is_bool_dtype(values) or not pd.api.types.is_numeric_dtype(values):
        kinds = list(dict.fromkeys(map(plain, values)))
        return {"values": kinds, "indices": [kinds.index(plain(value)) for value in values]}, None
    kind = np.float32 if values.dtype == np.float32 else np.float64
    return {"numbers": True}, values.astype("Float64").to_numpy(float, na_value=np.nan).astype(kind)


def plain(value):
    """A cell as JSON holds it: missing values are None."""
    if pd.isna(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def description(loaded: Results) -> dict:
    """What the results are: scale, whether complete, and one entry a session."""
    experiment, sessions = loaded.description["experiment"], loaded.description["sessions"]
    return {
        "scale": experiment["scale"],
        "complete": loaded.complete,
        "planned": len(experiment["runs"]),
        "sessions": [session_row(session) for session in sessions],
    }


def session_row(session: dict) -> dict:
    return {key: session.get(key) for key in ("command", "commit", "device", "started")}


def thinned(curves: pd.DataFrame) -> tuple[pd.DataFrame, int | None]:
    """Curves of at most about MOST_EVALUATIONS rows, and how many of a run are left, if thinned.

    What is left are whole rows: first and last of each run, and others evenly in log updates.
    """
    if len(curves) <= MOST_EVALUATIONS:
        return curves, None
    kept = max(MOST_EVALUATIONS // curves["run"].nunique(), LEAST_OF_A_RUN)
    parts = [some(curve, kept) for _, curve in curves.groupby("run", sort=False)]
    return pd.concat(parts), kept


def some(curve: pd.DataFrame, most: int) -> pd.DataFrame:
    """At most `most` rows of a run's curve, evenly in log updates, with the first and the last."""
    if len(curve) <= most:
        return curve
    log_M = np.log(np.maximum(curve["step"].to_numpy(), 1))
    wanted = np.linspace(log_M[0], log_M[-1], most)
    return curve.iloc[np.unique(np.searchsorted(log_M, wanted - 1e-9))]


def folders_in(folder: Path) -> list[Path]:
    """The results folders that a folder is or holds, in alphabetical order."""
    if is_results(folder):
        return [folder]
    return sorted(path for path in folder.iterdir() if path.is_dir() and is_results(path))


def is_results(folder: Path) -> bool:
    return any(folder.glob("experiment.json")) or any(folder.glob("part-*/experiment.json"))
