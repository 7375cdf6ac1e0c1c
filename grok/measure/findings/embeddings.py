"""Learned embeddings: how common circles and cosets are, what decay does, what comes first.

It reads the tables that `python -m grok scores` leaves in the results folder. Without them nothing
is tested, and only the clearest networks are known.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from grok.analysis import precedence, survival
from grok.analysis.survival import Estimate
from grok.measure.chance import SIGNIFICANT
from grok.measure.findings import finding, ranking, runs, words
from grok.measure.findings.finding import Finding, Table
from grok.store.outcomes import THRESHOLD

SCORES, EQUIVARIANCE = "scores.parquet", "equivariance.parquet"
SCORE_COLUMNS = (
    "run",
    "matrix",
    "score",
    "val_accuracy",
    "value",
    "null_mean",
    "null_low",
    "null_high",
    "p",
    "untrained",
    "memorised",
    "detail",
)
CURVE_COLUMNS = ("run", "step", "operand", "error", "val_accuracy")
SHOWN = (  # the scores that figure and page tell
    "gini",
    "log_gini",
    "key_frequencies",
    "log_key_frequencies",
    "circulant_cosine",
    "log_circulant_cosine",
    "tsne_number_line",
    "residues",
    "effective_rank",
    "longest_loop",
    "equivariance_x",
    "distance_irrelevance",
    "gradient_symmetricity",
    "plane_angle_error",
    "log_plane_angle_error",
    "analogy_key_rotation_cosine",
    "analogy_raw_additive_cosine",
    "irrep_top",
    "coset_z",
    "tsne_silhouette",
)
COSET_SCORES = ("coset_z", "tsne_silhouette", "plane1_silhouette")
ADDITION, PRODUCT = "x+y", "x*y"
NANDAS_KEYS = 5
CLOCK = 0.4  # distance irrelevance from which Zhong et al. find clocks
STANDARD, SIX = ("4+1", "2+1+1+1"), "3+1+1"


def find(results) -> Iterator[Finding | Table]:
    yield Table("networks", ranking.ranked(results))
    found = scored(results)
    here, ways = found[found["label"] == ""], found[found["label"] != ""]
    yield Table("scores", score_rows(here))
    circles = circle_table(ways)
    yield Table("circles", share_rows(circles, "label", "circle"))
    able = circles[circles["generalised"]]
    yield Table("circles_by_keys", share_rows(able, "keys", "circle"))
    cosets = coset_table(here)
    yield Table("cosets", coset_rows(cosets))
    yield from circle_findings(ways, able)
    yield from spectrum_findings(here)
    yield from coset_findings(here, cosets)
    yield from symmetry_findings(results)


def scored(results) -> pd.DataFrame:
    """Scores of output layers and of the function, a row a run and score, beside its run.

    val_accuracy is that of the update at which the run was scored.
    """
    scores = runs.beside(results, SCORES, *SCORE_COLUMNS)
    fields = ["run", "label", "operation", "structure", "weight_decay", "seed"]
    known = runs.runs_with(results, *fields)[fields]
    found = scores[scores["matrix"] != "input"].merge(known, on="run")
    return found.assign(
        decays=found["weight_decay"] > 0, generalised=found["val_accuracy"] >= THRESHOLD
    )


def score_rows(here: pd.DataFrame) -> list[dict]:
    """A row a task, decay and score: mean with its interval or range, the null's mean range."""
    rows = []
    keys = ["operation", "structure", "decays", "matrix", "score"]
    for key, group in here[here["score"].isin(SHOWN)].groupby(keys, sort=False):
        mean = survival.mean_or_range(group["value"])
        controls = group[["null_low", "null_high", "untrained", "memorised"]].astype(float).mean()
        rows.append(
            dict(zip(keys, key, strict=True))
            | {"networks": len(group), "generalised": int(group["generalised"].sum())}
            | {"mean": mean.value, "low": mean.low, "high": mean.high}
            | controls.to_dict()
            | {"values": group["value"].astype(float).tolist()}
        )
    return rows


# --- Circles ---


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


def share_rows(table: pd.DataFrame, by: str, what: str) -> list[dict]:
    """How many networks show something, a row a value of `by`, with Wilson's interval."""
    return [
        {by: value} | counted(here[what]) | {"generalised": int(here["generalised"].sum())}
        for value, here in table.groupby(by, sort=False)
    ]


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


# --- Spectra ---


def of_task(here: pd.DataFrame, operation: str, decays: bool, score: str) -> pd.DataFrame:
    """The output layers' values of a score, of the networks of a task with or without decay."""
    chosen = (here["operation"] == operation) & (here["decays"] == decays)
    return here[chosen & (here["score"] == score) & (here["matrix"] != "input")]


def spectrum_findings(here: pd.DataFrame) -> Iterator[Finding]:
    """What the spectra of the output layers show, with decay and without."""
    yield clearer_with_decay(here)
    yield logarithms_of_products(here)
    yield clocks(here)


def clearer_with_decay(here: pd.DataFrame) -> Finding:
    """Decay makes the spectrum of x+y clearer."""
    values = [of_task(here, ADDITION, decays, "gini") for decays in (True, False)]
    clear, plain = (survival.mean_or_range(each["value"]) for each in values)
    verdict = finding.NOT_TESTED
    if not np.isnan(clear.low) and not np.isnan(plain.high):
        verdict = finding.REPRODUCED if clear.low > plain.high else finding.IN_PART
        verdict = verdict if clear.value > plain.value else finding.NOT_REPRODUCED
    both = pd.concat(values)
    return Finding(
        "clearer",
        "structure is clearer with weight decay",
        "clearer with decay",
        f"Gini of x+y {words.number(clear.value, '.2f')}, without {words.interval(plain, '.2f')}",
        verdict,
        *clear,
        unit="Gini coefficient with decay",
        **runs.size(both),
    )


def logarithms_of_products(here: pd.DataFrame) -> Finding:
    """Products stand on the axis of logarithms."""
    log, additive = (of_task(here, PRODUCT, True, name) for name in ("log_gini", "gini"))
    both_axes = log.merge(additive, on="run", suffixes=("_log", ""))  # where both were scored
    larger = both_axes["value_log"] > both_axes["value"]
    means = [words.number(each["value"].mean(), ".2f") for each in (log, additive)]
    return Finding(
        "axis",
        "x·y has its Gini on logarithms, not on residues",
        "another study: 0.58 and 0.07",
        f"{means[0]} and {means[1]}" if len(log) else "–",
        finding.by_seeds(finding.by_count(int(larger.sum()), len(larger)), len(larger)),
        *survival.mean_or_range(log["value"]),
        unit="Gini coefficient on logarithms",
        **runs.size(log),
    )


def clocks(here: pd.DataFrame) -> Finding:
    """Sums are computed on clocks, not on pizzas (Zhong et al.)."""
    q = of_task(here, ADDITION, True, "distance_irrelevance")["value"]
    return Finding(
        "clock",
        "networks of x+y are clocks (q above 0.4)",
        "Zhong et al.: clock 0.4 to 1, pizza below",
        f"q {words.interval(survival.mean_or_range(q), '.2f')}" if len(q) else "–",
        finding.by_seeds(finding.by_count(int((q > CLOCK).sum()), len(q)), len(q)),
        *survival.mean_or_range(q),
        unit="distance irrelevance q",
        runs=len(q),
        seeds=len(q),
    )


# --- Cosets ---


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


# --- What comes first ---


def symmetry_findings(results) -> Iterator[Finding | Table]:
    """Whether the equivariance error halves before validation passes 50%, networks with decay."""
    curves = runs.beside(results, EQUIVARIANCE, *CURVE_COLUMNS)
    fields = ["run", "operation", "structure", "weight_decay"]
    curves = curves.merge(runs.runs_with(results, *fields)[fields], on="run")
    curves = precedence.followed(curves[curves["weight_decay"] > 0])
    rows = [
        {"operation": operation, "structure": name} | came_first(here)
        for operation, name, here in runs.tasks(curves)
    ]
    yield Table("precedence", rows)
    all_ = came_first(curves)
    verdict = finding.NOT_TESTED
    if all_["decided"]:
        most = all_["before"] > all_["decided"] / 2
        verdict = finding.IN_PART if most else finding.NOT_REPRODUCED
        verdict = finding.REPRODUCED if most and all_["p"] < SIGNIFICANT else verdict
    here = f"first in {all_['before']} of {all_['decided']}, p = {all_['p']:.2g}"
    yield Finding(
        "symmetry_first",
        "the function is symmetric before it generalises",
        "",
        here if all_["decided"] else "–",
        verdict,
        *survival.wilson_interval(all_["before"], all_["decided"]),
        unit="share of networks in which it is",
        runs=all_["decided"],
        seeds=all_["decided"],
    )


def came_first(curves: pd.DataFrame) -> dict:
    """Of several networks: in how many the error halves first, of those decided, and p."""
    if curves.empty:
        return {"before": 0, "decided": 0, "p": np.nan}
    times = precedence.halfway_times(curves)
    first = times.groupby("run")[["error_halved_at", "val_50_at"]].mean()
    found = precedence.precedence(first["error_halved_at"], first["val_50_at"])
    return {
        "before": found.before,
        "decided": found.decided,
        "p": found.p_value,
        "ratio": found.ratio.value,
        "low": found.ratio.low,
        "high": found.ratio.high,
    }
