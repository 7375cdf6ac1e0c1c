"""Times to generalise by encoding: names, rows and marks, and what predicts the times."""

import dataclasses
import json
from operator import itemgetter

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from grok.experiment import Experiment, Run
from grok.figures import encodings
from grok.figures.parts import gallery, style
from grok.measure import findings
from grok.measure.findings import donors, encoding_order
from grok.measure.findings import encodings as encoding_times
from grok.store import outcomes, provenance, results, sessions, tables
from grok.task.operations import structure

STEPS = np.arange(0, 3001, 100)
BASE = Run(operation="x+y", structure="Z31", num_steps=3000)
GROUP = BASE.replace(operation="xy", structure="A5")
CROSS = [
    BASE,
    BASE.replace(positions="none"),
    BASE.replace(values="digits", base=2),
    BASE.replace(tied=True),
    GROUP,
]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few dots an inch, and nobody asks git who made these results."""
    monkeypatch.setitem(style.LOOK, "savefig.dpi", 60)
    monkeypatch.setattr(provenance, "git", lambda *arguments: None)


def write(root, runs, time_of):
    """Runs of three seeds and both decays that reach 99% validation at `time_of(run)`."""
    runs = [
        run.replace(weight_decay=decay, seed=seed)
        for run in runs
        for decay in (0.0, 1.0)
        for seed in range(3)
    ]
    sessions.begin(
        root / "encodings",
        Experiment(name="encodings", runs=tuple(runs)),
        {"device": "2 x cpu", "processes": 1},
    )
    rows, curves = [], []
    for number, run in enumerate(runs):
        known = {"train_accuracy": STEPS >= 200, "val_accuracy": time_of(run) <= STEPS}
        metrics = np.stack([known.get(name, 0 * STEPS) for name in tables.METRICS], axis=1)
        curves.append(tables.curves_table(np.full(len(STEPS), number), STEPS, metrics))
        rows.append(
            {
                "run": number,
                **dataclasses.asdict(run),
                **outcomes.outcome(curves[-1], run, False, True),
            }
        )
    tables.write_tables(
        root / "encodings", tables.runs_table(rows), pd.concat(curves, ignore_index=True)
    )
    sessions.finish(root / "encodings", {"seconds": 1.0, "run_updates": 1})
    return root / "encodings"


def time_of(run) -> float:
    """With decay: the paper's network at 500, 1000 or never, others at 1000, 2000, 3000.

    Without positions never; without decay never.
    """
    if not run.weight_decay or run.positions == "none":
        return np.inf
    return (
        [500, 1000, np.inf][run.seed]
        if run.values == "learned" and not run.tied
        else [1000, 2000, 3000][run.seed]
    )


# --- Names ---


def name_of(fields, named=()):
    return encoding_times.encoding_name(dataclasses.asdict(BASE.replace(**fields)), dict(named))


def test_value_encodings_are_named_whatever_the_positions():
    assert name_of({}) == name_of({"positions": "rotary"}) == "learned table (paper)"
    assert (
        name_of({"values": "bins", "bins": 5}) == "5 bins"
        and name_of({"values": "fourier", "frequencies": 3, "positions": "none"})
        == "Fourier, k ≤ 3"
    )
    assert (
        name_of({"tied": True}) == "learned table, tied"
        and name_of({"values": "onehot", "tied": True}) == "one-hot, tied"
    )
    named = {"t.npz": "table of x+y"}
    assert [
        name_of({"values": "file", "table": "t.npz", "train_table": further}, named)
        for further in (False, True)
    ] == ["table of x+y, frozen", "table of x+y, trained on"]


def test_tables_are_named_by_the_runs_that_left_them(tmp_path):
    runs = [
        {},
        {"operation": "x+y"},
        {"operation": "x^2+y^2"},
        {"operation": "x+y", "label": "skip-gram on the full table"},
        {"operation": "x-y"},
        {"operation": "x-y"},
    ]
    (tmp_path / "made").mkdir()
    whole = {"complete": True, "sessions": [{}]}
    (tmp_path / "made" / "experiment.json").write_text(
        json.dumps({"experiment": {"name": "made", "scale": "small", "runs": runs}, **whole})
    )
    paths = [f"{tmp_path}/made/arrays/run_{n:04d}.npz" for n in range(7)]
    named = donors.table_names([*paths, paths[1] + ":unembedding"])
    assert list(named.values()) == [
        "table of x/y",
        "table of x+y",
        "table of x²+y²",
        "skip-gram of x+y",
        "table made run_0004",
        "table made run_0005",
        "table made run_0006",
        "output table of x+y",
    ]


def test_a_table_of_a_network_that_did_not_generalise_says_so(tmp_path):
    """Of the runs of `write` number 3 decays and has generalised; 2 does not decay, ends at 0%."""
    folder = write(tmp_path, [BASE], time_of)
    named = donors.table_names([f"{folder}/arrays/run_0002.npz", f"{folder}/arrays/run_0003.npz"])
    assert list(named.values()) == ["table of x+y at 0%", "table of x+y"]


@pytest.mark.parametrize("text", [None, "torn {"])
def test_tables_of_folders_that_are_not_at_hand_keep_their_short_path(tmp_path, text):
    if text:
        (tmp_path / "experiment.json").write_text(text)
    assert list(
        donors.table_names([f"{tmp_path}/arrays/run_0000.npz", "a.npz:unembedding"]).values()
    ) == [f"table {tmp_path.name} run_0000", "table a.npz:unembedding"]


# --- The table ---


def test_times_hold_counts_and_survival_estimates(tmp_path):
    found = findings.of(results.load(write(tmp_path, CROSS, time_of))).tables["times"]
    assert len(found) == 2 * len(CROSS) and {row["runs"] for row in found} == {3}
    keys = ("operation", "encoding", "positions", "weight_decay")
    row = {itemgetter(*keys)(each): each for each in found}
    paper = row["x+y", "learned table (paper)", "sinusoidal", 1]
    assert [paper[name] for name in ("never", "median", "low", "high")] == [1, 1000, 500, np.inf]
    lost = row["x+y", "learned table (paper)", "none", 1]
    assert lost["never"] == 3 and np.isnan(lost["median"]) and lost["low"] == 3000
    assert row["x+y", "digits, base 2", "sinusoidal", 1]["high"] == 3000
    assert row["x+y", "learned table, tied", "sinusoidal", 0]["never"] == 3


# --- The figure ---


@pytest.fixture
def panels(tmp_path):
    """The axes of the figure [x+y, xy] x [with decay, without]."""
    picture = gallery.ENTRIES["encodings"].picture(write(tmp_path, CROSS, time_of))
    picture.draw_without_rendering()
    return np.reshape(picture.axes, (2, 2))


def test_rows_are_the_value_encodings_that_were_run(panels):
    assert [ax.get_title() for ax in panels.flat] == [
        "x+y Z31\nwith decay",
        "x+y Z31\nwithout decay",
        "xy A5\nwith decay",
        "xy A5\nwithout decay",
    ]
    names = []
    for ax in panels.flat:
        names.append([label.get_text() for label in ax.get_yticklabels()])
    assert names[0] == ["learned table (paper)", "digits, base 2", "learned table, tied"]
    assert names[2] == ["learned table (paper)"] and not any(names[1] + names[3])


def test_marks_are_medians_of_positions_and_triangles_what_never_got_there(panels):
    paper, digits, tied = panels[0, 0].get_yticks()
    above, below = (
        paper - encodings.MARK / 2,
        paper + encodings.MARK / 2,
    )  # two positions share the first row
    colours = {name: to_hex(colour) for name, (colour, _) in encodings.LOOKS.items()}

    def medians(axes):
        return {
            (
                to_hex(drawn.get_color()),
                drawn.get_marker(),
                *np.round(np.concatenate(drawn.get_data()), 6),
            )
            for drawn in axes.lines
            if np.isfinite(drawn.get_xdata()).any()
        }

    def triangles(axes):
        return {
            (to_hex(drawn.get_edgecolors()[0]), *np.round(offset, 6))
            for drawn in axes.collections
            if len(drawn.get_facecolors()) and to_hex(drawn.get_facecolors()[0]) == "#ffffff"
            for offset in drawn.get_offsets()
        }

    assert medians(panels[0, 0]) == {
        (colours["sinusoidal"], "o", *np.round(at, 6))
        for at in ((1000, above), (2000, digits), (2000, tied))
    }
    assert medians(panels[0, 1]) == set()
    assert triangles(panels[0, 0]) == {
        (colours["sinusoidal"], 3000, round(above, 6)),
        (colours["none"], 3000, round(below, 6)),
    }
    assert len(triangles(panels[0, 1])) == 4 and len(triangles(panels[1, 1])) == 1
    assert [(text.get_text(), round(text.get_position()[1], 6)) for text in panels[0, 0].texts] == [
        ("2/3", round(above, 6))
    ], "only where some got there and some did not"
    assert not panels[0, 1].texts


# --- What predicts the times ---


@pytest.mark.parametrize(
    ("operation", "name", "turns"),
    [
        ("x/y", "Z31", lambda i, j: i - j),
        ("xy", "Z31", lambda i, j: i + j),
        ("xy^2", "Z13", lambda i, j: i + 2 * j),
    ],
)
def test_on_the_axis_of_logarithms_answers_are_sums_of_places(operation, name, turns):
    order = encoding_order.log_axis(operation, name)
    p = structure(name).order
    assert sorted(order) == list(range(1, p))
    place = {value: i for i, value in enumerate(order.tolist())}
    solved = {
        "x/y": lambda x, y: x * pow(y, -1, p) % p,
        "xy": lambda x, y: x * y % p,
        "xy^2": lambda x, y: x * y * y % p,
    }[operation]
    assert all(
        place[solved(x, y)] == turns(place[x], place[y]) % (p - 1) for x in place for y in place
    )


@pytest.mark.parametrize(
    ("operation", "name"),
    [("x+y", "Z31"), ("x-y", "Z31"), ("x^2+y^2", "Z31"), ("xy", "Z12"), ("xy", "A5")],
)
def test_other_operations_and_structures_have_no_such_axis(operation, name):
    assert encoding_order.log_axis(operation, name) is None


def test_the_circulant_share_of_an_encoding_sees_differences_alone():
    full = encoding_order.circulant_before(BASE.replace(values="fourier"))
    assert full == pytest.approx(
        1
    )  # inner products of Fourier features are sums of cosines of the difference
    assert (
        encoding_order.circulant_before(BASE)
        == encoding_order.circulant_before(BASE.replace(values="onehot"))
        < 0.2
    )
    assert 0.2 < encoding_order.circulant_before(BASE.replace(values="scalar")) < 0.9
    assert np.isnan(
        encoding_order.circulant_before(BASE.replace(values="file", table="nowhere.npz"))
    )


def test_a_file_that_has_changed_predicts_nothing(tmp_path):
    """The share is of the rows that the run has read, never of those that lie there today."""
    path = tmp_path / "t.npz"
    angle_N = 2 * np.pi * np.arange(31) / 31
    circle_ND = np.zeros((31, 128))
    circle_ND[:, :2] = np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1)
    np.savez(path, labels=np.arange(31).astype(str), embedding=circle_ND)
    run = BASE.replace(values="file", table=str(path))
    loaded = results.load(write(tmp_path, [run], time_of))
    assert encoding_order.circulant_of(loaded, 0, slice(None)) == pytest.approx(1)
    np.savez(path, labels=np.arange(31).astype(str), embedding=circle_ND[::-1] ** 2)
    assert np.isnan(encoding_order.circulant_of(loaded, 0, slice(None)))


def test_each_axis_sees_its_own_differences(tmp_path):
    """A table that is a circle over the powers of 3, which is a primitive root of 31."""
    table_TD = np.zeros((31, 128))
    for e in range(30):
        table_TD[pow(3, e, 31), :2] = np.cos(2 * np.pi * e / 30), np.sin(2 * np.pi * e / 30)
    np.savez(tmp_path / "t.npz", labels=np.arange(31).astype(str), embedding=table_TD)
    run = BASE.replace(operation="x/y", values="file", table=str(tmp_path / "t.npz"))
    assert encoding_order.circulant_before(
        run, encoding_order.log_axis("x/y", "Z31")
    ) == pytest.approx(1)
    assert encoding_order.circulant_before(run) < 0.2


def test_the_prediction_is_of_the_papers_positions_and_resamples_encodings(tmp_path):
    """Planted: encodings that respect differences are sooner, or later with rotary positions.

    Without decay they are later, too.
    """
    speed = {"fourier": 300, "scalar": 800, "onehot": 2000}

    def planted(run):
        moment = speed[run.values] + 100 * run.seed
        return moment if run.weight_decay and run.positions == "sinusoidal" else 3000 - moment

    runs = [
        BASE.replace(values=values, positions=positions, operation=operation)
        for operation in ("x+y", "x/y")
        for values in speed
        for positions in ("sinusoidal", "rotary")
    ]
    loaded = results.load(write(tmp_path, runs, planted))
    named = encoding_times.named_runs(loaded)
    rows = encoding_order.correlations(loaded, named)
    found = [(row["operation"], row["axis"], row["own"]) for row in rows]
    assert found == [
        ("x+y", "additive axis", True),
        ("x/y", "additive axis", False),
        ("x/y", "axis of discrete logarithms", True),
    ]
    assert rows[0]["rho"] < -0.9
    here = named[
        named["decays"] & (named["positions"] == "sinusoidal") & (named["operation"] == "x+y")
    ]
    rho = encoding_order.predicted(loaded, here)
    assert rho.value < -0.9 and rho.high > -0.9, "three encodings are three, however many seeds"
    assert encoding_order.correlations(loaded, named[named["values"] == "fourier"]) == []
