"""Figure 2 left: how much data do optimisers and regularisers save?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from grok.measure.findings import finding, fractions, runs
from grok.measure.findings.finding import Finding, Table
from grok.measure.findings.words import count, span
from grok.store.outcomes import THRESHOLD

HALF = 2  # times the data


def find(results) -> Iterator[Finding | Table]:
    known = fractions.finished(results, "optimizer", "weight_decay", "decay_form", "schedule")
    names = runs.legend_names(results.runs).loc[known.index]
    labels = list(dict.fromkeys(runs.legend_names(results.runs)))
    of = {label: known[names == label] for label in labels}
    best = [fractions.best(here, "train_fraction", label=label) for label, here in of.items()]
    needs = [fractions.need_row(here, label=label, role=role(here)) for label, here in of.items()]
    yield Table("best", [row for rows in best for row in rows])
    yield Table("needs", needs)
    papers = [label for label, here in of.items() if role(here)]
    until = fractions.horizon(results)
    for found in (
        halves(known, needs),
        towards_init(known, needs),
        training(known[names.isin(papers)]),
    ):
        yield fractions.so_far(found, until)


def role(here: pd.DataFrame) -> str:
    """What a setting is in the paper's figure.

    'decay': AdamW towards zero. 'init': AdamW towards the initial weights. 'other': panels of Adam.
    Settings that the paper lacks have none.
    """
    if here.empty or (here["schedule"] != "constant").any():
        return ""
    optimizer, form = here["optimizer"].iloc[0], here["decay_form"].iloc[0]
    if optimizer == "adamw" and (here["weight_decay"] > 0).all():
        return {"to_zero": "decay", "to_init": "init"}.get(form, "")
    return "other" if optimizer in ("adam", "adamw") else ""


def of_role(needs: list[dict], name: str) -> list[dict]:
    return [row for row in needs if row["role"] == name and row["runs"]]


def halves(known: pd.DataFrame, needs: list[dict]) -> Finding:
    """Against how many of the paper's other panels decay more than halves the data that is needed.

    Where another panel fails at all data tried, it needs more than the largest fraction; that
    settles the question only where this is more than twice what decay needs.
    """
    decay, others = of_role(needs, "decay"), of_role(needs, "init") + of_role(needs, "other")
    ours = decay[0]["need"] if decay else np.nan
    least = [row["largest"] if np.isnan(row["need"]) else row["need"] for row in others]
    halved = sum(each > HALF * ours for each in least)
    open_ones = [row for row in others if np.isnan(row["need"])]
    verdict, here = finding.NOT_TESTED, "decay passes 99% nowhere"
    if not np.isnan(ours) and others:
        first = all(each > ours or np.isnan(row["need"]) for each, row in zip(least, others))
        verdict = finding.IN_PART if first else finding.NOT_REPRODUCED
        verdict = finding.REPRODUCED if halved > len(others) / 2 else verdict
        here = f"decay needs {100 * ours:.3g}%; {of_the_others(others)}"
    return Finding(
        "halves",
        "decay more than halves the data that is needed",
        "against most others",
        here,
        finding.by_seeds(verdict, runs.size(known)["seeds"]),
        float(halved),
        unit="panels against which it halves the data",
        **runs.size(known),
        censored=len(open_ones),
    )


def of_the_others(needs: list[dict]) -> str:
    """What the other panels need, and how many fail at all fractions tried."""
    found = [100 * row["need"] for row in needs if not np.isnan(row["need"])]
    failed = [100 * row["largest"] for row in needs if np.isnan(row["need"])]
    all_of_them = count(len(needs), "other")
    said = []
    if found:
        said.append(f"{len(found)} of {all_of_them} need {span(found)}%")
    if failed:
        said.append(f"{len(failed)} of {all_of_them} fail up to {min(failed):.3g}%")
    return "; ".join(said)


def towards_init(known: pd.DataFrame, needs: list[dict]) -> Finding:
    """Whether decay towards the initial weights needs more data than decay towards zero."""
    zero, init = of_role(needs, "decay"), of_role(needs, "init")
    verdict, here = finding.NOT_TESTED, "–"
    if zero and init:
        ours, other = zero[0]["need"], init[0]["need"]
        if not np.isnan(ours):
            weaker = np.isnan(other) or other > ours
            verdict = finding.REPRODUCED if weaker else finding.NOT_REPRODUCED
        here = f"{fractions.words(init[0])} of the data against {fractions.words(zero[0])}"
    return Finding(
        "towards_init",
        "decay towards the initial weights is weaker",
        "weaker than towards zero",
        here,
        finding.by_seeds(verdict, runs.size(known)["seeds"]),
        unit="",
        **runs.size(known),
    )


def training(known: pd.DataFrame) -> Finding:
    """In how many runs training accuracy reaches 99%."""
    reached = int((known["best_train_accuracy"] >= THRESHOLD).sum())
    return Finding(
        "training",
        "every panel reaches 100% training accuracy",
        "all panels",
        f"99% in {reached} of {count(len(known), 'run')}",
        finding.by_seeds(finding.by_count(reached, len(known)), runs.size(known)["seeds"]),
        reached / len(known) if len(known) else np.nan,
        unit="share of runs",
        **runs.size(known),
        censored=len(known) - reached,
    )
