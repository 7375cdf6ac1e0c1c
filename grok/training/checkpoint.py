"""Checkpoints of a sweep through Orbax: atomic, the last two kept, each with its own digest."""

import contextlib
import gc
import hashlib
import json
import logging
import sys
import warnings
from pathlib import Path

import numpy as np
import orbax.checkpoint as ocp

from grok.experiment import GrokError, Note
from grok.files import disk_errors

logging.getLogger("absl").setLevel(logging.CRITICAL)


class Checkpoints:
    """The checkpoints below `folder`: each a flat dict of numpy arrays, and a dict for JSON."""

    def __init__(self, folder: Path):
        self.folder = folder.absolute()
        options = ocp.CheckpointManagerOptions(max_to_keep=2, create=False)
        with disk_errors(folder, "--results DIR"):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.manager = ocp.CheckpointManager(self.folder, options=options)

    def save(self, arrays: dict[str, np.ndarray], facts: dict) -> None:
        """Write a checkpoint in the background, after the one before it is on disk."""
        kept = {
            name: array for name, array in arrays.items() if np.size(array)
        }  # Orbax refuses empty arrays.
        facts = facts | {
            "empty": {
                name: list(np.shape(array)) for name, array in arrays.items() if not np.size(array)
            }
        }
        facts["digest"] = digest(kept, facts)
        with disk_errors(self.folder, "--results DIR"):
            self.manager.wait_until_finished()
            number = (self.manager.latest_step() or 0) + 1
            self.manager.save(
                number,
                args=ocp.args.Composite(
                    arrays=ocp.args.StandardSave(kept), facts=ocp.args.JsonSave(facts)
                ),
            )

    def restore(self) -> tuple[dict[str, np.ndarray], dict] | None:
        """The newest checkpoint that is whole, or None where there is none at all."""
        steps = sorted(self.manager.all_steps(), reverse=True)
        damaged: list[int] = []
        for step in steps:
            try:
                with quiet_threads():
                    found = self.read(step)
                for bad in damaged:
                    self.manager.delete(bad)
                return found
            except MemoryError:
                raise
            except (
                Exception
            ) as error:  # Orbax, TensorStore and JSON each raise their own for a torn file.
                said = (str(error).splitlines() or [type(error).__name__])[0][:120]
                warnings.warn(
                    f"checkpoint {step} in {self.folder} is damaged ({said}); "
                    "using the one before it",
                    Note,
                    stacklevel=2,
                )
                damaged.append(step)
        if steps:
            raise GrokError(
                f"no checkpoint in {self.folder} can be read: "
                "move the results folder away to begin anew"
            )
        return None

    def read(self, step: int) -> tuple[dict[str, np.ndarray], dict]:
        loaded = self.manager.restore(
            step,
            args=ocp.args.Composite(
                arrays=ocp.args.StandardRestore(), facts=ocp.args.JsonRestore()
            ),
        )
        arrays, facts = dict(loaded.arrays), dict(loaded.facts)
        if facts.pop("digest") != digest(arrays, facts):
            raise ValueError("its content does not match its digest")
        return arrays | {name: np.zeros(shape) for name, shape in facts.pop("empty").items()}, facts

    def close(self) -> None:
        with disk_errors(self.folder, "--results DIR"):
            self.manager.close()


@contextlib.contextmanager
def quiet_threads():
    """Keep Orbax's abandoned coroutines from reporting at length what `restore` says in a line."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        yield
        gc.collect()
    finally:
        sys.unraisablehook = hook


def digest(arrays: dict[str, np.ndarray], facts: dict) -> str:
    """A hash of the facts, and of the arrays' names, types, shapes and content."""
    summary = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        summary.update(json.dumps([name, str(array.dtype), list(array.shape)]).encode())
        summary.update(array.tobytes())
    return summary.hexdigest()
