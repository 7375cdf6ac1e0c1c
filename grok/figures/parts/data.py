"""The line below a picture: what its results are."""

from grok.measure.findings import Findings
from grok.measure.findings.words import count

NO_BREAK = "\N{NO-BREAK SPACE}"


def facts(found: Findings) -> str:
    """Scale, network, runs, seeds, device and precision in a line, and what is missing."""
    head = found.head
    words = [f"{head['scale'].capitalize()} scale"]
    words += ["the paper's network"] if head["network"] == "the paper's" else []
    words += [count(head["planned"], "run"), count(head["seeds"], "seed")]
    words += [device.replace(" ", NO_BREAK) for device in head["device"]]
    words += head["precision"]
    if head["ended"] < head["planned"]:
        words.append(f"cut short: {head['ended']} of {head['planned']} runs ended")
    if head["diverged"]:
        words.append(f"{head['diverged']} diverged")
    return ", ".join(words) + "."
