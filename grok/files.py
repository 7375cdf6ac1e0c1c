"""Files that survive: written to the side and renamed, one writer a folder, one line on trouble."""

import contextlib
import errno
import fcntl
import os
import tempfile
import time
import warnings
import zipfile
import zlib
from pathlib import Path

from grok.experiment import GrokError, Note

FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_DISK = (
    "the disk that holds {folder} is full; what was saved before is intact: "
    "free some space and run the same command again"
)
PASSING = (errno.EBUSY, errno.ETXTBSY, errno.ESTALE)  # on network drives, while others read a file
PAUSES = (0.1, 0.5, 2.0)  # seconds before a rename or a lock is tried again
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
def disk_errors(folder: Path, option: str | None = None):
    """Turn what a disk refuses into one line, which says what is safe and what to do.

    option: the option of the command that names another place, if it has one.
    """
    elsewhere = (
        f"choose another place with {option}" if option else "choose one that can be written to"
    )
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise GrokError(FULL_DISK.format(folder=folder)) from error
        why = error.strerror or type(error).__name__
        raise GrokError(f"cannot write to {folder} ({why}): {elsewhere}") from error
    except UnicodeEncodeError as error:  # a name that the locale has no letters for
        raise GrokError(
            f"this locale cannot write the name {ascii(folder.name)}: "
            "set LC_ALL=C.UTF-8, or choose another --name"
        ) from error
    except ValueError as error:  # Orbax reports a full disk in words.
        if "RESOURCE_EXHAUSTED" in str(error) or "No space left" in str(error):
            raise GrokError(FULL_DISK.format(folder=folder)) from error
        raise


def check_writable(folder: Path) -> None:
    """Raise GrokError where nothing can be written into a folder, before work that takes long."""
    with disk_errors(folder), tempfile.TemporaryFile(dir=folder):
        pass


@contextlib.contextmanager
def replacing(path: Path):
    """A path to write to; it takes the place of `path` once complete. One writer at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    refuse_another_spelling(path)
    side = path.with_name(f".{path.name}.part")
    try:
        yield side
        rename(side, path)
    finally:
        with contextlib.suppress(OSError):  # or it would hide what went wrong
            side.unlink(missing_ok=True)


def refuse_another_spelling(path: Path) -> None:
    """Raise GrokError where a path is there, but under a name that differs from it in case.

    Some file systems take both for one name, so that the one would overwrite the other.
    """
    if not path.exists():
        return
    with contextlib.suppress(OSError):  # a folder that cannot be listed
        names = os.listdir(path.parent)
        alike = [name for name in names if name.lower() == path.name.lower()]
        if alike and path.name not in names:
            raise GrokError(
                f"{path} is the same as {alike[0]} to this file system, which is blind to case: "
                "choose another name, or use that one"
            )


def rename(side: Path, path: Path) -> None:
    """Put a file in the place of another, with patience for a network drive that is busy."""
    for pause in PAUSES:
        try:
            return os.replace(side, path)
        except OSError as error:
            if error.errno not in PASSING:
                raise
        time.sleep(pause)
    return os.replace(side, path)


@contextlib.contextmanager
def claim(folder: Path):
    """Hold a results folder for this process; a second process is refused.

    A file system without locks holds nothing, which a note says. Raises GrokError.
    """
    with disk_errors(folder, "--results DIR"):
        refuse_another_spelling(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "wb")  # noqa: SIM115 - closed by the with below
    with lock:
        try:
            take(lock)
        except BlockingIOError:
            raise GrokError(
                f"another process is training into {folder}: wait for it, "
                "or choose another place with --results DIR"
            ) from None
        except OSError as error:
            warnings.warn(
                f"the file system of {folder} has no locks ({error.strerror}): "
                "see to it that no other process trains into it",
                Note,
                stacklevel=3,
            )
        yield


def take(lock) -> None:
    """Lock an open file, with patience: a network drive frees the lock of a dead process late."""
    for pause in PAUSES:
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
    return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
