"""Figure 3: do output layers show the number line of x+y and the cosets of S5?"""

from collections.abc import Iterator

import pandas as pd

from grok.analysis import groups, survival
from grok.analysis.projection import coordinates
from grok.measure import chance, cyclic_scores, group_scores
from grok.measure.findings import finding, ranking, words
from grok.measure.findings.finding import Finding, Table
from grok.measure.findings.ranking import Network

PAPER_STEP = 8  # n joined to n + 8


def find(results) -> Iterator[Finding | Table]:
    rows = ranking.ranked(results, pictured)
    yield Table("networks", rows)
    able = [row for row in rows if row["rank"]]
    rings = [row for row in able if "circle" in row and row["operation"] == "x+y"]
    symmetric = [row for row in able if row["structure"] == "S5"]
    yield some(
        "circle",
        "a circle in the t-SNE of x+y",
        "for some networks",
        [row["circle"] for row in rings],
    )
    yield some(
        "step",
        "joining n to n + 8 is a short line in that t-SNE",
        "for some networks",
        [PAPER_STEP in (row["step_of_line"], row["n"] - row["step_of_line"]) for row in rings],
    )
    yield some(
        "cosets",
        "cosets of a subgroup of S5 cluster in t-SNE",
        "for some networks",
        [row["cluster"] for row in symmetric],
    )
    yield some(
        "papers_subgroup",
        "the subgroup is ⟨(0,3)(1,4), (1,2)(3,4)⟩ or a conjugate",
        "order 10, for some networks",
        [row["is_papers"] for row in symmetric],
    )


def some(id: str, claim: str, paper: str, shown: list[bool]) -> Finding:
    """In what share of the networks something is shown, with Wilson's interval."""
    ours = survival.wilson_interval(sum(shown), len(shown))
    return Finding(
        id,
        claim,
        paper,
        words.share(ours, sum(shown), len(shown)),
        finding.for_some_network(sum(shown), len(shown)),
        *ours,
        unit="share of networks",
        runs=len(shown),
        seeds=len(shown),
    )


def pictured(seen: Network, row: dict) -> dict:
    """What the t-SNE of a network shows beyond chance."""
    points = coordinates(seen.W)
    if seen.group.is_ring:
        _, _, circle = cyclic_scores.picture_scores(points)
        return {"n": seen.group.order, "circle": bool(circle.value > 0)}
    test = groups.coset_test(seen.W, seen.group, chance.DRAWS)
    silhouette = group_scores.silhouette_score_of(
        "tsne_silhouette", points, seen.group, test, chance.DRAWS
    )
    p = chance.null_summary(silhouette)[-1]
    shown = {"cluster": bool(p < chance.SIGNIFICANT), "is_papers": False}
    return shown | (papers(test.scores, seen, row) if seen.group.name == "S5" else {})


def papers(scores: pd.DataFrame, seen: Network, row: dict) -> dict:
    """Of the paper's subgroup and its conjugates the one that fits best, and whether it is best.

    scores: a row a subgroup and side (`groups.coset_test`).
    """
    members = groups.subgroups(seen.group)
    alike = [i for i, each in enumerate(members) if groups.is_figure_3_subgroup(seen.group, each)]
    best = groups.best_subgroup(scores[scores["subgroup"].isin(alike)])
    return {
        "is_papers": row["subgroup"] in alike,
        "papers_subgroup": int(best.subgroup),
        "papers_side": best.side,
        "papers_z": float(best.z),
    }
