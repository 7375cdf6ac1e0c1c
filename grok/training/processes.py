"""Meet the other processes of a distributed sweep once: `python -m grok.training.processes`.

It runs in a short process of its own, so that the process that trains stays a single-process JAX.
Afterwards no process depends on another or ends with it, and Orbax has nobody to wait for.
"""

import json
import os
import subprocess
import sys
from typing import NamedTuple

from grok.experiment import GrokError

ADVICE = "give --coordinator HOST:PORT --num-processes N --process-id I"


class Place(NamedTuple):
    """The number of this process, how many there are, and its CUDA devices ('all', or numbers)."""

    number: int
    n_processes: int
    cuda_devices: str


def join(coordinator: str | None, num_processes: int | None, process_id: int | None) -> Place:
    """The place of this process among those that train together.

    jax.distributed finds what is not given (Slurm, Open MPI, Kubernetes). Raises GrokError where
    the processes cannot meet.
    """
    given = json.dumps([coordinator, num_processes, process_id])
    met = subprocess.run(
        [sys.executable, "-m", "grok.training.processes", given],
        capture_output=True,
        text=True,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )
    if met.returncode:
        said = met.stderr.strip().splitlines() or ["no reason given"]
        raise GrokError(f"cannot join the other processes ({said[-1]}): {ADVICE}")
    return Place(*json.loads(met.stdout.splitlines()[-1]))


def main() -> None:
    import jax

    jax.distributed.initialize(*json.loads(sys.argv[1]))
    facts = jax.process_index(), jax.process_count(), jax.config.values["jax_cuda_visible_devices"]
    jax.distributed.shutdown()
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
