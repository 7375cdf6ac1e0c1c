"""The scoreboard: one row a claim, from the largest complete scale at which it was tested."""

import dataclasses
import sys
from pathlib import Path
from typing import NamedTuple

from grok.experiment import SCALES
from grok.measure.findings import registry
from grok.measure.findings.finding import NOT_TESTED, VERDICTS, Finding
from grok.measure.findings.registry import Findings
from grok.measure.findings.words import count

HEAD = ("Claim", "Paper", "Here [95%]", "Scale, seeds", "Verdict")
SO_FAR = "↳ the paper's network, so far"
MARKS = dict(zip(VERDICTS, ("✓", "partly", "✗", "–")))


class Claim(NamedTuple):
    """A finding and the results folder that it is of."""

    folder: Path
    made: Findings
    finding: Finding

    @property
    def cells(self) -> list[str]:
        found = self.finding
        return [found.claim, found.paper or "–", found.here, self.scale, found.verdict]

    @property
    def tested(self) -> bool:
        return self.finding.verdict != NOT_TESTED

    @property
    def is_papers(self) -> bool:
        return self.made.head["network"] == "the paper's"

    @property
    def scale(self) -> str:
        """Scale, network, seeds (or networks counted), and whether the results are cut short."""
        head, found = self.made.head, self.finding
        words = [head["scale"]]
        words += ["paper's network"] if self.is_papers else []
        is_count = found.unit.startswith("share of networks")
        words.append(count(found.runs, "network") if is_count else count(found.seeds, "seed"))
        words += [] if head["complete"] else ["cut short"]
        return ", ".join(words)


def folders_of(root: Path, theme: str) -> list[Path]:
    """The results of an experiment at each scale, the largest first."""
    names = [theme if scale == "small" else f"{theme}_{scale}" for scale in SCALES]
    return [root / name for name in reversed(names) if has_tables(root / name)]


def has_tables(folder: Path) -> bool:
    """Whether a folder holds results; one whose training has only just begun holds none."""
    return any((part / "runs.parquet").exists() for part in (folder, *folder.glob("part-*")))


def current(folder: Path) -> Findings:
    """The findings of a folder, made current; says so where that takes a computation."""
    kept = registry.read(folder)
    if kept is None or kept[1] != registry.mark_of(folder):
        print(f"computing the findings of {folder}", file=sys.stderr, flush=True)
    return registry.refresh(folder)


def claims(root: Path, theme: str) -> list[Claim]:
    """The claims of an experiment, each from the folder that decides it."""
    return [deciding(found) for found in at_all_scales(root, theme)]


def at_all_scales(root: Path, theme: str) -> list[list[Claim]]:
    """Each claim of an experiment at every scale at which it was asked, the largest first."""
    made = [(folder, current(folder)) for folder in folders_of(root, theme)]
    by_id: dict[str, list[Claim]] = {}
    for folder, found in made:
        for id in found.findings:
            by_id.setdefault(id, []).append(Claim(folder, found, found[id]))
    return list(by_id.values())


def deciding(found: list[Claim]) -> Claim:
    """Of one claim at several scales, the largest first, the one that counts.

    It is the largest that is complete and was tested there, or else the largest that was tested, or
    else the largest that is complete, or else the first.
    """
    tested = [claim for claim in found if claim.tested]
    complete = [claim for claim in found if claim.made.head["complete"]]
    both = [claim for claim in tested if claim in complete]
    return (both or tested or complete or found)[0]


def told(found: list[Claim]) -> list[Claim]:
    """The claim that counts, and below it what the paper's network has shown, where that is cut."""
    counts = deciding(found)
    papers = [claim for claim in found if claim.is_papers and claim.finding.runs]
    if counts.is_papers or not papers:
        return [counts]
    so_far = dataclasses.replace(papers[0].finding, claim=SO_FAR)
    return [counts, papers[0]._replace(finding=so_far)]


def everything(root: Path) -> list[tuple[str, Claim]]:
    """All claims with the experiment of each, in the order of the scoreboard."""
    return [
        (theme, claim)
        for theme in registry.THEMES
        for found in at_all_scales(root, theme)
        for claim in told(found)
    ]


def markdown(lines: list[list[str]], head=HEAD) -> str:
    """A table in Markdown."""
    rows = [list(head), ["---"] * len(head), *lines]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
