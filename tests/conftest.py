"""Shared by the tests: a run on the device, and an independent Transformer in float64 numpy."""

import dataclasses
import functools
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from jax.experimental.compilation_cache import compilation_cache

from grok.experiment import Experiment, Run
from grok.store import array_files, outcomes, provenance, sessions, tables
from grok.task.dataset import TRAIN, make_dataset
from grok.training import devices
from grok.training.program import TRACED, make_program, traced_data
from grok.training.update import init_state

jitted_init = jax.jit(
    init_state, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0}
)


def pytest_configure(config):
    """Tests run on the CPU, even beside a GPU, unless JAX_PLATFORMS or -m gpu says otherwise."""
    if "JAX_PLATFORMS" not in os.environ and config.getoption("markexpr") != "gpu":
        os.environ["JAX_PLATFORMS"] = "cpu"  # for what tests start
        jax.config.update("jax_platforms", "cpu")
    # What a shell starts in the background ignores Ctrl-C, and so would what the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_picture_warns(caplog):
    """Matplotlib logs what it cannot do, as limits that it ignores: a mistake as a warning is."""
    yield
    said = [record.getMessage() for record in caplog.get_records("call")]
    names = [record.name for record in caplog.get_records("call")]
    assert not [text for text, name in zip(said, names) if name.startswith("matplotlib.axes")]


@pytest.fixture(scope="session")
def tiny():
    """A run that compiles and trains in no time: x+y over Z7, one narrow block."""
    return Run(
        operation="x+y", structure="Z7", n_layers=1, n_heads=2, d_model=8, d_ff=16, num_steps=100
    )


@pytest.fixture
def devices_ready(monkeypatch):
    """A command's set-up of devices is left out: the tests' own process has used JAX before."""
    monkeypatch.setattr(devices, "start_devices", lambda *_: (0, 1))


@pytest.fixture(scope="session")
def on_device():
    """run -> its dataset, program, numbers, data and initial state, as the sweep sets them up."""

    def build(run: Run) -> SimpleNamespace:
        dataset = make_dataset(run)
        data = traced_data(run, dataset)
        numbers = {name: jnp.asarray(getattr(run, name)) for name in TRACED}
        program = make_program(run, dataset)
        return SimpleNamespace(
            run=run,
            dataset=dataset,
            program=program,
            numbers=numbers,
            data=jax.tree.map(jnp.asarray, data),
            state=jitted_init(program, numbers, dataset.features),
        )

    return build


@pytest.fixture(scope="session")
def write_folder():
    """(folder, runs, arrays of each run or None where it never trained) -> the results folder.

    Training is at 100%, validation (unmirrored rows too) at `val`.
    """

    def write(folder, runs, arrays, val=lambda number: 1.0):
        sessions.begin(
            folder,
            Experiment(name="written", runs=tuple(runs)),
            {"processes": 1},
        )
        rows, curves = [], []
        for number, (run, kept) in enumerate(zip(runs, arrays)):
            metrics = np.array(
                [
                    [
                        {
                            "train_accuracy": 1.0,
                            "val_accuracy": val(number),
                            "val_fresh_accuracy": val(number),
                        }.get(name, 0.0)
                        for name in tables.METRICS
                    ]
                ]
            )
            curves.append(
                tables.curves_table(np.array([number]), np.array([run.num_steps]), metrics).head(
                    int(kept is not None)
                )
            )
            rows.append(
                {
                    "run": number,
                    **dataclasses.asdict(run),
                    **outcomes.outcome(curves[-1], run, False, kept is not None),
                }
            )
            if kept is not None:
                array_files.write_arrays(folder, array_files.arrays_name(number), kept)
        tables.write_tables(folder, tables.runs_table(rows), pd.concat(curves, ignore_index=True))
        sessions.finish(folder, {"seconds": 1.0})
        return folder

    return write


@pytest.fixture
def write_results(tmp_path, monkeypatch, write_folder):
    """(runs, arrays) -> a results folder of its own; see `write_folder`."""
    monkeypatch.setattr(provenance, "git", lambda *arguments: None)
    return functools.partial(write_folder, tmp_path / "written")


@pytest.fixture
def write_growth(tmp_path, monkeypatch):
    """(name, run, moments, with_answers) -> the folder of a run that was kept at several updates.

    moments: {update: (W [n, d], right [n, n])}, the last of them its end. The curves have an
    evaluation at each, whose accuracies are those of `right`.
    """
    monkeypatch.setattr(provenance, "git", lambda *arguments: None)

    def write(name, run, moments, with_answers=True):
        folder, kind_N = tmp_path / name, make_dataset(run).kind_N
        sessions.begin(folder, Experiment(name=name, runs=(run,)), {"processes": 1})
        metrics_MC = []
        for step, (W, right) in moments.items():
            kept = {"embedding": W, "unembedding": W}
            if with_answers:
                kept["correct"] = np.packbits(right)
            at = None if step == max(moments) else step
            array_files.write_arrays(folder, array_files.arrays_name(0, at), kept)
            shares = {
                "train_accuracy": right.reshape(-1)[kind_N == TRAIN].mean(),
                "val_accuracy": right.reshape(-1)[kind_N > TRAIN].mean(),
            }
            metrics_MC.append([shares.get(metric, 0.5) for metric in tables.METRICS])
        steps = np.array(list(moments))
        curves = tables.curves_table(np.zeros(len(steps), int), steps, np.array(metrics_MC))
        row = {"run": 0, **dataclasses.asdict(run), **outcomes.outcome(curves, run, False, True)}
        tables.write_tables(folder, tables.runs_table([row]), curves)
        sessions.finish(folder, {"seconds": 1.0})
        return folder

    return write


@pytest.fixture(scope="session")
def quick_compilation(tmp_path_factory):
    """JAX's settings, by name, that compile a tiny program once, and fast rather than well."""
    return {
        "jax_disable_most_optimizations": True,
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": 0,
    }


@pytest.fixture(scope="module")
def quick_sweeps(quick_compilation):
    """Let sweeps in this process compile that way."""
    before = {name: jax.config.values[name] for name in quick_compilation}
    for settings in (quick_compilation, before):
        for name, value in settings.items():
            jax.config.update(name, value)
        compilation_cache.reset_cache()
        if settings is quick_compilation:
            yield


@pytest.fixture
def start_grok(quick_compilation):
    """(arguments of python -m grok) -> a running process with its output in pipes.

    Whatever still runs is killed at the end.
    """
    started = []
    environment = os.environ | {
        name.upper(): str(value) for name, value in quick_compilation.items()
    }

    def start(*arguments) -> subprocess.Popen:
        command = [sys.executable, "-m", "grok", *map(str, arguments)]
        root = Path(__file__).parent.parent
        started.append(
            subprocess.Popen(
                command,
                cwd=root,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        with process:  # closes its pipes and waits
            pass


@pytest.fixture(scope="session")
def numpy_logits():
    """(params, tokens [B, T], Architecture, mix, scale) -> logits [B, A, V], by position."""
    return reference_logits


def reference_logits(params, tokens_BT, arch, mix=1.0, scale=1.0):
    params = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
    return np.stack(
        [
            reference_sequence(params, tokens_T, arch, mix)[-arch.n_answers :] * scale
            for tokens_T in np.asarray(tokens_BT)
        ]
    )


def reference_sequence(params, tokens_T, arch, mix):
    """Logits [T, V] of one sequence, from the equations of the paper (section A.1.2).

    mix: the share of softmax in the attention, the rest is even (the paper's: 1).
    """
    d = arch.d_model
    position_TD = np.empty((len(tokens_T), d))
    for t, i in np.ndindex(position_TD.shape):
        wave, even = (np.sin, i) if i % 2 == 0 else (np.cos, i - 1)
        position_TD[t, i] = wave(t / 10000 ** (even / d))
    added = {
        "sinusoidal": np.array(position_TD),
        "learned": params.get("positions", {}).get("table"),
    }
    x_TD = params["embedding"][tokens_T] + added.get(arch.positions, 0)
    output_DV = params["unembedding"]
    if arch.norm == "sphere":
        x_TD = x_TD / np.linalg.norm(x_TD, axis=1, keepdims=True)
        output_DV = output_DV / np.linalg.norm(output_DV, axis=0)
    for layer in range(arch.n_layers):
        x_TD = reference_block(params[f"block{layer}"], x_TD, arch, mix)
    if arch.norm == "pre":
        x_TD = layer_norm(x_TD, params["final_norm"])
    return x_TD @ output_DV


def after(h_TD, block, name, arch):
    """What follows a residual connection: LayerNorm, a unit length or nothing."""
    if arch.norm == "sphere":
        return h_TD / np.linalg.norm(h_TD, axis=1, keepdims=True)
    return layer_norm(h_TD, block[name]) if arch.norm == "post" else h_TD


def reference_block(block, x_TD, arch, mix):
    attention_in = layer_norm(x_TD, block["ln1"]) if arch.norm == "pre" else x_TD
    h_TD = x_TD + reference_attention(block, attention_in, arch, mix)
    h_TD = after(h_TD, block, "ln1", arch)
    hidden_TF = (layer_norm(h_TD, block["ln2"]) if arch.norm == "pre" else h_TD) @ block["w_in"][
        "kernel"
    ]
    out_TD = h_TD + ACTIVATIONS[arch.activation](hidden_TF) @ block["w_out"]["kernel"]
    return after(out_TD, block, "ln2", arch)


def reference_attention(block, x_TD, arch, mix):
    q_TD, k_TD, v_TD = (x_TD @ block[name]["kernel"] for name in ("wq", "wk", "wv"))
    attended_TD = np.zeros_like(x_TD)
    for h in range(arch.n_heads):
        head = slice(h * arch.d_head, (h + 1) * arch.d_head)
        q_TK, k_TK = (
            turned(m_TD[:, head]) if arch.positions == "rotary" else m_TD[:, head]
            for m_TD in (q_TD, k_TD)
        )
        for t in range(len(x_TD)):
            scores = k_TK[: t + 1] @ q_TK[t] / np.sqrt(arch.d_head)
            weights = np.exp(scores - scores.max())
            weights = mix * weights / weights.sum() + (1 - mix) / (t + 1)
            attended_TD[t, head] = weights @ v_TD[: t + 1, head]
    return attended_TD @ block["wo"]["kernel"]


def turned(x_TK):
    """RoFormer's rotation: pairs of coordinates as complex numbers, times e^(i t theta)."""
    n_positions, width = x_TK.shape
    theta = [10000 ** (-2 * i / width) for i in range(width // 2)]
    z = (x_TK[:, 0::2] + 1j * x_TK[:, 1::2]) * np.exp(1j * np.outer(range(n_positions), theta))
    return np.stack([z.real, z.imag], axis=-1).reshape(n_positions, width)


def layer_norm(x_TD, ln):
    centred_TD = x_TD - x_TD.mean(-1, keepdims=True)
    return (
        centred_TD / np.sqrt((centred_TD**2).mean(-1, keepdims=True) + 1e-5) * ln["scale"]
        + ln["bias"]
    )


def gelu(x):
    """The tanh approximation, as Flax and JAX take by default."""
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "gelu": gelu}
