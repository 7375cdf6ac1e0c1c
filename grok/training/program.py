"""What fixes a run's compiled code, the static signature, and what is only a number, the inputs."""

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from grok.experiment import GrokError, Run
from grok.model.layers import BF16_ALGORITHM
from grok.model.transformer import Architecture, Scalars, architecture
from grok.task.dataset import Dataset, Tokens, effective_batch_size, make_dataset
from grok.task.operations import structure
from grok.training.optimizer import OptimizerForm, optimizer_form

TRACED = tuple(spec.name for spec in dataclasses.fields(Run) if spec.metadata["traced"])


# Algorithms by name: JAX's "bfloat16" would only ask for the fastest, which is TF32 on an A100 or
# H100. On a CPU grok.model.layers rounds the operands itself.
DOT_ALGORITHMS = {"float32": "float32", "tf32": "TF32_TF32_F32", "bf16": BF16_ALGORITHM}
CPU_FACTS = Path("/proc/cpuinfo")
BF16_FLAGS = {"avx512_bf16", "amx_bf16"}  # as Linux names the instructions


@dataclass(frozen=True)
class Program:
    """A run's static signature: what changes shapes or code.

    Runs that agree in it train in one compiled program. shared_prefix: train on the fast path (see
    grok.model.transformer); False under dropout, which is drawn per equation.
    """

    tokens: Tokens
    arch: Architecture
    optimizer: OptimizerForm
    batch_cap: int
    loss: str
    sam: bool
    dropout: bool
    weight_noise: bool
    precision: str
    eval_every: int
    shared_prefix: bool


def make_program(run: Run, dataset: Dataset) -> Program:
    """The static signature of a run.

    It depends on this run alone, so that batch-mates cannot change a result.
    """
    tokens = Tokens(structure(run.structure).order, run.token_format)
    n_features = 0 if dataset.features is None else dataset.features.shape[1]
    return Program(
        tokens=tokens,
        arch=architecture(run, tokens.vocab_size, tokens.n_answers, n_features),
        optimizer=optimizer_form(run),
        batch_cap=round_up(effective_batch_size(run, dataset.n_train)),
        loss=run.loss,
        sam=run.optimizer == "sam",
        dropout=run.dropout > 0,
        weight_noise=run.weight_noise > 0,
        precision=run.precision,
        eval_every=run.eval_every,
        shared_prefix=run.dropout == 0,
    )


def used_precision(precision: str, platform: str) -> str:
    """In what a platform computes the products of runs that ask for `precision`.

    A GPU computes as asked. A CPU computes bf16 where it has the instructions, otherwise float32.
    """
    if platform == "gpu":
        return precision
    return "bf16" if precision == "bf16" and cpu_multiplies_bf16() else "float32"


@functools.cache
def cpu_multiplies_bf16() -> bool:
    """Whether this CPU has instructions that multiply bf16, as far as Linux says."""
    if not CPU_FACTS.exists():
        return False
    lines = CPU_FACTS.read_text(encoding="utf-8").splitlines()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return not BF16_FLAGS.isdisjoint(flags.split())


def check_precision(program: Program, platform: str) -> None:
    """Raises GrokError for a precision in which a platform cannot train a program's runs."""
    if platform == "gpu":
        return
    if program.precision == "tf32":
        raise GrokError("only a GPU computes in TF32: give --precision float32 or bf16")
    if used_precision(program.precision, platform) == "bf16" and not program.shared_prefix:
        raise GrokError(
            "a CPU trains runs with dropout in float32 alone: give --precision float32, "
            "or leave out dropout"
        )


def matmul_precision(precision: str, platform: str):
    """Context in which a platform's matrix products are traced, for runs that ask for `precision`.

    On a CPU bf16 holds for the products of the fast path and its gradients. Muon's
    orthogonalisation stays in float32 there.
    """
    return jax.default_matmul_precision(DOT_ALGORITHMS[used_precision(precision, platform)])


def round_up(size: int) -> int:
    """`size` rounded up to three significant bits.

    So nearby batch sizes share a program, at under 25% padding.
    """
    step = 1 << max(size.bit_length() - 3, 0)
    return -(-size // step) * step


class Data(NamedTuple):
    """A run's rows and its elements' features on the device (see grok.task.dataset.Dataset).

    train_rows_N is padded with zeros to N. scalars: None where the network reads none.
    """

    answer_N: Any
    kind_N: Any
    train_rows_N: Any
    n_train: Any
    batch_size: Any
    features: Any = None
    scalars: Scalars | None = None


def traced_numbers(run: Run) -> dict[str, np.ndarray]:
    """The fields of a run that are only numbers, as scalars of 32 bits."""
    numbers = {}
    for name in TRACED:
        value = getattr(run, name)
        numbers[name] = np.asarray(value, np.int32 if isinstance(value, int) else np.float32)
    return numbers


def traced_data(run: Run, dataset: Dataset) -> Data:
    """The rows and features of a run as the compiled program takes them."""
    train_rows_N = np.zeros_like(dataset.answer_N)
    train_rows_N[: dataset.n_train] = dataset.train_rows
    return Data(
        dataset.answer_N,
        dataset.kind_N,
        train_rows_N,
        np.int32(dataset.n_train),
        np.int32(effective_batch_size(run, dataset.n_train)),
        dataset.features,
        traced_scalars(run),
    )


def traced_scalars(run: Run) -> Scalars | None:
    """The numbers of a run's network that are no weights; None where all are the paper's."""
    scalars = Scalars(*(np.float32(getattr(run, name)) for name in Scalars._fields))
    return None if scalars == Scalars() else scalars


def program_of(run: Run) -> Program:
    """The static signature of a run."""
    return make_program(run, make_dataset(run))
