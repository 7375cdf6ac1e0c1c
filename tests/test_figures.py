"""Figures on tiny synthetic results: what is drawn where, gaps, captions, what is drawn anew."""

import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib import cbook
from matplotlib.collections import PathCollection, PolyCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.text import Text
from PIL import Image
from scipy import stats
from scipy.spatial import distance

from grok import figures
from grok.analysis import groups
from grok.analysis.projection import coordinates, perplexity
from grok.experiment import Experiment, GrokError, Run, grid
from grok.figures import figure3, phase_map, tsne_sheet
from grok.figures.parts import curves, data, gallery, style, times, tsne
from grok.measure import findings, handbuilt
from grok.measure.findings import figure1_center, fingerprint, registry, words
from grok.measure.findings import phase_map as phases_of_runs
from grok.measure.findings import runs as run_facts
from grok.measure.findings import times as time_facts
from grok.store import array_files, outcomes, provenance, results, sessions, tables
from grok.task.operations import operation_table, structure

STEPS = np.array([0, 1, 10, 100, 200, 500, 1000, 2000, 5000, 10_000])
DEVICE = {
    "device": "2 x cpu",
    "platform": "cpu",
    "cores": 2,
    "processes": 1,
    "precisions": {"float32": "float32", "tf32": "float32", "bf16": "float32"},
}
BASE = Run(operation="x+y", structure="Z31", num_steps=10_000)
RUNS = {
    "quickstart": [
        BASE.replace(label="decay"),
        BASE.replace(label="none", optimizer="adam", weight_decay=0),
    ],
    "figure1_center": grid(BASE, train_fraction=[0.2, 0.3, 0.4], seed=[0, 1, 2]),
    "figure2_left": [
        run
        for label in ("a", "b", "c", "d")
        for run in grid(BASE.replace(label=label), train_fraction=[0.2, 0.5], seed=[0, 1, 2])
    ],
    "figure2_right": grid(
        BASE, operation=["x+y", "x-y"], train_fraction=[0.2, 0.5], seed=[0, 1, 2]
    ),
    "figure3": [
        *grid(BASE, seed=[0, 1, 2]),
        *grid(BASE.replace(operation="xy", structure="S4"), seed=[0, 1]),
    ],
    "figure6": grid(BASE, corrupted_labels=[0, 10], seed=[0, 1, 2]),
    "figure7": grid(BASE, seed=range(8)),
    "weight_decay": grid(BASE, weight_decay=[0, 0.3, 1, 3], seed=[0, 1]),
    "init_scale": grid(BASE, init_scale=[0.5, 1, 2], seed=[0, 1]),
    "phase_map": grid(BASE, learning_rate=[1e-3, 1e-2], weight_decay=[0, 1], seed=[0, 1, 2]),
    "precision": grid(BASE, precision=["float32", "tf32", "bf16"], seed=range(4)),
    "encodings": [
        run
        for base in (
            BASE,
            BASE.replace(values="digits", base=2),
            BASE.replace(positions="rotary", tied=True),
            BASE.replace(operation="xy", structure="S4"),
        )
        for run in grid(base, weight_decay=[0, 1], seed=[0, 1, 2])
    ],
    "embeddings": [
        run
        for decay in (0, 1)
        for run in grid(BASE.replace(weight_decay=decay), operation=["x+y", "x-y"], seed=[0, 1])
    ]
    + grid(BASE.replace(label="base"), seed=[0, 1]),
    "league": [
        run
        for label in ("AdamW; x+y", "Muon; x+y", "AdamW; x+y without decay", "sphere; x+y")
        for run in grid(BASE.replace(label=label), seed=[0, 1, 2])
    ],
    "league_tuning": [
        run
        for label in ("AdamW; x+y", "Muon; x+y", "AdamW; x+y without decay")
        for run in grid(BASE.replace(label=label), learning_rate=[1e-3, 1e-2], seed=[0, 1])
    ],
    "unheard_of": grid(BASE, learning_rate=[1e-3, 1e-2], seed=[0, 1]),
}
RUNS["figure1_left"] = RUNS["quickstart"]
SHARE_THEIR_CODE = ("figure1_left", "init_scale", "unheard_of")  # with quickstart and weight_decay
# Drawn by tests of what they show: sharpness, the mechanism, networks by hand, `grok try`.
ELSEWHERE = {"figure7", "mechanism", "handbuilt", "trial"}
DISTINCT = [
    (name, entry.name)
    for name in RUNS
    if name not in SHARE_THEIR_CODE
    for entry in gallery.entries_of(name)
    if entry.name not in ELSEWHERE and (name != "embeddings" or "figure3" not in entry.sources)
]  # those are drawn from figure3
NO_RESULTS = ("figure1_right",)  # drawn from the operation alone
NOTHING_MEASURED = {
    "embedding_scores": "no network scored yet",
    "circles": "no network scored yet",
    "symmetry_first": "no network followed yet",
    "cosets": "no network of a group scored yet",
}
DEUTERANOPIA = [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.011820, 0.042940, 0.968881],
]  # on linear RGB;
PROTANOPIA = [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
]  # Machado et al. (2009)
TO_XYZ = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few dots an inch, few networks by hand, a t-SNE sheet of one row, and nobody asks git."""
    monkeypatch.setattr(handbuilt, "MOST", 1)
    monkeypatch.setattr(handbuilt, "DRAWS", 1)
    monkeypatch.setitem(style.LOOK, "savefig.dpi", 60)
    monkeypatch.setattr(tsne_sheet, "PERPLEXITIES", (5,))
    monkeypatch.setattr(tsne_sheet, "STARTS", (None,))
    monkeypatch.setattr(provenance, "git", lambda *arguments: None)


def curve_of(number: int, train_at: float, val_at: float) -> pd.DataFrame:
    """A run whose accuracies jump from 10% to 100% at given updates."""
    train, val = (np.where(at <= STEPS, 1.0, 0.1) for at in (train_at, val_at))
    columns = {
        "train_loss": 2 * (1 - train),
        "train_accuracy": train,
        "val_loss": 3 - 2 * val,
        "val_accuracy": val,
    }
    metrics = np.stack([columns.get(name, np.zeros(len(STEPS))) for name in tables.METRICS], axis=1)
    return tables.curves_table(np.full(len(STEPS), number), STEPS, metrics)


def circle(run: Run, number: int) -> np.ndarray:
    """Output rows with one dominant frequency, or the cosets of a subgroup of order 3."""
    rng = np.random.default_rng(number)
    group = structure(run.structure)
    W = 0.05 * rng.normal(size=(group.order + 2, 16))
    if group.is_ring:
        angle = 2 * np.pi * 4 * np.arange(group.order) / group.order
        W[: group.order, :2] += np.stack([np.cos(angle), np.sin(angle)], axis=1)
    else:
        members = groups.generated_subgroup(group, [groups.permutation_index(group, (1, 2, 0, 3))])
        W[: group.order] += rng.normal(size=(group.order, 16))[
            groups.cosets(group, members, "left")
        ]
    return W.astype(np.float32)


def write(
    root,
    name: str,
    times_of=lambda run: (200, 2000),
    runs=None,
    trained=lambda number: True,
    complete=True,
):
    """Runs that reach 99% on both tables at `times_of(run)`; those not `trained` are queued."""
    runs = RUNS[name] if runs is None else runs
    folder = root / name
    sessions.begin(folder, Experiment(name=name, runs=tuple(runs)), DEVICE)
    rows, curves = [], [curve_of(0, 1, 1).head(0)]
    for number, run in enumerate(runs):
        curve = curve_of(number, *times_of(run)) if trained(number) else curves[0]
        curves.append(curve)
        rows.append(
            {
                "run": number,
                **dataclasses.asdict(run),
                "n_train": 100,
                **outcomes.outcome(curve, run, False, trained(number)),
            }
        )
        if trained(number) and name in ("quickstart", "figure3", "embeddings"):
            array_files.write_arrays(
                folder,
                f"run_{number:04d}",
                {"embedding": circle(run, number + 100), "unembedding": circle(run, number)},
            )
    tables.write_tables(folder, tables.runs_table(rows), pd.concat(curves, ignore_index=True))
    if complete:
        sessions.finish(folder, {"seconds": 1.0, "run_updates": 1})
    return folder


def picture_of(figure: str, folder):
    return gallery.ENTRIES[figure].picture(folder)


def laid_out(picture):
    """A picture after its layout, where most of matplotlib's warnings arise."""
    picture.draw_without_rendering()
    return picture


def texts(picture) -> str:
    """Everything a picture says outside its ticks."""
    parts = [text.get_text() for text in picture.texts]
    for ax in picture.axes:
        if ax.get_visible():
            parts += [text.get_text() for text in ax.texts]
            parts += [ax.get_xlabel(), ax.get_ylabel(), ax.get_title()]
            parts += [drawn.get_label() for drawn in ax.lines]
    return " ".join(" ".join(parts).split())  # undoes line breaks and no-break spaces


def line(axes, colour: str, dashed: bool = False):
    """The data [2, n] of the only long line of a colour."""
    [found] = [
        drawn
        for drawn in axes.lines
        if to_hex(drawn.get_color()) == to_hex(colour)
        and (drawn.get_linestyle() == "--") == dashed
        and len(drawn.get_xdata()) > 1
    ]
    return np.array(found.get_data(), float)


def dots(axes, marker_is_open: bool) -> list:
    return [
        drawn
        for drawn in axes.collections
        if isinstance(drawn, PathCollection)
        and (len(drawn.get_facecolors()) == 0) == marker_is_open
        and len(drawn.get_offsets())
    ]


# --- Gaps of every kind ---


def test_no_figure_is_missing_from_these_tests():
    alike = {entry.name for name in SHARE_THEIR_CODE for entry in gallery.entries_of(name)}
    drawn = {figure for _, figure in DISTINCT} | alike | set(NO_RESULTS) | ELSEWHERE
    assert drawn == set(gallery.ENTRIES)


def test_a_figure_of_ones_own_takes_no_other_away(monkeypatch):
    entry = gallery.Entry("mine", ("mine",), "what it shows", lambda results: None)
    monkeypatch.setitem(gallery.ENTRIES, "mine", entry)
    for folder in ("mine", "mine-seed=3"):
        names = {entry.name for entry in gallery.entries_of(folder)}
        assert names == {"mine", "learning_curves", "times"}
    for name in RUNS.keys() - {"unheard_of"}:
        assert "learning_curves" not in {entry.name for entry in gallery.entries_of(name)}


@pytest.mark.parametrize("folder_name, figure", DISTINCT)
def test_full_results_are_drawn_with_their_facts(tmp_path, folder_name, figure):
    said = texts(laid_out(picture_of(figure, write(tmp_path, folder_name))))
    n = len(RUNS[folder_name])
    assert "Small scale, " in said and f" {n} runs, " in said and "2 x cpu, float32." in said
    assert "cut short" not in said
    assert NOTHING_MEASURED.get(figure, "Small scale") in said
    assert "no run has" not in said and ("yet" in said) == (figure in NOTHING_MEASURED)


@pytest.mark.parametrize("folder_name, figure", DISTINCT)
def test_partial_results_are_drawn_and_say_so(tmp_path, folder_name, figure):
    n = len(RUNS[folder_name])
    folder = write(tmp_path, folder_name, trained=lambda number: number < n // 2, complete=False)
    assert f"cut short: {n // 2} of {n} runs ended" in texts(picture_of(figure, folder))


@pytest.mark.parametrize("folder_name, figure", DISTINCT)
def test_empty_results_give_words_in_the_axes(tmp_path, folder_name, figure):
    folder = write(tmp_path, folder_name, trained=lambda number: False, complete=False)
    said = texts(laid_out(picture_of(figure, folder)))
    assert NOTHING_MEASURED.get(figure, "no run has") in said
    assert f"cut short: 0 of {len(RUNS[folder_name])}" in said


@pytest.mark.parametrize("folder_name, figure", DISTINCT)
def test_results_in_which_nothing_generalises_are_drawn(tmp_path, folder_name, figure):
    said = texts(
        picture_of(figure, write(tmp_path, folder_name, times_of=lambda run: (200, np.inf)))
    )
    expected = {
        "precision": "tf32 (computed in float32), median not reached",
        "figure1_center": "no slope",
        "weight_decay": "no law",
        "init_scale": "no law",
        "figure2_right": "more than 50% needed",
        "figure3": "none generalised",
    }
    assert expected.get(figure, "Small scale") in said


@pytest.mark.parametrize("folder_name, figure", DISTINCT)
def test_a_single_run_is_enough_for_a_picture(tmp_path, folder_name, figure):
    assert "1 run, 1 seed" in texts(
        picture_of(figure, write(tmp_path, folder_name, runs=RUNS[folder_name][:1]))
    )


@pytest.mark.parametrize(
    "figure, column",
    [
        ("figure1_center", "steps_to_val_99"),
        ("figure2_right", "best_val_accuracy"),
        ("phase_map", "status"),
        ("weight_decay", "steps_to_val_99"),
    ],
)
def test_a_missing_column_is_named(tmp_path, figure, column):
    folder = write(tmp_path, figure)
    runs = pd.read_parquet(folder / "runs.parquet")
    runs.drop(columns=column).to_parquet(folder / "runs.parquet")
    with pytest.raises(GrokError, match=f"runs.parquet has no column {column}"):
        gallery.ENTRIES[figure].picture(folder)


def test_missing_columns_of_curves_and_of_the_sharpness_table_are_named(tmp_path):
    folder = write(tmp_path, "figure1_left")
    curves = pd.read_parquet(folder / "curves.parquet")
    curves.drop(columns="val_loss").to_parquet(folder / "curves.parquet")
    with pytest.raises(GrokError, match="curves.parquet has no column val_loss"):
        gallery.ENTRIES["figure4"].picture(folder)
    folder = write(tmp_path, "figure7")
    pd.DataFrame({"run": [0], "val_accuracy": [0.5], "sharpness": [1.0]}).to_parquet(
        folder / "sharpness.parquet"
    )
    with pytest.raises(GrokError, match="has no column eigenvalue, trace"):
        gallery.ENTRIES["figure7"].picture(folder)


# --- What is drawn ---


def test_curves_show_the_tables_in_the_colours_of_their_roles(tmp_path):
    folder = write(
        tmp_path, "figure1_left", lambda run: (200, 2000 if run.weight_decay else np.inf)
    )
    [axes] = picture_of("figure1_left", folder).axes
    steps = STEPS[STEPS > 0]
    assert np.allclose(line(axes, style.WITH_DECAY), [steps, np.where(steps >= 2000, 100, 10)])
    assert np.allclose(line(axes, style.WITHOUT_DECAY)[1], 10)
    assert np.allclose(
        line(axes, style.WITHOUT_DECAY, dashed=True)[1], np.where(steps >= 200, 100, 10)
    )
    assert axes.get_xscale() == "log" and axes.get_xlim() == (1, 10_000)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Optimization steps", "Accuracy (%)")
    [axes] = picture_of("figure4", folder).axes
    train_loss = line(axes, style.WITH_DECAY, dashed=True)[1]
    assert np.isnan(train_loss[steps >= 200]).all() and np.allclose(
        train_loss[steps < 200], 1.8
    )  # a loss of 0 has no logarithm
    assert (
        np.allclose(line(axes, style.WITH_DECAY)[1], np.where(steps >= 2000, 1, 2.8))
        and axes.get_yscale() == "log"
    )


def long_curve(n: int) -> pd.DataFrame:
    """Validation at 90% falls to 20% at every fourth of n evaluations.

    The training loss is 0 in the second half.
    """
    step = 10 * np.arange(1, n + 1)
    return pd.DataFrame(
        {
            "step": step,
            "val_accuracy": np.where(np.arange(n) % 4 == 3, 0.2, 0.9),
            "train_loss": np.where(np.arange(n) < n // 2, 0.5, 0.0),
        }
    )


def test_windows_hold_the_median_and_the_range_of_what_lies_in_them():
    curve = long_curve(1000)
    found = curves.windows(curve, "val_accuracy")
    ends = 10_000 / 10 ** (
        np.arange(60) / curves.WINDOWS
    )  # the windows ]end, next end], the last of which ends at the last update
    for high, low in zip(ends, ends[1:]):
        inside = curve[(curve["step"] > low * (1 + 1e-9)) & (curve["step"] <= high * (1 + 1e-9))]
        here = found[(found["step"] > low * (1 + 1e-9)) & (found["step"] <= high * (1 + 1e-9))]
        assert len(here) == (len(inside) > 0)
        if len(inside):
            accuracy = 100 * inside["val_accuracy"]
            assert here.iloc[0].tolist() == pytest.approx(
                [inside["step"].median(), accuracy.median(), accuracy.min(), accuracy.max()]
            )
    losses = curves.windows(curve, "train_loss")
    assert (losses["median"].isna() == (losses["step"] > 5000)).all(), (
        "a loss of exactly 0 is a gap"
    )


@pytest.mark.parametrize("n, summarised", [(100, False), (1000, True)])
def test_long_curves_are_drawn_by_windows_and_short_ones_as_they_are(tmp_path, n, summarised):
    folder = write(tmp_path, "figure1_left")
    whole = long_curve(n)
    table = pd.concat([whole.assign(run=run, train_accuracy=1.0, val_loss=1.0) for run in (0, 1)])
    tables.write_table(folder, "curves", table)
    picture = picture_of("figure1_left", folder)
    [axes] = picture.axes
    step, accuracy = line(axes, style.WITH_DECAY)
    bands = [drawn for drawn in axes.collections if isinstance(drawn, PolyCollection)]
    assert bool(bands) == summarised
    if summarised:
        assert len(step) < 60 and (accuracy[step > 1000] == 90).all()
        heights = np.concatenate([path.vertices for path in bands[-1].get_paths()])[:, 1]
        assert (heights.min(), heights.max()) == pytest.approx((20, 90))
    else:
        assert (step == whole["step"]).all() and np.allclose(accuracy, 100 * whole["val_accuracy"])


def test_a_short_curve_beside_a_long_one_is_drawn_by_windows_too(tmp_path):
    folder = write(tmp_path, "figure1_left")
    tables.write_table(
        folder,
        "curves",
        pd.concat(
            [
                long_curve(n).assign(run=run, train_accuracy=1.0, val_loss=1.0)
                for run, n in ((0, 100), (1, 1000))
            ]
        ),
    )
    [axes] = picture_of("figure1_left", folder).axes
    step, accuracy = line(axes, style.WITH_DECAY)
    assert step[-1] > 900 and len(step) < 45 and (accuracy[step > 300] == 90).all()


def test_runs_are_named_by_their_labels_or_by_what_differs(tmp_path):
    runs = results.load(write(tmp_path, "unheard_of")).runs
    assert (
        list(run_facts.legend_names(runs))
        == ["learning rate 0.001"] * 2 + ["learning rate 0.01"] * 2
    )
    runs = results.load(write(tmp_path, "quickstart")).runs
    assert list(run_facts.legend_names(runs)) == ["decay", "none"]


@pytest.mark.parametrize(
    ("count", "label"),
    [(1, ""), (9, ""), (20, ""), (9, "a label that is as long as a sentence of many words, " * 4)],
)
def test_a_legend_names_every_group_or_says_how_many_not_and_leaves_the_axes_their_height(
    tmp_path, count, label
):
    runs = grid(BASE, d_model=[8 * (i + 1) for i in range(count)])
    runs = [run.replace(label=f"{run.d_model} {label}".strip()) for run in runs]
    write(tmp_path, "unheard_of", runs=runs)
    picture = picture_of("learning_curves", tmp_path / "unheard_of")
    [axes] = picture.axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    *groups, training, validation = names
    assert (training, validation) == ("training", "validation")
    if count <= 16:
        assert [int(name.split()[0]) for name in groups] == [run.d_model for run in runs]
    else:
        assert len(groups) == 17 and groups[-1] == "and 4 more between"
    laid_out(laid_out(picture))
    width, height = picture.get_size_inches()
    box = axes.get_position()
    assert box.height * height > 1.4 and box.width * width > 2
    legend = axes.get_legend().get_window_extent().transformed(picture.transFigure.inverted())
    assert legend.x0 > -0.02 and legend.x1 < 1.02 and legend.y1 < 1.01


def test_colours_can_be_told_apart_without_colour_vision():
    """Colours stay apart in CIELAB (2.3: just noticeable) without red or green cones."""
    rgb = np.array([to_rgb(colour) for colour in style.PALETTE])
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    for seen in (DEUTERANOPIA, PROTANOPIA):
        xyz = np.clip(linear @ np.transpose(seen), 0, 1) @ np.transpose(TO_XYZ) / [0.9505, 1, 1.089]
        root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        lab = np.stack(
            [
                116 * root[:, 1] - 16,
                500 * (root[:, 0] - root[:, 1]),
                200 * (root[:, 1] - root[:, 2]),
            ],
            axis=1,
        )
        assert distance.pdist(lab).min() > 15


def test_data_fraction_against_time_shows_medians_and_censored_runs(tmp_path):
    moments = {
        (0.2, 0): np.inf,
        (0.2, 1): np.inf,
        (0.2, 2): np.inf,
        (0.3, 0): 2000,
        (0.3, 1): 5000,
        (0.3, 2): np.inf,
        (0.4, 0): 500,
        (0.4, 1): 1000,
        (0.4, 2): 1000,
    }
    picture = picture_of(
        "figure1_center",
        write(tmp_path, "figure1_center", lambda run: (200, moments[run.train_fraction, run.seed])),
    )
    [axes] = picture.axes
    x, medians = line(axes, style.VALIDATION)
    assert np.allclose(x, [20, 30, 40])
    assert np.isnan(medians[0]) and (medians[1:] == [5000, 1000]).all()
    assert (line(axes, style.TRAIN)[1] == 200).all()
    triangles = np.concatenate([drawn.get_offsets() for drawn in dots(axes, marker_is_open=True)])
    assert sorted(map(tuple, np.round(triangles).astype(int))) == [(20, 10_000)] * 4 + [
        (30, 10_000)
    ]
    assert "steps for each 1% less data" in texts(picture)


def test_the_slope_is_fitted_at_the_steep_end():
    fractions = np.array([0.2, 0.25, 0.26, 0.27, 0.28, 0.3, 0.31, 0.5])
    assert (
        fractions[figure1_center.steep_end(fractions, fractions > 0.2)]
        == [0.25, 0.26, 0.27, 0.28, 0.3]
    ).all()
    coarse = np.array([0.2, 0.4, 0.6, 0.8])
    assert (coarse[figure1_center.steep_end(coarse, coarse > 0)] == [0.2, 0.4, 0.6]).all()
    assert not figure1_center.steep_end(coarse, coarse > 1).any()
    thrice = np.repeat(
        [0.5, 0.6, 0.7, 0.8, 0.9, 0.95], 3
    )  # one run of three crosses at 50 and 60%, all from 70% on
    crossed = (thrice > 0.65) | (np.arange(18) % 3 == 0)
    assert set(thrice[figure1_center.steep_end(thrice, crossed)]) == {0.5, 0.6, 0.7, 0.8, 0.9}


def test_a_diverged_run_counts_as_followed_to_its_budget():
    runs = pd.DataFrame(
        {
            "status": ["diverged", "running", "queued", "grokked"],
            "num_steps": 1000,
            "stopped_at": pd.array([30, 400, 0, 600], "Int64"),
            "steps_to_val_99": pd.array([None, None, None, 500], "Int64"),
        }
    )
    begun, crossed, last = run_facts.crossings(runs, "val")
    assert list(begun.index) == [0, 1, 3] and list(last) == [1000, 400, 600]
    assert np.isnan(crossed[:2]).all() and crossed[2] == 500


def test_the_power_law_is_found_and_zero_decay_stands_apart(tmp_path):
    moments = {0: np.inf, 0.1: 10_000, 1: 1000, 10: 100}
    picture = picture_of(
        "weight_decay",
        write(
            tmp_path,
            "weight_decay",
            lambda run: (10, moments[run.weight_decay]),
            runs=grid(BASE, weight_decay=[0, 0.1, 1, 10], seed=[0, 1]),
        ),
    )
    assert "b = −1.00 [" in texts(picture)
    [axes] = picture.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "0.1", "1", "10"]
    assert axes.get_xticks()[0] == 0.1 / times.ZERO_GAP
    assert np.allclose(line(axes, style.BLACK, dashed=True), [[0.1, 10], [10_000, 100]], rtol=0.01)


def law_runs(moments: dict, censored_at: int) -> pd.DataFrame:
    """Runs as runs.crossings reads them.

    moments: decay -> updates of each seed to 99% (training, validation), None for never.
    """
    rows = [
        (decay, "budget", censored_at, censored_at, *pair)
        for decay, pairs in moments.items()
        for pair in pairs
    ]
    frame = pd.DataFrame(
        rows,
        columns=[
            "weight_decay",
            "status",
            "stopped_at",
            "num_steps",
            "steps_to_train_99",
            "steps_to_val_99",
        ],
    )
    return frame.astype({"steps_to_train_99": "Int64", "steps_to_val_99": "Int64"})


def test_the_power_law_leaves_out_decays_at_which_training_itself_is_slow():
    """Validation takes 300 / decay^1.5 updates, up to a decay where training takes as long."""
    rng = np.random.default_rng(0)
    planted = {}
    for decay in (0.1, 0.3, 1.0, 3.0):
        times = 3000 * decay**-1.5 * np.exp(0.05 * rng.normal(size=5))
        planted[decay] = [(100, round(time)) for time in times]
    slow = {
        10.0: [(1500, 1600)] * 5,
        30.0: [(8000, 8000), (None, None), (None, None), (None, None), (9000, None)],
    }
    fit = time_facts.fit_power_law(
        law_runs({0.0: [(100, None)], **planted, **slow}, 200_000), "weight_decay"
    )
    assert (fit.fitted, fit.left_out) == ([0.1, 0.3, 1.0, 3.0], [10.0, 30.0])
    assert fit.law.low < 1.5 < fit.law.high and fit.law.value == pytest.approx(1.5, abs=0.05)
    x, y = np.log([(decay, pair[1]) for decay, pairs in planted.items() for pair in pairs]).T
    assert fit.law.value == pytest.approx(-np.polyfit(x, y, 1)[0], abs=1e-3)
    everything = time_facts.fit_power_law(
        law_runs(planted | {10.0: [(100, 1600)] * 5}, 200_000), "weight_decay"
    )
    assert everything.law.value < 1.4 and not everything.left_out, (
        "the same end, were training quick, would flatten the law"
    )


def test_a_decay_counts_as_delayed_by_its_medians():
    half = [(500, 1000), (500, 1000), (900, 1000)]
    assert time_facts.is_delayed(law_runs({1.0: half}, 5000))
    assert not time_facts.is_delayed(law_runs({1.0: [(501, 1000), (501, 1000), (10, 1000)]}, 5000))
    assert time_facts.is_delayed(law_runs({1.0: [(2500, None)] * 3}, 5000)), (
        "not reached by 5,000, so at least twice as long"
    )
    assert not time_facts.is_delayed(law_runs({1.0: [(2600, None)] * 3}, 5000))
    assert not time_facts.is_delayed(law_runs({1.0: [(None, None)] * 3}, 5000))


def test_a_law_is_drawn_where_it_was_fitted(tmp_path):
    moments = {0.1: (10, 5000), 0.3: (10, 2000), 1: (10, 500), 10: (500, 500)}
    folder = write(
        tmp_path,
        "weight_decay",
        lambda run: moments[run.weight_decay],
        runs=grid(BASE, weight_decay=list(moments), seed=[0, 1]),
    )
    picture = picture_of("weight_decay", folder)
    assert line(picture.axes[0], style.BLACK, dashed=True)[0] == pytest.approx([0.1, 1])
    found = findings.of(results.load(folder))
    assert found["exponent"].here.endswith(", from 0.1 to 1") and found["exponent"].runs == 6
    folder = write(tmp_path / "slow", "weight_decay", lambda run: (500, 500))
    assert "no law: too few values with a delay" in texts(picture_of("weight_decay", folder))


def test_the_lowest_panel_of_each_column_carries_the_axis(tmp_path):
    """Of six panels in five columns four columns end in the first row."""
    runs = grid(BASE, label=list("abcdef"), train_fraction=[0.2, 0.5], seed=[0, 1])
    picture = laid_out(picture_of("figure2_left", write(tmp_path, "figure2_left", runs=runs)))
    shown = [axes for axes in picture.axes if axes.get_visible()]
    named = {}
    for axes in shown:
        ticks = [label.get_text() for label in axes.get_xticklabels() if label.get_visible()]
        named[axes.get_title()] = bool(axes.get_xlabel()), any(ticks)
    assert named == {name: (name != "a", name != "a") for name in "abcdef"}
    assert {axes.get_title() for axes in shown if axes.get_ylabel()} == {"a", "f"}


def band_of(axes, colour: str) -> np.ndarray:
    """The corners of the only band of a colour."""
    [found] = [
        drawn
        for drawn in axes.collections
        if isinstance(drawn, PolyCollection) and to_hex(drawn.get_facecolors()[0]) == to_hex(colour)
    ]
    return np.concatenate([path.vertices for path in found.get_paths()])


@pytest.mark.parametrize("seeds", [range(2), range(8)])
def test_bands_are_ranges_of_few_seeds_and_intervals_of_many(tmp_path, seeds):
    """At 50% data the first seed validates at 10%, the others at 100%."""
    runs = grid(BASE.replace(label="a"), train_fraction=[0.2, 0.5], seed=seeds)
    picture = picture_of(
        "figure2_left",
        write(
            tmp_path,
            "figure2_left",
            lambda run: (100, np.inf if run.seed == 0 else 2000),
            runs=runs,
        ),
    )
    y = band_of(picture.axes[0], style.VALIDATION)[:, 1]
    if len(seeds) == 2:
        assert (y.min(), y.max()) == pytest.approx((10, 100))
    else:
        values = np.array([10.0] + [100.0] * 7)
        drawn = np.random.default_rng(1).choice(values, (20_000, 8)).mean(axis=1)
        assert y.min() == pytest.approx(np.quantile(drawn, 0.025), abs=1) and y.max() == 100


@pytest.mark.parametrize(
    "runs, said",
    [
        ([BASE], "Small scale, 1 run, 1 seed, "),
        ([BASE.replace(structure="Z97")], "Small scale, the paper's network, 1 run, "),
        (
            [BASE.replace(structure="Z97"), BASE.replace(structure="Z97", n_layers=1)],
            "Small scale, 2 runs, ",
        ),
        (
            [BASE.replace(structure="Z97"), BASE.replace(operation="xy", structure="S5")],
            "Small scale, the paper's network, 2 runs, ",
        ),
    ],
)
def test_captions_say_whether_the_network_is_the_papers(tmp_path, runs, said):
    loaded = results.load(write(tmp_path, "unheard_of", runs=runs))
    assert data.facts(findings.of(loaded)).startswith(said)


def test_interventions_have_a_panel_each_with_means_over_seeds(tmp_path):
    picture = picture_of(
        "figure2_left",
        write(
            tmp_path,
            "figure2_left",
            lambda run: (
                100,
                2000 if run.train_fraction > 0.3 and (run.label, run.seed) != ("b", 0) else np.inf,
            ),
        ),
    )
    shown = [axes for axes in picture.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == ["a", "b", "c", "d"]
    assert np.allclose(line(shown[0], style.VALIDATION), [[20, 50], [10, 100]])
    assert np.allclose(line(shown[1], style.VALIDATION), [[20, 50], [10, 70]])
    assert np.allclose(line(shown[0], style.TRAIN)[1], 100)


def test_operations_are_ordered_by_the_data_they_need(tmp_path):
    too_little = {"x+y": 0.3, "x-y": 0.1}
    picture = picture_of(
        "figure2_right",
        write(
            tmp_path,
            "figure2_right",
            lambda run: (100, 2000 if run.train_fraction > too_little[run.operation] else np.inf),
        ),
    )
    first, second = [axes for axes in picture.axes if axes.get_visible()]
    titles = [axes.get_title() for axes in (first, second)]
    assert titles == ["x-y  Z31\n20% needed", "x+y  Z31\n50% needed"]
    for axes, accuracies, need in ((first, [100, 100], 20), (second, [10, 100], 50)):
        assert np.allclose(line(axes, style.VALIDATION)[1], accuracies)
        assert (line(axes, style.BLACK, dashed=True)[0] == need).all()


def test_corrupted_labels_are_spread_evenly_with_their_best_accuracies(tmp_path):
    picture = picture_of(
        "figure6",
        write(tmp_path, "figure6", lambda run: (100, 500 if run.corrupted_labels == 0 else np.inf)),
    )
    left, right = picture.axes
    assert [label.get_text() for label in right.get_xticklabels()] == ["0", "10"]
    assert np.allclose(line(right, style.VALIDATION)[1], [100, 10]) and np.allclose(
        line(right, style.TRAIN)[1], 100
    )
    assert len(left.lines) == 2 * len(RUNS["figure6"])


def test_sharpness_panels_state_spearmans_correlation(tmp_path):
    folder = write(tmp_path, "figure7")
    rng = np.random.default_rng(0)
    scores = pd.DataFrame(
        {
            "run": range(8),
            "val_accuracy": rng.random(8),
            "sharpness": rng.random(8),
            "eigenvalue": [np.nan, *rng.random(7)],
            "trace": 1.0,
        }
    )
    scores.to_parquet(folder / "sharpness.parquet")
    picture = picture_of("figure7", folder)
    rho = stats.spearmanr(scores.sharpness, scores.val_accuracy).statistic
    assert picture.axes[0].get_title().startswith(f"ρ = {rho:.2f} [".replace("-", "−"))
    assert [len(dots(axes, False)[0].get_offsets()) for axes in picture.axes] == [8, 7, 8]
    assert picture.axes[2].get_title() == "too few networks, or all alike"
    assert "Small scale, 8 runs, 8 seeds" in texts(picture)


def test_networks_whose_sharpness_was_not_measured_give_no_picture(tmp_path, capsys):
    folder = write(tmp_path, "figure7")
    assert gallery.draw(folder) == [] and not list(folder.glob("*.png"))
    assert gallery.draw_all(tmp_path, ["figure7"]) == 0
    assert "figure7: nothing to draw: no network has been measured" in capsys.readouterr().out


def test_phases_follow_from_the_two_crossings(tmp_path):
    runs = pd.DataFrame(
        {
            "steps_to_train_99": pd.array([100, 100, 100, 100, None, None], "Int64"),
            "steps_to_val_99": pd.array([1099, 1100, 50, None, None, 10], "Int64"),
        }
    )
    assert phases_of_runs.phases(runs) == [
        "comprehension",
        "grokking",
        "comprehension",
        "memorisation",
        "confusion",
        "confusion",
    ]
    moments = {(1e-3, 0): np.inf, (1e-3, 1): 5000, (1e-2, 0): 500, (1e-2, 1): 500}
    folder = write(
        tmp_path,
        "phase_map",
        lambda run: (
            200,
            500
            if (run.learning_rate, run.weight_decay, run.seed) == (1e-3, 1, 2)
            else moments[run.learning_rate, run.weight_decay],
        ),
    )
    [axes] = picture_of("phase_map", folder).axes
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (0, 0): "M",
        (1, 0): "G 2/3",
        (0, 1): "C",
        (1, 1): "C",
    }


def test_a_tie_of_phases_splits_its_cell(tmp_path):
    """Of decay 0 two seeds memorise and two grok; of decay 1 three grok and one memorises.

    The order of the seeds does not count.
    """

    def moments(run):
        late = run.seed > (1 if run.weight_decay == 0 else 0)
        return 200, (5000 if late == (run.learning_rate == 1e-3) else np.inf)

    runs = grid(BASE, learning_rate=[1e-3, 1e-2], weight_decay=[0, 1], seed=range(4))
    picture = picture_of("phase_map", write(tmp_path, "phase_map", moments, runs=runs))
    [axes] = picture.axes
    assert {text.get_position(): text.get_text() for text in axes.texts} == {
        (-0.235, 0): "G",
        (0.235, 0): "M",
        (1, 0): "G 3/4",
        (-0.235, 1): "G",
        (0.235, 1): "M",
        (1, 1): "M 3/4",
    }
    drawn = {
        (part.get_x(), round(part.get_y())): (part.get_width(), to_hex(part.get_facecolor()))
        for part in axes.patches
    }
    grokking, memorisation = (
        to_hex(phase_map.PHASES[phase][1]) for phase in ("grokking", "memorisation")
    )
    side, (left, right) = phase_map.SIDE, (-phase_map.SIDE / 2, 1 - phase_map.SIDE / 2)
    assert drawn == {
        (left, 0): (side / 2, grokking),
        (0.0, 0): (side / 2, memorisation),
        (left, 1): (side / 2, grokking),
        (0.0, 1): (side / 2, memorisation),
        (right, 0): (side, grokking),
        (right, 1): (side, memorisation),
    }


def test_precisions_are_compared_by_survival_and_seed_by_seed(tmp_path):
    moments = {
        "float32": [500, 1000, 2000, np.inf],
        "tf32": [1000, 2000, 5000, np.inf],
        "bf16": [500, 1000, np.inf, np.inf],
    }
    folder = write(tmp_path, "precision", lambda run: (200, moments[run.precision][run.seed]))
    computed_in(folder, float32="float32", tf32="tf32", bf16="bf16")
    picture = laid_out(picture_of("precision", folder))
    [axes] = picture.axes
    drawn = {
        line.get_label().split(",")[0]: np.array(line.get_data(), float).T.tolist()
        for line in axes.lines
    }
    assert "float32, median 1,500 [500, ∞]" in texts(picture)
    assert drawn["float32"] == [[1, 0], [500, 25], [1000, 50], [2000, 75], [10_000, 75]]
    assert drawn["bf16"] == [[1, 0], [500, 25], [1000, 50], [10_000, 50]]
    assert {line.get_drawstyle() for line in axes.lines} == {
        "steps-post"
    } and axes.get_xscale() == "log"
    found = findings.of(results.load(folder))
    assert (found["tf32"].value, found["tf32"].low, found["tf32"].high) == (2, 2, 2.5)
    assert (found["bf16"].value, found["bf16"].low, found["bf16"].high) == (1, 1, 1)
    assert [found[name].verdict for name in ("tf32", "bf16")] == ["not reproduced", "reproduced"]


def computed_in(folder, **precisions):
    """Let the only session of a folder have computed each precision in another one."""
    described = json.loads((folder / "experiment.json").read_text())
    described["sessions"][0]["precisions"] = precisions
    (folder / "experiment.json").write_text(json.dumps(described))


@pytest.mark.parametrize("bf16", ["float32", "bf16"])
def test_names_of_one_computation_are_not_compared(tmp_path, bf16):
    """As on a CPU, which computes bf16 if it has instructions for it, and never TF32."""
    folder = write(tmp_path, "precision", lambda run: (200, 500 + 100 * run.seed))
    computed_in(folder, float32="float32", tf32="float32", bf16=bf16)
    found, said = findings.of(results.load(folder)), texts(picture_of("precision", folder))
    assert "12 runs, 4 seeds, 2 x cpu" in said
    for name, own in (("tf32", False), ("bf16", bf16 == "bf16")):
        assert (f"{name} (computed in float32), median" in said) is not own
        assert np.isnan(found[name].value) != own and ("p = 1" in found[name].here) == own
        assert own or found[name].here == "both were computed in float32"
        assert own or found[name].verdict == "not tested"


def test_precisions_of_a_gpu_are_those_that_were_asked_for(tmp_path):
    folder = write(tmp_path, "precision")
    described = json.loads((folder / "experiment.json").read_text())
    described["sessions"][0]["precisions"] = {"float32": "float32", "tf32": "tf32", "bf16": "bf16"}
    assert registry.precisions(
        SimpleNamespace(runs=results.load(folder).runs, description=described)
    ) == ["bf16", "float32", "tf32"]
    del described["sessions"][0]["precisions"]  # older results
    assert registry.precisions(
        SimpleNamespace(runs=results.load(folder).runs, description=described)
    ) == ["bf16", "float32", "tf32"]


def test_a_precision_without_its_seed_in_float32_is_not_compared(tmp_path):
    """float32 and the first seed of tf32 have ended: one pair tells nothing."""
    folder = write(tmp_path, "precision", trained=lambda number: number < 5, complete=False)
    assert "bf16" not in texts(picture_of("precision", folder))
    found = findings.of(results.load(folder))
    assert np.isnan([found["tf32"].value, found["bf16"].value]).all()


def test_the_table_with_blanks_is_the_operations_table():
    picture = gallery.ENTRIES["figure1_right"].function()
    cells = {text.get_position(): text.get_text() for text in picture.axes[0].texts}
    inner = {place: letter for place, letter in cells.items() if min(place) >= 0}
    answers = operation_table("xy", "S3").answers
    known = {place: letter for place, letter in inner.items() if letter != "?"}
    assert len(inner) == 36 and len(known) == round(0.6 * 36)
    assert all(letter == "abcdef"[answers[y, x]] for (x, y), letter in known.items())


# --- t-SNE ---


def test_colours_run_along_the_axis_that_the_rows_show():
    p, k = 31, 4
    additive = circle(BASE, 0)[:p]
    found = tsne.colouring(additive, structure("Z31"))
    assert (
        found.period == p
        and f"{k} × n, mod {p}" in found.words
        and (found.value_T == k * np.arange(p) % p).all()
    )
    powers = np.array([pow(3, e, p) for e in range(p - 1)])  # 3 is the least primitive root of 31
    multiplicative = 0.05 * np.random.default_rng(0).normal(size=(p, 16))
    multiplicative[powers, 0] += np.cos(2 * np.pi * 7 * np.arange(p - 1) / (p - 1))
    multiplicative[powers, 1] += np.sin(2 * np.pi * 7 * np.arange(p - 1) / (p - 1))
    found = tsne.colouring(multiplicative, structure("Z31"))
    assert "7 × log n to base 3, mod 30" in found.words and np.isnan(found.value_T[0])
    assert all(found.value_T[powers[e]] == 7 * e % 30 for e in range(30))


def test_noise_is_coloured_by_residue_and_said_to_have_no_frequency():
    found = tsne.colouring(np.random.default_rng(1).normal(size=(31, 16)), structure("Z31"))
    assert "no key frequency found" in found.words and (found.value_T == np.arange(31)).all()


def test_groups_are_coloured_by_the_cosets_of_the_planted_subgroup():
    run = BASE.replace(operation="xy", structure="S4")
    group = structure("S4")
    found = tsne.colouring(circle(run, 0)[: group.order], group)
    members = groups.generated_subgroup(group, [groups.permutation_index(group, (1, 2, 0, 3))])
    planted = groups.cosets(group, members, "left")
    assert found.period is None and "order 3" in found.words
    assert (planted[:, None] == planted).tolist() == (
        found.value_T[:, None] == found.value_T
    ).tolist()


def test_perplexity_stays_below_the_number_of_rows():
    assert [perplexity(n) for n in (4, 31, 97, 120)] == [1, 10, 30, 30]
    assert coordinates(np.random.default_rng(0).normal(size=(4, 5))).shape == (4, 2)


def test_figure_3_shows_the_papers_step_and_the_best_one(tmp_path):
    """Frequency 4 makes neighbours of n and n + 8, for 4 x 8 = 1 mod 31: one panel is enough."""
    folder = write(tmp_path, "figure3")
    picture = picture_of("figure3", folder)
    shown = [axes for axes in picture.axes if axes.get_visible()]
    assert ["n joined to n + 8" in axes.get_xlabel() for axes in shown] == [True, True, False]
    assert "cosets gH of order 3" in shown[2].get_xlabel()
    titles = [axes.get_title() for axes in shown]
    assert "clearest of 3" in titles[0] and "typical of 3" in titles[1] and "xy S4" in titles[2]
    found = findings.of(results.load(folder))
    assert found["circle"].here == "3 of 3: 100% [44, 100]"
    joints = np.concatenate(
        [np.array(drawn.get_data()).T for drawn in picture.axes[0].lines]
    ).reshape(-1, 2, 2)
    spread = np.ptp(joints.reshape(-1, 2), axis=0).max()
    assert (
        len(joints) == 31
        and np.linalg.norm(joints[:, 0] - joints[:, 1], axis=1).mean() < spread / 4
    )


def test_figure_3_adds_what_the_paper_draws_where_it_differs():
    row = {"role": "clearest", "step_of_line": 10, "n": 31}
    assert [panel.step for panel in figure3.panels_of(row)] == [8, 10]
    assert [panel.step for panel in figure3.panels_of(row | {"role": "typical"})] == [10]
    assert [panel.step for panel in figure3.panels_of(row | {"step_of_line": 8})] == [8]
    group = {"role": "clearest", "subgroup": 3, "side": "left", "clarity": -9.0, "is_papers": False}
    assert [panel.cosets for panel in figure3.panels_of(group)] == [(3, "left")]
    symmetric = group | {"papers_subgroup": 7, "papers_side": "right", "papers_z": -4.0}
    drawn = [panel.cosets for panel in figure3.panels_of(symmetric)]
    assert drawn == [(7, "right"), (3, "left")]


def test_missing_arrays_are_an_error_of_one_line(tmp_path):
    folder = write(tmp_path, "quickstart")
    shutil.rmtree(folder / "arrays")
    with pytest.raises(GrokError, match="no arrays of run 0"):
        gallery.ENTRIES["quickstart_tsne"].picture(folder)


def test_torn_arrays_leave_out_their_figure_alone(tmp_path, capsys):
    folder = write(tmp_path, "quickstart")
    path = folder / "arrays" / "run_0000.npz"
    path.write_bytes(path.read_bytes()[:-20])
    assert figures.draw_all(tmp_path, ["quickstart"]) == 1
    said = dict(printed.split(": ", 1) for printed in capsys.readouterr().out.splitlines())
    assert said["quickstart_tsne"].startswith(f"not drawn: {path} cannot be read")
    assert said["quickstart"].startswith("drawn") and said["quickstart_loss"].startswith("drawn")


# --- Which figures, and when ---


@pytest.mark.parametrize(
    "folder, figure",
    [
        ("figure1_left", {"figure1_left", "figure4"}),
        ("figure1_left_paper", {"figure1_left", "figure4"}),
        (
            "figure3-seed=3",
            {
                "figure3",
                "embedding_structure",
                "embedding_structure_input",
                "embedding_growth",
                "tsne_sheet",
            },
        ),
        ("quickstart-seed=3", {"quickstart", "quickstart_loss", "quickstart_tsne"}),
        ("figure33", {"learning_curves", "times"}),
        ("mine", {"learning_curves", "times"}),
    ],
)
def test_a_folder_uses_the_figures_of_its_longest_prefix(folder, figure):
    assert {entry.name for entry in gallery.entries_of(folder)} == figure


def test_draw_writes_both_files_and_nothing_else(tmp_path):
    folder = write(tmp_path, "unheard_of", runs=grid(BASE, seed=[0, 1]))
    before = {path.name for path in folder.iterdir()}
    png, pdf = figures.draw(folder)
    assert (
        {path.name for path in folder.iterdir()} - before
        == {"learning_curves.png", "learning_curves.pdf", "findings.json"}
        == {png.name, pdf.name, "findings.json"}
    )
    with Image.open(png) as image:
        assert image.width == round(style.SINGLE * style.LOOK["savefig.dpi"])
        mark = gallery.ENTRIES["learning_curves"].mark(folder)
        assert image.info[style.FINGERPRINT] == mark
    assert pdf.read_bytes().startswith(b"%PDF")


def lines_of(capsys, root, *names) -> dict[str, str]:
    """What draw_all prints, by figure."""
    capsys.readouterr()
    status = figures.draw_all(root, list(names))
    said = dict(printed.split(": ", 1) for printed in capsys.readouterr().out.splitlines())
    broken = [text for text in said.values() if text.startswith("not drawn")]
    missing = [text for text in broken if "to make it: " in text]
    assert status == (len(broken) > (0 if names else len(missing)))
    return said


def test_a_figure_is_drawn_again_only_when_its_results_change(tmp_path, capsys):
    folder = write(tmp_path / "results", "init_scale")
    assert lines_of(capsys, tmp_path / "results")["init_scale"].startswith("drawn")
    clone = tmp_path / "clone"
    shutil.copytree(
        tmp_path / "results", clone, copy_function=shutil.copyfile
    )  # new times, as in a fresh clone
    png = clone / "init_scale" / "init_scale.png"
    drawn_at = png.stat().st_mtime_ns
    assert (
        lines_of(capsys, clone)["init_scale"].startswith("unchanged")
        and png.stat().st_mtime_ns == drawn_at
    )
    curves = pd.read_parquet(clone / "init_scale" / "curves.parquet")
    curves.assign(val_loss=1.0).to_parquet(clone / "init_scale" / "curves.parquet")
    assert lines_of(capsys, clone)["init_scale"].startswith("drawn")
    assert lines_of(capsys, clone)["init_scale"].startswith("unchanged")
    entry = gallery.ENTRIES["init_scale"]
    assert gallery.is_current(entry, folder)
    (folder / "init_scale.pdf").unlink()
    assert not gallery.is_current(entry, folder)
    shutil.copyfile(clone / "init_scale" / "init_scale.pdf", folder / "init_scale.pdf")
    (folder / "init_scale.png").write_bytes(b"torn")
    assert not gallery.is_current(entry, folder)


def test_extra_tables_arrays_and_findings_count_but_local_files_do_not(tmp_path):
    folder, entry = write(tmp_path, "figure7"), gallery.ENTRIES["figure7"]
    marks = [entry.mark(folder)]
    (folder / "arrays").mkdir()
    (folder / "arrays" / "run_0000_params.npz").write_bytes(b"weights")
    (folder / ".lock").write_text("")
    (folder / "checkpoints" / "x").write_text("")
    assert entry.mark(folder) == marks[0]
    columns = ["run", "val_accuracy", "sharpness", "eigenvalue", "trace"]
    pd.DataFrame([[0, 1.0, 1.0, 1.0, 1.0]], columns=columns).to_parquet(
        folder / "sharpness.parquet"
    )
    marks.append(entry.mark(folder))
    array_files.write_arrays(folder, "run_0000", {"unembedding": np.zeros(3)})
    marks.append(entry.mark(folder))
    findings.refresh(folder)
    marks.append(entry.mark(folder))
    assert len(set(marks)) == 4


def test_the_code_of_a_figure_is_all_that_its_numbers_pass_through():
    files = {path.name for path in fingerprint.sources("grok.measure.findings.figure1_center")}
    assert {"figure1_center.py", "survival.py", "results.py", "times.py"} <= files
    assert "figure3.py" not in files and "projection.py" not in files
    drawn = fingerprint.sources("grok.figures.figure1_center")
    assert fingerprint.PACKAGE / "figures" / "parts" / "style.py" in drawn
    assert not {fingerprint.PACKAGE / "__init__.py", fingerprint.APART} & set(drawn)
    assert fingerprint.APART.is_file()


@pytest.fixture
def saved(monkeypatch) -> list[str]:
    """The names of the figures that would have been written, in order; nothing is."""
    names = []
    monkeypatch.setattr(
        style,
        "save",
        lambda picture, folder, name, fingerprint: names.append(name) or style.paths(folder, name),
    )
    return names


def test_a_name_draws_anew_and_alone(tmp_path, capsys, saved, monkeypatch):
    write(tmp_path, "init_scale")
    write(tmp_path, "figure1_left")
    monkeypatch.setattr(gallery, "is_current", lambda entry, folder: True)
    assert (
        list(lines_of(capsys, tmp_path, "init_scale", "figure4"))
        == ["figure4", "init_scale"]
        == saved
    )
    lines_of(capsys, tmp_path, "figure1_left")  # the name of a folder stands for all its figures
    assert saved[2:] == ["figure1_left", "figure4"]
    assert set(lines_of(capsys, tmp_path)) > {"figure4", "init_scale"} and len(saved) == 4


def test_a_folder_is_named_or_given_by_its_path(tmp_path, monkeypatch):
    (tmp_path / "results" / "mine").mkdir(parents=True)
    (tmp_path / "results" / "mine" / "experiment.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    named = gallery.named_tasks(Path("results"), ["mine"])
    assert named and {folder for _, folder in named} == {Path("results/mine")}
    for given in ("results/mine", "results/mine/", str(tmp_path / "results" / "mine")):
        assert gallery.named_tasks(Path("results"), [given]) == named
    with pytest.raises(GrokError, match="no results folder 'elsewhere/mine'"):
        gallery.named_tasks(Path("results"), ["elsewhere/mine"])


def test_an_unknown_name_is_an_error_with_what_comes_close(tmp_path, saved):
    write(tmp_path, "init_scale")
    with pytest.raises(
        GrokError,
        match="no figure and no results folder 'figure1_centre': did you mean figure1_center",
    ):
        figures.draw_all(tmp_path, ["init_scale", "figure1_centre"])
    assert not saved


def test_what_is_missing_or_broken_is_named_and_the_others_are_drawn(tmp_path, capsys, saved):
    write(tmp_path, "init_scale")
    (write(tmp_path, "figure1_center") / "runs.parquet").write_bytes(b"torn")
    said = lines_of(capsys, tmp_path)
    assert said["init_scale"].startswith("drawn") and said["figure1_right"].startswith("drawn")
    assert said["figure1_center"].startswith("not drawn: the tables in")
    assert "python -m grok train configs/figure6.py" in said["figure6"]
    assert set(said) == {entry.name for entry in gallery.ENTRIES.values() if entry.sources}


def newer(folder):
    path = folder / "experiment.json"
    path.write_text(path.read_text().replace('"runs": [', '"runs": [{"flavour": 1}, '))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "arrays").mkdir(), "drawn"),
        (lambda folder: (folder / "extra.parquet").symlink_to("gone"), "not drawn: "),
        (newer, "not drawn: run 0 in "),
        (lambda folder: (folder / "experiment.json").write_text("null"), "not drawn: "),
    ],
)
def test_one_bad_folder_does_not_stop_the_others(tmp_path, capsys, saved, spoil, said):
    write(tmp_path, "init_scale")
    spoil(write(tmp_path, "figure1_center"))
    found = lines_of(capsys, tmp_path)
    assert found["figure1_center"].startswith(said) and found["init_scale"].startswith("drawn")
    capsys.readouterr()
    figures.draw(tmp_path / "figure1_center")
    assert ("not drawn" in capsys.readouterr().err) == (said != "drawn")


def test_a_mistake_in_one_figure_does_not_stop_the_others(tmp_path, capsys, saved, monkeypatch):
    write(tmp_path, "init_scale"), write(tmp_path, "figure6")
    draw = gallery.Entry.draw

    def broken(entry, folder):
        return 1 / 0 if entry.name == "figure6" else draw(entry, folder)

    monkeypatch.setattr(gallery.Entry, "draw", broken)
    said = lines_of(capsys, tmp_path)
    assert said["figure6"] == "not drawn: ZeroDivisionError: division by zero"
    assert said["init_scale"].startswith("drawn")


@pytest.mark.parametrize("label", [r"$\text{AdamW}, \wd=1$", "costs $5 and $6", "$"])
def test_a_label_is_text_and_never_parsed(tmp_path, label):
    """In a legend, above a panel and at the ticks of an axis."""
    decays = [BASE.replace(label=label, weight_decay=decay) for decay in (0.0, 1.0)]
    norms = [BASE.replace(label=f"{label} {norm}", norm=norm) for norm in ("pre", "post")]
    for name, figure, runs in (
        ("unheard_of", "learning_curves", decays),
        ("quickstart", "quickstart_tsne", decays),
        ("rows", "times", norms),
    ):
        picture = laid_out(picture_of(figure, write(tmp_path, name, runs=runs)))
        drawn = [as_shown(text) for text in picture.findobj(Text)]
        assert any(label in text for text in drawn), figure
        assert not any("TeX" in text and "mathdefault" not in text for text in drawn), figure
    again = laid_out(style.as_written(laid_out(picture_of("learning_curves", tmp_path / "rows"))))
    for text in again.axes[0].get_xticklabels():
        assert as_shown(text).startswith("TeX $\\mathdefault{10^{"), "ticks stay powers of ten"


def as_shown(text: Text) -> str:
    """What a text reads once it is drawn, after the word TeX where it is parsed."""
    written = text.get_text()
    if not text.get_parse_math():
        return written
    return f"TeX {written}" if cbook.is_math_text(written) else written.replace(r"\$", "$")


def test_draw_leaves_out_what_the_results_do_not_allow(tmp_path, capsys, saved):
    folder = write(tmp_path, "quickstart")
    shutil.rmtree(folder / "arrays")
    assert (
        {path.stem for path in figures.draw(folder)}
        == {"quickstart", "quickstart_loss"}
        == set(saved)
    )
    assert "quickstart_tsne not drawn: " in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_gives_one_line(tmp_path, capsys):
    folder = write(tmp_path, "init_scale")
    (folder / "init_scale.pdf").mkdir()
    assert lines_of(capsys, tmp_path)["init_scale"].startswith("not drawn: cannot write to")


def test_operations_have_raised_exponents():
    said = [words.pretty(text) for text in ("x^3+xy^2+y", "xyx^-1", "x^(-12)")]
    assert said == ["x³+xy²+y", "xyx⁻¹", "x⁻¹²"]


def test_curves_without_accuracies_are_drawn_as_losses(tmp_path):
    folder = write(tmp_path, "unheard_of")
    curves = pd.read_parquet(folder / "curves.parquet").assign(
        train_accuracy=np.nan, val_accuracy=np.nan, train_loss=2.5, val_loss=2.6
    )
    tables.write_table(folder, "curves", curves)
    [axes] = laid_out(picture_of("learning_curves", folder)).axes
    assert axes.get_ylabel() == "Loss"
    assert {float(y) for drawn in axes.lines for y in drawn.get_ydata()} == {2.5, 2.6}
