"""Of several settings of a method that were tried, the best: what a config reads of a tuning.

The rule: of the settings with one label the best has the least median of sustained times to 99%
validation accuracy over its seeds, a run that never gets there counting as infinite; of equal ones,
that in which more runs got there; of equal ones, that with the least median of first crossings; of
equal ones, that with the higher mean of best validation accuracies; of equal ones, the first.
"""

import numpy as np
import pandas as pd

from grok.experiment import Run
from grok.store.outcomes import ENDED
from grok.store.results import Results


def settings(loaded: Results) -> pd.DataFrame:
    """A row a setting, which is what runs that differ in their seed alone share.

    setting: the run with seed 0. label. sustained, first: medians of these crossings, infinite
    where half never got there. reached: how many lastingly did. best: mean of best validation
    accuracies. runs: how many ended.
    """
    ended = loaded.runs[loaded.runs["status"].isin(ENDED)]
    found = pd.DataFrame(
        {
            "setting": [loaded.experiment_run(run).replace(seed=0) for run in ended["run"]],
            "sustained": ended["steps_to_val_99_sustained"].astype(float).fillna(np.inf).to_numpy(),
            "first": ended["steps_to_val_99"].astype(float).fillna(np.inf).to_numpy(),
            "best": ended["best_val_accuracy"].to_numpy(float),
        }
    )
    rows = []
    for setting, here in found.groupby("setting", sort=False):
        rows.append(
            {
                "setting": setting,
                "label": setting.label,
                "sustained": float(np.median(here["sustained"])),
                "first": float(np.median(here["first"])),
                "reached": int(np.isfinite(here["sustained"]).sum()),
                "best": float(here["best"].mean()),
                "runs": len(here),
            }
        )
    columns = ["setting", "label", "sustained", "first", "reached", "best", "runs"]
    return pd.DataFrame(rows, columns=columns)


def best_settings(loaded: Results) -> dict[str, Run]:
    """The best setting of each label all of whose runs have ended, by the rule above."""
    waiting = loaded.runs["label"][~loaded.runs["status"].isin(ENDED)]
    found = settings(loaded)
    ranked = found[~found["label"].isin(waiting)].sort_values(
        ["sustained", "reached", "first", "best"],
        ascending=[True, False, True, False],
        kind="stable",
    )
    first = ranked.drop_duplicates("label")
    return dict(zip(first["label"], first["setting"]))
