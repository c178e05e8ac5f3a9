"""How full the disk of a folder is, for `/metrics`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from plugmesh.figures import Figure, amount


def disk_figures(part: str, whose: str, folder: Path | str) -> Iterator[Figure]:
    """Free and all bytes of the disk; nothing while the folder cannot be looked at. `part` is the word in the names of the
    metrics, `whose` who has the folder."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return
    free = f"Free bytes of the disk with the folder of {whose}"
    yield amount(f"plugmesh_{part}_disk_free_bytes", free, disk.f_bavail * disk.f_frsize)
    yield amount(
        f"plugmesh_{part}_disk_bytes", f"Bytes of the disk with the folder of {whose}", disk.f_blocks * disk.f_frsize
    )
