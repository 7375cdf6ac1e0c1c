"""What tests/on_gpu.sh needs Python for: which packages are missing, and packing what was made.

python3 tests/bring_home.py missing           a line on the packages that this Python lacks
python3 tests/bring_home.py pack RESULTS OUT PART   what is newer than RESULTS.begun, in pieces

A borrowed machine gives back a few files of limited size at a time, so that the most precious comes
first: tables, matrices, the last checkpoint of what is unfinished, final parameters, and last those
of snapshots. PART 0 is what has room the first time, PART 1 what has room the second time.
"""

import importlib.util
import io
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path

NEEDED = ("jax", "flax", "optax", "orbax", "numpy", "pandas", "pyarrow", "scipy", "tqdm")
USED_ELSEWHERE = ("sklearn", "matplotlib", "threadpoolctl", "pytest", "xdist", "hypothesis")
PIECE = 16 << 20  # bytes of one file that comes home
MOST = 61 << 20  # bytes of all results, so that the logs fit beside them


def missing() -> int:
    """Print which packages this Python lacks; exit with 1 where training needs one of them."""
    lacking = [name for name in NEEDED + USED_ELSEWHERE if importlib.util.find_spec(name) is None]
    version = ".".join(map(str, sys.version_info[:3]))
    print(f"{sys.executable}, Python {version}; missing packages: {', '.join(lacking) or 'none'}")
    return int(any(name in NEEDED for name in lacking))


def priority(path: Path) -> int:
    """The rank of a file of a results folder: lower comes home first."""
    if "checkpoints" in path.parts:
        return 2
    if path.parent.name != "arrays":
        return 0
    if "_params_step" in path.name:
        return 4
    return 3 if "_params" in path.name else 1


def last_checkpoints(root: Path) -> set[Path]:
    """The folders of the newest checkpoint of each experiment that has one."""
    found = set()
    for folder in root.glob("**/checkpoints"):
        numbers = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
        if numbers:
            found.add(folder / str(max(numbers)))
    return found


def units(root: Path, since: float) -> list[list[Path]]:
    """The new files in order of priority, in lists that come home together or not at all."""
    checkpoints = last_checkpoints(root)
    alone, together = [], {}
    for path in sorted(root.rglob("*")):
        if not path.is_file() or path.name == ".lock" or path.stat().st_mtime < since:
            continue
        if priority(path) != 2:
            alone.append([path])
        else:
            inside = checkpoints.intersection(path.parents)
            for checkpoint in inside:
                together.setdefault(checkpoint, []).append(path)
    whole = sorted(together.values(), key=size)  # the small ones first, so that more fit
    return sorted(alone + whole, key=lambda paths: priority(paths[0]))


def size(paths: Iterable[Path]) -> int:
    """Bytes of files in an archive, with a header of 512 bytes each."""
    return sum(path.stat().st_size + 1024 for path in paths)


def parts(root: Path, since: float) -> list[list[Path]]:
    """The new files in as many parts as are needed, the most precious in the first."""
    found, total = [[]], 0
    for paths in units(root, since):
        if total + size(paths) > MOST:
            found.append([])
            total = 0
        found[-1] += paths
        total += size(paths)
    return found


def pack(root: Path, out: Path, part: int) -> int:
    """Write a part of the results to out/results.tar.xz.00, .01, ...; say how many there are."""
    found = parts(root, root.with_name(f"{root.name}.begun").stat().st_mtime)
    taken = found[part] if part < len(found) else []
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:xz", preset=1) as tar:
        for path in taken:
            tar.add(path, arcname=Path("results") / path.relative_to(root))
    content = archive.getvalue()
    for old in out.glob("results.tar.xz.*"):
        old.unlink()
    for i, start in enumerate(range(0, len(content), PIECE)):
        (out / f"results.tar.xz.{i:02d}").write_bytes(content[start : start + PIECE])
    print(
        f"packed {len(taken)} files in {len(content) / 2**20:.1f} MiB: part {part} of {len(found)}"
    )
    return 0


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "missing":
        sys.exit(missing())
    sys.exit(pack(Path(arguments[0]), Path(arguments[1]), int(arguments[2])))
