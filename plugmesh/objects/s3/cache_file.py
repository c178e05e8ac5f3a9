"""A file of the cache while it is written. Whatever goes wrong with it only means that it is not kept."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress

from plugmesh.objects.s3.cache_room import CacheRoom
from plugmesh.objects.s3.spans import Span

_GROWS_BY_BYTES = 16 * 1024 * 1024  # at most, where it is not known how much will come


class CacheFile:
    """`path`, open and locked as `fd`, for which `size` bytes are counted. `place` gives the path of a finished one, in a
    folder that is there."""

    def __init__(self, room: CacheRoom, path: str, fd: int, size: int, place: Callable[[Span], str]) -> None:
        self._room, self._path, self._size, self._place = room, path, size, place
        self._fd: int | None = fd
        self._pid = os.getpid()
        self._at = 0

    def append(self, data: memoryview) -> None:
        """More bytes, of which it is not known how many will come; nothing once there is no room."""
        need = self._at + len(data) - self._size
        try:
            if self._fd is not None and (need <= 0 or self._is_longer(need)):
                self.put(self._at, data)
                self._at += len(data)
        except OSError:
            self.drop()

    def put(self, at: int, data: bytes | memoryview) -> None:
        """Bytes at a place inside. Raises `OSError`."""
        if self._fd is None:
            raise OSError(errno.EBADF, "the file was given up")
        view = memoryview(data)
        while view:
            count = os.pwrite(self._fd, view, at)
            view, at = view[count:], at + count

    def publish(self, start: int, end: int, total: int) -> int | None:
        """Make it an entry, and return it open, to be read only; `None` if that did not work."""
        fd = self._fd
        if fd is None:
            return None
        try:
            os.ftruncate(fd, end - start)
            fcntl.flock(fd, fcntl.LOCK_SH)
            os.rename(self._path, self._place(Span(start, end, total)))
        except OSError:
            self.drop()
            return None
        self._fd = None
        spare = self._size - (end - start)
        if spare:
            self._room.give_back(spare)
        return fd

    def drop(self) -> None:
        """Give it up. Harmless when called twice."""
        if self._fd is None or self._pid != os.getpid():  # a forked child: the file is its parent's
            return
        fd, self._fd = self._fd, None
        with suppress(OSError):
            os.unlink(self._path)
        with suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_UN)  # a child that was forked meanwhile would keep it
        os.close(fd)
        with suppress(OSError):
            self._room.give_back(self._size)

    def _is_longer(self, need: int) -> bool:
        """Whether there is room for so much more; as much as there is already is asked for at once."""
        for by in (max(need, min(_GROWS_BY_BYTES, self._size)), need):
            if self._room.more(by):
                assert self._fd is not None
                self._size += by
                os.ftruncate(self._fd, self._size)
                return True
        self.drop()
        return False
