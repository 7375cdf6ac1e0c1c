"""How many networks show something: rows of tables, and a finding."""

import pandas as pd

from grok.analysis import survival
from grok.measure.findings import words
from grok.measure.findings.finding import Finding


def counted(happened: pd.Series) -> dict:
    """How often something happened, with Wilson's interval of the share."""
    share = survival.wilson_interval(int(happened.sum()), len(happened))
    return {
        "happened": int(happened.sum()),
        "networks": len(happened),
        "share": share.value,
        "low": share.low,
        "high": share.high,
    }


def share_rows(table: pd.DataFrame, by: str, what: str) -> list[dict]:
    """How many networks show something, a row a value of `by`, with Wilson's interval."""
    return [
        {by: value} | counted(here[what]) | {"generalised": int(here["generalised"].sum())}
        for value, here in table.groupby(by, sort=False)
    ]


def network_share(id, claim, paper, shown: pd.Series, verdict: str) -> Finding:
    """A finding that counts networks."""
    ours = survival.wilson_interval(int(shown.sum()), len(shown))
    return Finding(
        id,
        claim,
        paper,
        words.share(ours, int(shown.sum()), len(shown)),
        verdict,
        *ours,
        unit="share of networks",
        runs=len(shown),
        seeds=len(shown),
    )
