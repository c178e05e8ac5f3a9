"""Tools that installing needs, as they are found on PATH and with their own settings."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.real_servers.problem import Problem

LAST_LINES = 15


def need(program: str, why: str) -> str:
    """The path of `program`; Problem with `why` it is needed if there is none."""
    found = shutil.which(program)
    if found is None:
        raise Problem(f"There is no {program} on PATH: {why}")
    return found


def run(
    command: Sequence[str], *, log: Path, folder: Path | None = None, environ: Mapping[str, str] | None = None
) -> None:
    """Runs `command` to its end with its words in `log`; Problem with the last of them if it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as words:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            cwd=folder,
            env={**os.environ, **(environ or {})},
            check=False,
        )
    if done.returncode:
        raise Problem(f"`{' '.join(command)}` failed ({done.returncode}). Its last words ({log} has all):\n{tail(log)}")


def tail(log: Path) -> str:
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError:
        return "(it said nothing)"
    return "\n".join(lines[-LAST_LINES:])
