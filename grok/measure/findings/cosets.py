"""Cosets in the embeddings of groups: how often they stand out, and which irreps lead."""

from collections.abc import Iterator

import pandas as pd

from grok.analysis import survival
from grok.measure.chance import SIGNIFICANT
from grok.measure.findings import finding, runs
from grok.measure.findings.finding import Finding
from grok.measure.findings.shares import counted, network_share

COSET_SCORES = ("coset_z", "tsne_silhouette", "plane1_silhouette")
STANDARD, SIX = ("4+1", "2+1+1+1"), "3+1+1"


def coset_table(here: pd.DataFrame) -> pd.DataFrame:
    """Networks of groups, a row a run and score of COSET_SCORES.

    Columns beside those of `scored`: appear, whether it is beyond its null (p < 0.05).
    """
    found = here[(here["matrix"] == "output") & here["score"].isin(COSET_SCORES)]
    found = found.assign(appear=found["p"] < SIGNIFICANT)
    return found.sort_values(["operation", "structure", "decays", "run"], kind="stable")


def coset_rows(cosets: pd.DataFrame) -> list[dict]:
    """How often cosets stand out, a row a task, decay and score, with Wilson's interval."""
    keys = ["operation", "structure", "decays", "score"]
    return [
        dict(zip(keys, key, strict=True))
        | counted(here["appear"])
        | {"generalised": int(here["generalised"].sum())}
        for key, here in cosets.groupby(keys, sort=False)
    ]


def coset_findings(here: pd.DataFrame, cosets: pd.DataFrame) -> Iterator[Finding]:
    """Clusters of cosets in the networks of S5 with decay, their subgroups, and the irreps."""
    symmetric = cosets[(cosets["structure"] == "S5") & cosets["decays"]]
    for id, score, claim, paper in (
        ("clusters", "tsne_silhouette", "in t-SNE", "for some networks"),
        ("clusters_pca", "plane1_silhouette", "in PCA", "Chughtai et al.: in PCA, not in t-SNE"),
    ):
        shown = symmetric[symmetric["score"] == score]["appear"]
        yield network_share(
            id,
            f"cosets of a subgroup of S5 cluster {claim}",
            paper,
            shown,
            finding.for_some_network(int(shown.sum()), len(shown)),
        )
    chosen = here[(here["structure"] == "S5") & here["decays"] & (here["matrix"] == "output")]
    papers = chosen[chosen["score"] == "best_is_paper"]["value"] > 0
    yield network_share(
        "papers_subgroup",
        "the subgroup is ⟨(0,3)(1,4), (1,2)(3,4)⟩ or a conjugate",
        "order 10, for some networks",
        papers,
        finding.for_some_network(int(papers.sum()), len(papers)),
    )
    yield irreps(chosen[chosen["score"] == "irrep_top"])


def irreps(tops: pd.DataFrame) -> Finding:
    """Which irreducible representation is the strongest in the output layers of S5."""
    counts = tops["detail"].value_counts()
    standard = int(sum(counts.get(name, 0) for name in STANDARD))
    six = int(counts.get(SIX, 0))
    verdict = finding.NOT_TESTED
    if len(tops):
        most = standard > len(tops) / 2
        verdict = finding.IN_PART if most else finding.NOT_REPRODUCED
        verdict = finding.REPRODUCED if most and not six else verdict
    return Finding(
        "irreps",
        "the standard irreps of S5 lead, the 6-dimensional never",
        "Chughtai et al.: so",
        f"standard {standard}, 6-dimensional {six} of {len(tops)}" if len(tops) else "–",
        verdict,
        *survival.wilson_interval(standard, len(tops)),
        unit="share of networks led by a standard irrep",
        **runs.size(tops),
    )
