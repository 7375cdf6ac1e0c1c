"""Beyond the paper: does a larger initialisation delay generalisation?"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from grok.analysis.survival import Estimate
from grok.measure.findings import finding, runs, times
from grok.measure.findings.finding import Finding, Table
from grok.measure.findings.words import interval, span


def find(results) -> Iterator[Finding | Table]:
    known = runs.runs_with(results, "init_scale", *runs.TIMES)
    yield Table("times", times.medians(known, "init_scale"))
    fit = times.fit_power_law(known, "init_scale")
    yield Table("law", [fit.row])
    yield exponent(fit, known)


def exponent(fit: times.Fit, known: pd.DataFrame) -> Finding:
    """The exponent b of updates ∝ scale^b; a delay by the scale has b above 0."""
    law = fit.law
    ours = Estimate(-law.value, -law.high, -law.low)
    fitted = known[known["init_scale"].isin(fit.fitted)]
    verdict = finding.NOT_TESTED
    if not np.isnan(ours.low):
        verdict = finding.REPRODUCED if ours.low > 0 else finding.NOT_REPRODUCED
    words = "no law: too few values with a delay"
    if not np.isnan(ours.value):
        words = f"updates ∝ scale^{interval(ours, '.2f')}, {span(fit.fitted)}"
    return Finding(
        "exponent",
        "a larger initial scale delays generalisation",
        "Omnigrok, without LayerNorm: it does",
        words,
        verdict,
        *ours,
        unit="exponent of the scale",
        **runs.size(fitted),
        censored=int(fitted["steps_to_val_99"].isna().sum()),
    )
