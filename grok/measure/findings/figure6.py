"""Figure 6: do networks generalise when some training answers are wrong?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from grok.measure.findings import finding, fractions, runs
from grok.measure.findings.finding import Finding, Table
from grok.measure.findings.words import count, number
from grok.store.outcomes import THRESHOLD

HARMLESS = 1000 / 7200  # of the training rows (S5 at 50%), up to which the paper sees little harm
UNHARMED = 95  # per cent validation accuracy, on average


def find(results) -> Iterator[Finding | Table]:
    known = fractions.finished(results, "corrupted_labels", "n_train")
    rows = fractions.best(known, "corrupted_labels")
    sizes = known.groupby("corrupted_labels")["n_train"].first()
    rows = [row | {"share": row["at"] / sizes[row["at"]]} for row in rows]
    yield Table("best", rows)
    of_validation = [row for row in rows if row["split"] == "val"]
    until = fractions.horizon(results)
    for found in (training(known), validation(known, of_validation)):
        yield fractions.so_far(found, until)


def training(known: pd.DataFrame) -> Finding:
    """In how many runs training accuracy reaches 99%, wrong answers included."""
    reached = int((known["best_train_accuracy"] >= THRESHOLD).sum())
    largest = known["corrupted_labels"].max() if len(known) else 0
    return Finding(
        "training",
        "training reaches 100% with wrong answers among it",
        "for every k up to 3,000 of 7,200",
        f"99% in {reached} of {count(len(known), 'run')}, k up to {number(largest)}",
        finding.by_seeds(finding.by_count(reached, len(known)), runs.size(known)["seeds"]),
        reached / len(known) if len(known) else np.nan,
        unit="share of runs",
        **runs.size(known),
        censored=len(known) - reached,
    )


def validation(known: pd.DataFrame, rows: list[dict]) -> Finding:
    """Up to which share of wrong answers the mean best validation accuracy is unharmed."""
    wrong = [row for row in rows if row["at"] > 0]
    mild = [row for row in wrong if row["share"] <= HARMLESS]
    unharmed = [row for row in mild if row["mean"] >= UNHARMED]
    verdict = finding.NOT_TESTED
    right = [row["mean"] for row in rows if row["at"] == 0]
    if mild and right and right[0] >= UNHARMED:
        verdict = finding.by_count(len(unharmed), len(mild))
    here = "; ".join(f"{row['mean']:.3g}% at {100 * row['share']:.2g}%" for row in wrong[1:])
    return Finding(
        "validation",
        "wrong training answers do little harm up to 14%",
        "little up to 1,000 of 7,200 (14%)",
        here or "–",
        finding.by_seeds(verdict, runs.size(known)["seeds"]),
        max((row["share"] for row in unharmed), default=np.nan),
        unit="largest share without harm",
        **runs.size(known),
    )
