"""Learned embeddings: how common circles and cosets are, what decay does, what comes first.

It reads the tables that `python -m grok scores` leaves in the results folder. Without them nothing
is tested, and only the clearest networks are known.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from grok.analysis import precedence, survival
from grok.measure.chance import SIGNIFICANT
from grok.measure.findings import circles, cosets, finding, ranking, runs, words
from grok.measure.findings.finding import Finding, Table
from grok.measure.findings.shares import share_rows
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
ADDITION, PRODUCT = "x+y", "x*y"
CLOCK = 0.4  # distance irrelevance from which Zhong et al. find clocks


def find(results) -> Iterator[Finding | Table]:
    yield Table("networks", ranking.ranked(results))
    found = scored(results)
    here, ways = found[found["label"] == ""], found[found["label"] != ""]
    yield Table("scores", score_rows(here))
    seen = circles.circle_table(ways)
    yield Table("circles", share_rows(seen, "label", "circle"))
    able = seen[seen["generalised"]]
    yield Table("circles_by_keys", share_rows(able, "keys", "circle"))
    standing_out = cosets.coset_table(here)
    yield Table("cosets", cosets.coset_rows(standing_out))
    yield from circles.circle_findings(ways, able)
    yield from spectrum_findings(here)
    yield from cosets.coset_findings(here, standing_out)
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
    for key, alike in here[here["score"].isin(SHOWN)].groupby(keys, sort=False):
        mean = survival.mean_or_range(alike["value"])
        controls = alike[["null_low", "null_high", "untrained", "memorised"]].astype(float).mean()
        rows.append(
            dict(zip(keys, key, strict=True))
            | {"networks": len(alike), "generalised": int(alike["generalised"].sum())}
            | {"mean": mean.value, "low": mean.low, "high": mean.high}
            | controls.to_dict()
            | {"values": alike["value"].astype(float).tolist()}
        )
    return rows


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
