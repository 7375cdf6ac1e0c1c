"""The fast path through a Transformer: the function of `Transformer.__call__` for less work.

Under causal attention whatever stands up to the operator depends on the first operand alone, so it
is computed once per distinct operand, and only the answer positions go through the last block.
Each block works on one matrix of rows [R, D]: first a row a prefix and position, [P, T], then a row
a suffix position and equation, [S, B]. Before the first block not even equations matter: there the
suffix has a row a token of the vocabulary. One matrix means one product for each map of a block.

Shape letters as in grok.model.transformer, but T are the positions of the prefix.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from grok.model import layers


class Rows(NamedTuple):
    """What the rows of the matrix stand for once the suffix has a row an equation."""

    n_prefixes: int
    n_prefix: int
    n_suffix: int
    n_equations: int

    @property
    def operand(self) -> int:
        """The position of the first operand; what stands before it is the same in every prefix."""
        return self.n_prefix - 2

    @property
    def positions(self) -> np.ndarray:
        """The position of each row, [R]."""
        suffix_S = self.n_prefix + np.arange(self.n_suffix)
        return np.concatenate([self.prefix_positions, np.repeat(suffix_S, self.n_equations)])

    @property
    def prefix_positions(self) -> np.ndarray:
        """The position of each of the prefixes' rows."""
        return np.tile(np.arange(self.n_prefix), self.n_prefixes)

    def prefix(self, array_R):
        """The prefixes' rows of [R, ...], as [P, T, ...]."""
        rows = array_R[: self.n_prefixes * self.n_prefix]
        return rows.reshape(self.n_prefixes, self.n_prefix, *array_R.shape[1:])

    def suffix(self, array_R):
        """The equations' rows of [R, ...], as [S, B, ...]."""
        rows = array_R[self.n_prefixes * self.n_prefix :]
        return rows.reshape(self.n_suffix, self.n_equations, *array_R.shape[1:])


class Projected(NamedTuple):
    """What a block's attention works on, each [..., H, K]: the residual stream and its projections.

    k and v of a suffix position are [1, H, K] where they are the same for every equation.
    """

    x: Any
    q: Any
    k: Any
    v: Any


def shared_logits(model, prefix_PT, index_B, suffix):
    """Logits [B, A, V] of the equations with prefix `prefix_PT[index_B]` that go on with `suffix`.

    model: a bound Transformer. prefix_PT: the distinct prefixes (up to the operator). suffix: a
    token a position, either an array [B] or an int where all equations agree.
    """
    n_answers, (first, *later) = model.arch.n_answers, model.blocks
    n_prefixes, n_prefix = prefix_PT.shape
    rows = Rows(n_prefixes, n_prefix, len(suffix), len(index_B))
    # Before the first block nothing but the operand differs from prefix to prefix.
    varying = range(rows.operand, rows.operand + 1)
    prefix, suffix_S = first_projections(model, rows, prefix_PT, suffix)
    x_RD = attend_and_finish(first, prefix, suffix_S, index_B, varying, n_answers, last=not later)
    for block in later:
        last = block is later[-1]
        varying = range(rows.operand, rows.n_prefix)
        prefix, suffix_S = projections(block, rows, x_RD, n_answers if last else None)
        x_RD = attend_and_finish(block, prefix, suffix_S, index_B, varying, n_answers, last)
    return model.logits(jnp.moveaxis(x_RD.reshape(n_answers, rows.n_equations, -1), 0, 1))


def first_projections(model, rows, prefix_PT, suffix):
    """What the first block attends to: `Projected` of the prefixes, and of each suffix position.

    It depends on token and position alone, so that rows of the vocabulary are enough.
    """
    block = model.blocks[0]
    vocabulary_V = np.arange(model.arch.vocab_size)
    tokens = [np.array([t]) if isinstance(t, int) else vocabulary_V for t in suffix]
    position_S = rows.n_prefix + np.arange(rows.n_suffix)
    suffix_positions = np.repeat(position_S, [len(t) for t in tokens])
    position_R = np.concatenate([rows.prefix_positions, suffix_positions])
    token_R = jnp.concatenate([prefix_PT.reshape(-1), *tokens])
    position_TD = jnp.asarray(model.positions(rows.n_prefix + rows.n_suffix))
    x_RD = layers.take_rows(model.embedding, token_R) + layers.take_rows(position_TD, position_R)
    x_RD = model.enter(x_RD)
    projected = Projected(block.heads(x_RD), *block.project(x_RD, position_R))

    starts = np.cumsum([len(rows.prefix_positions), *(len(t) for t in tokens)])
    suffix_S = []
    for token, start, stop in zip(suffix, starts, starts[1:]):
        one = Projected(*(m_RHK[start:stop] for m_RHK in projected))
        if isinstance(token, int):
            shape = rows.n_equations, *one.x.shape[1:]
            x, q = jnp.broadcast_to(one.x, shape), jnp.broadcast_to(one.q, shape)
            suffix_S.append(one._replace(x=x, q=q))
        else:
            suffix_S.append(Projected(*take_together(one, token)))
    return Projected(*map(rows.prefix, projected)), suffix_S


def projections(block, rows, x_RD, n_answers):
    """What a later block attends to: `Projected` of the prefixes, and of each suffix position.

    n_answers: if given, only so many last positions get a query; the others' is None.
    """
    position_R, x_RHK = rows.positions, block.heads(x_RD)
    x_PTHK, x_SBHK = rows.prefix(x_RHK), rows.suffix(x_RHK)
    if n_answers is None:
        projected = block.project(x_RD, position_R)
        q_PTHK, k_PTHK, v_PTHK = map(rows.prefix, projected)
        q_SBHK, k_SBHK, v_SBHK = map(rows.suffix, projected)
    else:
        projected = block.project(x_RD, position_R, "kv")
        k_PTHK, v_PTHK = map(rows.prefix, projected)
        k_SBHK, v_SBHK = map(rows.suffix, projected)
        n_asked = n_answers * rows.n_equations
        [q_RHK] = block.project(x_RD[-n_asked:], position_R[-n_asked:], "q")
        q_ABHK = q_RHK.reshape(n_answers, *x_SBHK.shape[1:])
        q_PTHK, q_SBHK = None, [None] * (rows.n_suffix - n_answers) + list(q_ABHK)
    suffix_S = [Projected(*one) for one in zip(x_SBHK, q_SBHK, k_SBHK, v_SBHK)]
    return Projected(x_PTHK, q_PTHK, k_PTHK, v_PTHK), suffix_S


def attend_and_finish(block, prefix, suffix_S, index_B, varying, n_answers, last):
    """The matrix of rows [R, D] after a block; after the last one only the answers' rows [A B, D].

    varying: the prefix's positions whose keys and values are not the same in every prefix.
    """
    positions = prefix_positions(prefix)
    taken = iter(take_together([m for t in varying for m in positions[t][2:]], index_B))
    keys, values = [], []
    for t, one in enumerate(positions):
        keys.append(next(taken) if t in varying else one.k[:1])
        values.append(next(taken) if t in varying else one.v[:1])
    keys, values = keys + [one.k for one in suffix_S], values + [one.v for one in suffix_S]
    asked = suffix_S[-n_answers:] if last else suffix_S
    stream, attended = [one.x for one in asked], attend_causally(block, asked, keys, values)
    if not last:
        within = attend_causally(
            block, positions, [p.k for p in positions], [p.v for p in positions]
        )
        stream = [joined(prefix.x), *stream]
        attended = [joined(jnp.stack(within, 1)), *attended]
    x_RHK = jnp.concatenate(stream)
    return block.finish(x_RHK.reshape(len(x_RHK), -1), jnp.concatenate(attended))


def prefix_positions(prefix) -> list[Projected]:
    """`Projected` of the prefixes at each of their positions, each [P, H, K]."""

    def at(t: int) -> Projected:
        return Projected(*(m if m is None else m[:, t] for m in prefix))

    return [at(t) for t in range(prefix.x.shape[1])]


def attend_causally(block, asked, keys, values):
    """Attention of the last positions' queries up to their own position, each [B, H, K]."""
    skipped = len(keys) - len(asked)
    attended = [
        layers.attend(one.q, keys[: skipped + s + 1], values[: skipped + s + 1])
        for s, one in enumerate(asked)
    ]
    if not block.arch.mixed:
        return attended
    counts = range(skipped + 1, len(keys) + 1)
    return [block.mixed(one, sum(values[:n]) / n) for n, one in zip(counts, attended)]


def joined(array_PTHK):
    return array_PTHK.reshape(-1, *array_PTHK.shape[2:])


def take_together(matrices, index_B):
    """Rows `index_B` of several [R, H, K], taken in one go; each [B, H, K]."""
    tables = [m.reshape(len(m), -1) for m in matrices]
    shape = len(index_B), *matrices[0].shape[1:]
    return [rows.reshape(shape) for rows in layers.take_together(tables, index_B)]
