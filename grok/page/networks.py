"""A network as the page holds it: what each view shows at every kept update.

Numbers that are only drawn are held in 16 or 8 bits.
"""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from grok.analysis import fourier, groups, logarithm
from grok.experiment import GrokError
from grok.measure import growth
from grok.measure.growth import Growth
from grok.page.pack import pack, quantised, upper_triangle
from grok.store import results
from grok.store.results import Results

MOST_MOMENTS = 24


class Wish(NamedTuple):
    """A network to put into the page: `first` where it is the first of its task with snapshots."""

    folder: Path
    run: int
    has_snapshots: bool
    first: bool


def wishes(loaded: Results) -> list[Wish]:
    """The networks of an experiment that can be shown: those that were kept.

    The first run of each task with snapshots is marked, whatever came of it.
    """
    found, tasks = [], set()
    for run, has_snapshots in loaded.runs_kept().items():
        spec = loaded.experiment_run(run)
        task = spec.operation, spec.structure
        found.append(Wish(loaded.folder, run, has_snapshots, has_snapshots and task not in tasks))
        tasks |= {task} if has_snapshots else set()
    return found


@functools.lru_cache(maxsize=1)
def load(folder: Path) -> Results:
    """The results of a folder; the last ones are kept, for its networks come one after another."""
    return results.load(folder)


def block(wish: Wish) -> tuple[dict, str] | str:
    """A line of the index on a network and its packed views; or in words, why there is none."""
    try:
        grown = growth.follow(load(wish.folder), wish.run, MOST_MOMENTS)
        arrays, facts = (ring if grown.group.is_ring else group)(grown, wish)
    except GrokError as error:
        return str(error)
    curve = grown.results.curve(grown.run).set_index("step")
    at = curve.reindex(grown.updates)[["train_accuracy", "val_accuracy"]].to_numpy(np.float32)
    arrays |= {"accuracy": at, "update": np.array(grown.updates, np.int32)}
    arrays |= {"cosine": upper_triangle(growth.cosines(grown))}
    points = {"pca": growth.components(grown)}
    if wish.first:
        points["tsne"] = growth.tsne(grown)
    for name, points_Mn2 in points.items():
        arrays[name], facts[f"{name}_scale"] = quantised(points_Mn2)
    arrays |= answers(grown, facts)
    line = {"run": wish.run, "task": task_of(grown), "moments": len(grown.moments)}
    line["has_table"] = "no_table" not in facts
    return line, pack(facts | line | {"labels": list(grown.group.labels)}, arrays)


def task_of(grown: Growth) -> str:
    run = grown.results.experiment_run(grown.run)
    return f"{run.operation} over {run.structure}"


def answers(grown: Growth, facts: dict) -> dict[str, np.ndarray]:
    """The table of equations, or in `facts` why there is none."""
    try:
        found = growth.table(grown)
    except GrokError as error:
        facts["no_table"] = str(error)
        return {}
    bits = np.packbits(found.right_Mnn.reshape(len(grown.moments), -1), axis=1)
    return {"kind": found.kind_nn.astype(np.uint8), "right": bits}


def ring(grown: Growth, wish: Wish) -> tuple[dict[str, np.ndarray], dict]:
    """The views of a network over Z<n>: planes of key frequencies, and the spectrum."""
    axis = growth.axis(grown)
    found = growth.planes(grown, axis.order)
    spectrum = growth.frequencies(grown, axis.order)
    points, scale = quantised(found.points_MPT2)
    arrays = {
        "order": axis.order.astype(np.int16),
        "plane": points,
        "plane_share": found.share_MP.astype(np.float32),
        "share": spectrum.share.astype(np.float32),
        "null": np.stack([spectrum.low, spectrum.high], 1).astype(np.float32),
    }
    facts = {
        "is_ring": True,
        "is_log": axis.is_log,
        "axis": axis.words,
        "keys": found.keys,
        "is_key": found.is_key,
        "steps": [fourier.turn_step(len(axis.order), key) for key in found.keys],
        "plane_scale": scale,
        "names": spectrum.names,
    }
    return arrays | logarithms(grown.group.order, facts), facts


def logarithms(n: int, facts: dict) -> dict[str, np.ndarray]:
    """The discrete logarithm of each residue mod an odd prime, -1 for 0; none for another n."""
    try:
        power_t = logarithm.discrete_log_order(n)
    except GrokError:
        return {}
    log_n = np.full(n, -1, np.int16)
    log_n[power_t] = np.arange(n - 1)
    facts["log"] = f"log n to base {power_t[1]}"
    return {"log": log_n}


def group(grown: Growth, wish: Wish) -> tuple[dict[str, np.ndarray], dict]:
    """The views of a network over another group: irreps, cosets, signs and cycle types.

    Cosets are sought where snapshots were kept: all subgroups are tried, which takes its time.
    """
    arrays: dict[str, np.ndarray] = {}
    facts: dict[str, Any] = {"is_ring": False, "colours": []}
    try:
        spectrum = growth.irrep_shares(grown)
        arrays["share"] = spectrum.share.astype(np.float32)
        arrays["null"] = np.stack([spectrum.low, spectrum.high], 1).astype(np.float32)
        facts["names"] = spectrum.names
    except GrokError as error:
        facts["no_spectrum"] = str(error)
    for each in labellings(grown, wish):
        arrays[f"colour_{each.name}"] = np.asarray(each.label_n, np.int16)
        told = {"name": each.name, "words": each.words, "classes": list(each.classes)}
        facts["colours"].append(told)
    return arrays, facts


class Labelling(NamedTuple):
    """What elements are coloured by: a class an element, [n], and the names of the classes."""

    name: str
    words: str
    label_n: np.ndarray
    classes: tuple[str, ...]


def labellings(grown: Growth, wish: Wish) -> list[Labelling]:
    """Whatever the elements of a group can be coloured by."""
    found, permutations = [], grown.group.permutations
    if wish.has_snapshots:
        cosets = growth.best_cosets(grown.W_MnD[grown.best], grown.group)
        names = tuple(map(str, range(1, cosets.label_n.max() + 2)))
        found.append(Labelling("coset", cosets.words, cosets.label_n, names))
    if permutations is not None:
        is_odd = groups.signs(permutations) < 0
        found.append(Labelling("sign", "sign of the permutation", is_odd, ("even", "odd")))
        types = ["+".join(map(str, cycles)) for cycles in groups.cycle_types(permutations)]
        numbers, names = pd.factorize(np.array(types), sort=True)
        found.append(Labelling("cycle", "lengths of the cycles", numbers, tuple(names)))
    each = Labelling("element", "each element its own", np.arange(grown.group.order), ())
    return found or [each._replace(classes=grown.group.labels)]
