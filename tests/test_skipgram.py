"""Skip-gram: pair counts, the loss against numpy, learning on a planted corpus, and the files."""

import itertools
import re
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from grok.__main__ import main
from grok.experiment import GrokError, Run
from grok.measure import skipgram
from grok.measure.skipgram import (
    Vectors,
    corpus_rows,
    count_pairs,
    expected_loss,
    noise_distribution,
    sentences,
    sgns_losses,
    train_vectors,
)
from grok.store import results
from grok.task.dataset import make_dataset, token_labels
from grok.task.operations import operation_table

pytestmark = pytest.mark.usefixtures("quick_sweeps")
QUICK = Run(
    operation="x+y",
    structure="Z7",
    n_heads=1,
    d_model=4,
    optimizer="adam",
    weight_decay=0.0,
    learning_rate=3e-2,
    num_steps=300,
    eval_every=300,
)


def full(operation, structure):
    """The table and the numbers of all its defined rows."""
    operation = operation_table(operation, structure)
    return operation, operation.x_N * operation.structure.order + operation.y_N


def counts_and_pmi(operation, rows):
    """Pair counts [V, V] of the equations of `rows`, and log(#(w,c) # / (#(w) #(c))) [V, V]."""
    counts_VV = count_pairs(sentences(operation, rows), operation.structure.order + 2)
    marginal_V = counts_VV.sum(axis=1)
    with np.errstate(divide="ignore"):
        return counts_VV, np.log(counts_VV * counts_VV.sum() / np.outer(marginal_V, marginal_V))


def log_sigmoid(x):
    return -np.logaddexp(0, -x)


# --- What co-occurrence sees ---


def test_a_sentence_is_the_equation():
    assert sentences(operation_table("x+y", "Z5"), [7, 24]).tolist() == [
        [1, 5, 2, 6, 3],
        [4, 5, 4, 6, 3],
    ]
    with pytest.raises(GrokError, match="undefined at 1 of the rows"):
        sentences(operation_table("x/y", "Z5"), [5, 6])


@pytest.mark.parametrize(
    ("operation", "structure"), [("x+y", "Z7"), ("x-y", "Z8"), ("xy", "S3"), ("xy^-1", "D4")]
)
def test_a_full_latin_square_has_constant_pmi(operation, structure):
    found, rows = full(operation, structure)
    n = found.structure.order
    counts_VV, pmi_VV = counts_and_pmi(found, rows)
    assert (counts_VV[:n, :n] == 6).all()
    assert np.ptp(pmi_VV[:n, :n]) == 0 and np.ptp(pmi_VV[:n, n:], axis=0).max() == 0
    # 20 pairs an equation; an element stands in 3 n equations, with 4 partners in each.
    assert pmi_VV[0, 0] == pytest.approx(np.log(6 * (20 * n * n) / (12 * n) ** 2))


def test_counts_and_pmi_of_a_part_of_a_table_are_those_of_a_plain_count():
    rows = [0, 3, 8, 9, 20, 21, 30, 31]
    found = operation_table("x+y", "Z6")
    counts_VV, pmi_VV = counts_and_pmi(found, rows)
    pairs = Counter()
    for row in rows:
        x, y = divmod(row, 6)
        pairs.update(itertools.permutations([x, 6, y, 7, (x + y) % 6], 2))
    assert {(w, c): counts_VV[w, c] for w, c in zip(*np.nonzero(counts_VV))} == pairs
    words = Counter(w for w, _ in pairs.elements())
    w, c = 3, 0
    pmi = np.log((pairs[w, c] / 160) / (words[w] / 160) / (words[c] / 160))
    assert pmi_VV[w, c] == pytest.approx(pmi)
    assert pmi_VV[6, 6] == -np.inf and np.ptp(pmi_VV[:6, :6][np.isfinite(pmi_VV[:6, :6])]) > 0.5


def test_division_shows_zero_and_nothing_else():
    counts_VV, _ = counts_and_pmi(*full("x/y", "Z11"))
    expected = np.full((11, 11), 6)
    expected[0], expected[:, 0], expected[0, 0] = 2, 2, 2 * 10  # 0 / y = 0, and y is never 0
    np.testing.assert_array_equal(counts_VV[:11, :11], expected)


def test_a_sum_of_squares_shows_quadratic_characters_so_that_opposite_elements_are_alike():
    p = 13
    counts_VV, pmi_VV = counts_and_pmi(*full("x^2+y^2", f"Z{p}"))
    squares = {k * k % p for k in range(1, p)}
    legendre = np.array([0] + [1 if t in squares else -1 for t in range(1, p)])
    s, t = np.mgrid[:p, :p]
    expected = 6 + 2 * legendre[(t - s * s) % p] + 2 * legendre[(s - t * t) % p]
    np.testing.assert_array_equal(counts_VV[:p, :p], expected)
    correlation = np.corrcoef(pmi_VV[1:p, :p])
    opposite = correlation[np.arange(p - 1), np.arange(p - 1)[::-1]].mean()
    rest = correlation[~np.eye(p - 1, dtype=bool) & ~np.eye(p - 1, dtype=bool)[::-1]].mean()
    assert opposite > rest + 0.3


# --- The loss ---


@pytest.fixture(scope="module")
def batch():
    """Random vectors of 6 tokens and 9 pairs with 3 negatives each, some tokens repeated."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(2, 6, 3)), *rng.integers(6, size=(2, 9)), rng.integers(6, size=(9, 3))


def plain_losses(vectors, words, contexts, negatives):
    u, v = vectors
    losses = []
    for w, c, ks in zip(words, contexts, negatives):
        losses.append(-log_sigmoid(u[w] @ v[c]) - sum(log_sigmoid(-u[w] @ v[k]) for k in ks))
    return losses


def test_losses_and_gradients_are_those_of_the_equation_in_numpy(batch):
    vectors, *pairs = batch
    given = Vectors(*jnp.asarray(vectors, jnp.float32))
    np.testing.assert_allclose(sgns_losses(given, *pairs), plain_losses(vectors, *pairs), rtol=1e-5)
    grads = np.stack(jax.grad(lambda v: sgns_losses(v, *pairs).mean())(given))
    for place in np.ndindex(vectors.shape):
        step = np.zeros_like(vectors)
        step[place] = 1e-5
        above = np.mean(plain_losses(vectors + step, *pairs))
        below = np.mean(plain_losses(vectors - step, *pairs))
        assert grads[place] == pytest.approx((above - below) / 2e-5, abs=1e-5)


def test_the_expected_loss_is_the_mean_over_pairs_and_negatives(batch):
    (u, v), words, contexts, _ = batch
    counts_VV = np.zeros((6, 6))
    np.add.at(counts_VV, (words, contexts), 1)
    noise_V = np.array([0.1, 0.3, 0.05, 0.25, 0.2, 0.1])
    losses = []
    for w, c in zip(words, contexts):
        negative = noise_V @ log_sigmoid(-v @ u[w])
        losses.append(-log_sigmoid(u[w] @ v[c]) - 5 * negative)
    found = expected_loss(Vectors(u, v), counts_VV, noise_V)
    assert found == pytest.approx(np.mean(losses), rel=1e-5)


def test_negatives_follow_the_unigram_counts_to_the_power_three_quarters():
    counts_VV, _ = counts_and_pmi(*full("x/y", "Z5"))
    unigram = np.bincount(sentences(*full("x/y", "Z5")).ravel()) ** 0.75
    np.testing.assert_allclose(noise_distribution(counts_VV), unigram / unigram.sum())


# --- Learning ---


def test_tokens_that_occur_together_end_closer_and_the_loss_nears_its_known_optimum():
    rng = np.random.default_rng(1)
    planted = np.concatenate(
        [rng.integers(4, size=(60, 5)), 4 + rng.integers(4, size=(60, 5))]
    ).astype(np.int32)
    [(step, vectors)] = train_vectors(planted, 8, QUICK.replace(d_model=8))
    unit = np.asarray(vectors.input) / np.linalg.norm(vectors.input, axis=1, keepdims=True)
    cosine, same = unit @ unit.T, np.arange(8)[:, None] // 4 == np.arange(8) // 4
    assert step == 300 and cosine[same].min() > cosine[~same].max() + 0.5
    counts = skipgram.count_pairs(planted, 8)
    noise, words = noise_distribution(counts), counts.sum(1)[:, None]
    met = counts > 0
    score = np.where(met, np.log(np.where(met, counts, 1) / (words * noise) / 5), -50)
    least = (
        -(counts * log_sigmoid(score) + 5 * words * noise * log_sigmoid(-score)).sum()
        / counts.sum()
    )
    assert least < expected_loss(vectors, counts, noise) < least + 0.05


def test_learning_is_a_function_of_the_seed():
    corpus = sentences(operation_table("x+y", "Z7"), make_dataset(QUICK).train_rows)
    run = QUICK.replace(num_steps=20, eval_every=10)
    first, again, other = (
        list(train_vectors(corpus, 9, r)) for r in (run, run, run.replace(seed=1))
    )
    assert [step for step, _ in first] == [10, 20]
    for name in Vectors._fields:
        a, b, c = (np.asarray(getattr(found[-1][1], name)) for found in (first, again, other))
        np.testing.assert_array_equal(a, b)
        assert np.abs(a - c).max() > 1e-3


def test_only_the_training_rows_are_read():
    read, held_out = corpus_rows(QUICK, full_table=False)
    np.testing.assert_array_equal(read, make_dataset(QUICK).train_rows)
    assert sorted([*read, *held_out]) == list(range(49)) and not {*read} & {*held_out}
    everything, nothing = corpus_rows(QUICK.replace(operation="x/y"), full_table=True)
    assert len(everything) == 42 and len(nothing) == 0


# --- The command and its files ---


def test_the_command_writes_results_that_load_like_a_networks(tmp_path, capsys):
    command = [
        "skipgram",
        "x+y",
        "--structure",
        "Z7",
        "--train-fraction",
        "0.6",
        "--d-model",
        "6",
        "--epochs",
        "4",
        "--seed",
        "3",
        "--name",
        "s",
        "--results",
        str(tmp_path),
    ]
    assert main(command) == 0
    assert "29 equations" in capsys.readouterr().out
    loaded = results.load(tmp_path / "s")
    run, row, arrays = loaded.experiment_run(0), loaded.runs.iloc[0], loaded.arrays(0)
    assert loaded.complete and (
        run.operation,
        run.structure,
        run.train_fraction,
        run.seed,
        run.d_model,
    ) == ("x+y", "Z7", 0.6, 3, 6)
    assert arrays["labels"].tolist() == token_labels(run) and arrays["embedding"].shape == arrays[
        "unembedding"
    ].shape == (9, 6)
    assert (row["n_train"], row["status"], row["stopped_at"]) == (
        29,
        "budget",
        8,
    ) and "n_layers" not in loaded.runs
    [(_, vectors)] = train_vectors(
        sentences(operation_table("x+y", "Z7"), make_dataset(run).train_rows), 9, run
    )
    np.testing.assert_array_equal(arrays["embedding"], vectors.input)
    np.testing.assert_array_equal(arrays["unembedding"], vectors.context)
    last = loaded.curve(0).iloc[-1]
    assert last["weight_norm"] == pytest.approx(
        np.linalg.norm([*arrays["embedding"], *arrays["unembedding"]]), rel=1e-5
    )
    assert last[["train_loss", "val_loss"]].between(0, 6 * np.log(2) + 1e-3).all() and np.isnan(
        last["val_accuracy"]
    )
    assert (
        loaded.description["sessions"][0]["model"].startswith("skip-gram")
        and loaded.description["sessions"][0]["epochs"] == 4
    )
    assert (
        main(command) == 0 and results.load(tmp_path / "s").description == loaded.description
    )  # complete results are left alone


def test_the_full_table_holds_nothing_out(tmp_path):
    loaded = results.load(skipgram.learn(tmp_path, "all", "xy", "S3", None, d_model=4, epochs=1))
    assert (
        loaded.runs["n_train"].item() == 36
        and loaded.runs["train_fraction"].item() == 1
        and loaded.curves["val_loss"].isna().all()
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("x?y", "x?y"),
        ("xy --structure Q8", "unknown structure 'Q8'"),
        ("x+y --train-fraction 1.5", "train_fraction=1.5 must lie in (0, 1)"),
        ("x+y --train-fraction 0.5 --full-table", "not allowed with"),
        ("x+y --epochs 0", "--epochs: must be above 0"),
        ("x+y --seed -1", "seed=-1 must not be negative"),
        ("x+y --structure Z5 --train-fraction 0.01", "leaves no training row"),
        ("x+y --structure Z5 --name /s", "must be letters"),
        ("x+y --structure Z5 --name mine", "holds files of another origin (notes.txt)"),
        ("x+y --structure Z5 --name other", "holds a different experiment"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(tmp_path, capsys, arguments, message):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    skipgram.learn(tmp_path, "other", "x-y", "Z5", d_model=2, epochs=1)
    before = sorted(path for path in tmp_path.rglob("*") if path.name != ".lock")
    assert main(["skipgram", "--name", "s", "--results", str(tmp_path), *arguments.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and re.fullmatch(r"grok: [^\n]+\n", err) and message in err
    assert sorted(path for path in tmp_path.rglob("*") if path.name != ".lock") == before
