"""Figure 1 left and 4: does x/y generalise long after it is memorised, and what does decay do?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from grok.analysis import survival
from grok.analysis.survival import Estimate
from grok.measure.findings import finding, runs
from grok.measure.findings.finding import Finding, Table
from grok.measure.findings.words import interval, number, span

LONG = 100  # The paper's validation follows its training after a factor of 100 to 1,000 in updates.
NOTICEABLE = 10
NEARLY = 0.9  # of the validation rows, where 99% is not reached
PAPERS_BUDGET = 1_000_000
RISE, FALL = 1.5, 0.5  # of the loss, from its first value to its top and from there down


def find(results) -> Iterator[Finding | Table]:
    table = outcomes(results)
    plain, decayed = table[~table["decays"]], table[table["decays"]]
    yield Table("runs", table.to_dict("records"))
    yield late(plain)
    yield generalises(plain)
    yield sooner(plain, decayed)
    yield double_descent(plain)


def outcomes(results) -> pd.DataFrame:
    """A row a run that has begun: seed, decays, updates to 99% of both tables, last, losses."""
    known = runs.runs_with(results, "weight_decay", "best_val_accuracy", *runs.TIMES)
    begun, trained, last = runs.crossings(known, "train")
    table = pd.DataFrame(
        {
            "run": begun["run"],
            "seed": begun["seed"],
            "label": runs.legend_names(known).loc[begun.index],
            "decays": begun["weight_decay"] > 0,
            "train_99": trained,
            "val_99": runs.crossings(known, "val")[1],
            "last": last,
            "best_val": begun["best_val_accuracy"].astype(float),
        }
    )
    results.need_curves("val_loss")
    descents = [descent(results.curve(run)) for run in table["run"]]
    return table.assign(**pd.DataFrame(descents, index=table.index)) if descents else table


def descent(curve: pd.DataFrame) -> dict:
    """The validation loss of a run: its first value, its top, the update of the top, the bottom."""
    curve = curve[(curve["step"] > 0) & np.isfinite(curve["val_loss"])]
    if curve.empty:
        return dict.fromkeys(("first_loss", "top_loss", "top_at", "bottom_loss"), np.nan)
    losses = curve["val_loss"].to_numpy(float)
    top = int(losses.argmax())
    return {
        "first_loss": losses[: top + 1].min(),
        "top_loss": losses[top],
        "top_at": int(curve["step"].iloc[top]),
        "bottom_loss": losses[top:].min(),
    }


def late(plain: pd.DataFrame) -> Finding:
    """Updates to 99% validation over those to 99% training, without decay."""
    memorised = plain[plain["train_99"].notna()]
    ratio = memorised["val_99"] / memorised["train_99"]
    followed = memorised["last"] / memorised["train_99"]
    median = survival.median_time(ratio, followed) if len(ratio) else survival.UNKNOWN
    # Of a median that was not reached it is known that it lies beyond what was followed.
    least = median.value if not np.isnan(median.value) else followed.median()
    verdict = finding.NOT_TESTED
    if len(memorised):
        steps = [least >= LONG, least >= NOTICEABLE]
        choice = (finding.REPRODUCED, finding.IN_PART, finding.NOT_REPRODUCED)
        verdict = choice[steps.index(True) if any(steps) else 2]
    reached = f"{interval(median, ',.0f', '×')} the updates of training"
    return Finding(
        "late",
        "without decay, validation comes long after training",
        "10² to 10³ times as many updates",
        reached
        if not np.isnan(median.value)
        else f"not within {number(least, ',.0f')}× the updates of training",
        finding.by_seeds(verdict, memorised["seed"].nunique()),
        *median,
        unit="times the updates to 99% training",
        **runs.size(memorised),
        censored=int(ratio.isna().sum()),
    )


def generalises(plain: pd.DataFrame) -> Finding:
    """Whether validation nears 100% in the end, without decay."""
    crossed = int(plain["val_99"].notna().sum())
    verdict = finding.by_count(crossed, len(plain))
    if verdict == finding.NOT_REPRODUCED and (plain["best_val"] >= NEARLY).mean() > 0.5:
        verdict = finding.IN_PART
    if verdict == finding.NOT_REPRODUCED and (plain["last"] < PAPERS_BUDGET).all():
        verdict = finding.NOT_TESTED
    here = f"99% in {crossed} of {len(plain)}"
    if len(plain):
        here += f"; best {span(100 * plain['best_val'], '.0f')}%, to {number(plain['last'].max())}"
    return Finding(
        "generalises",
        "without decay, validation nears 100% in the end",
        "near 100% at 10⁶ updates",
        here,
        finding.by_seeds(verdict, plain["seed"].nunique()),
        crossed / len(plain) if len(plain) else np.nan,
        unit="share of runs",
        **runs.size(plain),
        censored=len(plain) - crossed,
    )


def sooner(plain: pd.DataFrame, decayed: pd.DataFrame) -> Finding:
    """How many times sooner the same split and weights generalise with decay, seed by seed."""
    pairs = decayed.merge(plain, on="seed", suffixes=("", "_plain"))
    pairs = pairs[pairs["val_99"].notna()]
    ratio = pairs["val_99_plain"].fillna(pairs["last_plain"]) / pairs["val_99"]
    least, censored = ratio.min(), int(pairs["val_99_plain"].isna().sum())
    verdict = finding.NOT_TESTED
    if len(pairs):
        far = (ratio >= NOTICEABLE).all()
        verdict = finding.REPRODUCED if far else finding.IN_PART
        verdict = verdict if least > 1 else finding.NOT_REPRODUCED
    with_decay = span(pairs["val_99"]) if len(pairs) else "–"
    without = span(pairs["val_99_plain"].fillna(pairs["last_plain"])) if len(pairs) else "–"
    return Finding(
        "sooner",
        "with decay, the same split and weights grok far sooner",
        "far sooner",
        f"{with_decay} against {'more than ' if censored else ''}{without}",
        finding.by_seeds(verdict, len(pairs)),
        least,
        unit="times sooner, at the least",
        runs=2 * len(pairs),
        seeds=len(pairs),
        censored=censored,
    )


def double_descent(plain: pd.DataFrame) -> Finding:
    """Whether the validation loss without decay rises after it has fallen, and falls again."""
    known = plain[plain["top_loss"].notna()] if "top_loss" in plain else plain.head(0)
    if known.empty:
        here, verdict = "–", finding.NOT_TESTED
    else:
        rises = known["top_loss"] >= RISE * known["first_loss"]
        falls = known["bottom_loss"] <= FALL * known["top_loss"]
        verdict = finding.by_count(int((rises & falls).sum()), len(known))
        verdict = finding.IN_PART if rises.any() and verdict == finding.NOT_REPRODUCED else verdict
        first, top, bottom = (
            span(known[name], ",.2g") for name in ("first_loss", "top_loss", "bottom_loss")
        )
        here = f"{first}, up to {top}, then down to {bottom}"
    return Finding(
        "double_descent",
        "without decay, validation loss rises, then falls",
        "rises from 10² to about 10⁵ updates, then falls",
        here,
        finding.by_seeds(verdict, known["seed"].nunique()),
        *Estimate(known["top_loss"].median() if len(known) else np.nan, np.nan, np.nan),
        unit="loss at its top",
        **runs.size(known),
    )
