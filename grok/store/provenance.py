"""Who made these numbers: what a results folder keeps about each session that trained in it."""

import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
NVIDIA_DEVICE = Path("/dev/nvidia0")  # where there is one GPU or more
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")


def provenance() -> dict:
    """The start, command, commit and versions of this session."""
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python -m grok", *sys.argv[1:]]),
        **checkout(),
        "python": platform.python_version(),
        "versions": {name: installed(name) for name in PACKAGES},
    }


def checkout() -> dict:
    """The commit of the code and whether it was changed since; None where the code is no checkout.

    A copy of the code inside another project's repository is none: that commit is not the code's.
    """
    ours = git("ls-files", "--full-name", "--error-unmatch", "grok/__init__.py")
    if ours != "grok/__init__.py":
        return {"commit": None, "uncommitted_changes": None}
    return {
        "commit": git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(git("status", "--porcelain", "--", "grok", "configs")),
    }


def git(*arguments: str) -> str | None:
    """The output of a git command about the code, or None outside a checkout."""
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def installed(package: str) -> str | None:
    """The version of a package, or None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
