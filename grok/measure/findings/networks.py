"""What networks of Nanda et al. (2023) compute, where `grok mechanism` has measured their weights.

The theme of the networks whose weights come with the repository (configs/networks.py).
"""

from collections.abc import Iterator

import numpy as np

from grok.measure.findings import experiment, finding, runs
from grok.measure.findings.finding import Finding, Table
from grok.measure.findings.words import count, number, span

LABEL = "Nanda et al."  # their network among others, see configs/networks.py
ORDERED = ("cleaned", "restricted_fell", "excluded_rose", "val_rose")
PHASES = {"memorised": 1_400, "formed": 9_400, "cleaned": 14_000}  # where each ends, in updates
FACTOR = 2.0  # within which an update of a phase counts as theirs
NEURONS, EXPLAINED = 0.75, 0.9  # of 433/512 and 95%, what a network must reach


def find(results) -> Iterator[Finding | Table]:
    yield from experiment.find(results)
    yield from computes(results, LABEL)


def computes(results, label: str | None = None) -> Iterator[Finding]:
    """Neurons of one frequency, logits explained, the phases, and what comes before what.

    label: that of the runs that count, or None for all. Nothing where nothing has been measured.
    """
    names = "run", "step", "measure", "part", "value"
    table = runs.beside(results, "mechanism.parquet", *names)
    phases = runs.beside(results, "phases.parquet", "run", "memorised", "formed", *ORDERED)
    if table.empty:
        return
    if label is not None:
        theirs = results.runs.loc[results.runs["label"] == label, "run"]
        table, phases = table[table["run"].isin(theirs)], phases[phases["run"].isin(theirs)]
    best = table[table["step"] == table["run"].map(best_steps(table))]
    neurons, explained = (
        best.loc[best["measure"] == name, "value"].to_numpy(float)
        for name in ("neurons_of_one_part", "logits_explained")
    )
    claim = "neurons with over 85% of their variance in one frequency"
    yield shares("neurons", claim, "433 of 512, 85%", neurons, NEURONS)
    claim = "variance of the logits in the key directions"
    yield shares("logits", claim, "95%", explained, EXPLAINED)
    yield phase_times(phases)
    for column, words in (
        ("restricted_fell", "the restricted loss falls before validation rises"),
        ("excluded_rose", "the excluded loss rises before validation rises"),
    ):
        yield comes_before(phases, column, words)


def best_steps(table) -> dict[int, int]:
    """The update of each run's best kept moment, at which ablations were measured."""
    measured = table[table["measure"] == "loss_val"]
    return dict(zip(measured["run"], measured["step"]))


def shares(id: str, claim: str, theirs: str, values, least: float) -> Finding:
    """Whether every network's share is at least `least`."""
    here = "not measured: grok mechanism needs the weights"
    if len(values):
        words = span([100 * value for value in values])
        here = f"{words}% in {count(len(values), 'network')}"
    verdict = finding.by_count(int((values >= least).sum()), len(values))
    return Finding(
        id,
        claim,
        f"Nanda et al.: {theirs}",
        here,
        finding.by_seeds(verdict, len(values)),
        float(np.median(values)) if len(values) else np.nan,
        unit="share, median",
        runs=len(values),
        seeds=len(values),
    )


def phase_times(phases) -> Finding:
    """Where the phases end, of the networks that were followed and came to the end of clean-up."""
    known = phases[list(PHASES)].astype(float).dropna()
    known = known[known["memorised"] < known["cleaned"]]
    here, verdict = "not measured", finding.NOT_TESTED
    if len(known):
        medians = known.median()
        here = ", ".join(number(medians[name]) for name in PHASES)
        near = [1 / FACTOR <= medians[name] / theirs <= FACTOR for name, theirs in PHASES.items()]
        in_order = bool((known["memorised"] < known["formed"]).all())
        verdict = finding.by_count(sum(near), len(near)) if in_order else finding.NOT_REPRODUCED
    return Finding(
        "phases",
        "memorisation, circuit formation and clean-up end",
        "Nanda et al.: at 1,400, 9,400 and 14,000 updates",
        here,
        finding.by_seeds(verdict, len(known)),
        unit="updates",
        runs=len(known),
        seeds=len(known),
    )


def comes_before(phases, column: str, words: str) -> Finding:
    """Whether something happens before validation accuracy passes 50%, in networks followed."""
    known = phases[[column, "memorised", "val_rose"]].astype(float).dropna()
    known = known[known["memorised"] < known["val_rose"]]  # a network kept at its end has no course
    earlier = int((known[column] < known["val_rose"]).sum())
    here = f"in {earlier} of {count(len(known), 'network')}" if len(known) else "not measured"
    return Finding(
        column,
        words,
        "Nanda et al.: both do",
        here,
        finding.by_seeds(finding.by_count(earlier, len(known)), len(known)),
        unit="networks",
        runs=len(known),
        seeds=len(known),
    )
