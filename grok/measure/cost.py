"""What an update of each run costs in time, measured on an idle machine."""

from pathlib import Path

import jax
import numpy as np
import pandas as pd
from tqdm import tqdm

from grok.files import check_writable
from grok.store import marks, results
from grok.store.outcomes import TRAINED
from grok.training.capacity import time_updates
from grok.training.program import program_of

COLUMNS = ["run", "ms_per_update"]
REPEATS, SECONDS = 5, 0.2  # stretches of updates, and how long each of them takes


def measure(folder: Path) -> Path:
    """Time the program of every finished run, with a run a device; returns the path of the table.

    Runs that share a program share the time. It is milliseconds a run-update with all devices busy.
    """
    loaded = results.load(folder)
    check_writable(loaded.folder)
    loaded.need_runs("status")
    finished = loaded.runs["run"][loaded.runs["status"].isin(TRAINED)]
    known: dict = {}
    rows = []
    for number in tqdm(finished, desc="cost", unit="run", disable=None):
        run = loaded.experiment_run(number)
        program = program_of(run)
        if program not in known:
            count = len(jax.local_devices())
            timed = time_updates(program, [run], count, REPEATS, SECONDS)
            known[program] = timed["ms_per_run"]
        rows.append({"run": number, "ms_per_update": known[program]})
    table = pd.DataFrame(rows, columns=COLUMNS).astype({"run": np.int32})
    return marks.write_measured(loaded, "costs", table)
