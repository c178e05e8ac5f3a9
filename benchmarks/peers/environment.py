"""The virtual environment of a peer: made once for each version of its requirements, and kept in the cache."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path

_HERE = Path(__file__).parent


class Skipped(Exception):
    """A peer cannot be measured here; the message is the reason, in one line."""


def requirements(name: str) -> Path:
    """The exact packages of the peer `name`, one a line."""
    return _HERE / name / "requirements.txt"


def place(cache: Path, name: str, text: str, python: str) -> Path:
    """Where the environment for the requirements `text` and the Python version `python` belongs."""
    digest = hashlib.sha256(f"{python}\n{text}".encode()).hexdigest()
    return cache / f"{name}-{digest[:12]}"


def make(name: str) -> Path:
    """The Python interpreter of the peer's environment, which is made if it is not there. Raises `Skipped`."""
    folder = place(_cache(), name, requirements(name).read_text(), platform.python_version())
    python, complete = folder / "bin" / "python", folder / "complete"
    if complete.exists() and python.exists():
        return python
    print(f"[peers] installing {name} into {folder}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True, symlinks=True)
    try:
        _install(python, requirements(name))
    except Skipped:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    complete.touch()
    return python


def _install(python: Path, packages: Path) -> None:
    quietly = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:")
    command = (str(python), "-P", "-m", "pip", "install", *quietly, "-r", str(packages))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Skipped(f"could not be installed: {last_line(done.stderr)}")


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "plugmesh" / "peers"
