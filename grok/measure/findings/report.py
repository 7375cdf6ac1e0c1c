"""`python -m grok findings`: verdicts in the terminal, and the pages that tell them."""

from pathlib import Path

import pandas as pd

from grok.experiment import GrokError
from grok.measure.findings import pages, scoreboard
from grok.measure.findings.registry import Findings
from grok.measure.findings.scoreboard import has_tables


def make(folder: Path | None, root: Path) -> str:
    """Renew the findings of a folder, or of all folders of `root`, and the pages; in words."""
    folders = [folder] if folder else described(root)
    if not folders:
        raise GrokError(f"{root} holds no results: train them with python -m grok train")
    parts = [f"{each}\n{table(scoreboard.current(each))}" for each in folders]
    changed = pages.renew_all(folders[0].parent if folder else root)
    return "\n\n".join([*parts, *(f"renewed: {page}" for page in changed)])


def described(root: Path) -> list[Path]:
    """The folders of `root` that hold results."""
    return sorted(folder for folder in root.glob("*/") if has_tables(folder))


def table(found: Findings) -> str:
    """Claims with their numbers and verdicts; where there are none, times or whatever tables."""
    if found.findings:
        rows = [
            {"claim": each.claim, "paper": each.paper, "here": each.here, "verdict": each.verdict}
            for each in found.findings.values()
        ]
        return pd.DataFrame(rows).to_string(index=False)
    if "times" not in found.tables:
        return f"no claims; tables: {', '.join(found.tables) or 'none'}"
    times = found.table("times", "split", "group", "median", "low", "high", "runs", "censored")
    return times.to_string(index=False, float_format="{:,.0f}".format, na_rep="not reached")
