"""A small disk for tests that fill one: a tmpfs of their own, never a disk of the machine."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


class SmallDisk:
    """A mounted tmpfs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self, leave_bytes: int = 0) -> None:
        """Leave so much room, and no more, whatever others write meanwhile."""
        with self._ballast.open("ab", buffering=0) as ballast:
            while (size := self.free_bytes() - leave_bytes) > 0:
                with suppress(OSError):  # somebody was quicker
                    os.posix_fallocate(ballast.fileno(), os.fstat(ballast.fileno()).st_size, size)

    def make_room(self) -> None:
        """As if somebody had cleaned up."""
        self._ballast.unlink()

    def free_bytes(self) -> int:
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize


@contextmanager
def small_disk(path: Path, size_bytes: int) -> Iterator[SmallDisk]:
    """Mount one at `path`, which is made; skips the test where this user may not mount anything."""
    path.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "plugmesh-test", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
