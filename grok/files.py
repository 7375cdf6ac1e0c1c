"""Files that survive: written to the side and renamed, one writer to a folder, and one line where the disk refuses."""

import contextlib
import errno
import fcntl
import os
import zipfile
import zlib
from pathlib import Path

from grok.experiment import GrokError

FULL_DISK = "the disk that holds {folder} is full; what was saved before is intact: free some space and run the same command again"
NOT_ARRAYS = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)  # what NumPy raises for an .npz file that is none, or torn


@contextlib.contextmanager
def disk_errors(folder: Path, option: str = "--results DIR"):
    """Turn a full disk or a missing permission into one line that says what is safe, and which option names another place."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise GrokError(FULL_DISK.format(folder=folder)) from error
        if error.errno in (
            errno.EACCES,
            errno.EPERM,
            errno.ENOENT,
            errno.EROFS,
            errno.ENOTDIR,
            errno.EEXIST,
            errno.EISDIR,
            errno.ENAMETOOLONG,
        ):
            raise GrokError(
                f"cannot write to {folder} ({error.strerror}): choose another place with {option}"
            ) from error
        raise
    except ValueError as error:  # Orbax reports a full disk in words.
        if "RESOURCE_EXHAUSTED" in str(error) or "No space left" in str(error):
            raise GrokError(FULL_DISK.format(folder=folder)) from error
        raise


@contextlib.contextmanager
def replacing(path: Path):
    """A path to write to; it takes the place of `path` only once it is complete. One writer at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    side = path.with_name(f".{path.name}.part")
    try:
        yield side
        os.replace(side, path)
    finally:
        side.unlink(missing_ok=True)


@contextlib.contextmanager
def claim(folder: Path):
    """Hold a results folder for this process; a second process is refused."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w")  # noqa: SIM115 - closed by the with below
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GrokError(
                f"another process is training into {folder}: wait for it, or choose another place with --results DIR"
            ) from None
        yield
