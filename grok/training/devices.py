"""The devices of this process: made ready before JAX is first used, and described for provenance."""

import os

import jax

from grok.experiment import GrokError
from grok.training.processes import join
from grok.training.program import DOT_ALGORITHMS, used_precision


def start_devices(
    distributed: bool = False,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> tuple[int, int]:
    """Make this process's devices ready; must come before JAX is first used. Returns this process's number and how many there are.

    One host device a core, so that slots spread over a CPU's cores. `distributed`, or a coordinator's address,
    joins other processes.
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
    return process, count


def check_devices() -> None:
    """Start JAX's devices. Raises GrokError where there are none of the kind that is asked for."""
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


def device_facts(processes: int = 1) -> dict:
    """What the numbers were computed on, for experiment.json; `precisions` says for each that a run may ask for which one was used."""
    devices = jax.local_devices()
    return {
        "device": f"{len(devices)} x {devices[0].device_kind}",
        "platform": devices[0].platform,
        "cores": len(os.sched_getaffinity(0)),
        "processes": processes,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "precisions": {
            asked: used_precision(asked, devices[0].platform) for asked in DOT_ALGORITHMS
        },
    }
