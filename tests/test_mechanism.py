"""What `grok mechanism` measures: planted answers, untrained networks, and its tables."""

import errno
import os

import numpy as np
import pandas as pd
import pytest

from grok.__main__ import main
from grok.analysis import phases as phase
from grok.analysis.phases import Curve, Progress
from grok.experiment import GrokError, Run
from grok.measure import mechanism, network, symmetry
from grok.measure.ablations import ablations, even_attention, orthogonal
from grok.measure.findings import finding, networks, scoreboard
from grok.measure.mechanism_scores import all_measures, key_parts
from grok.model.handbuilt import handbuilt
from grok.store import array_files, marks, results

pytestmark = pytest.mark.usefixtures("quick_sweeps")
WAVES = [2, 5, 11]
RING = Run(operation="x+y", structure="Z23", n_layers=1, d_model=16, n_heads=4, d_ff=24)
GROUP = Run(operation="xy", structure="S4", n_layers=2, d_model=16, n_heads=2, d_ff=24)
LOGARITHMS = RING.replace(operation="x/y", structure="Z11")


def flat(params, above=""):
    """Parameters as a results folder keeps them: names with slashes."""
    for name, leaf in params.items():
        if isinstance(leaf, dict):
            yield from flat(leaf, f"{above}{name}/")
        else:
            yield above + name, np.asarray(leaf)


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory, write_folder):
    """A folder of a network by hand, an untrained one, and one without weights."""
    run, params = handbuilt(23, WAVES, logit=30.0)
    run = run.replace(keep_params=True)
    untrained = RING.replace(keep_params=True, seed=3, label="untrained")
    runs = [run, untrained, RING.replace(label="no weights")]
    kept = [params, symmetry.initial_params(runs[1]), None]
    arrays = [
        None
        if tree is None
        else array_files.matrix_arrays(tree["embedding"], tree["unembedding"].T, ["0"])
        for tree in kept
    ]
    folder = write_folder(tmp_path_factory.mktemp("by_hand") / "written", runs, arrays)
    for number, tree in enumerate(kept[:2]):
        array_files.write_arrays(
            folder, array_files.arrays_name(number, params=True), dict(flat(tree))
        )
    return folder


@pytest.fixture(scope="module")
def measured(by_hand):
    return mechanism.measure(by_hand)


def test_of_a_network_by_hand_exactly_its_frequencies_are_found(measured):
    phases = measured.phases.set_index("run")
    assert set(phases.loc[0, "keys"].split(", ")) == set(map(str, WAVES))
    assert phases.loc[1, "keys"] == ""
    table = measured.mechanism[measured.mechanism["run"] == 0]
    one = table.set_index(["measure", "part"])
    explained = one.loc[("logits_explained", "keys")]
    assert explained["value"] > 0.9 > explained["null_high"] and explained["p"] <= 0.05
    assert one.loc[("restricted_loss_val", "keys"), "value"] < 0.1
    assert one.loc[("restricted_loss_val", "keys"), "null_low"] > 1
    assert one.loc[("excluded_loss_train", "keys"), "value"] > np.log(23)
    assert one.loc[("excluded_loss_train", "keys"), "null_high"] < 0.1
    alive = len(WAVES) * 2 * 7 / 512  # the other neurons are silent
    assert one.loc[("neurons_of_one_part", ""), "value"] == pytest.approx(alive)
    for measure in ("embedding_power", "output_power", "hidden_power", "logits_power"):
        power = table[table["measure"] == measure].set_index("part")["value"]
        assert set(power.index[power > 0.05]) == set(map(str, WAVES))
    plain = one.loc[("loss_val", "nothing taken"), "value"]
    for wave in map(str, WAVES):
        without = one.loc[("ablated_loss_val", wave)]
        assert without["value"] > 2 * without["null_high"]
        assert without["null_high"] == pytest.approx(plain, rel=0.01)
    assert one.loc[("ablated_loss_val", "all but keys"), "value"] == pytest.approx(plain, rel=0.01)
    heads = table[table["measure"] == "head_at_mean_val"]
    assert len(heads) == 4 and (heads["value"] > 2 * plain).all()  # each carries a part of a wave
    assert (heads["null_low"] > 2 * plain).all()


def test_the_tables_keep_other_runs_and_the_page_is_drawn(by_hand, measured, capsys):
    whole = measured.mechanism
    assert main(["mechanism", str(by_hand), "--run", "1"]) == 0
    printed = capsys.readouterr().out
    assert "mechanism.parquet" in printed and "phases.parquet" in printed
    pages = ("mechanism.png", "mechanism.pdf", "mechanism_run_0001.png")
    assert all((by_hand / name).exists() and name in printed for name in pages)
    again = pd.read_parquet(by_hand / "mechanism.parquet")
    order = ["run", "measure", "layer", "part"]
    pd.testing.assert_frame_equal(
        whole.sort_values(order, ignore_index=True), again.sort_values(order, ignore_index=True)
    )


def test_moments_whose_weights_are_gone_keep_their_rows(by_hand, measured):
    path = by_hand / "mechanism.parquet"
    whole = pd.read_parquet(path)
    last = whole[whole["run"] == 1]
    gone = last.assign(step=(last["step"] - 1).astype(np.int32), value=np.float32(0.5))
    is_ablation = gone["measure"].str.match("(loss|ablated_loss|head_at_mean|even_attention)_")
    assert is_ablation.any()
    pd.concat([gone, whole], ignore_index=True).to_parquet(path)
    gone = gone[~is_ablation]  # of one moment alone: the one that is the best now
    again = mechanism.measure(by_hand, [1]).mechanism
    mine = again[again["run"] == 1].reset_index(drop=True)
    pd.testing.assert_frame_equal(mine, pd.concat([gone, last], ignore_index=True))
    assert len(again) == len(whole) + len(gone)
    whole.to_parquet(path)


def test_a_full_disk_is_no_matter_of_one_run(by_hand, monkeypatch):
    """It ends the measuring with its own line, and at once."""
    some = mechanism.MeasuredRun([{"run": 0}], {"run": 0}, {"attention": np.zeros(1)}, [])
    monkeypatch.setattr(mechanism, "measure_run", lambda *_: some)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(array_files.np, "savez_compressed", full)
    with pytest.raises(GrokError, match="^the disk that holds .* is full"):
        mechanism.measure(by_hand)


def test_logits_that_do_not_vary_have_no_shares_and_that_is_said(tmp_path, write_folder):
    """LayerNorm over one column leaves nothing of the equation: all logits are equal."""
    run = RING.replace(structure="Z5", d_model=1, n_heads=1, d_ff=2, keep_params=True)
    tree = symmetry.initial_params(run)
    arrays = array_files.matrix_arrays(tree["embedding"], tree["unembedding"].T, ["0"])
    folder = write_folder(tmp_path / "flat", [run], [arrays])
    array_files.write_arrays(folder, array_files.arrays_name(0, params=True), dict(flat(tree)))
    found = mechanism.measure(folder)
    table = found.mechanism.set_index("measure")
    assert table.loc["logits_power", "value"].isna().all()
    assert table.loc["embedding_power", "value"].sum() == pytest.approx(1, abs=1e-5)
    assert table.loc["logits_power", "p"].isna().all() and found.phases.loc[0, "keys"] == ""
    assert any("logits_power" in note and "does not vary" in note for note in found.notes)


def test_bad_input_gives_one_line(by_hand, measured):
    with pytest.raises(GrokError, match="no weights of run 2 .*keep_params=True"):
        mechanism.measure(by_hand, [2])
    with pytest.raises(GrokError, match="has no run 7"):
        mechanism.measure(by_hand, [7])
    (by_hand / "arrays" / "mechanism_run_0001.npz").write_bytes(b"torn")
    with pytest.raises(GrokError, match="cannot be read .*grok mechanism"):
        mechanism.read_pictures(results.load(by_hand), 1)


# --- Networks that learned nothing, and groups ---


@pytest.mark.parametrize("run", [RING, LOGARITHMS, GROUP], ids=["ring", "logarithms", "group"])
def test_an_untrained_network_stays_inside_its_null(run):
    untrained = network.of_params(run, symmetry.initial_params(run))
    keys = key_parts(untrained)
    assert keys == []
    rows = pd.DataFrame([mechanism.as_row(0, 0, entry) for entry in all_measures(untrained, keys)])
    known = rows[rows["null_mean"].notna()]
    assert len(known) > 10
    inside = known["value"].between(known["null_low"] - 1e-6, known["null_high"] + 1e-6)
    assert inside.mean() > 0.75  # of 95%, and no few of them hang together
    single = rows[rows["measure"] == "neurons_of_one_part"]
    assert (single["value"] <= 0.1).all() and len(single) == run.n_layers
    for measure in ("embedding_power", "output_power"):
        assert rows.loc[rows["measure"] == measure, "value"].sum() == pytest.approx(1, abs=1e-6)


@pytest.fixture(scope="module")
def taken_apart():
    """The rows of the heads and of attention of twelve untrained networks."""
    rows = []
    for seed in range(12):
        run = RING.replace(seed=seed)
        untrained = network.of_params(run, symmetry.initial_params(run))
        entries = [entry for entry in ablations(untrained, []) if len(entry.null)]
        rows += [mechanism.as_row(seed, 0, entry) for entry in entries]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("measure", ["head_at_mean_val", "even_attention_val"])
def test_heads_and_attention_of_untrained_networks_are_like_their_null(taken_apart, measure):
    found = taken_apart[taken_apart["measure"] == measure]
    assert len(found) == {"head_at_mean_val": 12 * 4, "even_attention_val": 12}[measure]
    assert 0.35 < found["p"].mean() < 0.65  # 0.51 where a value is like one of its 39 draws
    assert (found["value"] > found["null_high"]).mean() < 0.3
    assert (found["value"] < found["null_low"]).mean() < 0.3


def test_a_pizza_needs_even_attention_alone_and_a_clock_its_heads():
    clock, pizza = (
        network.of_params(*handbuilt(23, WAVES, pizza=pizza, logit=30.0)) for pizza in (False, True)
    )
    rng = np.random.default_rng(0)
    even, other = (
        mechanism.as_row(0, 0, list(even_attention(found, rng))[1]) for found in (pizza, clock)
    )
    assert even["value"] < 0.2  # its waves are half as high as they were
    # Some draws move the weights to where they are worth as much: ties.
    assert even["value"] < even["null_low"] and even["p"] <= 0.25
    assert other["value"] > 2 * clock.loss("val")


def test_an_irrep_planted_in_a_group_is_found_and_carries_the_loss():
    untrained = network.of_params(GROUP, symmetry.initial_params(GROUP))
    harmonics = untrained.axis.harmonics
    key = harmonics.numbers(["(3,1)"])
    rows_FM = harmonics.rows(key)
    table = np.array(untrained.params["embedding"], np.float64)
    table[:24] = rows_FM.T @ (rows_FM @ table[:24])
    params = untrained.params | {"embedding": table.astype(np.float32)}
    planted = network.Network(GROUP, params)
    rows = pd.DataFrame([mechanism.as_row(0, 0, entry) for entry in all_measures(planted, key)])
    power = rows[rows["measure"] == "embedding_power"].set_index("part")
    assert power.loc["(3,1)", "value"] == pytest.approx(1)
    assert power.loc["(3,1)", "p"] <= 0.05
    assert {"keys", "(3,1)"} <= set(rows.loc[rows["measure"] == "restricted_loss_val", "part"])
    found = pd.DataFrame([mechanism.as_row(0, 0, entry) for entry in ablations(planted, key)])
    found = found[found["measure"] == "ablated_loss_val"].set_index("part")["value"]
    plain = planted.loss("val")
    for part in ("(1,1,1,1)", "(2,2)", "(2,1,1)", "all but keys"):
        assert found[part] == pytest.approx(plain, rel=1e-4)
    for part in ("(3,1)", "keys"):
        assert found[part] != pytest.approx(plain, rel=1e-3)


def test_an_operation_without_equally_frequent_answers_has_no_restricted_loss():
    run = RING.replace(operation="x^2+y^2", structure="Z11")
    untrained = network.of_params(run, symmetry.initial_params(run))
    measures = {entry.measure for entry in all_measures(untrained, key_parts(untrained))}
    assert "output_power" in measures and "hidden_power" in measures
    assert not {"restricted_loss_val", "logits_power", "distance_irrelevance"} & measures


def test_orthogonal_is_the_rest_of_the_space_without_constant():
    rows_FM = np.linalg.qr(np.random.default_rng(0).normal(size=(7, 2)) - 0.0)[0].T
    rows_FM -= rows_FM.mean(axis=1, keepdims=True)
    rows_FM = np.linalg.qr(rows_FM.T)[0].T
    rest = orthogonal(rows_FM)
    assert rest.shape == (4, 7)
    whole = np.concatenate([np.full((1, 7), 7**-0.5), rows_FM, rest])
    np.testing.assert_allclose(whole @ whole.T, np.eye(7), atol=1e-9)


# --- Phases ---


def test_phases_of_a_planted_course():
    step = np.arange(100, 2001, 100)
    val_loss = np.where(
        step <= 300, 5 + step / 100, np.where(step <= 900, 8, 8 * 0.5 ** (step / 300 - 3))
    )
    val_loss[4] = 3.0  # a dip is no end of circuit formation
    accuracy = np.clip((step - 800) / 500, 0, 1)
    kept = np.arange(200, 2001, 200)
    excluded = np.where(kept <= 400, 3 - kept / 200, kept / 200 - 1)
    restricted = 4.0 - kept / 400
    found = phase.phases(
        Curve(step, val_loss, accuracy), Progress(kept, excluded, restricted), 55, cleaned=1300.0
    )
    assert found.memorised == 400  # excluded 1 there, rising after
    assert found.formed == 1200  # 8 falls to 4 at 900 + 300
    assert found.cleaned == 1300
    assert found.restricted_fell == 800  # below log(55) / 2 = 2.004
    assert found.excluded_rose == 800  # 3 there
    assert found.val_rose == 1100  # (1100 - 800) / 500 > 1/2


def test_a_network_kept_once_has_no_course_of_its_progress():
    step = np.array([100, 200])
    curve = Curve(step, np.array([9.0, 0.1]), np.array([0.0, 1.0]))
    at_the_end = Progress(step[1:], np.array([5.0]), np.array([0.0]))
    found = phase.phases(curve, at_the_end, 97, cleaned=200.0)
    assert (found.formed, found.cleaned, found.val_rose) == (200, 200, 200)
    assert np.isnan([found.memorised, found.restricted_fell, found.excluded_rose]).all()


def test_a_run_that_memorised_has_no_later_phases():
    step = np.arange(1, 6)
    found = phase.phases(
        Curve(step, np.full(5, 9.0), np.zeros(5)),
        Progress(step, np.linspace(1, 0.1, 5), np.full(5, 4.0)),
        97,
        cleaned=np.nan,
    )
    assert found.memorised == 5
    assert np.isnan([*found[1:]]).all()


# --- On the scoreboard ---

THEIRS = ("neurons", "logits", "phases", "restricted_fell", "excluded_rose")


def planted(loaded, shares):
    """Tables as `grok mechanism` writes them: a share of neurons and of logits for each run."""
    rows = []
    for run, (neurons, logits) in shares.items():
        values = {"neurons_of_one_part": neurons, "logits_explained": logits}
        early, best = dict.fromkeys(values, 0.0), values | {"loss_val": 0.1}
        for step, found in ((10, early), (20, best)):  # ablations are of the best moment alone
            rows += [
                {"run": run, "step": step, "measure": name, "value": value}
                for name, value in found.items()
            ]
    marks.write_measured(loaded, "mechanism", mechanism.mechanism_table(rows))
    course = {"memorised": 1e3, "formed": 9e3, "cleaned": 15e3, "val_rose": 12e3}
    course |= {"restricted_fell": 9e3, "excluded_rose": 13e3}
    times = [{"run": run, **course} for run in shares]
    marks.write_measured(loaded, "phases", pd.DataFrame(times, columns=mechanism.PHASES))


@pytest.fixture
def scored(tmp_path, write_folder):
    """The claims on what the network of Nanda et al. computes, by theme and id, as they are now."""
    runs = [RING.replace(label=networks.LABEL), RING.replace(label="another", seed=1)]
    arrays = array_files.matrix_arrays(np.eye(23, 16), np.eye(23, 16), ["0"])
    for name in ("nanda", "networks"):
        write_folder(tmp_path / name, runs, [arrays, arrays])

    def scored():
        board = scoreboard.everything(tmp_path)
        return {(theme, each.finding.id): each.finding for theme, each in board}

    return tmp_path, scored


def test_without_a_mechanism_table_of_nanda_the_labelled_network_is_on_the_scoreboard(scored):
    root, claims = scored
    assert not {id for _, id in claims()} & set(THEIRS)
    planted(results.load(root / "networks"), {0: (0.8, 0.92), 1: (0.1, 0.2)})
    found = claims()
    assert {theme for theme, id in found if id in THEIRS} == {"networks"}
    neurons, logits = (found["networks", id] for id in ("neurons", "logits"))
    assert (neurons.value, neurons.runs, neurons.here) == (0.8, 1, "80% in 1 network")
    assert (logits.value, logits.runs) == (0.92, 1)
    assert neurons.verdict == logits.verdict == finding.IN_PART  # of a single seed
    assert found["networks", "restricted_fell"].here == "in 1 of 1 network"
    assert found["networks", "excluded_rose"].here == "in 0 of 1 network"

    planted(results.load(root / "nanda"), {0: (0.8, 0.92), 1: (0.9, 0.96)})
    found = claims()
    assert found["nanda", "neurons"].runs == 2
    assert found["nanda", "neurons"].verdict == finding.REPRODUCED
    assert found["networks", "neurons"].runs == 1
