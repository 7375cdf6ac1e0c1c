"""Circles in the embeddings of x+y, and the key frequencies of the networks that show them."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from grok.analysis.survival import Estimate
from grok.measure.chance import SIGNIFICANT
from grok.measure.findings import finding, runs
from grok.measure.findings.finding import Finding
from grok.measure.findings.shares import network_share

NANDAS_KEYS = 5


def circle_table(ways: pd.DataFrame) -> pd.DataFrame:
    """The networks that were trained to count circles, a row a network.

    Columns: run, seed, label, circle (does t-SNE show one), keys (key frequencies), generalised
    (where it was scored), null (share of permuted tokens that show a circle).
    """
    output = ways[ways["matrix"] == "output"]
    circle, keys = (
        output[output["score"] == name].set_index("run")
        for name in ("tsne_circle", "key_frequencies")
    )
    return pd.DataFrame(
        {
            "seed": circle["seed"],
            "label": circle["label"],
            "circle": circle["value"] > 0,
            "keys": keys["value"].reindex(circle.index).astype(int),
            "generalised": circle["generalised"],
            "null": circle["null_mean"],
        }
    ).reset_index()


def circle_findings(ways: pd.DataFrame, able: pd.DataFrame) -> Iterator[Finding]:
    """Circles in t-SNE and in the planes of the key frequencies, and how many of these there are.

    ways: all scores of the networks that were trained to count. able: those that generalised.
    """
    yield network_share(
        "circle",
        "a circle in the t-SNE of x+y, of those that generalised",
        "for some networks",
        able["circle"],
        finding.for_some_network(int(able["circle"].sum()), len(able)),
    )
    in_plane = ways[(ways["score"] == "plane_angle_error") & (ways["matrix"] == "output")]
    round_plane = in_plane[in_plane["generalised"]]["p"] < SIGNIFICANT
    yield network_share(
        "planes",
        "a circle in the plane of the strongest frequencies",
        "Nanda et al.: circles",
        round_plane,
        finding.by_count(int(round_plane.sum()), len(round_plane)),
    )
    yield key_counts(able)


def key_counts(able: pd.DataFrame) -> Finding:
    """How many key frequencies the networks have that generalised."""
    keys = able["keys"].value_counts().sort_index()
    verdict = finding.NOT_TESTED
    if len(able):
        verdict = finding.IN_PART if NANDAS_KEYS in keys.index else finding.NOT_REPRODUCED
        verdict = finding.REPRODUCED if able["keys"].median() == NANDAS_KEYS else verdict
    counts = ", ".join(str(n) for n in keys)
    return Finding(
        "keys",
        "key frequencies of x+y",
        "Nanda et al.: 5 (mod 113)",
        f"{', '.join(map(str, keys.index))} in {counts} of {len(able)}" if len(able) else "–",
        verdict,
        *Estimate(float(able["keys"].median()) if len(able) else np.nan, np.nan, np.nan),
        unit="key frequencies, median",
        **runs.size(able),
    )
