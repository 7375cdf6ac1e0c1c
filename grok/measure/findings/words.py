"""Numbers and operations as people write them."""

import re

import numpy as np

from grok.analysis.survival import Estimate

RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def pretty(operation: str) -> str:
    """An expression with raised exponents."""
    return re.sub(r"\^\(?(-?\d+)\)?", lambda match: match[1].translate(RAISED), operation)


def count(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def number(value: float, form: str = ",.3g") -> str:
    """A number in a format, with a minus sign; ∞ and – where it is infinite or unknown."""
    if np.isnan(value):
        return "–"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = format(round(value), ",") if form == ",.3g" and abs(value) >= 1000 else f"{value:{form}}"
    return text.replace("-", "−")


def interval(ours: Estimate, form: str = ",.3g", unit: str = "") -> str:
    """'0.91 [0.81, 1.03]', or the number alone where it has no interval."""
    value = number(ours.value, form) + unit
    if np.isnan(ours.low) or np.isnan(ours.high):
        return value
    return f"{value} [{number(ours.low, form)}, {number(ours.high, form)}]"


def span(values, form: str = ",.3g") -> str:
    """'95 to 98', or one number where all are alike."""
    texts = [number(extreme(values), form) for extreme in (min, max)]
    return texts[0] if texts[0] == texts[1] else " to ".join(texts)


def share(ours: Estimate, happened: int, of: int) -> str:
    """'22 of 61: 36% [25, 49]'."""
    if not of:
        return "none"
    return f"{happened} of {of}: {interval(Estimate(*(100 * x for x in ours)), '.0f', '%')}"
