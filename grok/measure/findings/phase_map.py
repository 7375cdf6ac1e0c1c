"""Beyond the paper: learning rates and decays that memorise, grok, comprehend, or do nothing."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from grok.measure.findings import finding, runs
from grok.measure.findings.finding import Finding, Table

# Updates between the two crossings that tell comprehension from grokking, as in Liu et al. (2022).
DELAY = 1000
PHASES = ("comprehension", "grokking", "memorisation", "confusion")
AXES = ["learning_rate", "weight_decay"]


def find(results) -> Iterator[Finding | Table]:
    known = runs.ended(runs.runs_with(results, *AXES, *runs.TIMES))
    known = known.assign(phase=phases(known))
    cells = []
    for (rate, decay), here in known.groupby(AXES):
        tied, votes = commonest(here["phase"])
        cells.append(
            {"learning_rate": rate, "weight_decay": decay}
            | {"phases": tied, "votes": votes, "seeds": len(here)}
        )
    yield Table("cells", cells)
    yield four_phases(known, cells)


def phases(known: pd.DataFrame) -> list[str]:
    """The phase of each run, by its two crossings of 99%."""
    trained = known["steps_to_train_99"].astype(float).to_numpy()
    validated = known["steps_to_val_99"].astype(float).to_numpy()
    delayed = validated - trained >= DELAY
    choice = np.select([np.isnan(trained), np.isnan(validated), delayed], [3, 2, 1], 0)
    return [PHASES[i] for i in choice]


def commonest(seen: pd.Series) -> tuple[list[str], int]:
    """The phases that most seeds show, several where they tie, and how many seeds show each."""
    votes = {phase: int((seen == phase).sum()) for phase in PHASES}
    most = max(votes.values())
    return [phase for phase in votes if votes[phase] == most], most


def four_phases(known: pd.DataFrame, cells: list[dict]) -> Finding:
    """How many of the four phases are the only commonest one of some setting."""
    leading = {cell["phases"][0] for cell in cells if len(cell["phases"]) == 1}
    seen = set(known["phase"])
    verdict = finding.by_count(len(leading), len(PHASES)) if cells else finding.NOT_TESTED
    grokked = int((known["phase"] == "grokking").sum())
    return Finding(
        "phases",
        "four phases over learning rate and decay",
        "Liu et al.: four",
        f"{len(seen)} seen, {len(leading)} of them most common somewhere; {grokked} runs grok",
        finding.by_seeds(verdict, runs.size(known)["seeds"]),
        float(len(leading)),
        unit="phases that lead a setting",
        **runs.size(known),
    )
