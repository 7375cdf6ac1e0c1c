"""findings.json: which theme makes it, when it is current, how it is written and read."""

import dataclasses
import functools
import importlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from grok.files import disk_errors, replacing
from grok.measure.findings import fingerprint, runs
from grok.measure.findings.finding import Finding, Table
from grok.store import results

FILE = "findings.json"
THEMES = (  # in the order of the scoreboard
    "quickstart",
    "figure1_left",
    "figure1_center",
    "figure2_left",
    "figure2_right",
    "figure3",
    "figure6",
    "figure7",
    "nanda",
    "networks",
    "embeddings",
    "encodings",
    "weight_decay",
    "init_scale",
    "phase_map",
    "precision",
    "league_tuning",
    "league",
)
ANY = "experiment"  # the theme of every other experiment
DIGITS = 6


@dataclass(frozen=True)
class Findings:
    """The findings of a results folder.

    head: what the results are (experiment, scale, device, commit, runs, seeds ...). findings and
    tables: by their ids.
    """

    head: dict
    findings: dict[str, Finding]
    tables: dict[str, list[dict]]

    def __getitem__(self, id: str) -> Finding:
        return self.findings[id]

    def table(self, id: str, *columns: str) -> pd.DataFrame:
        """A table; without rows it has the named columns."""
        return pd.DataFrame(self.tables[id], columns=columns if not self.tables[id] else None)


def theme_of(folder: str) -> str:
    """The theme of a results folder: the longest experiment name that its own begins with.

    What follows that name must start with a sign: 'quickstart-seed=3' or 'figure1_left_paper'.
    """
    return longest(THEMES, folder) or ANY


def longest(names, folder: str) -> str | None:
    """The longest of `names` that a folder's name is, or begins with before a sign."""
    begun = [
        name
        for name in names
        if folder.startswith(name) and not folder[len(name) : len(name) + 1].isalnum()
    ]
    return max(begun, key=len, default=None)


# --- Made and kept ---


def compute(loaded: results.Results) -> Findings:
    """The findings of results. Raises GrokError for tables of another version."""
    theme = importlib.import_module(f"{__package__}.{theme_of(loaded.folder.name)}")
    findings, tables = {}, {}
    for found in theme.find(loaded):
        if isinstance(found, Table):
            tables[found.id] = [rounded(row) for row in found.rows]
        else:
            findings[found.id] = Finding(**rounded(dataclasses.asdict(found)))
    return Findings(head_of(loaded), findings, tables)


def refresh(folder: Path | str) -> Findings:
    """The findings of a results folder, read where they are current, or else computed and kept."""
    folder = Path(folder)
    mark = mark_of(folder)
    kept = read(folder)
    if kept and kept[1] == mark:
        return kept[0]
    found = made(folder, mark)
    with disk_errors(folder), replacing(folder / FILE) as side:
        side.write_text(as_text(found, mark), encoding="utf-8")
    return found


def of(loaded: results.Results) -> Findings:
    """The findings of loaded results: those that are kept where they are current."""
    kept, mark = read(loaded.folder), mark_of(loaded.folder)
    return kept[0] if kept and kept[1] == mark else made(loaded.folder, mark)


@functools.lru_cache(maxsize=4)
def made(folder: Path, mark: str) -> Findings:
    """The findings of what a folder holds while its mark is this: several figures ask for them."""
    return compute(results.load(folder))


def mark_of(folder: Path) -> str:
    """A hash of the theme's code and of the data."""
    module = f"{__package__}.{theme_of(folder.name)}"
    return fingerprint.of(module, fingerprint.data_files(folder), folder)


def head_of(loaded: results.Results) -> dict:
    """What the results are, for every finding of theirs."""
    sessions, experiment = loaded.description["sessions"], loaded.description["experiment"]
    return {
        "experiment": loaded.folder.name,
        "scale": experiment["scale"],
        "network": "the paper's" if runs.is_papers(loaded) else "small",
        "device": values_of(sessions, "device"),
        "precision": precisions(loaded),
        "commit": values_of(sessions, "commit"),
        "complete": loaded.complete,
        "planned": len(experiment["runs"]),
        "ended": len(runs.ended(loaded.runs)),
        "diverged": int((loaded.runs["status"] == "diverged").sum()),
        "seeds": runs.size(loaded.runs)["seeds"],
    }


def values_of(sessions: list[dict], key: str) -> list[str]:
    """What sessions say under a key, each value once."""
    return sorted({session[key] for session in sessions if session.get(key)})


def precisions(loaded: results.Results) -> list[str]:
    """In what precision matrix products were computed, over all sessions.

    A CPU computes in float32 whatever the runs ask for.
    """
    asked = set(loaded.runs["precision"]) if "precision" in loaded.runs else set()
    computed = [
        session.get("precisions", {}).get(name, name)
        for session in loaded.description["sessions"]
        for name in asked
    ]
    return sorted(set(computed))


# --- As text ---


def rounded(row: dict) -> dict:
    """A row with plain Python values and floats of DIGITS significant digits."""
    return {key: plain_value(value) for key, value in row.items()}


def plain_value(value):
    if isinstance(value, (list, tuple)):
        return [plain_value(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA:
        return np.nan
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def as_text(found: Findings, mark: str) -> str:
    """findings.json: a line a fact, a finding and a row of a table."""
    lines = [f"{dumps(key)}: {dumps(value)}" for key, value in found.head.items()]
    kept = [dumps(dataclasses.asdict(each)) for each in found.findings.values()]
    lines.append(block("findings", kept, "[", "]"))
    tables = [block(name, map(dumps, rows), "[", "]", "  ") for name, rows in found.tables.items()]
    lines.append(block("tables", tables, "{", "}"))
    return "{\n " + ",\n ".join([*lines, f'"fingerprint": "{mark}"']) + "\n}\n"


def block(name: str, rows, left: str, right: str, indent: str = " ") -> str:
    """A named list of texts, one a line."""
    rows = list(rows)
    inner = ",\n".join(f"{indent} {row}" for row in rows)
    return f'"{name}": {left}' + (f"\n{inner}\n{indent}" if rows else "") + right


def dumps(value) -> str:
    """JSON, with null for NaN and "inf" for infinity, which JSON has not."""
    return json.dumps(portable(value), ensure_ascii=False)


def portable(value):
    if isinstance(value, dict):
        return {key: portable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [portable(each) for each in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    return value


def restored(value):
    """The inverse of `portable`."""
    if isinstance(value, dict):
        return {key: restored(each) for key, each in value.items()}
    if isinstance(value, list):
        return [restored(each) for each in value]
    if value is None:
        return np.nan
    return float(value) if value in ("inf", "-inf") else value


def read(folder: Path) -> tuple[Findings, str] | None:
    """What a folder's findings.json holds and its fingerprint; None where it is not to be had.

    A torn file counts as none, for it is made anew from the results.
    """
    try:
        kept = json.loads((folder / FILE).read_text(encoding="utf-8"))
        mark = kept.pop("fingerprint")
        found = [Finding(**restored(each)) for each in kept.pop("findings")]
        tables = restored(kept.pop("tables"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Findings(kept, {each.id: each for each in found}, tables), mark
