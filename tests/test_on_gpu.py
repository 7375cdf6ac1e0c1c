"""What comes home from a borrowed machine: the right files, by priority, in small pieces."""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import bring_home
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A results folder of an unfinished experiment, and the folder for what comes home."""
    monkeypatch.chdir(tmp_path)
    out = Path("out")
    out.mkdir()
    Path("results/old").mkdir(parents=True)
    Path("results/old/runs.parquet").write_bytes(b"before")
    os.utime("results/old/runs.parquet", (0, 0))
    Path("results.begun").touch()
    random = np.random.default_rng(0)
    sizes = {
        "runs.parquet": 10,
        "arrays/run_0000.npz": 2000,
        "arrays/run_0000_params.npz": 5000,
        "checkpoints/9/facts/metadata": 10,
        "checkpoints/10/facts/metadata": 10,
        "checkpoints/10/arrays/data": 3000,
    }
    for name, n_bytes in sizes.items():
        path = Path("results/long_night") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.bytes(n_bytes))
    return Path("results"), out


def unpacked(out) -> dict[str, int]:
    """Sizes by name of what the pieces hold, put together in order."""
    pieces = sorted(out.glob("results.tar.xz.*"))
    content = b"".join(piece.read_bytes() for piece in pieces)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {member.name: member.size for member in tar.getmembers()}


def test_the_new_files_come_home_with_the_last_checkpoint_alone(made):
    bring_home.pack(*made, part=0)
    assert unpacked(made[1]) == {
        "results/long_night/runs.parquet": 10,
        "results/long_night/arrays/run_0000.npz": 2000,
        "results/long_night/arrays/run_0000_params.npz": 5000,
        "results/long_night/checkpoints/10/facts/metadata": 10,
        "results/long_night/checkpoints/10/arrays/data": 3000,
    }


def test_what_matters_less_comes_in_a_later_part_and_pieces_are_small(made, monkeypatch):
    monkeypatch.setattr(bring_home, "MOST", 11_000)
    monkeypatch.setattr(bring_home, "PIECE", 3_000)
    bring_home.pack(*made, part=0)
    assert set(unpacked(made[1])) == {
        "results/long_night/runs.parquet",
        "results/long_night/arrays/run_0000.npz",
        "results/long_night/checkpoints/10/facts/metadata",
        "results/long_night/checkpoints/10/arrays/data",
    }
    assert all(piece.stat().st_size <= 3_000 for piece in made[1].glob("results.tar.xz.*"))
    bring_home.pack(*made, part=1)
    assert set(unpacked(made[1])) == {"results/long_night/arrays/run_0000_params.npz"}


def test_missing_packages_are_named_in_a_line(monkeypatch, capsys):
    monkeypatch.setattr(bring_home, "NEEDED", ("sys", "no_such_package"))
    assert bring_home.missing() == 1
    assert capsys.readouterr().out.splitlines()[0].endswith("missing packages: no_such_package")


@pytest.mark.parametrize("words", [[], ["fast"], ["60", "no_phase"]])
def test_the_script_says_how_it_is_called(words):
    script = [str(ROOT / "tests" / "on_gpu.sh"), *words]
    ended = subprocess.run(script, capture_output=True, text=True)
    assert ended.returncode == 2 and ended.stdout == "" and len(ended.stderr.splitlines()) == 1
