"""The generated blocks of the pages: what stands between two markers is made from findings.

A block begins with a line `<!-- findings: NAME WORDS -->` and ends with `<!-- end -->`. NAME is one
of BLOCKS; the words are its arguments. Pages hold no other numbers of results.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from grok.experiment import GrokError
from grok.files import disk_errors, replacing
from grok.measure.findings import scoreboard, tables
from grok.measure.findings.registry import Findings
from grok.measure.findings.scoreboard import MARKS, Claim
from grok.measure.findings.words import count

BLOCK = re.compile(r"(<!-- findings: (.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
SECTIONS = {  # experiment -> the heading of its section
    "quickstart": "Figure 1 left",
    "figure1_left": "Figure 1 left",
    "figure1_center": "Figure 1 centre",
    "figure2_left": "Figure 2 left",
    "figure2_right": "Figure 2 right",
    "figure3": "Figure 3",
    "figure6": "Figure 6",
    "figure7": "Figure 7",
    "nanda": "Nanda et al.",
    "networks": "Nanda et al.",
    "embeddings": "Embeddings",
    "encodings": "Encodings",
    "weight_decay": "Weight decay",
    "init_scale": "Initial scale",
    "phase_map": "Phases",
    "precision": "Precision",
    "league_tuning": "The league",
    "league": "The league",
}
IN_SIX = (  # the rows of the front page: what is asked, experiment, claim
    ("Generalises long after memorising (Fig 1 left)", "figure1_left", "late"),
    ("Less data takes far more updates: for each 1% (Fig 1 centre)", "figure1_center", "growth"),
    ("Weight decay halves the data needed (Fig 2 left)", "figure2_left", "halves"),
    ("Symmetric operations need less data (Fig 2 right)", "figure2_right", "symmetric_first"),
    ("A circle in the t-SNE of x+y (Fig 3)", "figure3", "circle"),
    ("Flat minima generalise: correlation with sharpness (Fig 7)", "figure7", "sharpness"),
)


def renew_all(root: Path) -> list[Path]:
    """Renew the blocks of all pages of a folder of results; returns those that changed.

    The front page beside the folder is one of them.
    """
    pages = [root.parent / "README.md", *sorted(root.glob("*.md")), *sorted(root.glob("*/*.md"))]
    return [page for page in pages if page.is_file() and renew(page, root)]


def renew(page: Path, root: Path) -> bool:
    """Write a page with its blocks made anew; returns whether it changed."""
    before = page.read_text(encoding="utf-8")
    after = renewed(before, root)
    if after == before:
        return False
    with disk_errors(page.parent), replacing(page) as side:
        side.write_text(after, encoding="utf-8")
    return True


def renewed(text: str, root: Path) -> str:
    """A page's text with its blocks made anew. Raises GrokError for a block of an unknown name."""
    return BLOCK.sub(lambda found: found[1] + block(found[2], root) + found[3], text)


def block(words: str, root: Path) -> str:
    """The text of a block by its name and arguments."""
    name, *arguments = words.split()
    if name not in BLOCKS:
        raise GrokError(f"there is no block '{name}': choose from {', '.join(BLOCKS)}")
    return BLOCKS[name](root, *arguments)


# --- The blocks ---


def all_claims(root: Path) -> str:
    """The scoreboard; each verdict links to the section of its experiment."""
    lines = []
    for theme, claim in scoreboard.everything(root):
        *cells, verdict = claim.cells
        lines.append([*cells, f"[{verdict}](#{anchor(SECTIONS[theme])})"])
    return scoreboard.markdown(lines)


def anchor(heading: str) -> str:
    """The address of a heading on its page, as GitHub makes it."""
    return heading.lower().replace(" ", "-").replace(".", "")


def in_six(root: Path) -> str:
    """Six claims in a line each, for the front page."""
    lines = []
    for question, theme, id in IN_SIX:
        found = {claim.finding.id: claim for claim in scoreboard.claims(root, theme)}
        if id in found:
            claim = found[id]
            link = f"results/README.md#{anchor(SECTIONS[theme])}"
            mark = f"[{MARKS[claim.finding.verdict]}]({link})"
            lines.append([question, claim.finding.here, claim.scale, mark])
    return scoreboard.markdown(lines, ("The paper", "Here", "Scale, seeds", "Verdict"))


def section(root: Path, theme: str, *pictures: str) -> str:
    """The results of an experiment at each scale: what they are, pictures, claims.

    The pictures are those of the largest complete scale that has them, or else of the largest.
    """
    found = [(folder, scoreboard.current(folder)) for folder in scoreboard.folders_of(root, theme)]
    drawings = {folder: drawing(folder, pictures) for folder, _ in found}
    drawn = [(folder, made) for folder, made in found if drawings[folder]]
    complete = [folder for folder, made in drawn if made.head["complete"]]
    shown = (complete or [folder for folder, _ in drawn])[:1]
    parts = []
    for folder, made in found:
        parts.append(f"*{facts(made)}*\n\n")
        if folder in shown:
            parts.append(drawings[folder])
        cells = [Claim(folder, made, each).cells for each in made.findings.values()]
        lines = [[*line[:3], line[4]] for line in cells]
        parts.append(scoreboard.markdown(lines, ("Claim", "Paper", "Here", "Verdict")) + "\n")
    return "".join(parts)


def drawing(folder: Path, names: Iterable[str]) -> str:
    """Those of some pictures that a folder has, as Markdown."""
    return "".join(picture(folder, name) for name in names)


def facts(made: Findings) -> str:
    """A folder of results in a line: scale, network, runs, seeds, device, commit, what lacks."""
    head = made.head
    words = [f"[`{head['experiment']}`]({head['experiment']}/experiment.json)"]
    network = ", the paper's network" if head["network"] == "the paper's" else ""
    words.append(f"{head['scale']} scale{network}")
    words.append(f"{count(head['planned'], 'run')}, {count(head['seeds'], 'seed')}")
    words.append(", ".join([*head["device"], *head["precision"]]))
    words.append("commit " + ", ".join(commit[:7] for commit in head["commit"]))
    if head["ended"] < head["planned"]:
        words.append(f"cut short: {head['ended']} of {head['planned']} runs ended")
    return "; ".join(words)


def picture(folder: Path, name: str) -> str:
    """A picture of a results folder, where it has been drawn."""
    if not (folder / f"{name}.png").exists():
        return ""
    return f"![{name}]({folder.name}/{name}.png)\n\n"


def claims(root: Path, theme: str) -> str:
    """The claims of one experiment, as the scoreboard has them."""
    return scoreboard.markdown([claim.cells for claim in scoreboard.claims(root, theme)])


BLOCKS: dict[str, Callable[..., str]] = {
    "scoreboard": all_claims,
    "six": in_six,
    "section": section,
    "claims": claims,
    "times": tables.encoding_times,
    "scores": tables.scores,
    "circles": tables.circles,
    "cosets": tables.cosets,
    "precedence": tables.precedence,
    "standings": tables.standings,
    "skipgrams": tables.skipgrams,
    "bench": tables.bench,
    "profile": tables.profile,
    "beside": tables.beside,
}
