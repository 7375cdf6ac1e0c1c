"""Write requirements.lock: the exact packages that each tested Python gets (`make lock`).

Where they differ between Pythons, a marker says for which a line is.

python tests/lock.py python3.11 python3.12 python3.13
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def resolved(python: str) -> tuple[str, set[str]]:
    """The version of a Python, and the pins of a fresh environment of it with grok[dev]."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        inside = f"{folder}/bin/python"
        subprocess.run([inside, "-m", "pip", "install", "-q", "-e", f"{ROOT}[dev]"], check=True)
        version = subprocess.run(
            [inside, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            check=True,
            capture_output=True,
            text=True,
        )
        frozen = subprocess.run(
            [inside, "-m", "pip", "freeze", "-q", "--exclude", "grok"],
            check=True,
            capture_output=True,
            text=True,
        )
    return version.stdout.strip(), set(frozen.stdout.split())


def main(pythons: list[str]) -> None:
    pins = dict(map(resolved, pythons))
    lines = {}
    for pin in sorted(set().union(*pins.values()), key=str.lower):
        having = [version for version, found in pins.items() if pin in found]
        marker = (
            ""
            if len(having) == len(pins)
            else " ; " + " or ".join(f"python_version == '{version}'" for version in having)
        )
        lines[pin] = pin + marker
    header = "# Made by `make lock` from requirements.txt and pyproject.toml; not edited by hand.\n"
    (ROOT / "requirements.lock").write_text(header + "\n".join(lines.values()) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
