"""Files that this process has written before: open, with their maps, without a lock."""

from __future__ import annotations

import mmap
import os
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass

_KEPT_FILES = 16
_KEPT_BYTES = 1024 * 1024 * 1024  # a large table and the columns of some steps behind it


@dataclass(slots=True)
class Kept:
    """One of them, of that size; `map` may be shorter, or not be there."""

    fd: int
    size: int
    map: mmap.mmap | None

    def close(self) -> None:
        """Let go of it."""
        if self.map is not None:
            self.map.close()
        with suppress(OSError):
            os.close(self.fd)


class KeptFiles(OrderedDict[int, Kept]):
    """By inode; who was written longest ago comes first, and goes first when there are too many."""

    def keep(self, inode: int, kept: Kept) -> None:
        """One more, which was written just now."""
        before = self.pop(inode, None)
        if before is not None:
            before.close()
        self[inode] = kept
        while len(self) > _KEPT_FILES or sum(len(one.map or b"") for one in self.values()) > _KEPT_BYTES:
            self.popitem(last=False)[1].close()

    def fitting(self, least: int, most: int) -> list[tuple[int, Kept]]:
        """Those of such a size, the one that was written last first."""
        return [(inode, kept) for inode, kept in reversed(self.items()) if least <= kept.size <= most]

    def forget_removed(self) -> None:
        """Let go of those that have no name any more, so that their room is free."""
        for inode, kept in list(self.items()):
            try:
                status = os.fstat(kept.fd)
            except OSError:
                status = None
            if status is None or status.st_ino != inode:  # somebody else's code has closed it: the number is not ours
                del self[inode]
                if kept.map is not None:
                    kept.map.close()
            elif status.st_nlink == 0:
                del self[inode]
                kept.close()
