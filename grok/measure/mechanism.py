"""What do an experiment's networks compute? `python -m grok mechanism results/<experiment>`.

Writes into the results folder

mechanism.parquet   a row a run, kept update and measure: value, and of its null the mean, the 95%
                    range and the p-value. part: a frequency, an irrep, a head, 'keys' for all key
                    parts together, or empty; layer: from 0, or missing
phases.parquet      a row a run: the key parts, and the updates of `grok.analysis.phases`
arrays/mechanism_run_<n>.npz   of each run's best kept moment, what its page shows: neurons over the
                    whole table, what = attends to, each neuron's best part and its share

Elements stand on the axis that fits the operation: residues, discrete logarithms, or a group's own
elements, whose parts are its irreducible representations. The key parts are those of the best kept
moment, at every moment. The measures, and the null of each:

restricted_loss_{train,val}, excluded_loss_{train,val}   as many other frequencies at random, or a
                    random space of functions of as many dimensions as the irreps have
logits_power, logits_explained   share of the logits' variance in functions of the answer, by part
                    and for the keys; answers renamed, and other parts. Of the logits less each
                    equation's mean over the outputs, which softmax does not see
embedding_power, output_power, hidden_power   share of the variance of rows or neurons by part, and
embedding_gini, output_gini, neurons_of_one_part (over 85%)   elements renamed
distance_irrelevance   of x+y and what is a sum under other names; elements renamed
gradient_symmetricity  untrained networks
squared_weight_norm    has none
ablated_loss_{train,val}   at the best moment alone: without a key part of the embedding matrix,
                    all of them, all but them; null as for the restricted loss. p is the chance that
                    as many others cost as much, and of all but the keys that they cost as little
head_at_mean_{train,val}   at the best moment; as many random directions of all heads' output
even_attention_{train,val} at the best moment; each head's own weights on positions at random.
                    p is the chance that these lose as little
loss_{train,val}    at the best moment; has no null
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from grok.analysis import nulls, progress
from grok.analysis.phases import Curve, Phases, Progress, phases
from grok.experiment import GrokError
from grok.files import NOT_ARRAYS, check_writable
from grok.measure import kept_networks, symmetry
from grok.measure.ablations import MEASURES, ablations
from grok.measure.earlier_rows import earlier, in_order
from grok.measure.mechanism_scores import Entry, all_measures, key_parts
from grok.measure.network import Network
from grok.store import array_files, marks, results
from grok.store.results import Results

COLUMNS = ["run", "step", "measure", "layer", "part", "value"]
NULL_COLUMNS = ["null_mean", "null_low", "null_high", "p"]
PHASES = ["run", "keys", "kind", *Phases._fields]
PICTURES = 12  # neurons whose map over the table is kept
SHOWN = ("logits_explained", "neurons_of_one_part", "restricted_loss_val", "excluded_loss_train")


class Measured(NamedTuple):
    """The tables that were written, what could not be measured, a line each, and their paths."""

    mechanism: pd.DataFrame
    phases: pd.DataFrame
    notes: list[str]
    paths: list[Path]


class MeasuredRun(NamedTuple):
    """Rows of mechanism.parquet of a run, its row of phases.parquet, pictures, and notes."""

    rows: list[dict]
    phases: dict
    pictures: dict[str, np.ndarray]
    notes: list[str]


def measure(folder: Path | str, runs: Iterable[int] | None = None) -> Measured:
    """Measure runs of a results folder (None: all whose weights are kept) and write the tables.

    Moments that were measured earlier and whose weights are gone keep their rows, but for
    ablations, which are of the best moment alone.
    Raises GrokError for a run that the folder does not have, and where none keeps its weights.
    """
    loaded = results.load(folder)
    check_writable(loaded.folder)
    asked = None if runs is None else list(dict.fromkeys(runs))
    rows, times, notes, paths = [], [], [], []
    old = earlier(loaded, "mechanism", COLUMNS + NULL_COLUMNS)
    for run in chosen_runs(loaded, asked):
        try:
            found, phase, shown, missing = measure_run(loaded, run, old[old["run"] == run])
        except GrokError as error:
            notes.append(f"run {run}: {error}")
            continue
        rows += found
        notes += [f"run {run}: {words}" for words in missing]
        times.append(phase)
        array_files.write_arrays(loaded.folder, pictures_name(run), shown)
        paths.append(path_of_pictures(loaded, run))
    if not rows:
        raise GrokError(f"no run of {folder} can be measured: {notes[0]}")
    tables = {
        "mechanism": mechanism_table(rows),
        "phases": pd.DataFrame(times, columns=PHASES),
    }
    for name, table in tables.items():
        old = earlier(loaded, name, table.columns)
        tables[name] = in_order(old[~old["run"].isin(table["run"])], table)
        paths.append(marks.write_measured(loaded, name, tables[name]))
    return Measured(tables["mechanism"], tables["phases"], notes, paths)


def chosen_runs(loaded: Results, asked: list[int] | None) -> list[int]:
    """The runs to measure: those asked for, or all that keep weights; GrokError where none does."""
    if asked is not None:
        for run in asked:
            kept_networks.check_kept(loaded, run)
        return asked
    every = [int(run) for run in loaded.runs["run"]]
    kept = [run for run in every if kept_networks.kept_steps(loaded, run)]
    if not kept:
        kept_networks.check_kept(loaded, every[0])
    return kept


def path_of_pictures(loaded: Results, run: int) -> Path:
    return loaded.folder / "arrays" / f"{pictures_name(run)}.npz"


def pictures_name(run: int) -> str:
    """The name of a run's arrays of pictures."""
    return f"mechanism_{array_files.arrays_name(run)}"


def read_pictures(loaded: Results, run: int) -> dict[str, np.ndarray]:
    """What `pictures` has written of a run. GrokError where it cannot be read."""
    path = path_of_pictures(loaded, run)
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            return dict(file)
    except (OSError, *NOT_ARRAYS) as error:
        words = " ".join(str(error).split())
        advice = f"measure again: python -m grok mechanism {loaded.folder}"
        raise GrokError(f"{path} cannot be read ({words}): {advice}") from error


def measure_run(loaded: Results, run: int, old: pd.DataFrame) -> MeasuredRun:
    """Measure all moments whose weights are kept; `old` are the run's rows of an earlier time."""
    best_step = kept_networks.best_step(loaded, run)
    best = kept_networks.at(loaded, run, best_step)
    keys = key_parts(best)
    untrained = symmetricity_null(best)
    rows, missing = [], []
    steps = kept_networks.kept_steps(loaded, run)
    for step in tqdm(steps, desc=f"run {run}", unit="moment", disable=None):
        network = best if step == best_step else kept_networks.at(loaded, run, step)
        update = kept_networks.last_update(loaded, run) if step is None else step
        entries = [*all_measures(network, keys), symmetricity(network, untrained)]
        entries += ablations(network, keys) if step == best_step else []
        here = [as_row(run, update, entry) for entry in entries]
        found = [(e.measure, e.value, e.null, row["p"]) for e, row in zip(entries, here)]
        missing += [f"after {update:,} updates, {words}" for words in nulls.gaps(found)]
        rows += here
    gone = old[~old["step"].isin([row["step"] for row in rows])]
    gone = gone[~gone["measure"].isin(MEASURES)]  # ablations are of one moment, and were made anew
    rows = sorted([*gone.to_dict("records"), *rows], key=lambda row: row["step"])
    names = best.axis.harmonics.names
    times = phases_of(loaded, run, rows, len(best.axis.order))
    described = {
        "run": run,
        "keys": ", ".join(names[key] for key in keys),
        "kind": best.axis.harmonics.kind,
    }
    return MeasuredRun(rows, described | times._asdict(), pictures(best, keys), missing)


def phases_of(loaded: Results, run: int, rows: list[dict], n_outputs: int) -> Phases:
    """The phases of a run from its curve and its rows of mechanism.parquet."""
    table = pd.DataFrame(rows)
    keys = table[table["part"] == "keys"].pivot_table(
        index="step", columns="measure", values="value", observed=True
    )
    excluded, restricted = (
        keys[name].to_numpy() if name in keys else np.full(len(keys), np.nan)
        for name in ("excluded_loss_train", "restricted_loss_val")
    )
    curve = loaded.curve(run)
    cleaned = loaded.runs.set_index("run").loc[run, "steps_to_val_99_sustained"]
    return phases(
        Curve(*(curve[name].to_numpy() for name in ("step", "val_loss", "val_accuracy"))),
        Progress(keys.index.to_numpy(), excluded, restricted),
        n_outputs,
        np.nan if pd.isna(cleaned) else float(cleaned),
    )


# --- Pizza ---


def symmetricity_null(network: Network) -> np.ndarray:
    """Gradient symmetricity of untrained networks of other seeds."""
    return symmetry.untrained_symmetricity(network.run)


def symmetricity(network: Network, untrained: np.ndarray) -> Entry:
    value = symmetry.symmetricity_of(network.program, network.params, network.data)
    return Entry("gradient_symmetricity", value, null=untrained)


# --- What the page shows ---


def pictures(network: Network, keys: list[int]) -> dict[str, np.ndarray]:
    """Arrays of a run's page, all of the last layer's neurons.

    neurons uint8 [K, M, M]: up to PICTURES of them over the table, each from its least to its
    greatest value; neuron_part, neuron_share [K]: their parts, ascending, and the shares.
    parts, shares [N]: of all neurons. attention [L, H, T]: mean over the table of what = gives to
    each position.
    """
    axis, cache = network.axis, network.activations()
    hidden_MMN = axis.cut(cache.hidden)[:, :, -1]
    attention = np.nanmean(cache.attention[..., -network.program.arch.n_answers, :], axis=(0, 1))
    if np.isnan(hidden_MMN).any():
        return {"attention": attention.astype(np.float32)}
    best = progress.neuron_parts(progress.neuron_shares(hidden_MMN, axis.harmonics))
    shown = shown_neurons(best, hidden_MMN.var(axis=(0, 1)), keys)
    maps_KMM = np.moveaxis(hidden_MMN[..., shown], -1, 0)
    low, span = maps_KMM.min(axis=(1, 2), keepdims=True), np.ptp(maps_KMM, axis=(1, 2))
    scaled = 255 * (maps_KMM - low) / np.maximum(span, np.finfo(np.float32).tiny)[:, None, None]
    return {
        "neurons": scaled.round().astype(np.uint8),
        "neuron_part": best.part[shown].astype(np.int32),
        "neuron_share": best.share[shown].astype(np.float32),
        "parts": best.part.astype(np.int32),
        "shares": best.share.astype(np.float32),
        "attention": attention.astype(np.float32),
    }


def shown_neurons(best: progress.NeuronParts, variance_N, keys: list[int]) -> np.ndarray:
    """As many neurons of each key part, the most varying ones, by part; without keys of any."""
    each = PICTURES // max(len(keys), 1)
    loudest = np.argsort(-variance_N, kind="stable")
    of_keys = [loudest[best.part[loudest] == key][:each] for key in sorted(keys)[:PICTURES]]
    chosen = np.concatenate(of_keys) if of_keys else loudest[:PICTURES]
    return chosen[np.argsort(best.part[chosen], kind="stable")]


# --- Tables ---


def as_row(run: int, step: int, entry: Entry) -> dict:
    """A row of mechanism.parquet."""
    sign = -1 if entry.smaller else 1
    mean, low, high, p = nulls.null_summary(sign * entry.value, sign * entry.null)
    low, high = sorted((sign * low, sign * high))
    here = (run, step, entry.measure, entry.layer, entry.part, entry.value)
    return dict(zip(COLUMNS + NULL_COLUMNS, (*here, sign * mean, low, high, p)))


def mechanism_table(rows: list[dict]) -> pd.DataFrame:
    """mechanism.parquet with fixed types."""
    numbers = dict.fromkeys(["value", *NULL_COLUMNS], np.float32)
    types = {"run": np.int32, "step": np.int32, "layer": "Int8", **numbers}
    return pd.DataFrame(rows, columns=COLUMNS + NULL_COLUMNS).astype(types)


def summary(measured: Measured) -> str:
    """The phases, and the headline measures of each run's last moment, for people."""
    table = measured.mechanism
    last = table[table["step"] == table.groupby("run")["step"].transform("max")]
    last = last[last["measure"].isin(SHOWN)]
    shown = last[["run", "step", "measure", "layer", "part", "value", *NULL_COLUMNS]]
    texts = [measured.phases, shown]
    lines = [text.to_string(index=False, float_format="{:.3g}".format, na_rep="") for text in texts]
    return "\n".join([*lines, *measured.notes, *map(str, measured.paths)])
