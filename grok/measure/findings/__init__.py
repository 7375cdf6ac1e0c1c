"""What an experiment shows, decided once: `python -m grok findings [FOLDER]`.

A theme is the module of this package that is named like an experiment. Its `find(results)` yields
findings, each a claim with a verdict that a rule in code has reached, and tables of the numbers
behind them. They stand in results/<experiment>/findings.json. Figures and pages read that file and
decide nothing themselves. The files are made anew where results or code have changed.
"""

from grok.analysis.survival import Estimate
from grok.measure.findings.finding import VERDICTS, Finding, Table
from grok.measure.findings.registry import Findings, compute, of, refresh, theme_of

__all__ = [
    "VERDICTS",
    "Estimate",
    "Finding",
    "Findings",
    "Table",
    "compute",
    "of",
    "refresh",
    "theme_of",
]
