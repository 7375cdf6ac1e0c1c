"""The devices of this process: made ready before JAX is used, described for provenance."""

import os
from pathlib import Path

import jax

from grok.experiment import GrokError
from grok.store.provenance import NVIDIA_DEVICE
from grok.training.processes import join
from grok.training.program import DOT_ALGORITHMS, used_precision

# Autotuning takes minutes a program and gains nothing here; merged products copy their operands,
# and so do those of bf16 that are padded to a multiple of eight rows.
GPU_OPTIONS: dict[str, bool | int | str] = {
    "xla_gpu_enable_triton_gemm": False,
    "xla_gpu_experimental_enable_fusion_autotuner": False,
    "xla_gpu_dot_merger_threshold_mb": 0,
    "xla_disable_hlo_passes": "cublas-pad-for-gemms",
}


def start_devices(
    distributed: bool = False,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> tuple[int, int]:
    """Make this process's devices ready; must come before JAX is first used.

    There is one host device a core, so that slots spread over a CPU's cores. `distributed`, or a
    coordinator's address, joins other processes. What is compiled for a GPU is kept in the user's
    cache folder. Returns this process's number and how many processes there are.
    """
    joining = distributed or coordinator
    if not joining and (num_processes, process_id) != (None, None):
        raise GrokError(
            "--num-processes and --process-id need --coordinator HOST:PORT, or --distributed"
        )
    if num_processes is not None and process_id is not None and not 0 <= process_id < num_processes:
        raise GrokError(f"--process-id {process_id} must lie between 0 and {num_processes - 1}")
    jax.config.update("jax_num_cpu_devices", len(os.sched_getaffinity(0)))
    # It would overrule the precision that a run asks for; CUDA reads it when it starts.
    os.environ.pop("NVIDIA_TF32_OVERRIDE", None)
    process, count = 0, 1
    if joining:
        process, count, cuda_devices = join(coordinator, num_processes, process_id)
        jax.config.update("jax_cuda_visible_devices", cuda_devices)
    check_devices()
    if jax.default_backend() != "cpu" and not jax.config.jax_compilation_cache_dir:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
    return process, count


def cache_folder() -> Path:
    """Where programs that were compiled for a GPU are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "grok"


def check_devices() -> None:
    """Start JAX's devices.

    Raises GrokError where there are none of the kind that is asked for, and where there is an
    NVIDIA GPU that JAX does not use though nobody asked for the CPU.
    """
    require_devices()
    if jax.default_backend() == "cpu" and not jax.config.jax_platforms and NVIDIA_DEVICE.exists():
        raise GrokError(
            f"this machine has an NVIDIA GPU ({NVIDIA_DEVICE}), but JAX does not use it: install "
            "jax[cuda13] or jax[cuda12], or set JAX_PLATFORMS=cpu to train on the CPU"
        )


def require_devices() -> None:
    """Raise GrokError where JAX cannot start its devices, which JAX says in no words of its own."""
    try:
        jax.local_devices()
    except (RuntimeError, AssertionError) as error:  # JAX says it either way.
        asked = jax.config.jax_platforms
        raise GrokError(
            f"JAX finds no device of JAX_PLATFORMS={asked}: unset JAX_PLATFORMS, or set it to cpu"
            if asked
            else f"JAX cannot start its devices ({' '.join(str(error).split())[:200]}): "
            "set JAX_PLATFORMS=cpu to go on without them"
        ) from error


def compiler_options(platform: str) -> dict[str, bool | int | str] | None:
    """How XLA compiles the chunk for a platform; what the user's XLA_FLAGS say goes before."""
    return GPU_OPTIONS if platform == "gpu" and not os.environ.get("XLA_FLAGS") else None


def device_facts(processes: int = 1) -> dict:
    """What the numbers were computed on, for experiment.json.

    `precisions` says for each precision that a run may ask for which one was used.
    """
    devices = jax.local_devices()
    return {
        "device": f"{len(devices)} x {devices[0].device_kind}",
        "platform": devices[0].platform,
        "cores": len(os.sched_getaffinity(0)),
        "processes": processes,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "compiler_options": compiler_options(devices[0].platform) or {},
        "precisions": {
            asked: used_precision(asked, devices[0].platform) for asked in DOT_ALGORITHMS
        },
    }
