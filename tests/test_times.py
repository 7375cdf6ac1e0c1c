"""The times figure: it fits what varies, its medians are right, and censored runs stay censored."""

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from test_figures import BASE, laid_out, picture_of, write

from grok import figures
from grok.experiment import grid

NEVER = np.inf


def medians(axes, words: str) -> dict[float, float]:
    """What the line of medians shows: place -> updates, without those that were not reached."""
    [line] = [line for line in axes.lines if line.get_label() == f"{words}, median"]
    return {x: y for x, y in zip(*line.get_data()) if np.isfinite(x + y)}


def triangles(axes) -> list[tuple[float, float]]:
    """Where the open marks of censored runs stand, those of medians left out."""
    found = []
    for marks in axes.collections:
        is_open = isinstance(marks, PathCollection) and marks.get_facecolors().size == 0
        if is_open and marks.get_sizes()[0] < 20:
            found += [tuple(at) for at in marks.get_offsets()]
    return found


def test_one_number_gives_a_line_of_medians(tmp_path):
    runs = grid(BASE, train_fraction=[0.3, 0.5, 0.7], seed=range(3))
    slow = {0.3: [NEVER] * 3, 0.5: [500, 2000, NEVER], 0.7: [200, 500, 1000]}
    folder = write(tmp_path, "mine", lambda run: (100, slow[run.train_fraction][run.seed]), runs)
    picture = laid_out(picture_of("times", folder))
    [axes] = picture.axes
    assert medians(axes, "validation") == {0.5: 2000, 0.7: 500}
    assert medians(axes, "training") == {0.3: 100, 0.5: 100, 0.7: 100}
    assert sorted(x for x, _ in triangles(axes)) == [0.3, 0.3, 0.3, 0.5]
    assert axes.get_xscale() == "linear" and axes.get_xlabel() == "Train fraction"


def test_a_wide_number_has_a_logarithmic_axis_with_a_place_for_zero(tmp_path):
    runs = grid(BASE, weight_decay=[0.0, 0.1, 1.0])
    times = {0.0: 2000, 0.1: 1000, 1.0: 500}
    folder = write(tmp_path, "mine", lambda run: (100, times[run.weight_decay]), runs)
    [axes] = laid_out(picture_of("times", folder)).axes
    assert axes.get_xscale() == "log"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "0.1", "1"]
    assert sorted(medians(axes, "validation").values(), reverse=True) == [2000, 1000, 500]


def test_names_of_many_values_do_not_run_into_each_other(tmp_path):
    """Nine decays crowd at the right of a logarithmic axis; as columns they have room."""
    decays = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]
    rates = [0.00012, 0.00023, 0.00034, 0.00045, 0.00056, 0.00067, 0.00078, 0.00089, 0.0012]
    for name, varied in (("line", {}), ("map", {"learning_rate": rates})):
        varied = varied or {"weight_decay": decays}
        varied |= {"init_scale": [0.5, 1.0]} if name == "map" else {}
        folder = write(tmp_path, name, lambda run: (100, 1000), grid(BASE, **varied))
        [axes] = laid_out(picture_of("times", folder)).axes
        shown = [tick for tick in axes.get_xticklabels() if tick.get_text()]
        boxes = [tick.get_window_extent() for tick in shown]
        assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:]))
        assert len(shown) >= 2


def test_two_numbers_give_a_heat_map(tmp_path):
    runs = grid(BASE, learning_rate=[1e-3, 1e-2], weight_decay=[0.1, 1.0], seed=range(3))
    times = {(1e-3, 0.1): NEVER, (1e-3, 1.0): 2000, (1e-2, 0.1): 500, (1e-2, 1.0): 1000}

    def reached(run):
        if run.learning_rate == 1e-2 and run.weight_decay == 1.0 and run.seed == 2:
            return 100, NEVER
        return 100, times[run.learning_rate, run.weight_decay]

    [axes] = laid_out(picture_of("times", write(tmp_path, "mine", reached, runs))).axes
    last = max(run.num_steps for run in runs)
    words = {tuple(text.get_position()): text.get_text() for text in axes.texts}
    assert words[1, 0] == "2k" and words[0, 1] == "500" and words[1, 1] == "1k\n2/3"
    assert words[0, 0].startswith(">") and words[0, 0].endswith("\n0/3") and last > 0
    [picture] = axes.images
    assert np.isnan(np.ma.filled(picture.get_array(), np.nan)).tolist() == [[1, 0], [0, 0]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Weight decay", "Learning rate")


def test_a_choice_gives_rows(tmp_path):
    runs = grid(BASE, optimizer=["adamw", "muon", "sgd"], seed=range(2))
    times = {"adamw": 2000, "muon": 500, "sgd": NEVER}
    folder = write(tmp_path, "mine", lambda run: (100, times[run.optimizer]), runs)
    [axes] = laid_out(picture_of("times", folder)).axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["adamw", "muon", "sgd"]
    shown = {round(y): x for x, y in medians(axes, "validation").items()}
    assert shown == {0: 2000, 1: 500}
    assert [round(y) for _, y in triangles(axes)] == [2, 2]


def test_runs_of_one_label_that_differ_have_rows_of_their_own(tmp_path):
    runs = grid(BASE.replace(label="plain"), train_fraction=[0.3, 0.6])
    runs += grid(BASE.replace(label="pre-norm", norm="pre"), train_fraction=[0.3, 0.6])
    folder = write(tmp_path, "mine", lambda run: (100, 1000 * run.train_fraction), runs)
    [axes] = laid_out(picture_of("times", folder)).axes
    names = [tick.get_text() for tick in axes.get_yticklabels()]
    assert names == [
        f"{label}, train fraction {share}"
        for label in ("plain", "pre-norm")
        for share in (0.3, 0.6)
    ]


def test_the_names_of_many_fields_are_counted_where_they_do_not_fit(tmp_path):
    runs = [
        BASE,
        BASE.replace(norm="pre", positions="none", init="normal", optimizer="sgd", tied=True),
    ]
    folder = write(tmp_path, "mine", lambda run: (100, 1000), runs)
    picture = laid_out(picture_of("times", folder))
    [axes] = picture.axes
    assert axes.get_ylabel() == "5 fields"
    box = axes.yaxis.label.get_window_extent()
    assert box.y0 >= 0 and box.y1 <= picture.bbox.y1


def test_a_default_that_follows_from_another_field_is_no_difference(tmp_path):
    """The table of runs holds the width of the FFN, which differs where d_model does."""
    runs = grid(BASE, d_model=[8, 16, 32])
    folder = write(tmp_path, "mine", lambda run: (100, 10 * run.d_model), runs)
    [axes] = laid_out(picture_of("times", folder)).axes
    assert axes.get_xlabel() == "D model" and len(medians(axes, "validation")) == 3


@pytest.mark.parametrize("trained", [True, False])
def test_where_nothing_varies_or_nothing_was_trained_it_is_not_missed(tmp_path, capsys, trained):
    runs = grid(BASE, seed=range(2)) if trained else grid(BASE, weight_decay=[0, 1])
    folder = write(tmp_path, "mine", runs=runs, trained=lambda number: trained)
    assert {path.stem for path in figures.draw(folder)} == {"learning_curves"}
    assert capsys.readouterr().err == ""
