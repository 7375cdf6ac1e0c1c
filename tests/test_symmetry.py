"""The symmetry of the function of a network: logits, errors, and what came first."""

import jax
import numpy as np
import pandas as pd
import pytest

from grok.analysis import equivariance, geometry, precedence, progress, projection
from grok.experiment import Experiment, GrokError
from grok.measure import chance, scores, symmetry
from grok.store import results, snapshots
from grok.task.operations import operation_table
from grok.training import sweep

pytestmark = pytest.mark.usefixtures("quick_sweeps")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny, quick_sweeps):
    kept = tiny.replace(num_steps=20, eval_every=10, stop_after=0, keep_params=True)
    runs = (
        kept.replace(snapshots="log"),
        kept.replace(operation="x^2+xy+y^2"),
    )
    return results.load(
        sweep.train_experiment(
            Experiment(name="kept", runs=runs),
            sweep.Options(root=tmp_path_factory.mktemp("symmetry")),
        )
    )


@pytest.mark.parametrize(
    "fields", [{}, {"token_format": "eos"}, {"dropout": 0.1, "operation": "x/y"}]
)
def test_table_logits_are_those_of_an_independent_network(tiny, on_device, numpy_logits, fields):
    device = on_device(tiny.replace(**fields))
    found = symmetry.table_logits(device.run, device.state.params)
    x, y = np.divmod(np.arange(49), 7)
    answers = np.maximum(np.asarray(device.data.answer_N), 0)
    expected = numpy_logits(
        device.state.params,
        np.asarray(device.program.tokens.sequences(*map(jax.numpy.asarray, (x, y, answers)))),
        device.program.arch,
    )
    expected = expected[:, 0, :7].reshape(7, 7, 7)
    defined = np.ones((7, 7), bool)
    defined[:, 0] = device.run.operation != "x/y"
    np.testing.assert_allclose(found[defined], expected[defined], atol=1e-4)
    assert np.isnan(found[~defined]).all()


def test_initial_params_are_those_with_which_training_begins(tiny, on_device):
    for seed in (0, 3):
        expected = on_device(tiny.replace(seed=seed, init_scale=0.5)).state.params
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7),
            symmetry.initial_params(tiny.replace(seed=seed, init_scale=0.5)),
            expected,
        )


def test_a_bias_towards_some_answers_says_nothing_about_the_symmetry(tiny):
    """Exact x+y logits have error 0, noise has 2, whatever is added to all equations alike."""
    rng, i = np.random.default_rng(0), np.arange(7)
    exact = 3.0 * (i == (i[:, None] + i)[:, :, None] % 7)
    for bias in (0, 50 * rng.normal(size=7)):
        assert max(symmetry.by_operand(exact + bias, tiny, 6).values()) < 1e-10
        noise = symmetry.by_operand(rng.normal(size=(7, 7, 7)) + bias, tiny, 6)
        assert set(noise) == {"x", "y"} and all(1.5 < error < 2.5 for error in noise.values())


def test_gradient_symmetricity_is_that_of_the_plain_network(tiny, on_device, numpy_logits):
    """By finite differences in float64: the mean cosine over the triples that the score draws."""
    device = on_device(tiny)
    params, draws, n = jax.tree.map(lambda p: np.asarray(p, np.float64), device.state.params), 3, 7
    cosines = []
    for a, b, c in np.asarray(jax.random.randint(jax.random.key(0), (draws, 3), 0, n)):

        def logit(x, y, c=c):
            embedding = params["embedding"].copy()
            embedding[0], embedding[1] = x, y
            return numpy_logits(
                params | {"embedding": embedding}, np.array([[0, 7, 1, 8]]), device.program.arch
            )[0, 0, c]

        x, y = params["embedding"][a], params["embedding"][b]
        steps = 1e-5 * np.eye(8)
        to_x = np.array([logit(x + s, y) - logit(x - s, y) for s in steps]) / 2e-5
        to_y = np.array([logit(x, y + s) - logit(x, y - s) for s in steps]) / 2e-5
        cosines.append(to_x @ to_y / np.linalg.norm(to_x) / np.linalg.norm(to_y))
    assert symmetry.gradient_symmetricity(tiny, device.state.params, draws) == pytest.approx(
        np.mean(cosines), abs=1e-3
    )


@pytest.mark.parametrize("fields", [{"tied": True, "positions": "rotary"}, {"values": "onehot"}])
def test_the_matrices_are_those_that_the_network_uses_however_elements_are_written(
    tiny, on_device, fields
):
    run = tiny.replace(**fields)
    params, tables = symmetry.initial_params(run), symmetry.untrained_matrices(run)
    assert tables["input"].shape == tables["output"].shape == (9, 8)
    np.testing.assert_array_equal(tables["input"][-2:], params["embedding"][-2:])
    np.testing.assert_array_equal(
        tables["output"], tables["input"] if run.tied else params["unembedding"].T
    )
    written_as_usual = run.replace(tied=False, values="learned")
    written = {"embedding": tables["input"], "unembedding": tables["output"].T}
    usual = {name: leaf for name, leaf in params.items() if name != "value_map"} | written
    np.testing.assert_allclose(
        symmetry.table_logits(run, params),
        symmetry.table_logits(written_as_usual, usual),
        atol=1e-5,
    )
    assert symmetry.gradient_symmetricity(run, params, 5) == pytest.approx(
        symmetry.gradient_symmetricity(written_as_usual, usual, 5), abs=1e-5
    )


@pytest.mark.parametrize("operation, structure", [("x+y", "Z7"), ("x/y", "Z7"), ("xy", "S3")])
def test_the_null_of_equivariance_is_the_error_of_renamed_logits(operation, structure):
    """To conjugate the moves, as the score does, is to rename the elements, as done here."""
    n = len(operation_table(operation, structure).answers)
    logits_NNC = np.random.default_rng(1).normal(size=(n, n, n))
    logits_NNC[operation_table(operation, structure).answers < 0] = np.nan
    found, rng = (
        equivariance.renamed_errors(logits_NNC, operation, structure, moves=3, draws=4),
        np.random.default_rng(0),
    )
    for draw in range(4):
        order = rng.permutation(n)
        profile = equivariance.equivariance_profile(
            logits_NNC[np.ix_(order, order, order)], operation, structure, moves=3
        )
        for operand, null_R in found.items():
            assert null_R[draw] == pytest.approx(
                np.mean([entry.error for entry in profile if entry.operand == operand]), rel=1e-4
            )
    assert len(found["x"]) == 4


def test_renamed_elements_hide_the_distance_and_other_seeds_are_other_networks(tiny, monkeypatch):
    i = np.arange(7)
    by_distance = np.cos(2 * np.pi * (i[:, None] - i) / 7)[:, :, None] * np.ones(7)
    monkeypatch.setattr(symmetry, "table_logits", lambda run, params: by_distance)
    assert (
        progress.distance_irrelevance(by_distance) < 1e-12
        and symmetry.renamed_irrelevance(tiny, {}, 5).min() > 0.3
    )
    null = symmetry.untrained_symmetricity(tiny, 3)
    assert (
        null[1]
        == symmetry.gradient_symmetricity(
            tiny, symmetry.initial_params(tiny.replace(seed=tiny.seed + 2))
        )
        and len({*null}) == 3
    )


def test_the_command_follows_the_symmetry_through_the_snapshots(trained, monkeypatch, tiny):
    for name in ("DRAWS", "SLOW_DRAWS", "LARGE_DRAWS"):
        monkeypatch.setattr(chance, name, 5)
    monkeypatch.setattr(projection, "coordinates", lambda W: projection.plane_points(W, 1)[0])
    measured = scores.measure(trained.folder)
    found = pd.read_parquet(trained.folder / "equivariance.parquet")
    assert found[["step", "operand"]].apply(tuple, axis=1).tolist() == [
        (step, operand) for step in (0, 1, 2, 5, 10, 20) for operand in "xy"
    ]
    assert found["run"].unique().tolist() == [0], "x^2+xy+y^2 has no symmetry in one operand"
    assert (
        found["error"].iloc[0]
        == symmetry.equivariance(tiny, symmetry.initial_params(trained.experiment_run(0)))["x"]
    )
    assert found["error"].iloc[-1] == symmetry.equivariance(tiny, trained.params(0))["y"]
    assert found["error"][found.step == 5].tolist() == list(
        symmetry.equivariance(tiny, trained.params(0, 5)).values()
    )
    curve = trained.curve(0).set_index("step")["val_accuracy"]
    np.testing.assert_allclose(
        found["val_accuracy"], [curve.get(step, np.nan) for step in found["step"]]
    )
    function = measured.scores[measured.scores["matrix"] == "function"].set_index(["run", "score"])
    assert {
        "equivariance_x",
        "equivariance_y",
        "distance_irrelevance",
        "gradient_symmetricity",
    } == {name for run, name in function.index if run == 0}
    assert function.untrained[0, "equivariance_y"] == found["error"].iloc[1] and function.null_mean[
        0, "equivariance_x"
    ] == pytest.approx(2, abs=0.5)
    assert (
        function.null[0, "equivariance_x"]
        == function.null[0, "distance_irrelevance"]
        == "elements renamed"
    )
    assert (
        function.null[0, "gradient_symmetricity"] == "untrained networks of other seeds"
        and (function.step.loc[0] == snapshots.best(snapshots.moments(trained, 0)).update).all()
    )
    unscored = [note.words for note in measured.notes if note.run == 1]
    assert any("no shift, scaling or multiplication" in words for words in unscored)
    assert "operand x: no run tells whether symmetry" in scores.summary(measured)


def test_the_function_is_scored_at_a_snapshot_and_kept_without_its_parameters(
    trained, monkeypatch, tiny
):
    for name in ("DRAWS", "SLOW_DRAWS", "LARGE_DRAWS"):
        monkeypatch.setattr(chance, name, 5)
    monkeypatch.setattr(projection, "coordinates", lambda W: projection.plane_points(W, 1)[0])
    scores.measure(trained.folder, [0], step=5)
    at_5 = pd.read_parquet(trained.folder / "scores.parquet").query("run == 0")
    value = at_5[at_5.matrix == "function"].set_index("score").value
    assert (at_5.step == 5).all() and value["equivariance_x"] == symmetry.equivariance(
        tiny, trained.params(0, 5)
    )["x"]
    assert at_5[
        (at_5.matrix == "output") & (at_5.score == "effective_rank")
    ].value.item() == pytest.approx(
        geometry.effective_rank(trained.arrays(0, 5)["unembedding"][:7])
    )
    curve = pd.read_parquet(trained.folder / "equivariance.parquet")
    for path in trained.folder.glob("arrays/*_params*"):
        path.unlink()
    again = scores.measure(trained.folder)
    kept = again.scores[(again.scores.matrix == "function") & (again.scores.run == 0)]
    assert kept.set_index("score").value.equals(value) and (kept.step == 5).all(), (
        "a fresh clone has no parameters"
    )
    pd.testing.assert_frame_equal(again.equivariance, curve, check_dtype=False)
    said = [str(note) for note in again.notes]
    assert "run 0: the scores of its function are those of an earlier measurement" in said
    assert set(again.scores[(again.scores.run == 0) & (again.scores.matrix == "output")].step) == {
        snapshots.best(snapshots.moments(trained, 0)).update
    }


def test_a_table_that_is_too_large_is_one_line(tiny):
    with pytest.raises(GrokError, match="up to 200 elements"):
        symmetry.table_logits(tiny.replace(structure="Z211"), {})


# --- What comes first ---


def test_crossings_lie_between_snapshots_on_a_logarithmic_line():
    steps, falling = np.array([0, 9, 99, 999]), np.array([2.0, 2.0, 1.0, 0.0])
    assert precedence.crossing(steps, falling, 1.5, rising=False) == pytest.approx(
        np.sqrt(10 * 100) - 1
    )
    assert precedence.crossing(steps, falling, 1.0, rising=False) == pytest.approx(99)
    assert precedence.crossing(steps, falling, 3.0, rising=False) == 0
    assert np.isnan(precedence.crossing(steps, falling, 2.5, rising=True))
    assert precedence.crossing(steps, [np.nan, 0, np.nan, 1], 0.5, rising=True) == pytest.approx(
        np.sqrt(10 * 1000) - 1
    )


def test_halfway_times_are_read_from_the_same_snapshots():
    steps = [0, 1, 10, 100, 1000]
    table = pd.concat(
        [
            pd.DataFrame(
                {
                    "run": run,
                    "step": steps,
                    "operand": operand,
                    "error": error,
                    "val_accuracy": [np.nan, 0, 0, val, 1],
                }
            )
            for run, operand, error, val in (
                (0, "x", [2, 2, 1, 0, 0], 0.5),
                (0, "y", [2, 2, 2, 2, 1.8], 0.5),
                (1, "x", [1, 2, 2, 0.5, 0], 0),
            )
        ]
    )
    found = precedence.halfway_times(table).set_index(["run", "operand"])
    assert (
        found.error_halved_at[0, "x"] == pytest.approx(10)
        and np.isnan(found.error_halved_at[0, "y"])
        and found.error_halved_at[1, "x"] == pytest.approx(100)
    )
    assert found.val_50_at[0, "x"] == pytest.approx(100) and 100 < found.val_50_at[1, "x"] < 1000
    assert found.untrained_error.tolist() == [2, 2, 1]


def test_a_sign_test_of_what_comes_first():
    first = np.array([9, 9, 9, 9, 9, 9, 99, np.nan, 9.0])
    second = np.array([99, 99, 99, 99, 99, np.nan, 9, np.nan, 9.0])
    found = precedence.precedence(first, second)
    assert (found.before, found.decided) == (6, 7), "one tie, and one run in which neither came"
    assert found.p_value == pytest.approx(2 * (7 + 1) / 2**7)
    assert found.ratio == (10.0, 0.1, np.inf), (
        "the smallest and largest of 8 ratios cover the median with 99%"
    )
    few = precedence.precedence(first[:5], second[:5])
    assert few.ratio == (10.0, 0, np.inf) and few.p_value == pytest.approx(2 / 2**5)
    assert precedence.precedence([], []).decided == 0


def test_a_curve_known_only_at_its_ends_tells_no_order():
    ends = pd.DataFrame(
        {
            "run": 0,
            "step": [0, 5000],
            "operand": "x",
            "error": [2.0, 0.0],
            "val_accuracy": [np.nan, 1.0],
        }
    )
    assert precedence.halfway_times(ends).empty
