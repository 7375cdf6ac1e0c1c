"""Runs refuse what cannot be trained, in one line; grids and overrides list the right runs."""

import dataclasses
import warnings
from typing import Literal, get_args, get_origin

import numpy as np
import pytest

from grok import config
from grok.commands.overrides import override
from grok.experiment import Experiment, GrokError, Note, Run, grid


def test_defaults_are_the_papers_adamw_setting():
    run = Run()
    paper = dict(
        n_layers=2,
        n_heads=4,
        d_model=128,
        ff_width=512,
        norm="post",
        activation="relu",
        optimizer="adamw",
        learning_rate=1e-3,
        weight_decay=1.0,
        b1=0.9,
        b2=0.98,
        eps=1e-8,
        warmup_steps=10,
        num_steps=100_000,
        dropout=0.0,
        weight_noise=0.0,
        schedule="constant",
    )
    assert {name: getattr(run, name) for name in paper} == paper


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"d_model": 10, "n_heads": 4}, "n_heads=4 does not divide d_model=10"),
        ({"optimizer": "adam"}, "weight_decay=1"),
        ({"optimizer": "none"}, "optimizer='none' is none of adamw, adam, sgd, sam, muon"),
        ({"norm": "Post"}, "is none of post, pre, none, sphere"),
        (
            {"filter_strength": 5.0},
            "filter_strength=5 is read by gradient_filter=grokfast_ema or grokfast_ma alone, "
            "but gradient_filter=none",
        ),
        (
            {"gradient_filter": "grokfast_ema", "filter_window": 50},
            "filter_window=50 is read by gradient_filter=grokfast_ma alone",
        ),
        ({"sam_radius": 0.1}, "sam_radius=0.1 is read by optimizer=sam alone"),
        (
            {"gradient_filter": "grokfast_ma", "num_steps": 99},
            "filter_window=100 is longer than the run of num_steps=99",
        ),
        ({"attention_mix": 1.1}, "attention_mix=1.1 must lie in [0, 1]"),
        ({"logit_scale": 0.0}, "logit_scale=0.0 must be above 0"),
        ({"train_fraction": 0.0}, "train_fraction=0.0 must lie in (0, 1)"),
        ({"train_fraction": 1}, "train_fraction=1.0 must lie in (0, 1)"),
        ({"train_fraction": float("nan")}, "train_fraction=nan must be finite"),
        ({"learning_rate": float("inf")}, "learning_rate=inf must be finite"),
        ({"learning_rate": 0}, "learning_rate=0.0 must be above 0"),
        (
            {"learning_rate": 1e39},
            "=1e+39 is inf in float32, in which training computes: choose a smaller",
        ),
        (
            {"b2": 0.99999999},
            "b2=0.99999999 is 1 in float32, in which training computes: choose a s",
        ),
        ({"dropout": 0.99999999}, "dropout=0.99999999 is 1 in float32"),
        (
            {"eps": 1e-50},
            "=1e-50 is 0 in float32, in which training computes: choose at least 1.2e-38",
        ),
        ({"eps": 1e-40}, "eps=1e-40 is 0 in float32"),
        ({"weight_decay": 1e-50}, "computes: choose 0, or at least 1.2e-38"),
        ({"learning_rate": "1e-3"}, "learning_rate='1e-3' must be float"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 must not be negative"),
        ({"dropout": 1.0}, "dropout=1.0 must lie in [0, 1)"),
        ({"b2": 1.0}, "b2=1.0 must lie in [0, 1)"),
        ({"num_steps": 0}, "num_steps=0 must be above 0"),
        ({"num_steps": 10.5}, "num_steps=10.5 must be int"),
        ({"num_steps": True}, "num_steps=True must be int"),
        ({"label": "\udcce"}, "is no text in this locale: set LC_ALL=C.UTF-8"),
        ({"d_ff": 0}, "d_ff=0 must be above 0"),
        ({"batch_size": -1}, "batch_size=-1 must not be negative"),
        ({"batch_size": "all"}, "batch_size='all' must be int"),
        ({"seed": -1}, "seed=-1 must not be negative"),
        ({"seed": None}, "seed=None must be int"),
        ({"snapshots": True}, "snapshots=True must be str"),
        ({"snapshots": "often"}, "snapshots='often' must be 'log', a spacing in updates such as"),
        ({"snapshots": "0"}, "snapshots='0' must be 'log', a spacing in updates such as"),
        ({"snapshots": 300}, "eval_every=200, or eval_every=150"),
        ({"operation": 3}, "operation=3 must be str"),
    ],
)
def test_a_wrong_field_is_refused_in_one_line(fields, said):
    with pytest.raises(GrokError) as refusal:
        Run(**fields)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_replace_refuses_an_unknown_field_and_checks_the_known_ones():
    with pytest.raises(GrokError, match="no field 'modulu'.*structure"):
        Run().replace(modulu=31)
    with pytest.raises(GrokError, match="seed='x' must be int"):
        Run().replace(seed="x")


def test_numbers_take_the_type_of_their_field():
    run = Run(num_steps=1e4, weight_decay=0, batch_size=64.0)
    assert (run.num_steps, run.weight_decay, run.batch_size) == (10_000, 0.0, 64)
    assert [type(v) for v in (run.num_steps, run.weight_decay, run.batch_size)] == [int, float, int]


def test_width_of_the_hidden_layer_follows_d_model_unless_given():
    assert Run(d_model=32).ff_width == 128
    assert Run(d_model=32).replace(d_model=64).ff_width == 256
    assert Run(d_model=32, d_ff=48).ff_width == 48


def test_every_field_has_help_and_obeys_its_own_rule():
    for spec in dataclasses.fields(Run):
        assert spec.metadata["help"], spec.name
        assert (spec.metadata["check"] is None) == (spec.metadata["rule"] == ""), spec.name


def test_grid_is_a_nested_loop_with_the_last_field_fastest():
    runs = grid(Run(d_model=16), train_fraction=[0.3, 0.5], seed=range(3))
    assert [(run.train_fraction, run.seed) for run in runs] == [
        (0.3, 0),
        (0.3, 1),
        (0.3, 2),
        (0.5, 0),
        (0.5, 1),
        (0.5, 2),
    ]
    assert {run.d_model for run in runs} == {16}
    assert grid(Run()) == [Run()]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seed": 3}, r"seed=3 is no list of values: write seed=\[3\]"),
        ({"optimizer": "sgd"}, "optimizer='sgd' is no list of values"),
        ({"structure": {"Z11", "Z13"}}, "the values of structure are a set, whose order differs"),
        ({"seed": [[1, 2]]}, r"seed=\[1, 2\] must be int"),
    ],
)
def test_grid_refuses_what_is_no_list_of_values(values, said):
    with pytest.raises(GrokError, match=said):
        grid(Run(), **values)


def test_grid_takes_the_numbers_of_numpy():
    runs = grid(Run(), weight_decay=np.logspace(-1, 1, 3), seed=np.arange(2), tied=np.array([True]))
    assert [(run.weight_decay, run.seed) for run in runs[:3]] == [(0.1, 0), (0.1, 1), (1.0, 0)]
    kinds = {(type(run.weight_decay), type(run.seed), type(run.tied)) for run in runs}
    assert kinds == {(float, int, bool)}


def test_grid_refuses_a_wrong_value_or_field():
    with pytest.raises(GrokError, match="train_fraction=2.0"):
        grid(Run(), train_fraction=[0.5, 2.0])
    with pytest.raises(GrokError, match="no field 'fraction'"):
        grid(Run(), fraction=[0.5])


def test_override_changes_every_run_and_the_name():
    before = Experiment(name="two", runs=grid(Run(), seed=[0, 1]), scale="paper")
    after = override(before, structure="Z31", num_steps=200)
    assert [(run.structure, run.num_steps, run.seed) for run in after.runs] == [
        ("Z31", 200, 0),
        ("Z31", 200, 1),
    ]
    assert after.scale == "paper"
    assert after.name == "two-structure=Z31-num_steps=200"
    assert before.runs == (Run(seed=0), Run(seed=1))
    assert override(before) == before


def test_an_override_asks_what_it_needs_of_other_fields():
    pair = Experiment(name="e", runs=(Run(), Run(optimizer="adam", weight_decay=0.0, seed=1)))

    def fields(**changes):
        return [(run.optimizer, run.weight_decay) for run in override(pair, **changes).runs]

    assert fields(weight_decay=0.5) == [("adamw", 0.5), ("adamw", 0.5)]
    assert fields(weight_decay=0.0) == [("adamw", 0.0), ("adam", 0.0)]
    assert fields(optimizer="adam") == [("adam", 0.0), ("adam", 0.0)]
    with pytest.raises(GrokError, match="optimizer=adam has no weight decay"):
        pair.runs[0].replace(optimizer="adam")
    with pytest.raises(GrokError, match="optimizer=adam has no weight decay"):
        fields(optimizer="adam", weight_decay=0.5)
    read = override(pair, table="a.npz").runs[0]
    assert (read.values, read.table) == ("file", "a.npz")
    assert override(Experiment(name="e", runs=[read]), values="bins").runs[0].table == ""


@pytest.mark.parametrize(
    ("snapshots", "every", "stop_after"),
    [("100", 100, 20), (300, 150, 14), ("400", 200, 10), ("7", 7, 286), ("log", 200, 10)],
)
def test_snapshots_alone_bring_their_evaluations(snapshots, every, stop_after):
    one = Experiment(name="e", runs=[Run()])
    [run] = override(one, snapshots=snapshots).runs
    assert run == Run(snapshots=snapshots, eval_every=every, stop_after=stop_after)
    assert run.stop_after * run.eval_every >= Run().stop_after * Run().eval_every
    [asked] = override(one, snapshots=snapshots, stop_after=3).runs
    assert asked == run.replace(stop_after=3)


def test_a_spacing_of_snapshots_that_cannot_work_gives_one_line():
    one = Experiment(name="e", runs=[Run()])
    with pytest.raises(GrokError, match="^snapshots=211 would fall .*eval_every=200, or .*=1$"):
        override(one, snapshots="211")
    with pytest.raises(GrokError, match="^snapshots=100 would fall .*eval_every=75, or .*=50$"):
        override(one, snapshots="100", eval_every=75)
    with pytest.raises(GrokError, match="^snapshots='0' must be 'log', a spacing"):
        override(one, snapshots="0")


OTHER_VALUES = {
    "label": "another",
    "operation": "x+y",
    "structure": "Z31",
    "train_fraction": 0.6,
    "d_model": 64,
    "d_ff": 64,
    "n_heads": 2,
    "table": "a.npz",
    "snapshots": "log",
    "batch_size": 64,
    "eval_every": 100,
    "num_steps": 100,
}


@pytest.mark.parametrize("spec", dataclasses.fields(Run), ids=lambda spec: spec.name)
def test_every_field_of_the_quickstart_can_be_overridden_alone(spec):
    experiment = config.load("configs/quickstart.py", "small").experiment
    choices = [value for value in get_args(spec.type) if value not in ("file", type(None))]
    if isinstance(spec.default, bool):
        values = [not spec.default]
    elif get_origin(spec.type) is Literal:
        values = choices
    elif spec.name in OTHER_VALUES:
        values = [OTHER_VALUES[spec.name]]
    else:
        values = [1 + spec.default] if spec.type is int else [spec.default / 2 or 0.5]
    owner, _, methods = spec.metadata["of"].partition("=")
    beside = {owner: methods.split("|")[0]} if owner else {}
    for value in values:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Note)  # what makes both runs equal leaves one
            runs = override(experiment, **{spec.name: value}, **beside).runs
        assert all(getattr(run, spec.name) == value for run in runs), value


def test_a_method_that_an_override_takes_away_takes_its_strength_along():
    run = Run(gradient_filter="grokfast_ema", filter_strength=5.0, filter_memory=0.5)
    experiment = Experiment(name="e", runs=[run])
    [other] = override(experiment, gradient_filter="grokfast_ma").runs
    assert (other.filter_strength, other.filter_memory) == (5.0, 0.98)
    [none] = override(experiment, gradient_filter="none").runs
    assert none == Run()


def test_the_name_of_an_override_is_safe_as_a_folder():
    name = override(Experiment(name="e", runs=[Run()]), operation="x/y if y odd else x-y").name
    assert not set(name) & set("/ \\\0*?:")
    assert name != override(Experiment(name="e", runs=[Run()]), operation="x+y").name


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        (
            [grid(Run(), seed=[1]), grid(Run(), seed=[2])],
            "run 0 of experiment 'e' is a list, not a",
        ),
        ([Run(), {"seed": 1}], "run 1 of experiment 'e' is a dict, not a Run: join lists with"),
        (Run(), r"needs a list of runs: write runs=\[...\]"),
        (None, "needs a list of runs"),
    ],
)
def test_what_is_no_list_of_runs_is_refused(runs, said):
    with pytest.raises(GrokError, match=said):
        Experiment(name="e", runs=runs)


def test_equal_runs_are_left_out_with_a_note():
    eight = Experiment(name="e", runs=grid(Run(), seed=range(8)))
    with pytest.warns(Note, match="7 of 8 runs of 'e-seed=3' equal an earlier one: left out"):
        one = override(eight, seed=3)
    assert one.runs == (Run(seed=3),)
    with pytest.warns(Note, match="1 of 3 runs"):
        Experiment(name="e", runs=[Run(label="a"), Run(label="a"), Run(seed=1)])
    named = Experiment(name="e", runs=[Run(label="a"), Run(label="b", weight_decay=0.0)])
    with pytest.warns(Note, match="1 of 2 runs"):
        assert [run.label for run in override(named, weight_decay=1.0).runs] == ["a"]


def test_an_experiment_needs_a_run():
    with pytest.raises(GrokError, match="'empty' has no runs"):
        Experiment(name="empty", runs=[])


def test_whole_numbers_must_fit_the_device():
    assert Run(seed=2**31 - 1).seed == 2**31 - 1
    for field in ("seed", "num_steps", "eval_every", "warmup_steps"):
        with pytest.raises(GrokError, match=f"{field}=.*must be below"):
            Run(**{field: 2**31})


def test_a_label_that_an_override_makes_untrue_is_dropped():
    experiment = Experiment(
        name="e", runs=(Run(label="AdamW, decay 1"), Run(label="half", weight_decay=0.5, seed=1))
    )
    assert [run.label for run in override(experiment, weight_decay=0.5).runs] == ["", "half"]
    assert [run.label for run in override(experiment, num_steps=10).runs] == [
        "AdamW, decay 1",
        "half",
    ]
    assert [run.label for run in override(experiment, weight_decay=0.1, label="mine").runs] == [
        "mine",
        "mine",
    ]


def test_overrides_that_differ_have_folders_that_differ():
    experiment = Experiment(name="e", runs=(Run(),))
    names = {
        override(experiment, operation=operation).name
        for operation in ("x*y", "x/y", "x+y", "x-y", "xy")
    }
    assert len(names) == 5 and not any("/" in name or "*" in name for name in names)
    assert override(experiment, "mine", operation="x*y").name == "mine"


def test_a_name_too_long_for_a_file_system_is_refused():
    with pytest.raises(GrokError, match="--name"):
        override(Experiment(name="e", runs=(Run(),)), label="l" * 300)
