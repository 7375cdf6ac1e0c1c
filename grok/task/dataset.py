"""From a run to its data: tokens, the nested split, corrupted labels, and the batch of each update.

A *row* is an equation x o y = c, numbered x n + y over a structure of n elements. The vocabulary
is the n elements, then the operator, '=' and, in the format of the released code, '<eos>'.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from grok.experiment import GrokError, Run
from grok.task.encodings import element_features
from grok.task.groups import structure
from grok.task.operations import operation_table

UNDEFINED, TRAIN, VAL_MIRRORED, VAL = 0, 1, 2, 3
SHUFFLE_ROUNDS = 48


@dataclass(frozen=True)
class Tokens:
    """How equations over a structure of `n_elements` are written as token sequences."""

    n_elements: int
    token_format: str

    @property
    def operator(self) -> int:
        return self.n_elements

    @property
    def equals(self) -> int:
        return self.n_elements + 1

    @property
    def eos(self) -> int:
        return self.n_elements + 2

    @property
    def vocab_size(self) -> int:
        return self.n_elements + (3 if self.token_format == "eos" else 2)

    @property
    def n_answers(self) -> int:
        """Positions whose prediction counts: the answer, and in the 'eos' format the last <eos>."""
        return 2 if self.token_format == "eos" else 1

    def labels(self, element_labels) -> list[str]:
        """One label a token, in the order of the rows of the embedding."""
        return [*element_labels, "o", "=", "<eos>"][: self.vocab_size]

    def prefixes(self, x_P):
        """Tokens [P, 2 or 3] up to the operator, for each first operand."""
        columns = [x_P, jnp.full_like(x_P, self.operator)]
        if self.token_format == "eos":
            columns.insert(0, jnp.full_like(x_P, self.eos))
        return jnp.stack(columns, -1)

    def suffix(self, y_B, answer_B) -> list:
        """Tokens after the operator, one entry a position.

        An entry is an array [B], or an int where all equations have the same token.
        """
        tokens = [y_B, self.equals]
        if self.token_format == "eos":
            tokens.append(answer_B)
        return tokens

    def targets(self, answer_B):
        """What the answer positions must predict, [B, A]."""
        columns = [answer_B]
        if self.token_format == "eos":
            columns.append(jnp.full_like(answer_B, self.eos))
        return jnp.stack(columns, -1)

    def sequences(self, x_B, y_B, answer_B):
        """The whole input sequences [B, T], as the plain forward pass reads them."""
        tokens = map(jnp.asarray, self.suffix(y_B, answer_B))
        suffix = [jnp.broadcast_to(token, x_B.shape) for token in tokens]
        return jnp.concatenate([self.prefixes(x_B), jnp.stack(suffix, -1)], -1)


@dataclass(frozen=True)
class Dataset:
    """The equations of a run: N = n^2 rows. Where the operation is undefined, a row takes no part.

    answer_N: the answer on which each row is trained and scored, corrupted where the run asks for
        it; -1 where undefined.
    kind_N: UNDEFINED, TRAIN, VAL, or VAL_MIRRORED: a validation row whose mirror image y o x is a
        training row.
    train_rows: the training rows, [n_train].
    features: the fixed features of each element, [n, F], or None (see grok.task.encodings).
    """

    answer_N: np.ndarray
    kind_N: np.ndarray
    train_rows: np.ndarray
    features: np.ndarray | None = None

    @property
    def n_train(self) -> int:
        return len(self.train_rows)


def make_dataset(run: Run) -> Dataset:
    """The dataset of a run.

    Raises GrokError if the split leaves no training row or no validation row, or if the elements
    cannot be encoded as the run asks.
    """
    operation = operation_table(run.operation, run.structure)
    n = operation.structure.order
    answer_N = operation.answers.reshape(-1).copy()
    train_rows = split(np.flatnonzero(answer_N >= 0), run.train_fraction, run.split_seed)
    kind_N = np.where(answer_N >= 0, VAL, UNDEFINED).astype(np.int8)
    kind_N[train_rows] = TRAIN
    mirrored_N = (kind_N.reshape(n, n).T == TRAIN).reshape(-1)
    kind_N[(kind_N == VAL) & mirrored_N] = VAL_MIRRORED
    corrupt(answer_N, train_rows, run)
    answer_N, train_rows = answer_N.astype(np.int32), train_rows.astype(np.int32)
    return Dataset(answer_N, kind_N, train_rows, element_features(run))


def split(rows, train_fraction: float, split_seed: int) -> np.ndarray:
    """The training rows: a prefix of one shuffle, so smaller training sets nest in larger ones."""
    n_train = round(len(rows) * train_fraction)
    if not 0 < n_train < len(rows):
        kind = "training" if n_train == 0 else "validation"
        raise GrokError(
            f"train_fraction={train_fraction:g} leaves no {kind} row of {len(rows)}: "
            f"choose one that leaves between 1 and {len(rows) - 1} for training"
        )
    return np.random.default_rng([split_seed, 0]).permutation(rows)[:n_train]


def corrupt(answer_N, train_rows, run: Run) -> None:
    """Replace the answer of `corrupted_labels` training rows, in place (paper, Fig 6).

    The new answer is that of another training row, and differs from the old one.
    """
    k = run.corrupted_labels
    if k > len(train_rows):
        raise GrokError(f"corrupted_labels={k} exceeds the {len(train_rows)} training rows")
    if k == 0:
        return
    original = answer_N[train_rows]
    if (original == original[0]).all():
        raise GrokError("labels cannot be corrupted: every training row has the same answer")
    rng = np.random.default_rng([run.split_seed, 1])
    for i in rng.permutation(len(train_rows))[:k]:
        donor = i
        while original[donor] == original[i]:
            donor = rng.integers(len(train_rows))
        answer_N[train_rows[i]] = original[donor]


def effective_batch_size(run: Run, n_train: int) -> int:
    """Rows that an update sees.

    By default min(512, ceil(n_train / 2)) (paper, A.1.2); all for batch_size 0.
    """
    if run.batch_size is None:
        return min(512, -(-n_train // 2))
    return min(run.batch_size or n_train, n_train)


def last_batch_size(run: Run, n_train: int) -> int:
    """Rows in the last batch of every epoch: what the full batches leave over (paper, A.1.2)."""
    size = effective_batch_size(run, n_train)
    return (n_train - 1) % size + 1


def shuffled(key, position_B, n):
    """The images of `position_B` under a pseudo-random permutation of range(n); n may be traced.

    The swap-or-not shuffle of Hoang, Morris and Rogaway (2012): every round pairs i with r - i
    (mod n), and a hash of the pair decides whether they change places. It depends on key and
    position alone, so the order of an epoch needs neither a sort nor memory.
    """
    offsets, salts = jax.random.bits(key, (2, SHUFFLE_ROUNDS), jnp.uint32)
    n = jnp.asarray(n, jnp.uint32)

    def swap_or_not(i_B, offset_and_salt):
        offset, salt = offset_and_salt
        # A remainder, and not a comparison: of rounds that only compare and add, XLA 0.11 and 0.12
        # for the CPU make one loop whose text doubles with each round.
        partner_B = (offset % n + n - i_B) % n
        return jnp.where(mix(jnp.maximum(i_B, partner_B) ^ salt) >> 31, partner_B, i_B), None

    # A loop within the update would part what a GPU launches in one go.
    image_B, _ = jax.lax.scan(
        swap_or_not, position_B.astype(jnp.uint32), (offsets, salts), unroll=SHUFFLE_ROUNDS
    )
    return image_B.astype(jnp.int32)


def mix(bits):
    """A 32-bit finaliser: every input bit changes each output bit with probability close to 1/2."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        bits = (bits ^ (bits >> shift)) * jnp.uint32(factor)
    return bits ^ (bits >> 16)


def batch_rows(key, step, train_rows, n_train, batch_size, cap: int):
    """The rows of update `step`, and a mask of those that count, each [cap].

    Every epoch goes once through all training rows in a fresh order. Its last batch may be smaller.
    """
    batches_per_epoch = -(-n_train // batch_size)
    epoch, batch = step // batches_per_epoch, step % batches_per_epoch
    within_B = jnp.arange(cap, dtype=jnp.int32)
    position_B = batch * batch_size + within_B
    valid_B = (within_B < batch_size) & (position_B < n_train)
    order_B = shuffled(jax.random.fold_in(key, epoch), jnp.where(valid_B, position_B, 0), n_train)
    return train_rows[order_B], valid_B


def element_labels(run: Run) -> tuple[str, ...]:
    """The labels of the elements of a run, in token order."""
    return structure(run.structure).labels


def token_labels(run: Run) -> list[str]:
    """The labels of all tokens of a run, in the order of the rows of the embedding."""
    elements = element_labels(run)
    return Tokens(len(elements), run.token_format).labels(elements)
