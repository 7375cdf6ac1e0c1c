"""Encodings of elements and positions: features against numpy, both paths, what stays fixed."""

import dataclasses
import functools
import re
import runpy
from pathlib import Path
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grok.experiment import Experiment, GrokError, Run
from grok.model.transformer import rotated
from grok.task.dataset import make_dataset
from grok.task.encodings import element_features
from grok.task.operations import structure
from grok.training import slots, sweep
from grok.training.losses import cross_entropy
from grok.training.optimizer import muon_labels
from grok.training.program import program_of
from grok.training.update import forward

QUICK_COMPILE = {"xla_backend_optimization_level": 0}
TINY = Run(operation="x+y", structure="Z12", n_layers=1, n_heads=2, d_model=8, d_ff=12)
VALUES = [
    {"values": "onehot"},
    {"values": "random"},
    {"values": "scalar"},
    {"values": "bins", "bins": 5},
    {"values": "digits", "base": 3},
    {"values": "fourier", "frequencies": 2},
]


def features(**fields):
    return element_features(TINY.replace(**fields))


def write_table(path, labels=(*"0123456789", "10", "11", "o", "="), width=8, **arrays):
    """A file as training leaves it, in an order of its own; returns its rows by label."""
    rng = np.random.default_rng(0)
    labels = np.array(labels)[rng.permutation(len(labels))]
    embedding_VD, unembedding_VD = rng.standard_normal((2, len(labels), width)).astype(np.float32)
    np.savez(
        path,
        **{"labels": labels, "embedding": embedding_VD, "unembedding": unembedding_VD} | arrays,
    )
    return {
        name: dict(zip(labels.tolist(), matrix))
        for name, matrix in (("embedding", embedding_VD), ("unembedding", unembedding_VD))
    }


# --- Features ---


def test_nothing_is_fixed_about_a_learned_table():
    assert features() is None


def test_a_scalar_runs_evenly_from_minus_one_to_one():
    np.testing.assert_allclose(
        features(values="scalar"), np.linspace(-1, 1, 12)[:, None], atol=1e-7
    )


@pytest.mark.parametrize("n_bins", [2, 5, 12])
def test_bins_are_contiguous_and_as_even_as_can_be(n_bins):
    features_NF = features(values="bins", bins=n_bins)
    assert features_NF.shape == (12, n_bins) and (features_NF.sum(1) == 1).all()
    steps = np.diff(features_NF.argmax(1))
    assert set(steps) <= {0, 1} and steps.sum() == n_bins - 1
    assert np.ptp(features_NF.sum(0)) <= 1


@pytest.mark.parametrize(("n", "base"), [(12, 2), (12, 3), (12, 12), (9, 3), (10, 3)])
def test_digits_are_those_people_write(n, base):
    features_NF = features(structure=f"Z{n}", values="digits", base=base)
    width = len(np.base_repr(n - 1, base))
    expected = []
    for r in range(n):
        written = np.base_repr(r, base).zfill(width)
        expected.append([digit == np.base_repr(d, base) for digit in written for d in range(base)])
    np.testing.assert_array_equal(features_NF, expected)


def test_fourier_features_are_columns_of_the_discrete_transform():
    transform = np.fft.fft(np.eye(12))[:, 1:4]
    np.testing.assert_allclose(
        features(values="fourier", frequencies=3),
        np.concatenate([transform.real, -transform.imag], 1),
        atol=1e-6,
    )


def test_random_vectors_are_normal_and_the_seeds_own():
    a, b = (features(structure="Z97", d_model=128, values="random", seed=seed) for seed in (0, 1))
    assert a.shape == (97, 128) and a.dtype == np.float32
    assert (
        abs(a.mean()) < 0.03
        and a.var() == pytest.approx(1, abs=0.05)
        and abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.03
    )
    np.testing.assert_array_equal(
        a, features(structure="Z97", d_model=128, values="random", learning_rate=0.1)
    )


def test_onehot_and_random_know_nothing_of_numbers():
    np.testing.assert_array_equal(
        features(structure="S3", operation="xy", values="onehot"), np.eye(6)
    )
    assert features(structure="S3", operation="xy", values="random").shape == (6, 8)


@pytest.mark.parametrize(
    ("suffix", "matrix"),
    [("", "embedding"), (":embedding", "embedding"), (":unembedding", "unembedding")],
)
def test_rows_of_a_file_are_matched_by_their_labels(tmp_path, suffix, matrix):
    rows = write_table(tmp_path / "t.npz")
    expected = [rows[matrix][label] for label in structure("Z12").labels]
    np.testing.assert_array_equal(
        features(values="file", table=f"{tmp_path / 't.npz'}{suffix}"), expected
    )


# --- The network ---


def test_rotary_scores_depend_on_the_distance_alone_and_norms_are_kept():
    rng = np.random.default_rng(0)
    q_HK, k_HK = rng.standard_normal((2, 3, 10)).astype(np.float32)
    score = {
        (m, n): (rotated(q_HK, m) * rotated(k_HK, n)).sum(-1) for m in range(6) for n in range(6)
    }
    for (m, n), value_H in score.items():
        np.testing.assert_allclose(value_H, score[max(m - n, 0), max(n - m, 0)], atol=1e-5)
    assert min(abs(score[m, 0] - score[0, 0]).max() for m in range(1, 6)) > 0.1, (
        "but they do depend on it"
    )
    np.testing.assert_allclose(
        np.linalg.norm(rotated(q_HK, 5), axis=-1), np.linalg.norm(q_HK, axis=-1), rtol=1e-6
    )
    np.testing.assert_array_equal(rotated(q_HK, 0), q_HK)


def effective(params, run, features_NF):
    """The same function as parameters of the paper's network, from the definition of encodings."""
    rows_VD = np.asarray(params["embedding"])
    if features_NF is not None and not run.train_table:
        elements_ND = (
            features_NF @ np.asarray(params["value_map"]) if "value_map" in params else features_NF
        )
        rows_VD = np.concatenate([elements_ND, rows_VD])
    return params | {"embedding": rows_VD} | ({"unembedding": rows_VD.T} if run.tied else {})


ENCODINGS = [
    {"positions": "learned", "norm": "pre", "token_format": "eos"},
    {"positions": "rotary", "n_layers": 2},
    {"positions": "none", "tied": True},
    {
        "values": "fourier",
        "frequencies": 3,
        "tied": True,
        "token_format": "eos",
        "positions": "rotary",
    },
    {"values": "random"},
    {"values": "random", "positions": "learned", "tied": True},
    {"values": "onehot", "positions": "learned"},
    {"values": "scalar", "positions": "none"},
    {"values": "bins", "bins": 5, "positions": "rotary"},
    {"values": "digits", "base": 3},
    {"values": "file"},
    {"values": "file", "train_table": True, "positions": "rotary"},
    {"values": "file", "positions": "none", "tied": True},
]


def test_every_encoding_is_among_those_whose_paths_are_compared():
    for name in ("values", "positions"):
        kinds = get_args(Run.__dataclass_fields__[name].type)
        assert {fields.get(name, kinds[0]) for fields in ENCODINGS} == set(kinds)
    assert {
        fields.get("train_table", False) for fields in ENCODINGS if fields.get("values") == "file"
    } == {False, True}


@pytest.mark.parametrize(
    "fields", ENCODINGS, ids=lambda fields: "-".join(map(str, fields.values()))
)
def test_both_paths_are_the_function_of_the_definition(tmp_path, on_device, numpy_logits, fields):
    if fields.get("values") == "file":
        write_table(tmp_path / "t.npz")
        fields = fields | {"table": str(tmp_path / "t.npz")}
    lane = on_device(TINY.replace(**fields))
    rows_B = jnp.arange(1, 144, 5)
    answer_B = lane.data.answer_N[rows_B]
    params = jax.tree.map(
        lambda leaf: (
            leaf + 0.1 * np.random.default_rng(1).standard_normal(leaf.shape).astype(np.float32)
        ),
        lane.state.params,
    )

    def with_gradient(program):
        def loss(params):
            logits = forward(program, params, rows_B, lane.data)
            return cross_entropy(logits, program.tokens.targets(answer_B)).mean(), logits

        return jax.jit(jax.grad(loss, has_aux=True), compiler_options=QUICK_COMPILE)(params)

    assert lane.program.shared_prefix
    (grads_fast, logits_fast), (grads, logits) = map(
        with_gradient, (lane.program, dataclasses.replace(lane.program, shared_prefix=False))
    )
    np.testing.assert_allclose(logits_fast, logits, atol=1e-5)
    jax.tree.map_with_path(
        lambda path, a, b: np.testing.assert_allclose(a, b, atol=1e-5, err_msg=str(path)),
        grads_fast,
        grads,
    )
    assert all(float(abs(grad).max()) > 1e-6 for grad in jax.tree.leaves(grads)), (
        "every weight takes part"
    )
    sequences_BT = lane.program.tokens.sequences(rows_B // 12, rows_B % 12, answer_B)
    expected = numpy_logits(
        effective(params, lane.run, lane.dataset.features), sequences_BT, lane.program.arch
    )
    np.testing.assert_allclose(logits, expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "fields",
    [*VALUES, {"positions": "learned"}, {"positions": "rotary"}, {"tied": True}],
    ids=lambda fields: "-".join(map(str, fields.values())),
)
def test_what_is_shared_with_the_default_network_begins_the_same(on_device, fields):
    base, params = (on_device(run).state.params for run in (TINY, TINY.replace(**fields)))
    np.testing.assert_array_equal(
        params["embedding"], base["embedding"][-len(params["embedding"]) :]
    )
    assert len(params["embedding"]) == (2 if "values" in fields else 14)
    assert params.keys() == (
        base.keys()
        | ({"positions"} if fields.get("positions") == "learned" else set())
        | ({"value_map"} if fields.get("values", "random") != "random" else set())
    ) - ({"unembedding"} if fields.get("tied") else set())
    for name in params.keys() & {"unembedding", "block0"}:
        jax.tree.map(np.testing.assert_array_equal, params[name], base[name])


def test_initial_scales_of_what_is_new(on_device):
    """The map from F features begins as U(+-1/sqrt(F)), positions as N(0, 1), times init_scale."""
    run = TINY.replace(structure="Z97", d_model=128, values="onehot", positions="learned")
    params, scaled = (on_device(run.replace(init_scale=scale)).state.params for scale in (1.0, 3.0))
    assert params["value_map"].shape == (97, 128) and params["positions"]["table"].shape == (4, 128)
    assert 0.99 / 97**0.5 < abs(params["value_map"]).max() <= 1 / 97**0.5
    assert np.var(params["value_map"]) == pytest.approx(1 / (3 * 97), rel=0.05)
    assert np.var(params["positions"]["table"]) == pytest.approx(1, abs=0.2)
    for name in ("value_map", "positions"):
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-6),
            scaled[name],
            jax.tree.map(lambda leaf: 3 * leaf, params[name]),
        )


def test_training_begins_at_the_rows_of_the_file(tmp_path, on_device):
    rows = write_table(tmp_path / "t.npz")["embedding"]
    params = on_device(
        TINY.replace(values="file", table=str(tmp_path / "t.npz"), train_table=True)
    ).state.params
    np.testing.assert_array_equal(params["embedding"][:12], [rows[str(r)] for r in range(12)])
    np.testing.assert_array_equal(
        params["embedding"][12:], on_device(TINY).state.params["embedding"][12:]
    )


def test_muon_leaves_tables_and_their_maps_to_adam(on_device):
    params = on_device(TINY.replace(values="digits", positions="learned")).state.params
    labels = muon_labels(params)
    assert {
        labels["embedding"],
        labels["unembedding"],
        labels["value_map"],
        labels["positions"]["table"],
    } == {"adam"}
    assert labels["block0"]["wq"]["kernel"] == "muon"


# --- Training ---


def test_what_is_fixed_stays_while_decay_and_noise_move_the_rest(quick_sweeps):
    """Two runs with vectors of their own in one program; what is saved is the matrix in use."""
    runs = [
        TINY.replace(
            values="random",
            tied=True,
            seed=seed,
            weight_decay=10.0,
            weight_noise=0.5,
            learning_rate=0.01,
            init_scale=2.0,
        )
        for seed in (0, 1)
    ]
    program, other = map(program_of, runs)
    assert program == other
    both = slots.Slots(program, 2)
    for slot, run in enumerate(runs):
        both.place(slot, run, make_dataset(run))
    both.step(1)
    before = [both.matrices(slot)[0] for slot in (0, 1)]
    metrics = both.step(5)
    for slot, run in enumerate(runs):
        embedding_VD, unembedding_VD = both.matrices(slot)
        np.testing.assert_array_equal(embedding_VD[:12], element_features(run))
        np.testing.assert_array_equal(unembedding_VD, embedding_VD)
        assert (embedding_VD[12:] != before[slot][12:]).all()
        assert (
            metrics["embedding_norm"][slot]
            == pytest.approx(np.linalg.norm(embedding_VD), rel=1e-5)
            == metrics["unembedding_norm"][slot]
        )
    assert not (both.matrices(0)[0][:12] == both.matrices(1)[0][:12]).any()
    assert both.state.params["embedding"].shape == (2, 2, 8), (
        "trained rows are those of operator and '=' alone"
    )


def test_residues_of_one_bin_are_the_same_to_the_network(on_device):
    lane = on_device(TINY.replace(values="bins", bins=6))
    logits = jax.jit(
        lambda p: forward(lane.program, p, jnp.arange(144), lane.data),
        compiler_options=QUICK_COMPILE,
    )(lane.state.params).reshape(6, 2, 6, 2, -1)
    np.testing.assert_allclose(
        logits, np.broadcast_to(logits[:, :1, :, :1], logits.shape), atol=1e-5
    )
    assert np.ptp(logits[:, 0, 0, 0], axis=0).max() > 1e-2


def test_programs_differ_by_the_kind_of_encoding_and_by_nothing_traced(tmp_path):
    names = [str(tmp_path / f"{i}.npz") for i in range(2)]
    for name in names:
        write_table(name)
    a, b, trained, random, fewer, more = (
        program_of(TINY.replace(**fields))
        for fields in (
            {"values": "file", "table": names[0]},
            {"values": "file", "table": names[1] + ":unembedding"},
            {"values": "file", "table": names[0], "train_table": True},
            {"values": "random"},
            {"values": "bins", "bins": 3},
            {"values": "bins", "bins": 4},
        )
    )
    assert a == b and len({a, trained, random, fewer, more}) == 5


# --- What is refused ---


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"positions": "rotary", "d_model": 6},
            "positions=rotary turns pairs of coordinates, but a head is d_model / n_heads = 3 wide",
        ),
        ({"values": "file"}, "values=file needs its file: give table=PATH.npz"),
        ({"table": "t.npz"}, "table='t.npz' is read by values=file alone, but values=learned"),
        ({"bins": 1}, "bins=1 must be at least 2"),
        ({"base": 1}, "base=1 must be at least 2"),
        ({"frequencies": 0}, "frequencies=0 must be above 0"),
        ({"values": "Fourier"}, "values='Fourier' is none of learned"),
        ({"positions": "alibi"}, "positions='alibi' is none of sinusoidal"),
    ],
)
def test_a_run_refuses_encodings_that_cannot_be(fields, said):
    with pytest.raises(GrokError) as refusal:
        TINY.replace(**fields)
    assert said in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"values": "bins", "bins": 13}, "bins=13 does not fit Z12: choose 2 to 12"),
        ({"values": "digits", "base": 13}, "base=13 does not fit Z12: choose 2 to 12"),
        ({"values": "fourier", "frequencies": 7}, "frequencies=7 are too many for Z12"),
        *(
            (
                {"values": values, "structure": "S3", "operation": "xy"},
                f"values={values} writes residues, but S3 is no Z<n>",
            )
            for values in ("scalar", "bins", "digits", "fourier")
        ),
        ({"values": "scalar", "structure": "Z2xZ3", "operation": "xy"}, "Z2xZ3 is no Z<n>"),
        ({"values": "file", "table": "nowhere.npz"}, "there is no table nowhere.npz"),
    ],
)
def test_mistakes_show_before_anything_is_written(tmp_path, fields, said):
    experiment = Experiment(name="e", runs=[TINY, TINY.replace(**fields)])
    with pytest.raises(GrokError) as refusal:
        sweep.train_experiment(experiment, sweep.Options(root=tmp_path))
    assert said in str(refusal.value) and "\n" not in str(refusal.value)
    assert not list(tmp_path.iterdir())


Z12 = [*map(str, range(12))]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"labels": [*Z12[:-2], "o", "="]}, "lacks 2 of the 12 elements of Z12, such as 10"),
        ({"labels": [*Z12, "12", "13", "o", "="]}, "has rows of 14 elements, but Z12 has 12"),
        ({"labels": [*Z12, "5", "o"]}, "has rows of 13 elements, but Z12 has 12"),
        ({"width": 9}, "is 9 wide, but d_model=8"),
        (
            {"embedding": np.zeros((13, 8))},
            "has a matrix of shape [13, 8] for labels of shape [14]: "
            "it must hold a row of numbers a label",
        ),
        ({"embedding": np.zeros(14)}, "it must hold a row of numbers a label"),
        ({"embedding": np.full((14, 8), "x")}, "it must hold a row of numbers a label"),
        ({"embedding": np.full((14, 8), np.inf)}, "entries that are not finite"),
        (
            {"embedding": np.array([[None] * 8] * 14)},
            "cannot be read: it must be an .npz file that holds labels and embedding",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_refused(tmp_path, how, said):
    write_table(tmp_path / "t.npz", **how)
    with pytest.raises(GrokError) as refusal:
        make_dataset(TINY.replace(values="file", table=str(tmp_path / "t.npz")))
    assert said in str(refusal.value) and "\n" not in str(refusal.value)


def test_files_that_are_no_tables_are_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no table")
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04 torn")
    np.save(tmp_path / "bare.npy", np.zeros((14, 8)))
    np.savez(tmp_path / "other.npz", labels=np.array(Z12), weights=np.zeros((12, 8)))
    for name, said in [
        ("text.npz", "cannot be read"),
        ("torn.npz", "cannot be read"),
        ("bare.npy", "cannot be read"),
        ("other.npz", "holds no array embedding"),
        ("", "there is no table"),
    ]:
        with pytest.raises(GrokError, match=said):
            make_dataset(TINY.replace(values="file", table=str(tmp_path / name)))


# --- The config ---


def config(name, scale):
    return runpy.run_path(str(Path(__file__).parent.parent / "configs" / f"{name}.py"))[
        "experiment"
    ](scale)


def encoded(run):
    """How a run writes elements in and out; where it says positions, nothing."""
    return run.values, run.bins, run.base, run.frequencies, run.table, run.train_table, run.tied


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_the_config_crosses_values_positions_decay_and_seeds(scale):
    runs = config("encodings", scale).runs
    assert len(set(runs)) == len(runs)
    cells = {}
    for run in runs:
        cells.setdefault((run.operation, encoded(run), run.positions), set()).add(
            (run.weight_decay, run.seed)
        )
    for operation in ("x+y", "x/y", "xy"):
        decay = {run.weight_decay for run in runs if run.operation == operation} - {0}
        assert len(decay) == 1
        of_task = {key: found for key, found in cells.items() if key[0] == operation}
        every = {(d, seed) for d in {0, *decay} for seed in (10, 11, 12)}
        assert all(found == every for found in of_task.values())
        written = {values for _, values, _ in of_task}
        assert {values for values in written if values[0] != "file"} == {
            encoded(TINY.replace(**fields)) for fields in PLANNED[operation]
        }
        for values in written:
            used = {positions for _, other, positions in of_task if other == values}
            assert used == (
                {"sinusoidal"}
                if values[0] == "file"
                else {"sinusoidal", "learned", "rotary", "none"}
            )


KNOW_NO_NUMBERS = [{}, {"values": "onehot"}, {"values": "random"}, {"tied": True}]
NUMBERS = [
    *KNOW_NO_NUMBERS,
    {"values": "scalar"},
    {"values": "bins"},
    {"values": "digits", "base": 2},
    {"values": "digits"},
    {"values": "fourier", "frequencies": 1},
    {"values": "fourier"},
]
PLANNED = {"x+y": NUMBERS, "x/y": NUMBERS, "xy": KNOW_NO_NUMBERS}


@pytest.mark.parametrize("scale", ["small", "paper"])
def test_runs_of_a_task_differ_in_their_encoding_alone(scale):
    runs = config("encodings", scale).runs
    for operation in PLANNED:
        tasks = {
            run.replace(
                seed=0,
                weight_decay=0,
                positions="none",
                values="learned",
                bins=2,
                base=2,
                frequencies=1,
                table="",
                train_table=False,
                tied=False,
            )
            for run in runs
            if run.operation == operation
        }
        assert len(tasks) == 1
    for run in {
        run.replace(seed=0, weight_decay=0.0): None for run in runs if run.values != "file"
    }:
        element_features(run)


@pytest.mark.parametrize(
    ("scale", "folder", "skipgram"),
    [
        ("small", "figure2_right", "skipgram_Z31"),
        ("paper", "figure2_right_paper", "skipgram_x_plus_y"),
    ],
)
def test_the_tables_are_of_the_runs_that_the_config_speaks_of(scale, folder, skipgram):
    """The structure, training rows and width of the networks that start from them, another seed."""
    made = config("figure2_right", scale).runs
    users = [run for run in config("encodings", scale).runs if run.values == "file"]
    assert {run.seed for run in users} == {10, 11, 12}
    found = {}
    for user in users:
        name, number = re.fullmatch(r"results/(\w+)/arrays/run_(\d{4})\.npz", user.table).groups()
        if name == skipgram:
            assert (number, user.structure) == ("0000", {"small": "Z31", "paper": "Z97"}[scale])
            continue
        assert name == folder
        table = made[int(number)]
        assert (
            table.structure,
            table.train_fraction,
            table.d_model,
            table.split_seed,
            table.seed,
        ) == (user.structure, user.train_fraction, user.d_model, user.split_seed, 0)
        found.setdefault(user.operation, []).append((table.operation, user.train_table))
    both = [
        (operation, further) for operation in ("x+y", "x-y", "x/y") for further in (False, True)
    ]
    assert {operation: sorted(set(tables)) for operation, tables in found.items()} == {
        "x+y": both,
        "x/y": both,
        "xy": [("xy", False), ("xy", True), ("xyx^-1", False), ("xyx^-1", True)],
    }
