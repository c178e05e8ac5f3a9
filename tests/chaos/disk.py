"""The disk that the data folder of a mesh in chaos lies on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.plan import MIB
from tests.e2e.tmpfs import SmallDisk, small_disk

DISK_BYTES = 160 * MIB
RUN_BYTES = MIB // 8
"""The small disk: what the store keeps free and the database's log needs, and what each run may leave."""


@contextmanager
def disk_for(path: Path, runs: int) -> Iterator[SmallDisk | None]:
    """A small disk at `path` for the data of so many runs; `None`, and no disk, where this user may not mount one."""
    manager = small_disk(path, DISK_BYTES + runs * RUN_BYTES)
    try:
        disk = manager.__enter__()
    except pytest.skip.Exception:
        yield None
        return
    try:
        yield disk
    finally:
        manager.__exit__(None, None, None)
