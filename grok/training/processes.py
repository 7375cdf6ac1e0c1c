"""Meet the other processes of a distributed sweep, once, and learn which of them this is: `python -m grok.training.processes`.

It runs in a short process of its own, so that the one that trains stays a single-process JAX: no process depends on
another afterwards, nor ends with it, and Orbax has nobody to wait for.
"""

import json
import os
import subprocess
import sys

from grok.experiment import GrokError

ADVICE = "give --coordinator HOST:PORT --num-processes N --process-id I"


def join(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> tuple[int, int, str]:
    """This process's number, how many there are, and which CUDA devices are this process's ('all', or numbers).

    What is not given is found by jax.distributed (Slurm, Open MPI, Kubernetes). Raises GrokError where they cannot meet.
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
    return tuple(json.loads(met.stdout.splitlines()[-1]))


def main() -> None:
    import jax

    jax.distributed.initialize(*json.loads(sys.argv[1]))
    facts = jax.process_index(), jax.process_count(), jax.config.values["jax_cuda_visible_devices"]
    jax.distributed.shutdown()
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
