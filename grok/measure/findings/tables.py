"""Tables of numbers on the pages of embeddings and encodings, of skip-gram, and of speed."""

import json
from pathlib import Path
from statistics import median

import numpy as np

from grok.analysis.survival import Estimate
from grok.measure.findings import scoreboard
from grok.measure.findings.encodings import POSITIONS
from grok.measure.findings.words import count, interval, number, pretty, share
from grok.store import results

BENCH = {  # key -> what it is, format
    "single_ms": ("ms an update, one run", "{:.3g}"),
    "sweep_ms_per_run": ("ms a run-update, sweep", "{:.3g}"),
    "slots": ("slots", "{}"),
    "floor_ms": ("floor, ms", "{:.3g}"),
    "sweep_over_floor": ("sweep over floor", "{:.2f}"),
    "matmul_gflops": ("GFLOP/s of products", "{:,.0f}"),
    "peak_memory_mb": ("peak memory, MB", "{:,.0f}"),
}
REFERENCE = "PyTorch, float32"
GOALS = {  # a timing of tests/beside_pytorch.py -> the most that it may take of the reference's
    "one run, float32": 0.31,
    "a sweep, float32": 0.27,
    "a sweep, bf16": 0.21,
}
STANDINGS = (
    "task",
    "method",
    "first",
    "lasting",
    "ratio, first",
    "ratio, lasting",
    "p, first",
    "p, lasting",
    "get there",
    "fall back",
    "gradients an update",
    "time an update",
    "donor",
)
SCORES = {  # score -> what it is, format
    "gini": ("Gini on residues", ".2f"),
    "log_gini": ("Gini on discrete logarithms", ".2f"),
    "key_frequencies": ("key frequencies, residues", ".1f"),
    "log_key_frequencies": ("key frequencies, logarithms", ".1f"),
    "plane_angle_error": ("degrees off the circle, residues", ".0f"),
    "log_plane_angle_error": ("degrees off the circle, logarithms", ".0f"),
    "circulant_cosine": ("circulant share of cosines, residues", ".2f"),
    "log_circulant_cosine": ("circulant share of cosines, logarithms", ".2f"),
    "residues": ("moduli k ≤ 29 readable", ".1f"),
    "effective_rank": ("effective rank", ".1f"),
    "longest_loop": ("longest loop (persistent homology)", ".2f"),
    "equivariance_x": ("equivariance error of the function", ".2f"),
    "distance_irrelevance": ("distance irrelevance q", ".2f"),
    "gradient_symmetricity": ("gradient symmetricity", ".2f"),
    "analogy_key_rotation_cosine": ("analogies by rotation in key planes", ".3f"),
    "analogy_raw_additive_cosine": ("analogies by differences of rows", ".3f"),
    "irrep_top": ("share of the top irrep", ".2f"),
    "coset_z": ("z of the best cosets", ".0f"),
    "tsne_silhouette": ("silhouette of those cosets in t-SNE", ".2f"),
}


def with_rows(root: Path, theme: str, table: str, scale: str = "") -> list[dict]:
    """A table of an experiment at a scale, or at the largest complete one at which it has rows."""
    made = [scoreboard.current(folder) for folder in scoreboard.folders_of(root, theme)]
    for found in sorted(made, key=lambda found: not found.head["complete"]):
        if found.tables[table] and scale in ("", found.head["scale"]):
            return found.tables[table]
    return []


# --- Encodings ---


def encoding_times(root: Path, theme: str) -> str:
    """Updates to 99%: a row a value and position encoding, a column a task and decay."""
    rows = with_rows(root, theme, "times")
    rows = sorted(rows, key=lambda row: row["weight_decay"] == 0)  # with decay first
    heads = list(dict.fromkeys(map(task_words, rows)))
    cells = {(row["encoding"], row["positions"], task_words(row)): time_cell(row) for row in rows}
    lines = []
    for encoding in dict.fromkeys(row["encoding"] for row in rows):
        for positions in POSITIONS:
            found = [cells.get((encoding, positions, head)) for head in heads]
            if any(found):
                lines.append([encoding, positions, *(cell or "–" for cell in found)])
    return scoreboard.markdown(lines, ("elements", "positions", *heads))


def task_words(row: dict) -> str:
    decay = f"decay {row['weight_decay']:g}" if row["weight_decay"] else "no decay"
    return f"{pretty(row['operation'])} {row['structure']}, {decay}"


def time_cell(row: dict) -> str:
    """A row of times in a few characters: median [interval] (runs that got there / runs)."""
    got_there = row["runs"] - row["never"]
    reached = f"({got_there}/{row['runs']})"
    if np.isnan(row["median"]):
        return f"median never {reached}" if got_there else f"never {reached}"
    return f"{interval(Estimate(row['median'], row['low'], row['high']))} {reached}"


# --- Embeddings ---


def scores(root: Path, theme: str, scale: str = "") -> str:
    """Scores with and without decay, a row a score and task."""
    rows = with_rows(root, theme, "scores", scale)
    lines = []
    for name, (words, form) in SCORES.items():
        for task in dict.fromkeys((row["operation"], row["structure"]) for row in rows):
            of = {
                row["decays"]: row
                for row in rows
                if row["score"] == name and (row["operation"], row["structure"]) == task
            }
            if of:
                lines.append([words, pretty(task[0]), *score_cells(of, form)])
    head = ("score", "task", "with decay", "without", "null", "untrained")
    return scoreboard.markdown(lines, head)


def score_cells(of: dict[bool, dict], form: str) -> list[str]:
    """With decay, without, the null's range, untrained."""
    cells = [
        interval(Estimate(of[decays]["mean"], of[decays]["low"], of[decays]["high"]), form)
        if decays in of
        else "–"
        for decays in (True, False)
    ]
    row = of[True] if True in of else of[False]
    null = f"{number(row['null_low'], form)} to {number(row['null_high'], form)}"
    return [*cells, null, number(row["untrained"], form)]


def circles(root: Path, theme: str) -> str:
    """How many networks show a circle: a row a way to train, and a row a number of keys."""
    ways = [
        [row["label"], f"{row['generalised']} of {row['networks']}", share_cell(row)]
        for row in with_rows(root, theme, "circles")
    ]
    keys = [
        [count(row["keys"], "key frequency").replace("ys", "ies"), "all", share_cell(row)]
        for row in sorted(with_rows(root, theme, "circles_by_keys"), key=lambda row: row["keys"])
    ]
    return scoreboard.markdown(ways + keys, ("networks", "generalised", "with a circle"))


def share_cell(row: dict) -> str:
    ours = Estimate(row["share"], row["low"], row["high"])
    return share(ours, row["happened"], row["networks"])


def cosets(root: Path, theme: str) -> str:
    """How many networks show cosets in their rows and pictures."""
    names = {
        "coset_z": "in the rows",
        "tsne_silhouette": "clusters in t-SNE",
        "plane1_silhouette": "clusters in PCA",
    }
    lines = [
        [
            f"{pretty(row['operation'])} {row['structure']}",
            "with decay" if row["decays"] else "without",
            names[row["score"]],
            share_cell(row),
        ]
        for row in with_rows(root, theme, "cosets")
    ]
    return scoreboard.markdown(lines, ("task", "decay", "best cosets beyond chance", "networks"))


def precedence(root: Path, theme: str) -> str:
    """In how many networks the equivariance error halves before validation passes 50%."""
    lines = [
        [
            f"{pretty(row['operation'])} {row['structure']}",
            f"{row['before']} of {row['decided']}",
            interval(Estimate(row["ratio"], row["low"], row["high"])),
        ]
        for row in with_rows(root, theme, "precedence")
    ]
    head = ("task", "symmetric first", "update of half accuracy over that of half the error")
    return scoreboard.markdown(lines, head)


# --- The league ---


def standings(root: Path, theme: str, scale: str = "") -> str:
    """A row a task and method: both ratios to AdamW, who gets there and falls back, the cost.

    donor: updates of the network that lent its table, which all times include.
    """
    rows = in_order(with_rows(root, theme, "standings", scale))
    ms = {row["task"]: row["ms"] for row in rows if row["method"] == "AdamW"}
    lines = [
        [
            row["task"],
            row["method"],
            median_cell(row, "first"),
            median_cell(row, "lasting"),
            ratio_cell(row, "first"),
            ratio_cell(row, "lasting"),
            number(row["p_first"], ".2g"),
            number(row["p_lasting"], ".2g"),
            f"{row['lasting_reached']} of {row['runs']}",
            str(row["fell"]),
            str(row["gradients"]),
            number(row["ms"] / ms.get(row["task"], np.nan), ".2f"),
            number(row["donor"] or np.nan, ",.0f"),
        ]
        for row in rows
    ]
    return scoreboard.markdown(lines, STANDINGS)


def in_order(rows: list[dict]) -> list[dict]:
    """Rows task by task; in each AdamW first, and the others in the order of the first task."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    methods = list(dict.fromkeys(["AdamW", *(row["method"] for row in rows)]))
    return sorted(rows, key=lambda row: (tasks.index(row["task"]), methods.index(row["method"])))


def median_cell(row: dict, which: str) -> str:
    return interval(Estimate(*(row[f"{which}_{name}"] for name in Estimate._fields)))


def ratio_cell(row: dict, which: str) -> str:
    found = Estimate(*(row[f"ratio_{which}_{name}"] for name in Estimate._fields))
    if found.value == 0:
        return "below 1: AdamW has no median"
    if np.isnan(found.value):
        return "–"
    return interval(found, ".2f")


# --- Skip-gram ---


def skipgrams(root: Path) -> str:
    """The folders of skip-gram vectors: task, equations read, width."""
    lines = []
    for folder in sorted(root.glob("skipgram_*")):
        run = results.load(folder).runs.iloc[0]
        task = f"{pretty(run['operation'])} over {run['structure']}"
        link = f"[{folder.name}]({folder.name}/experiment.json)"
        lines.append([link, task, number(run["n_train"]), number(run["d_model"])])
    return scoreboard.markdown(lines, ("folder", "task", "equations read", "width"))


# --- Speed ---


def bench(root: Path) -> str:
    """What `bench --json` measured, a row a file of results/bench; a dash where it was cut off."""
    lines = []
    for path in sorted((root / "bench").glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        cells = [
            form.format(found[key]) if key in found else "–" for key, (_, form) in BENCH.items()
        ]
        lines.append([f"[{found['device']}](bench/{path.name})", found["precision"], *cells])
    head = ("device", "precision", *(words for words, _ in BENCH.values()))
    return scoreboard.markdown(lines, head) if lines else "*Nothing has been measured yet.*\n"


def profile(root: Path) -> str:
    """What `bench --profile` measured, a column a file of results/bench/profile."""
    paths = sorted((root / "bench" / "profile").glob("*.json"))
    found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    if not found:
        return "*Nothing has been measured yet.*\n"
    lines = []
    for kind in found[0]["kinds"]:
        rows = [each["kinds"][kind] for each in found]
        lines.append([kind, *(f"{r['ms']:.2f} ({r['loops']}, {r['mb']:.0f} MB)" for r in rows)])
    lines.append(["all", *(f"{each['ms']:.2f}" for each in found)])
    links = [f"[{path.stem}](bench/profile/{path.name})" for path in paths]
    return scoreboard.markdown(lines, ("ms of a core (loops, bytes)", *links))


def beside(root: Path) -> str:
    """What tests/beside_pytorch.py measured: medians, ranges, and ratios to PyTorch, with goals."""
    lines = []
    for path in sorted((root / "bench" / "beside").glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        reference = median(found["ms"][REFERENCE])
        for name, ms in found["ms"].items():
            ratio = median(ms) / reference
            goal = GOALS.get(name)
            verdict = "missed" if goal and ratio > goal else "met"
            lines.append(
                [
                    f"[{name}](bench/beside/{path.name})",
                    f"{median(ms):.3g} ({min(ms):.3g}-{max(ms):.3g})",
                    f"{ratio:.2f}" if ratio > 0.05 else "",
                    f"{goal:.2f}, **{verdict}**" if goal else "",
                ]
            )
    head = ("ms an update", "median (range)", "over PyTorch in float32", "goal")
    return scoreboard.markdown(lines, head) if lines else "*Nothing has been measured yet.*\n"
