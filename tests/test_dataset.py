"""Splits, corrupted labels, tokens, and batches that go once through the training rows an epoch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from grok.experiment import GrokError, Run
from grok.task.dataset import (
    TRAIN,
    UNDEFINED,
    VAL,
    VAL_MIRRORED,
    Tokens,
    batch_rows,
    effective_batch_size,
    element_labels,
    last_batch_size,
    make_dataset,
    shuffled,
)


def rows_by_kind(dataset):
    return {
        kind: np.flatnonzero(dataset.kind_N == kind)
        for kind in (UNDEFINED, TRAIN, VAL_MIRRORED, VAL)
    }


# --- Splits ---


@pytest.mark.parametrize(
    ("operation", "structure", "n", "n_rows"),
    [("x/y", "Z97", 97, 9312), ("x+y", "Z97", 97, 9409), ("xy", "S5", 120, 14400)],
)
@pytest.mark.parametrize("train_fraction", [0.05, 0.5, 0.9])
def test_split_is_disjoint_and_complete(operation, structure, n, n_rows, train_fraction):
    dataset = make_dataset(
        Run(operation=operation, structure=structure, train_fraction=train_fraction)
    )
    rows = rows_by_kind(dataset)
    assert dataset.n_train == round(n_rows * train_fraction)
    assert len(dataset.answer_N) == n * n
    assert sum(map(len, rows.values())) == n * n
    assert sorted(dataset.train_rows) == rows[TRAIN].tolist()
    assert len(rows[TRAIN]) + len(rows[VAL]) + len(rows[VAL_MIRRORED]) == n_rows
    np.testing.assert_array_equal(dataset.answer_N < 0, dataset.kind_N == UNDEFINED)


def test_split_holds_the_right_answers():
    dataset = make_dataset(Run(operation="x/y", structure="Z7"))
    for row, answer in enumerate(dataset.answer_N):
        x, y = divmod(row, 7)
        assert (answer == -1) if y == 0 else (answer * y % 7 == x)


def test_smaller_training_sets_nest_in_larger_ones():
    sets = [make_dataset(Run(train_fraction=f)).train_rows for f in (0.2, 0.35, 0.5, 0.8)]
    for small, large in zip(sets, sets[1:]):
        np.testing.assert_array_equal(small, large[: len(small)])


def test_split_depends_on_its_own_seed_alone():
    base = make_dataset(Run(structure="Z31")).train_rows
    same = Run(structure="Z31", seed=7, d_model=8, optimizer="sgd", num_steps=3)
    np.testing.assert_array_equal(make_dataset(same).train_rows, base)
    other = make_dataset(Run(structure="Z31", split_seed=1)).train_rows
    overlap = len(set(base) & set(other)) / len(base)
    assert abs(overlap - 0.5) < 0.1  # two independent halves share half of their rows


def test_mirrored_validation_rows_are_those_whose_mirror_image_is_trained_on():
    dataset, n = make_dataset(Run(operation="x-y", structure="Z11", train_fraction=0.4)), 11
    trained = {divmod(row, n) for row in dataset.train_rows}
    for row in np.flatnonzero(dataset.kind_N >= VAL_MIRRORED):
        x, y = divmod(row, n)
        assert dataset.kind_N[row] == (VAL_MIRRORED if (y, x) in trained else VAL)
    assert min(map(len, (rows_by_kind(dataset)[kind] for kind in (VAL, VAL_MIRRORED)))) > 0


@pytest.mark.parametrize(("train_fraction", "kind"), [(0.01, "training"), (0.99, "validation")])
def test_a_fraction_that_leaves_a_side_empty_is_refused(train_fraction, kind):
    with pytest.raises(GrokError, match=f"leaves no {kind} row of 25") as refusal:
        make_dataset(Run(operation="x+y", structure="Z5", train_fraction=train_fraction))
    assert "\n" not in str(refusal.value)


# --- Corrupted labels ---


@pytest.mark.parametrize("k", [1, 100, 1000, 3000])
def test_exactly_k_training_labels_are_corrupted_and_nothing_else(k):
    clean, corrupted = (make_dataset(Run(operation="x/y", corrupted_labels=c)) for c in (0, k))
    np.testing.assert_array_equal(clean.kind_N, corrupted.kind_N)
    np.testing.assert_array_equal(clean.train_rows, corrupted.train_rows)
    changed = np.flatnonzero(clean.answer_N != corrupted.answer_N)
    assert len(changed) == k
    assert (clean.kind_N[changed] == TRAIN).all()


def test_corrupted_labels_are_answers_of_other_training_rows():
    """A label that no training row has may not be given to any of them."""
    clean, corrupted = (
        make_dataset(Run(operation="xy", structure="S4", train_fraction=0.02, corrupted_labels=c))
        for c in (0, 8)
    )
    answers = clean.answer_N[clean.train_rows]
    assert set(answers) != set(range(24))  # else the test could not fail
    assert set(corrupted.answer_N[clean.train_rows]) <= set(answers)


def test_corruption_is_reproducible_and_belongs_to_the_split():
    base = Run(structure="Z31", corrupted_labels=50)
    np.testing.assert_array_equal(
        make_dataset(base).answer_N, make_dataset(base.replace(seed=5)).answer_N
    )
    assert (make_dataset(base).answer_N != make_dataset(base.replace(split_seed=1)).answer_N).any()


def test_corrupted_answers_follow_the_frequencies_of_the_training_answers():
    """x*y answers 0 most often: a label is drawn from the rows, not from the distinct answers."""
    base = Run(operation="x*y", structure="Z31", train_fraction=0.9, corrupted_labels=800)
    clean, corrupted = make_dataset(base.replace(corrupted_labels=0)), make_dataset(base)
    rows = np.flatnonzero(clean.answer_N != corrupted.answer_N)
    share = clean.answer_N[clean.train_rows] == 0
    new_zeros = corrupted.answer_N[rows[clean.answer_N[rows] != 0]] == 0
    assert stats.binomtest(int(new_zeros.sum()), len(new_zeros), share.mean()).pvalue > 1e-3


def test_impossible_corruptions_are_refused():
    with pytest.raises(GrokError, match="corrupted_labels=13 exceeds the 12 training rows"):
        make_dataset(Run(operation="x+y", structure="Z5", corrupted_labels=13))
    with pytest.raises(GrokError, match="same answer"):
        make_dataset(Run(operation="0x", structure="Z5", corrupted_labels=1))


# --- Tokens ---


def test_tokens_of_the_papers_format():
    tokens = Tokens(97, "answer")
    x_B, y_B, answer_B = jnp.array([[3, 96], [0, 5], [3, 42]])
    np.testing.assert_array_equal(
        tokens.sequences(x_B, y_B, answer_B), [[3, 97, 0, 98], [96, 97, 5, 98]]
    )
    np.testing.assert_array_equal(tokens.targets(answer_B), [[3], [42]])
    assert (tokens.vocab_size, tokens.n_answers) == (99, 1)


def test_tokens_of_the_released_codes_format():
    tokens = Tokens(120, "eos")
    x_B, y_B, answer_B = jnp.array([[3, 119], [0, 5], [3, 42]])
    np.testing.assert_array_equal(
        tokens.sequences(x_B, y_B, answer_B),
        [[122, 3, 120, 0, 121, 3], [122, 119, 120, 5, 121, 42]],
    )
    np.testing.assert_array_equal(tokens.targets(answer_B), [[3, 122], [42, 122]])
    assert (tokens.vocab_size, tokens.n_answers) == (123, 2)


@pytest.mark.parametrize("token_format", ["answer", "eos"])
def test_there_is_one_label_a_token(token_format):
    run = Run(structure="S3", operation="xy", token_format=token_format)
    tokens = Tokens(6, token_format)
    labels = tokens.labels(element_labels(run))
    assert len(labels) == len(set(labels)) == tokens.vocab_size
    assert labels[:6] == ["012", "021", "102", "120", "201", "210"]
    assert labels[tokens.equals] == "="


# --- Batches ---


@pytest.mark.parametrize(
    ("batch_size", "n_train", "rows"),
    [
        (None, 4704, 512),
        (None, 1000, 500),
        (None, 1001, 501),
        (None, 1, 1),
        (0, 4704, 4704),
        (64, 4704, 64),
        (9999, 4704, 4704),
    ],
)
def test_batch_rule(batch_size, n_train, rows):
    assert effective_batch_size(Run(batch_size=batch_size), n_train) == rows


@pytest.fixture(scope="module")
def jitted_shuffle():
    return jax.jit(jax.vmap(shuffled, in_axes=(0, None, None)))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 16, 63, 64, 65, 97, 255])
def test_shuffle_is_a_bijection(jitted_shuffle, n):
    keys = jax.random.split(jax.random.key(n), 20)
    images = np.asarray(jitted_shuffle(keys, jnp.minimum(jnp.arange(256), n - 1), n))[:, :n]
    np.testing.assert_array_equal(np.sort(images), np.tile(np.arange(n), (20, 1)))


def test_shuffle_of_a_table_is_a_bijection(jitted_shuffle):
    for n in (4704, 9408, 14399):
        images = np.asarray(
            jitted_shuffle(
                jax.random.split(jax.random.key(n), 2), jnp.minimum(jnp.arange(14400), n - 1), n
            )
        )[:, :n]
        np.testing.assert_array_equal(np.sort(images), np.tile(np.arange(n), (2, 1)))
        assert abs(stats.spearmanr(images[0], np.arange(n)).statistic) < 5 / np.sqrt(n)
        assert abs(stats.spearmanr(images[0], images[1]).statistic) < 5 / np.sqrt(n)


def test_shuffle_looks_uniform(jitted_shuffle):
    """Chi-square over all 24 orders of 4 things, and over where each of 97 things lands."""
    keys = jax.random.split(jax.random.key(0), 9700)
    orders = np.asarray(jitted_shuffle(keys, jnp.minimum(jnp.arange(256), 3), 4))[:, :4]
    counts = np.unique(orders @ [64, 16, 4, 1], return_counts=True)[1]
    assert len(counts) == 24
    assert stats.chisquare(counts).pvalue > 1e-3
    places = np.asarray(jitted_shuffle(keys, jnp.minimum(jnp.arange(256), 96), 97))
    for i in (0, 1, 48, 96):
        assert stats.chisquare(np.bincount(places[:, i], minlength=97)).pvalue > 1e-3
    neighbours = np.bincount((places[:, 1] - places[:, 0]) % 97, minlength=97)
    assert neighbours[0] == 0
    assert stats.chisquare(neighbours[1:]).pvalue > 1e-3


@pytest.fixture(scope="module")
def jitted_batches():
    """Rows [steps, cap] and masks of updates first..first+29; only the cap compiles anew."""

    def rows(key, first, train_rows, n_train, batch_size):
        return jax.vmap(lambda s: batch_rows(key, s, train_rows, n_train, batch_size, 112))(
            first + jnp.arange(30)
        )

    return jax.jit(rows)


@pytest.mark.parametrize(
    ("n_train", "batch_size"),
    [
        (1, 1),
        (2, 1),
        (100, 100),
        (100, 50),
        (101, 51),
        (100, 33),
        (97, 10),
        (5, 4),
        (111, 112),
        (112, 112),
        (29, 1),
        (200, 7),
        (113, 112),
    ],
)
def test_an_epoch_sees_every_training_row_exactly_once(jitted_batches, n_train, batch_size):
    train_rows = np.zeros(256, np.int32)
    train_rows[:n_train] = np.random.default_rng(0).permutation(5000)[:n_train] + 1
    n_batches = -(-n_train // batch_size)
    seen = []
    for epoch in range(3):
        rows, valid = map(
            np.asarray,
            jitted_batches(jax.random.key(3), epoch * n_batches, train_rows, n_train, batch_size),
        )
        sizes = valid[:n_batches].sum(1)
        assert (sizes[:-1] == batch_size).all()
        assert (
            sizes[-1]
            == n_train - (n_batches - 1) * batch_size
            == last_batch_size(Run(batch_size=batch_size), n_train)
        )
        seen.append(rows[:n_batches][valid[:n_batches]])
        np.testing.assert_array_equal(np.sort(seen[-1]), np.sort(train_rows[:n_train]))
    if n_train > 20:
        assert not any((a == b).all() for a, b in zip(seen, seen[1:]))


def test_padding_of_a_batch_holds_training_rows(jitted_batches):
    """Masked places are looked up as well: they must not reach rows without an answer."""
    train_rows = np.arange(1000, 1256, dtype=np.int32)
    rows, valid = map(np.asarray, jitted_batches(jax.random.key(0), 0, train_rows, 50, 20))
    assert not valid.all()
    assert set(rows.reshape(-1)) <= set(range(1000, 1050))


def test_batches_depend_on_the_key_alone(jitted_batches):
    train_rows = np.arange(256, dtype=np.int32)
    first, again, other = (
        np.asarray(jitted_batches(jax.random.key(k), 0, train_rows, 200, 100)[0]) for k in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
