"""Rows that an earlier measurement wrote, which a new one keeps where it does not replace them."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from grok.experiment import GrokError
from grok.store.results import Results
from grok.store.tables import read_table


def earlier(loaded: Results, name: str, columns: Iterable[str]) -> pd.DataFrame:
    """The rows of an earlier measurement; none where there was none.

    Columns that it did not have yet hold missing values.
    """
    path = loaded.folder / f"{name}.parquet"
    if not path.exists():
        return pd.DataFrame(columns=list(columns))
    try:
        return read_table(path).reindex(columns=list(columns))
    except (OSError, ValueError) as error:
        raise GrokError(f"{path} cannot be read ({error}): move it away") from error


def in_order(kept: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """The rows of two tables by run; those of a run stay in their order."""
    both = pd.concat([measured, kept]) if len(kept) else measured
    return both.sort_values("run", kind="stable", ignore_index=True).astype({"run": np.int32})
