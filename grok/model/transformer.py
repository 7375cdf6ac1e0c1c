"""The Transformer of Power et al. (2022, section A.1.2), in Flax, whose module API stays in here.

Shape letters: B equations, P distinct first operands, T positions of a whole sequence, S positions
of its suffix, A answer positions, D d_model, F d_ff, H heads, K d_head, V vocabulary.

There are two ways through the same weights. `Transformer.__call__` is the definition: every
position of every equation goes through every block. `Transformer.shared` is the same function for
less work. Under causal attention whatever stands up to the operator depends on the first operand
alone, so its keys and values are computed once for each operand. Only the answer positions are
carried through the last block.
"""

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from grok.model import layers
from grok.model.shared_prefix import shared_logits
from grok.task.encodings import AS_WIDE_AS_THE_MODEL


@dataclass(frozen=True)
class Architecture:
    """The sizes and choices that fix the program: everything about a network but its weights."""

    vocab_size: int
    n_answers: int = 1
    n_layers: int = 2
    n_heads: int = 4
    d_model: int = 128
    d_ff: int = 512
    norm: str = "post"
    activation: str = "relu"
    positions: str = "sinusoidal"
    values: str = "learned"
    train_table: bool = False
    tied: bool = False
    n_features: int = 0
    init: str = "uniform"
    mixed: bool = False  # whether it reads Scalars.attention_mix
    scaled: bool = False  # whether it reads Scalars.logit_scale

    @property
    def d_head(self) -> int:
        return self.d_model // self.n_heads


class Scalars(NamedTuple):
    """What is only a number in a network, and no weight: see the fields of `Run`.

    A network that has the paper's does not read them.
    """

    attention_mix: Any = 1.0
    logit_scale: Any = 1.0


def architecture(run, vocab_size: int, n_answers: int, n_features: int = 0) -> Architecture:
    """The architecture that a `Run` asks for; n_features: fixed features of each element, or 0."""
    shared = {
        spec.name: getattr(run, spec.name)
        for spec in dataclasses.fields(Architecture)
        if hasattr(run, spec.name)
    }
    return Architecture(
        vocab_size=vocab_size,
        n_answers=n_answers,
        n_features=n_features,
        mixed=run.attention_mix != 1,
        scaled=run.logit_scale != 1,
        **shared | {"d_ff": run.ff_width},
    )


def sinusoidal_positions(n_positions: int, d_model: int) -> np.ndarray:
    """PE[t, i] = sin(t / 10000^(i/d)) for even i, cos(t / 10000^((i-1)/d)) for odd i, [T, D]."""
    i = np.arange(d_model)
    angles_TD = np.arange(n_positions)[:, None] / 10000.0 ** ((i - i % 2) / d_model)
    return np.where(i % 2 == 0, np.sin(angles_TD), np.cos(angles_TD)).astype(np.float32)


def rotated(x, position):
    """Vectors x [..., H, K] with each pair of coordinates (2i - 1, 2i) turned by position theta_i.

    theta_i = 10000^(-2 (i - 1) / K) (RoFormer, section 3.2.2). The product of two such vectors
    depends on the difference of their positions alone. position [...]: known at compile time;
    broadcasts to the leading axes of x.
    """
    width = x.shape[-1]
    angle = np.asarray(position)[..., None, None] * 10000.0 ** (-np.arange(0, width, 2) / width)
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    odd, even = x[..., 0::2], x[..., 1::2]
    return jnp.stack([odd * cos - even * sin, odd * sin + even * cos], -1).reshape(x.shape)


def uniform_fan_in(key, shape, dtype=jnp.float32):
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for a kernel [fan_in, fan_out], as in PyTorch."""
    bound = 1 / math.sqrt(shape[0])
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def kernel_init(arch: Architecture) -> Any:
    """How linear maps begin: as PyTorch's do, or N(0, 1/d_model) as in the code of Nanda et al."""
    normal = nn.initializers.normal(1 / math.sqrt(arch.d_model), jnp.float32)
    return uniform_fan_in if arch.init == "uniform" else normal


def unembedding_init(arch: Architecture) -> Any:
    """How the output layer begins: as linear maps do, or N(0, 1/vocab_size)."""
    normal = nn.initializers.normal(1 / math.sqrt(arch.vocab_size), jnp.float32)
    return uniform_fan_in if arch.init == "uniform" else normal


def embedding_init(arch: Architecture) -> Any:
    """How the embeddings of tokens and positions begin: N(0, 1), or N(0, 1/d_model)."""
    scale = 1.0 if arch.init == "uniform" else 1 / math.sqrt(arch.d_model)
    return nn.initializers.normal(scale, jnp.float32)


class Linear(nn.Module):
    """A bias-free linear map. tuned: with the hand-written gradient of grok.model.layers."""

    inputs: int
    features: int
    tuned: bool
    init: Any

    def setup(self):
        self.kernel = self.param("kernel", self.init, (self.inputs, self.features))

    def __call__(self, x):
        return layers.linear(x, self.kernel) if self.tuned else x @ self.kernel


class LayerNorm(nn.Module):
    """LayerNorm with scale and bias. tuned: with the hand-written gradient of grok.model.layers."""

    tuned: bool

    @nn.compact
    def __call__(self, x):
        scale = self.param("scale", nn.initializers.ones, (x.shape[-1],), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],), jnp.float32)
        return (layers.layer_norm if self.tuned else layers.layer_norm.fun)(x, scale, bias)


class Positions(nn.Module):
    """What is added to the embedding at each position, [T, D]: sinusoids, trained rows, or 0."""

    arch: Architecture

    @nn.compact
    def __call__(self, n_positions):
        shape = n_positions, self.arch.d_model
        if self.arch.positions == "learned":
            return self.param("table", embedding_init(self.arch), shape)
        return (
            sinusoidal_positions(*shape)
            if self.arch.positions == "sinusoidal"
            else np.zeros(shape, np.float32)
        )


class Block(nn.Module):
    """Attention and FFN, each with a residual connection and a LayerNorm where `norm` puts it.

    patch: (name, activation) -> what takes its place; see `Transformer`.
    """

    arch: Architecture
    tuned: bool = False
    patch: Any = None
    scalars: Scalars = Scalars()

    def setup(self):
        arch = self.arch
        linear = functools.partial(Linear, tuned=self.tuned, init=kernel_init(arch))
        d_model, d_ff = arch.d_model, arch.d_ff
        self.wq, self.wk, self.wv, self.wo = (linear(d_model, d_model) for _ in range(4))
        self.w_in, self.w_out = linear(d_model, d_ff), linear(d_ff, d_model)
        if arch.norm in ("post", "pre"):
            self.ln1, self.ln2 = (LayerNorm(self.tuned) for _ in range(2))

    def project(self, x, position, names="qkv"):
        """Those named of queries, keys and values, each [..., H, K], in one matrix product.

        x [..., D]: the residual stream at positions [...]. Queries are scaled by 1/sqrt(K).
        """
        x = self.before(x)
        kernel = jnp.concatenate([getattr(self, "w" + name).kernel for name in names], 1)
        products = layers.linear(x, kernel) if self.tuned else x @ kernel
        projected = []
        for name, product in zip(names, jnp.split(products, len(names), -1)):
            part = self.heads(product)
            part = part if name == "v" else self.placed(part, position)
            projected.append(part / math.sqrt(self.arch.d_head) if name == "q" else part)
        return projected

    def placed(self, x, position):
        return rotated(x, position) if self.arch.positions == "rotary" else x

    def before(self, x):
        return self.ln1(x) if self.arch.norm == "pre" else x

    def heads(self, x):
        return x.reshape(*x.shape[:-1], self.arch.n_heads, self.arch.d_head)

    def hidden(self, x):
        """The hidden layer of the FFN."""
        if self.tuned and self.arch.activation == "relu":
            return layers.linear_relu(x, self.w_in.kernel)
        return getattr(jax.nn, self.arch.activation)(self.w_in(x))

    @property
    def norms(self):
        """What is done to the residual stream after attention, and after the FFN."""
        if self.arch.norm == "post":
            return self.ln1, self.ln2
        return (layers.unit if self.arch.norm == "sphere" else lambda h: h,) * 2

    def mixed(self, attended, even):
        """The output of the heads: attention_mix of softmax's, the rest the mean of the values."""
        share = self.scalars.attention_mix
        return share * attended + (1 - share) * even

    def finish(self, x, attended, dropout=None):
        """The residual stream [..., D] after the block.

        x: the stream before it. attended [..., H, K]: the output of the heads.
        """
        attended = self.seen("heads", attended)
        norm1, norm2 = self.norms
        h = norm1(x + self.wo(attended.reshape(x.shape)))
        hidden = self.hidden(self.ln2(h) if self.arch.norm == "pre" else h)
        out = self.w_out(self.seen("hidden", hidden))
        return norm2(h + (dropout(out, self.make_rng("dropout")) if dropout else out))

    def __call__(self, x_BTD, dropout=None, carried=None):
        """One block over whole sequences, with four activations that can be seen and patched.

        The `residual` stream [B, T, D] that enters it, `attention` [B, H, T, T], what the `heads`
        read [B, T, H, K], and the `hidden` layer [B, T, F].
        carried: how many positions leave it, the last ones, and have heads and a hidden layer;
        None for all.
        """
        n_positions = x_BTD.shape[1]
        last = slice(None if carried is None else -carried, None)
        x_BTD = self.seen("residual", x_BTD)
        q_BTHK, k_BTHK, v_BTHK = self.project(x_BTD, np.arange(n_positions))
        scores_BHTT = jnp.einsum("bthk,bshk->bhts", q_BTHK, k_BTHK)
        causal_TT = np.tril(np.ones((n_positions, n_positions), bool))
        attention_BHTT = jax.nn.softmax(jnp.where(causal_TT, scores_BHTT, -jnp.inf))
        if self.arch.mixed:
            even_TT = causal_TT / causal_TT.sum(-1, keepdims=True, dtype=np.float32)
            attention_BHTT = self.mixed(attention_BHTT, even_TT)
        attention_BHTT = self.seen("attention", attention_BHTT)
        attended_BTHK = jnp.einsum("bhts,bshk->bthk", attention_BHTT[:, :, last], v_BTHK)
        return self.finish(x_BTD[:, last], attended_BTHK, dropout)

    def seen(self, name: str, activation):
        """An activation after the patch, if any; kept among the intermediates where these are."""
        if self.patch is not None:
            activation = self.patch(name, activation)
        self.sow("intermediates", name, activation)
        return activation


class Transformer(nn.Module):
    """Decoder-only, causal, bias-free but for LayerNorm; logits at the last `n_answers` positions.

    features [n, F]: the fixed features of the n elements, which are the first tokens (see
        grok.task.encodings); None where all rows of the embedding are learned. The parameter
        `embedding` holds the trained rows.
    patch: (layer, name, activation) -> what takes its place in `__call__`; see `Block`.
    scalars: those that it reads; None for the paper's.
    brief: whether `__call__` carries the answer positions alone through the last block.
    """

    arch: Architecture
    tuned: bool = False
    features: Any = None
    patch: Any = None
    scalars: Scalars | None = None
    brief: bool = False

    def setup(self):
        arch = self.arch
        # A parameter's initial numbers depend on how many were made before it: keep this order.
        trained, unembedding = self.param("embedding", self.initial_rows), None
        if not arch.tied:
            shape = arch.d_model, arch.vocab_size
            unembedding = self.param("unembedding", unembedding_init(arch), shape)
        self.embedding = self.all_rows(trained)
        output: Any = self.embedding.T if arch.tied else unembedding
        self.unembedding = layers.unit(output.T).T if arch.norm == "sphere" else output
        self.positions = Positions(arch)
        self.blocks = [self.block(i) for i in range(arch.n_layers)]
        if arch.norm == "pre":
            self.final_norm = LayerNorm(self.tuned)

    def block(self, layer: int) -> Block:
        patch = self.patch and functools.partial(self.patch, layer)
        scalars = Scalars() if self.scalars is None else self.scalars
        return Block(self.arch, self.tuned, patch, scalars, name=f"block{layer}")

    def initial_rows(self, key):
        """Initial trained rows of the embedding.

        Those of operator, '=' and <eos> are the same under every encoding of the elements.
        """
        rows_VD = embedding_init(self.arch)(key, (self.arch.vocab_size, self.arch.d_model))
        if self.features is None:
            return rows_VD
        others = rows_VD[len(self.features) :]
        return jnp.concatenate([self.features, others]) if self.arch.train_table else others

    def all_rows(self, trained):
        """The embedding [V, D]: trained rows below the fixed or mapped rows of the elements."""
        if self.features is None or self.arch.train_table:
            return trained
        if self.arch.values in AS_WIDE_AS_THE_MODEL:
            return jnp.concatenate([self.features, trained])
        shape = self.features.shape[1], self.arch.d_model
        kernel = self.param("value_map", kernel_init(self.arch), shape)
        return jnp.concatenate([self.features @ kernel, trained])

    def matrices(self):
        """The embedding [V, D] and the unembedding [D, V]."""
        return self.embedding, self.unembedding

    def enter(self, x):
        """The residual stream that enters the first block, from embedding plus position."""
        return layers.unit(x) if self.arch.norm == "sphere" else x

    def logits(self, x):
        x = self.final_norm(x) if self.arch.norm == "pre" else x
        logits = layers.linear(x, self.unembedding) if self.tuned else x @ self.unembedding
        if self.arch.scaled and self.scalars is not None:
            logits = logits * self.scalars.logit_scale
        return logits

    def __call__(self, tokens_BT, dropout=None):
        """Logits [B, A, V] of token sequences; sows the `residual` stream [B, T, D] at the end."""
        x_BTD = self.enter(self.embedding[tokens_BT] + self.positions(tokens_BT.shape[1]))
        for block in self.blocks[:-1]:
            x_BTD = block(x_BTD, dropout)
        x_BTD = self.blocks[-1](x_BTD, dropout, self.arch.n_answers if self.brief else None)
        if self.patch is not None:
            x_BTD = self.patch(self.arch.n_layers, "residual", x_BTD)
        self.sow("intermediates", "residual", x_BTD)
        return self.logits(x_BTD[:, -self.arch.n_answers :])

    def shared(self, prefix_PT, index_B, suffix):
        """Logits [B, A, V] by the fast path, without dropout: see `shared_prefix.shared_logits`."""
        return shared_logits(self, prefix_PT, index_B, suffix)
