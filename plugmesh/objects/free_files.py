"""The files in `free/`: which fit, how much there is, and which go when it is too much."""

from __future__ import annotations

import bisect
import os
from collections.abc import Callable, Iterator

from plugmesh.objects.extent import reused_size
from plugmesh.objects.local_folder import LocalFolder

_TRIES = 16  # files whose readers are still there, before a new one is made
_LISTED_EVERY = 64  # files that are given, until what others gave and took is looked at again


class FreeFiles:
    """One process's view. At most `limit_bytes` of them may lie there, as far as it knows: what others gave it looks at
    when it trims, and now and then. `emptied` removes one with its bytes, if it can."""

    def __init__(self, folder: LocalFolder, limit_bytes: int, emptied: Callable[[str], bool]) -> None:
        self._folder, self._limit_bytes, self._emptied = folder, limit_bytes, emptied
        self._listed: list[tuple[int, str]] = []
        self._bytes = self._given = 0

    def fitting(self, least: int, most: int) -> Iterator[str]:
        """Names of fitting files, best first: of those that were seen before, then of those that are there now."""
        tried: set[str] = set()
        for known in (True, False):
            if not known:
                self._listed = sorted((reused_size(size), name) for size, name in self._folder.free_files())
            at = bisect.bisect_left(self._listed, (least, ""))
            while at < len(self._listed) and self._listed[at][0] <= most and len(tried) < _TRIES:
                name = self._listed.pop(at)[1]
                if name not in tried:
                    tried.add(name)
                    yield name

    def add(self, path: str, size: int, inode: int) -> bool:
        """Whether the file at `path` has become one of them; others may have to go for it."""
        self._make_place(size)
        try:
            os.rename(path, f"{self._folder.free}/{size}-{inode}")
        except OSError:  # gone; or what hinders this hinders removing it, too, which says so
            return False
        self._bytes, self._given = self._bytes + size, self._given + 1
        return True

    def give_up(self, need_bytes: int) -> int:
        """Remove the largest until so many bytes are free; returns how many are."""
        removed = 0
        for size, name in reversed(self._folder.free_files()):
            if removed >= need_bytes:
                break
            removed += self._remove(name, size)
        return removed

    def trim(self) -> None:
        """Remove what is too much, whoever has put it there."""
        self._given = _LISTED_EVERY
        self._make_place(0)

    def _make_place(self, size: int) -> None:
        """For a file of that size; what was given first goes first."""
        if self._given >= _LISTED_EVERY or self._bytes + size > self._limit_bytes:
            files = self._folder.free_files()
            self._bytes, self._given = sum(one for one, _ in files), 0
            if self._bytes + size > self._limit_bytes:
                self._drop_oldest(files, self._limit_bytes - self._limit_bytes // 8 - size)

    def _drop_oldest(self, files: list[tuple[int, str]], most_bytes: int) -> None:
        for _, name, size in sorted((_changed(f"{self._folder.free}/{name}"), name, size) for size, name in files):
            if self._bytes <= most_bytes:
                return
            self._bytes -= self._remove(name, size)

    def _remove(self, name: str, size: int) -> int:
        if self._emptied(name):
            return size
        try:
            os.unlink(f"{self._folder.free}/{name}")
        except FileNotFoundError:
            return 0
        return size


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_ctime
    except FileNotFoundError:
        return 0.0
