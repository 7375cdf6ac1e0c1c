"""A network in the hand: its logits, activations and losses over the whole table, and what it
computes when a part of it is taken away or replaced.

    network = grok.load("results/networks").network(run=0)
    network.ablate(frequencies=[14, 17]).loss("val")

Shape letters: n elements, N = n^2 rows x n + y, B rows of a block, T positions, A answer positions,
V vocabulary, L layers, H heads, K d_head, F hidden neurons, D d_model.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial

from grok.analysis.harmonics import Axis, axis_of
from grok.experiment import GrokError, Run
from grok.measure import forward
from grok.measure.forward import PATCHED, Patch
from grok.measure.symmetry import (
    LARGEST,
    embedding_program,
    logits_of_table,
    with_learned_embedding,
)
from grok.task.dataset import TRAIN, VAL, VAL_MIRRORED
from grok.training.devices import require_devices
from grok.training.program import Data, Program

KINDS = {"train": (TRAIN,), "val": (VAL, VAL_MIRRORED), "all": (TRAIN, VAL, VAL_MIRRORED)}


class Activations(NamedTuple):
    """What a network holds at the answer's position, for every equation; NaN where undefined.

    residual [n, n, L + 1, D]: the residual stream before each layer, and at the end.
    attention [n, n, L, H, T, T]: what each position (second T) gives to each position (first T).
    heads [n, n, L, H, K]: what each head has read, before the output map joins them.
    hidden [n, n, L, F]: the hidden neurons after their non-linearity.
    """

    residual: np.ndarray
    attention: np.ndarray
    heads: np.ndarray
    hidden: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class Network:
    """A network of `run`'s shape with weights of its own; nothing changes it, `ablate` and `patch`
    give another one.

    params: of the Transformer, with the embedding matrix [V, D] and the output matrix [D, V] under
    `embedding` and `unembedding`. patches: (layer, name) -> what replaces an activation;
    where all are of the kind `Partial`, whose arrays are traced, they are compiled.
    """

    run: Run
    params: dict
    patches: tuple[tuple[tuple[int, str], Patch], ...] = ()

    def __repr__(self) -> str:
        places = ", ".join(f"{name} of layer {layer}" for (layer, name), _ in self.patches)
        words = f"network of {self.run.operation} over {self.run.structure}"
        return f"<{words}{places and ', patched: '}{places}>"

    # -- what it is --

    @property
    def program(self) -> Program:
        """The static signature, with elements as rows of a table however they were written."""
        return embedding_program(self.run)[0]

    @property
    def data(self) -> Data:
        return embedding_program(self.run)[1]

    @property
    def axis(self) -> Axis:
        """The axis that fits the operation: residues, logarithms, or a group's elements."""
        return axis_of(self.run.operation, self.run.structure)

    @property
    def n(self) -> int:
        """Number of elements."""
        return self.program.tokens.n_elements

    @property
    def embedding(self) -> np.ndarray:
        """The elements' rows of the embedding matrix, [n, D]."""
        return np.asarray(self.params["embedding"])[: self.n]

    @property
    def unembedding(self) -> np.ndarray:
        """The elements' rows of the output matrix, [n, D]."""
        return np.asarray(self.params["unembedding"]).T[: self.n]

    def rows(self, split: str = "all") -> np.ndarray:
        """Which equations belong to a split, 'train', 'val' or 'all'; bool [n, n]."""
        return np.isin(np.asarray(self.data.kind_N), kinds_of(split)).reshape(self.n, self.n)

    @property
    def answers(self) -> np.ndarray:
        """The answers on which it was trained and is scored, [n, n]; -1 where undefined."""
        return np.asarray(self.data.answer_N).reshape(self.n, self.n)

    # -- what it computes --

    def logits(self) -> np.ndarray:
        """Logits [n, n, n] of every equation over the elements; NaN where undefined."""
        self.check_size()
        if not self.patches:
            logits_NV = logits_of_table(self.program, self.params, self.data)
        else:
            logits_NV = np.concatenate([block.logits for _, block in self.blocks(forward.answered)])
        logits = np.array(logits_NV).reshape(self.n, self.n, self.n)
        logits[~self.rows()] = np.nan
        return logits

    def loss(self, split: str = "all") -> float:
        """Mean cross-entropy (nats) over the equations of a split, 'train', 'val' or 'all'."""
        rows, loss, _ = self.totals[list(kinds_of(split))].sum(axis=0)
        return float(loss / rows)

    def accuracy(self, split: str = "all") -> float:
        """Share of the equations of a split that it answers right."""
        rows, _, right = self.totals[list(kinds_of(split))].sum(axis=0)
        return float(right / rows)

    @functools.cached_property
    def totals(self) -> np.ndarray:
        """Rows of each kind of the dataset, sum of their losses, how many are right: [4, 3]."""
        kinds = tuple(range(4))
        if not self.patches:
            totals, _ = forward.sums_of_table(self.program, self.params, self.data, kinds)
            return np.asarray(totals, np.float64)[:, :3]
        totals, kind_N = np.zeros((len(kinds), 3)), np.asarray(self.data.kind_N)
        for rows_B, block in self.blocks(forward.answered):
            columns_BC = np.stack([np.ones(len(rows_B)), block.loss, block.right], 1)
            np.add.at(totals, kind_N[rows_B], columns_BC)
        return totals

    def activations(self) -> Activations:
        """Everything that it holds on the way to the answer; see `Activations`."""
        self.check_size()
        found: dict[str, list] = {name: [] for name in PATCHED}
        for _, seen in self.blocks(forward.see):
            for name, layers in seen.activations.items():
                found[name].append(np.stack([np.asarray(layer) for layer in layers], 1))
        undefined = ~self.rows().reshape(-1)
        arrays = {}
        for name, parts in found.items():
            array_N = np.concatenate(parts)
            array_N[undefined] = np.nan
            arrays[name] = array_N.reshape(self.n, self.n, *array_N.shape[1:])
        return Activations(**arrays)

    @functools.cached_property
    def means(self) -> dict[str, list]:
        """Means over the table of 'heads' and 'hidden' at each position, [T, ...] by layer."""
        defined = int(self.rows().sum())
        sums = [seen.sums for _, seen in self.blocks(forward.see)]
        means: dict[str, list] = {}
        for name in sums[0]:
            means[name] = []
            for layer in range(self.run.n_layers):
                of_blocks = [block[name][layer] for block in sums]
                total = np.sum(of_blocks, axis=0, dtype=np.float64)
                means[name].append(total / defined)
        return means

    def blocks(self, compute: Callable) -> Iterator[tuple[np.ndarray, Any]]:
        """The table in blocks of rows: (rows [B], what `see` or `answered` gives), one by one."""
        places = tuple(place for place, _ in self.patches)
        replacements = tuple(replacement for _, replacement in self.patches)
        if all(isinstance(replacement, Partial) for replacement in replacements):
            compute = forward.compiled(compute)  # a user's own function is not
        for rows_B in np.array_split(np.arange(self.n**2), -(-(self.n**2) // forward.BLOCK_ROWS)):
            inputs = self.params, self.data, jnp.asarray(rows_B, jnp.int32)
            yield rows_B, compute(self.program, places, replacements, *inputs)

    def check_size(self) -> None:
        if self.n > LARGEST:
            raise GrokError(
                f"the logits of a whole table over {self.run.structure} are {self.n}^3 numbers: "
                f"they are computed up to {LARGEST} elements"
            )

    # -- what is taken away or replaced --

    def ablate(
        self,
        *,
        frequencies: Iterable[int] = (),
        irreps: Iterable[str] = (),
        keep: Iterable[int | str] | None = None,
        heads: Iterable[int] = (),
        neurons: Iterable[int] = (),
        attention: str = "",
        layer: int = 0,
    ) -> "Network":
        """The network without some of its parts; without arguments the same network.

        frequencies, irreps: taken out of the elements' rows of the embedding matrix, as functions
            on the axis. keep: these alone, and the mean row, stay there.
        heads, neurons: of `layer`, each replaced by its mean over the table at each position.
        attention: 'uniform' gives every position up to a position the same weight, in all layers.
        A single part may stand for a list of it. Raises GrokError for a part that is not there.
        """
        network = self.without_parts(listed(frequencies), listed(irreps), keep)
        if attention:
            network = network.with_uniform_attention(attention)
        heads, neurons = listed(heads), listed(neurons)
        if heads:
            network = network.averaged("heads", layer, heads)
        if neurons:
            network = network.averaged("hidden", layer, neurons)
        return network

    def without_parts(self, frequencies, irreps, keep) -> "Network":
        """See `ablate`."""
        harmonics = self.axis.harmonics
        given = {"frequency": frequencies, "irrep": irreps}
        for kind, names in given.items():
            if names and kind != harmonics.kind:
                raise GrokError(
                    f"{self.run.operation} over {self.run.structure} has no {kind} to take away: "
                    f"its parts are of kind {harmonics.kind}, {harmonics.names[1]} "
                    f"to {harmonics.names[-1]}"
                )
        taken = harmonics.numbers(given[harmonics.kind])
        if keep is not None:
            kept = harmonics.numbers(listed(keep))
            taken += [part for part in range(1, len(harmonics.names)) if part not in kept]
        return self.without_functions(harmonics.rows(taken)) if taken else self

    def without_functions(self, rows_FM: np.ndarray) -> "Network":
        """The network whose embedding matrix has nothing of orthonormal functions on the axis."""
        embedding_VD = np.array(self.params["embedding"], np.float64)
        embedding_VD[self.axis.order] -= rows_FM.T @ (rows_FM @ embedding_VD[self.axis.order])
        embedding = jnp.asarray(embedding_VD, jnp.float32)
        return dataclasses.replace(self, params=self.params | {"embedding": embedding})

    def with_uniform_attention(self, attention: str) -> "Network":
        """See `ablate`."""
        if attention != "uniform":
            raise GrokError(f"attention={attention!r} is not known: choose 'uniform'")
        network = self
        for layer in range(self.run.n_layers):
            network = network.replaced(layer, "attention", Partial(forward.uniform))
        return network

    def with_moved_attention(self, rng: np.random.Generator) -> "Network":
        """The network whose heads give their weights to other positions, drawn for each head.

        Each position of each head deals its own weights out anew to the positions that it may see,
        in one order for all equations: attention as sharp as before, to places at random.
        """
        n_positions, network = len(self.means["hidden"][0]), self
        for layer in range(self.run.n_layers):
            place_HTT = np.tile(np.arange(n_positions), (self.run.n_heads, n_positions, 1))
            for head, t in np.ndindex(self.run.n_heads, n_positions):
                place_HTT[head, t, : t + 1] = rng.permutation(t + 1)
            network = network.replaced(
                layer, "attention", Partial(forward.moved, jnp.asarray(place_HTT))
            )
        return network

    def averaged(self, name: str, layer: int, numbers: list[int]) -> "Network":
        """The network with some heads or neurons at their mean over the table."""
        self.check_layer(layer, self.run.n_layers)
        heads = name == "heads"
        count = self.run.n_heads if heads else self.run.ff_width
        for number in numbers:
            if number not in range(count):
                what = "head" if heads else "neuron"
                raise GrokError(f"layer {layer} has no {what} {number}: choose from 0..{count - 1}")
        width = self.run.d_model if heads else count  # each head has as many places in it
        place_W = np.arange(width) // (width // count)
        return self.without_directions(name, layer, np.eye(width)[np.isin(place_W, numbers)])

    def without_directions(self, name: str, layer: int, directions_RW) -> "Network":
        """The network with some directions of an activation at their mean at each position.

        name: 'heads', of which all outputs stand side by side, W = H K, or 'hidden', W = F.
        directions: orthonormal.
        """
        mean_T = self.means[name][layer]
        mean_TW = jnp.asarray(mean_T.reshape(len(mean_T), -1), jnp.float32)
        replace = Partial(forward.at_mean, jnp.asarray(directions_RW, jnp.float32), mean_TW)
        return self.replaced(layer, name, replace)

    def patch(self, name: str, value: Any, layer: int = 0) -> "Network":
        """The network with an activation replaced at the answer's position.

        name: 'residual', 'attention', 'heads' or 'hidden', as in `Activations`. value: an array
        that broadcasts to the activation's own [n, n, ...] of `layer`, or a function of a block's
        activation [B, ...] that gives as much. Raises GrokError for another name or shape.
        """
        if name not in PATCHED:
            raise GrokError(f"there is no activation {name!r}: choose {', '.join(PATCHED)}")
        self.check_layer(layer, self.run.n_layers + (name == "residual"))
        at = slice(None) if name == "attention" else -self.program.arch.n_answers

        def replace(activation, rows_B):
            here = activation[:, at]
            if callable(value):
                new = jnp.asarray(value(here))
            else:
                new = self.rows_of(value, here.shape[1:], name)[rows_B]
            if new.shape != here.shape:
                raise GrokError(
                    f"the patch of {name} has shape {new.shape}, not {tuple(here.shape)}"
                )
            return activation.at[:, at].set(new)

        return self.replaced(layer, name, replace)

    def rows_of(self, value, shape: tuple, name: str):
        """An array that broadcasts to [n, n, ...] as [N, ...]."""
        wanted = (self.n, self.n, *shape)
        try:
            return np.broadcast_to(np.asarray(value, np.float32), wanted).reshape(-1, *shape)
        except ValueError:
            raise GrokError(
                f"the patch of {name} has shape {np.shape(value)}, which does not fit {wanted}"
            ) from None

    def check_layer(self, layer: int, count: int) -> None:
        if not 0 <= layer < count:
            raise GrokError(f"there is no layer {layer}: choose from 0..{count - 1}")

    def replaced(self, layer: int, name: str, replace: Patch) -> "Network":
        return dataclasses.replace(self, patches=(*self.patches, ((layer, name), replace)))


def of_params(run: Run, params) -> Network:
    """The network of a run with parameters as a training leaves them.

    Raises GrokError where JAX finds no device to compute it on.
    """
    require_devices()
    _, weights, _ = with_learned_embedding(run, jax.tree.map(jnp.asarray, params))
    return Network(run, weights)


def listed(parts) -> list:
    """Some parts, or a single one, as a list."""
    return [parts] if isinstance(parts, (int, np.integer, str)) else list(parts)


def kinds_of(split: str) -> tuple[int, ...]:
    if split not in KINDS:
        raise GrokError(f"there is no split {split!r}: choose {', '.join(KINDS)}")
    return KINDS[split]
