"""Write requirements.lock: the exact packages that each tested Python gets (`make lock`).

Where they differ between Pythons, a marker says for which a line is. Nothing is installed.

python tests/lock.py python3.11 python3.12 python3.13
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def resolved(python: str) -> tuple[str, set[str]]:
    """The version of a Python, and the pins that a fresh environment of it with grok[dev] gets."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
            + ["--report", str(report), "-e", f"{ROOT}[dev]"],
            check=True,
        )
        found = json.loads(report.read_text(encoding="utf-8"))
    packages = [package["metadata"] for package in found["install"]]
    pins = {f"{package['name']}=={package['version']}" for package in packages}
    version = found["environment"]["python_version"]
    return version, {pin for pin in pins if not pin.startswith("grok==")}


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
