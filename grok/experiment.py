"""What to run: a `Run` is a small record of numbers, an `Experiment` a list of runs.

Nothing here trains, reads or writes. Everything that reads a run, from the dataset to the figures,
reads these fields under these names.
"""

import dataclasses
import itertools
import re
import warnings
from collections.abc import Iterable, Set
from dataclasses import dataclass
from typing import Any, Literal

from grok import fields
from grok.fields import amount, field, number, share

LONGEST_NAME = 200
SCALES = {
    "small": "small networks and tables, minutes on two CPU cores",
    "night": "the paper's network with fewer seeds, two CPU cores for a night",
    "paper": "the paper's own sizes, for a GPU",
}


class GrokError(Exception):
    """A mistake its user can mend: shown as one line on standard error, exit status 2."""


class Note(UserWarning):
    """What a user should know though nothing failed: shown as one line on standard error."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training run. The defaults are the paper's AdamW setting (sections A.1.2 and A.1.3)."""

    label: str = field("", "free text that names the run in tables and figures")
    # The task.
    operation: str = field("x/y", "expression in x and y, such as x^2+xy+y^2 or xyx^-1")
    structure: str = field(
        "Z97", "where x and y live: Z<n>, S<n>, A<n>, D<n> or a product such as Z2xS3"
    )
    train_fraction: float = field(
        0.5,
        "share of the table's rows that are trained on",
        lambda v: 0 < v < 1,
        "must lie in (0, 1)",
    )
    split_seed: int = amount(0, "seed of the split into training and validation rows")
    corrupted_labels: int = amount(
        0, "training rows whose answer is replaced by another training row's"
    )
    token_format: Literal["answer", "eos"] = field(
        "answer",
        "'answer': x o y = -> c (paper); "
        "'eos': <eos> x o y = c <eos>, loss on c and <eos> (released code)",
    )
    # The network.
    n_layers: int = number(2, "Transformer blocks")
    n_heads: int = number(4, "attention heads a block")
    d_model: int = number(128, "width of the residual stream")
    d_ff: int | None = field(
        None,
        "width of the hidden FFN layer (default: 4 d_model)",
        lambda v: v is None or v > 0,
        "must be above 0",
    )
    norm: Literal["post", "pre", "none", "sphere"] = field(
        "post",
        "where LayerNorm stands; 'sphere' has none: each state of the residual stream and each "
        "row of the output layer is scaled to length 1",
    )
    activation: Literal["relu", "gelu"] = field("relu", "FFN non-linearity")
    attention_mix: float = field(
        1.0,
        "attention weights are this share of softmax, the rest is even over the positions seen "
        "(1: the paper's, 0: even attention)",
        lambda v: 0 <= v <= 1,
        "must lie in [0, 1]",
    )
    logit_scale: float = number(1.0, "factor on the logits: one over a fixed temperature")
    positions: Literal["sinusoidal", "learned", "rotary", "none"] = field(
        "sinusoidal",
        "how positions are written: fixed sinusoids (paper), a trained table, rotated queries and "
        "keys, or not at all",
    )
    values: Literal[
        "learned", "onehot", "random", "scalar", "bins", "digits", "fourier", "file"
    ] = field(
        "learned",
        "how elements are written: a trained table (paper), or fixed vectors or features "
        "(see grok/task/encodings.py)",
    )
    bins: int = field(
        8,
        "contiguous bins of residues that values=bins tells apart",
        lambda v: v >= 2,
        "must be at least 2",
    )
    base: int = field(
        10, "base of the digits of values=digits", lambda v: v >= 2, "must be at least 2"
    )
    frequencies: int = number(
        4, "frequencies k = 1, 2, ... of values=fourier, each as a cosine and a sine"
    )
    table: str = field(
        "",
        "file of values=file: an .npz such as results/figure3/arrays/run_0000.npz; "
        "':unembedding' at its end takes that matrix",
    )
    train_table: bool = field(
        False, "train on from the table of values=file, instead of keeping it as it is"
    )
    tied: bool = field(False, "use the transpose of the embedding matrix as the output layer")
    seed: int = amount(0, "seed of the initial weights, the batches and all noise", traced=True)
    init: Literal["uniform", "normal"] = field(
        "uniform",
        "initial weights: 'uniform': embeddings N(0, 1), maps U(+-1/sqrt(fan_in)) (released code); "
        "'normal': N(0, 1/d_model), output layer N(0, 1/vocabulary) (code of Nanda et al.)",
    )
    init_scale: float = number(
        1.0, "factor on every initial weight matrix and embedding", traced=True
    )
    dropout: float = share(0.0, "dropout rate on the FFN output", traced=True)
    weight_noise: float = amount(
        0.0,
        "standard deviation of fresh Gaussian noise on every weight at each training forward pass",
        traced=True,
    )
    # The loss and its gradient.
    loss: Literal["softmax", "stablemax", "softmax_exact"] = field(
        "softmax",
        "cross-entropy of softmax, of StableMax, or of softmax without rounding to probability 1 "
        "(see grok/training/losses.py)",
    )
    gradient_filter: Literal["none", "grokfast_ema", "grokfast_ma", "orthogonal"] = field(
        "none",
        "what becomes of the gradient before the optimiser: Grokfast adds its slow part, "
        "'orthogonal' takes away the part along the weights (see grok/training/filters.py)",
    )
    filter_strength: float = number(
        2.0,
        "multiple of the slow gradient that Grokfast adds",
        traced=True,
        of="gradient_filter=grokfast_ema|grokfast_ma",
    )
    filter_memory: float = share(
        0.98,
        "decay rate of the mean of gradients of Grokfast-EMA",
        traced=True,
        of="gradient_filter=grokfast_ema",
    )
    filter_window: int = number(
        100, "gradients in the mean of Grokfast-MA", of="gradient_filter=grokfast_ma"
    )
    # The optimiser.
    optimizer: Literal["adamw", "adam", "sgd", "sam", "muon", "muon_norm_only", "egalitarian"] = (
        field(
            "adamw",
            "update rule; adam is adamw without decay, muon_norm_only is muon without "
            "orthogonalisation, egalitarian gives all directions of a gradient the same speed",
        )
    )
    learning_rate: float = number(1e-3, "peak learning rate", traced=True)
    weight_decay: float = amount(
        1.0,
        "decay coefficient; a weight shrinks by learning_rate x weight_decay an update",
        traced=True,
    )
    decay_form: Literal["to_zero", "to_init", "honest", "jiggle", "low_rank"] = field(
        "to_zero",
        "what weight decay does: shrink to zero, to the initial weights, L2 in the gradient, "
        "multiply by random factors, or shrink singular values of queries and keys by as much each",
    )
    constant_norm: bool = field(
        False, "scale all weights after each update to the L2 norm that they had at the start"
    )
    b1: float = share(0.9, "decay rate of the first moment (momentum for sgd)", traced=True)
    b2: float = share(0.98, "decay rate of the second moment", traced=True)
    eps: float = number(1e-8, "added to the root of the second moment", traced=True)
    warmup_steps: int = amount(10, "updates over which the learning rate rises from 0", traced=True)
    schedule: Literal["constant", "cosine"] = field(
        "constant", "learning rate after the warm-up; cosine falls to 0 at num_steps"
    )
    update_noise: float = amount(
        0.0, "standard deviation of Gaussian noise added to the normalised update", traced=True
    )
    sam_radius: float = amount(
        0.05, "radius of the ascent step of sam", traced=True, of="optimizer=sam"
    )
    batch_size: int | None = field(
        None,
        "training rows an update sees; 0 means all (default: min(512, ceil(n_train / 2)))",
        lambda v: v is None or v >= 0,
        "must not be negative",
    )
    # The length of training and what is written down.
    num_steps: int = number(100_000, "most updates the run may take", traced=True)
    eval_every: int = number(
        200, "updates between evaluations of the full tables, after 1, 2, 5, 10, 20, 50, ..."
    )
    stop_after: int = amount(
        10, "stop once this many evaluations in a row have 99% validation accuracy; 0 means never"
    )
    snapshots: str = field(
        "",
        "evaluations at which the matrices are kept too: 'log', those of updates spaced evenly on "
        "a logarithmic axis, or every so many updates, such as 100",
        lambda v: v in ("", "log") or (v.isdecimal() and int(v) > 0),
        "must be 'log', a spacing in updates such as '100', or '' for none",
    )
    keep_params: bool = field(
        False, "keep all parameters too, wherever the matrices are kept: for mechanism and symmetry"
    )
    precision: Literal["float32", "tf32", "bf16"] = field(
        "float32", "precision of matrix products: tf32 on a GPU alone, bf16 where the device has it"
    )

    def __post_init__(self):
        for spec in dataclasses.fields(self):
            value = fields.converted(spec, getattr(self, spec.name))
            fault = fields.fault(spec, value)
            if fault:
                raise GrokError(f"{spec.name}={' '.join(repr(value).split())} {fault}")
            object.__setattr__(self, spec.name, value)
        contradiction = self.contradiction()
        if contradiction:
            raise GrokError(contradiction)

    def contradiction(self) -> str | None:
        """What is wrong with fields that do not go together, in a line, or None."""
        if self.d_model % self.n_heads:
            return f"n_heads={self.n_heads} does not divide d_model={self.d_model}"
        d_head = self.d_model // self.n_heads
        if self.positions == "rotary" and d_head % 2:
            return (
                "positions=rotary turns pairs of coordinates, but a head is d_model / n_heads = "
                f"{d_head} wide: choose an even width"
            )
        if self.values == "file" and not self.table:
            return "values=file needs its file: give table=PATH.npz"
        if self.table and self.values != "file":
            return f"table={self.table!r} is read by values=file alone, but values={self.values}"
        if self.snapshots.isdecimal() and int(self.snapshots) % self.eval_every:
            return (
                f"snapshots={self.snapshots} would fall between evaluations: "
                f"choose a multiple of eval_every={self.eval_every}, or "
                f"eval_every={evaluations_at(int(self.snapshots), self.eval_every)}"
            )
        if self.optimizer == "adam" and self.weight_decay:
            return (
                f"optimizer=adam has no weight decay, but weight_decay={self.weight_decay:g}: "
                "choose adamw, or weight_decay=0"
            )
        if self.gradient_filter == "grokfast_ma" and self.filter_window > self.num_steps:
            return (
                f"filter_window={self.filter_window} is longer than the run of "
                f"num_steps={self.num_steps}: its mean would never be there"
            )
        return self.without_its_method()

    def without_its_method(self) -> str | None:
        """Which field is given though the method that alone reads it is not chosen, or None."""
        for spec in dataclasses.fields(self):
            value = getattr(self, spec.name)
            if value != spec.default and not read_by(spec, vars(self)):
                owner, methods = spec.metadata["of"].split("=")
                return (
                    f"{spec.name}={value:g} is read by {owner}={' or '.join(methods.split('|'))} "
                    f"alone, but {owner}={getattr(self, owner)}"
                )
        return None

    @property
    def ff_width(self) -> int:
        """Width of the hidden FFN layer."""
        return self.d_ff or 4 * self.d_model

    def replace(self, **changes: Any) -> "Run":
        """The same run with some fields changed."""
        known = {spec.name for spec in dataclasses.fields(self)}
        for name in changes:
            if name not in known:
                raise GrokError(
                    f"a run has no field '{name}'; its fields are {', '.join(sorted(known))}"
                )
        return dataclasses.replace(self, **changes)


def read_by(spec: dataclasses.Field, values: dict[str, Any]) -> bool:
    """Whether a field of `Run` is read under the methods that `values` name."""
    owner, _, methods = spec.metadata["of"].partition("=")
    return not owner or values[owner] in methods.split("|")


def results_name(name: str, scale: str) -> str:
    """The results folder of an experiment at a scale: the small scale has the plain name."""
    return name if scale == "small" else f"{name}_{scale}"


# The network of most experiments at the small scale: one narrow block and 961 equations.
SMALL = Run(
    operation="x+y",
    structure="Z31",
    train_fraction=0.7,
    n_layers=1,
    d_model=32,
    learning_rate=5e-3,
    weight_decay=0.5,
    eval_every=100,
)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A named list of runs; `results/<name>/` holds what they gave."""

    name: str
    runs: tuple[Run, ...]
    scale: str = "small"

    def __post_init__(self):
        object.__setattr__(self, "runs", distinct(self.name, self.runs))
        if not re.fullmatch(r"(?!\.)[\w.=+^-]+", self.name):
            raise GrokError(
                f"experiment name '{self.name[:LONGEST_NAME]}' must be letters, digits and "
                ". _ = + ^ - and not begin with a dot"
            )
        if len(self.name.encode()) > LONGEST_NAME:
            raise GrokError(
                f"experiment name '{self.name[:40]}...' is longer than {LONGEST_NAME} bytes: "
                "choose a shorter one with --name"
            )
        if not self.runs:
            raise GrokError(f"experiment '{self.name}' has no runs")


def evaluations_at(spacing: int, eval_every: int) -> int:
    """The largest divisor of a spacing of snapshots that is not above `eval_every`."""
    return next(every for every in range(eval_every, 0, -1) if spacing % every == 0)


def distinct(name: str, runs: Iterable[Run]) -> tuple[Run, ...]:
    """The runs without those that equal an earlier one, which are no other seed.

    Notes how many were left out. Raises GrokError for what is no list of runs.
    """
    if isinstance(runs, Run) or not isinstance(runs, Iterable):
        raise GrokError(f"experiment '{name}' needs a list of runs: write runs=[...]")
    found: list[Run] = []
    for run in runs:
        if not isinstance(run, Run):
            raise GrokError(
                f"run {len(found)} of experiment '{name}' is a {type(run).__name__}, not a Run: "
                "join lists with +, as in runs=grid(...) + grid(...)"
            )
        found.append(run)
    kept = tuple(dict.fromkeys(found))
    if len(kept) < len(found):
        equal = f"{len(found) - len(kept)} of {len(found)} runs of '{name}' equal an earlier one"
        warnings.warn(f"{equal}: left out", Note, stacklevel=4)
    return kept


def grid(base: Run, **values: Iterable[Any]) -> list[Run]:
    """Every combination of the listed field values, in the order of a nested loop, last fastest."""
    for name, listed in values.items():
        if isinstance(listed, str) or not isinstance(listed, Iterable):
            raise GrokError(f"{name}={listed!r} is no list of values: write {name}=[{listed!r}]")
        if isinstance(listed, Set):
            raise GrokError(
                f"the values of {name} are a set, whose order differs from process to process: "
                "write a list"
            )
    return [
        base.replace(**dict(zip(values, combination)))
        for combination in itertools.product(*values.values())
    ]
