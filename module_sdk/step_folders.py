"""Private folders of attempts, named after the process that made them: those of one that was killed can be found."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path


def make_folder() -> Path:
    """A new one of this process."""
    return Path(tempfile.mkdtemp(prefix=_prefix(os.getpid())))


def remove_folders(pid: int) -> int:
    """Remove what the process `pid`, which has ended, has left; returns how many there were."""
    prefix, removed = _prefix(pid), 0
    with os.scandir(tempfile.gettempdir()) as entries:
        for path in [entry.path for entry in entries if entry.name.startswith(prefix)]:
            shutil.rmtree(path, ignore_errors=True)
            removed += 1
    return removed


def _prefix(pid: int) -> str:
    """Containers may share the folder, and have processes of the same number."""
    return f"plugmesh-step-{os.stat('/proc/self/ns/pid').st_ino}-{pid}-"
