"""Beyond the paper: does the time to generalise fall as one over the weight decay?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from grok.analysis.survival import Estimate
from grok.measure.findings import finding, runs, times
from grok.measure.findings.finding import Finding, Table
from grok.measure.findings.words import interval, span

INVERSE = 1.0  # Omnigrok: the delay goes as one over the decay.


def find(results) -> Iterator[Finding | Table]:
    known = runs.runs_with(results, "weight_decay", *runs.TIMES)
    yield Table("times", times.medians(known, "weight_decay"))
    fit = times.fit_power_law(known, "weight_decay")
    yield Table("law", [fit.row])
    yield exponent(fit, known)


def exponent(fit: times.Fit, known: pd.DataFrame) -> Finding:
    """The exponent a of updates ∝ decay^−a."""
    ours = Estimate(fit.law.value, fit.law.low, fit.law.high)
    fitted = known[known["weight_decay"].isin(fit.fitted)]
    return Finding(
        "exponent",
        "updates to generalise go as decay^−a",
        "Omnigrok: a = 1 (another study: 0.76)",
        law_words(ours, fit),
        finding.by_overlap(ours, INVERSE, INVERSE, weaker=ours.low > 0),
        *ours,
        unit="exponent a",
        **runs.size(fitted),
        censored=int(fitted["steps_to_val_99"].isna().sum()),
    )


def law_words(ours: Estimate, fit: times.Fit) -> str:
    """The exponent and the values it was fitted to."""
    if np.isnan(ours.value):
        return "no law: too few values with a delay"
    return f"a = {interval(ours, '.2f')}, from {span(fit.fitted)}"
