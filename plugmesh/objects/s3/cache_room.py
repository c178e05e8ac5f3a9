"""How much a cache holds, counted by all processes of the host, and what goes when it is too much.

room         eight bytes: how much is taken. Whoever holds the lock on it may change the number and make or remove files
unfinished/  files being written; their writers hold a lock, which the kernel drops when they die
entries/     finished ones; who reads one holds a shared lock

A process that is killed between counting and making leaves the number too high: it is counted anew before anything goes.
"""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

_KEPT_SHARE = 7 / 8  # of the limit, after something had to go: the next one does not have to count again


class _Entry(NamedTuple):
    used: int
    size: int
    path: str


class CacheRoom:
    """The room below `root`. Raises `OSError` where the folder cannot be used."""

    def __init__(self, root: str, limit_bytes: int) -> None:
        self.unfinished, self.entries, self._root = f"{root}/unfinished", f"{root}/entries", root
        self.limit_bytes = limit_bytes
        self._numbers = itertools.count()
        for folder in (self.unfinished, self.entries):
            os.makedirs(folder, exist_ok=True)

    def taken(self) -> int:
        """How much is taken now, as far as it was counted. Raises `OSError`."""
        with self._counted() as fd:
            return self._read(fd)

    def new_file(self, size: int) -> tuple[str, int] | None:
        """A new file of that size to write into, locked, if there is room for it."""
        with self._counted() as fd:
            if not self._take(fd, size):
                return None
            try:
                return self._new_file(size)
            except OSError:
                self._write(fd, max(0, self._read(fd) - size))
                raise

    def more(self, size: int) -> bool:
        """Whether a file may become longer by so much."""
        with self._counted() as fd:
            return self._take(fd, size)

    def give_back(self, size: int) -> None:
        """So much is no longer taken."""
        with self._counted() as fd:
            self._write(fd, max(0, self._read(fd) - size))

    def remove(self, path: str) -> None:
        """Remove a finished file; who has it open keeps its bytes."""
        with self._counted() as fd, suppress(FileNotFoundError):
            size = os.stat(path).st_size
            os.unlink(path)
            self._write(fd, max(0, self._read(fd) - size))
        with suppress(OSError):  # another file is there
            os.rmdir(os.path.dirname(path))

    @contextmanager
    def _counted(self) -> Iterator[int]:
        fd = os.open(f"{self._root}/room", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)

    def _take(self, fd: int, size: int) -> bool:
        if size > self.limit_bytes:
            return False
        taken = self._read(fd)
        if taken + size > self.limit_bytes:
            taken = self._make_room(size)
        if taken + size > self.limit_bytes:
            self._write(fd, taken)
            return False
        self._write(fd, taken + size)
        return True

    def _new_file(self, size: int) -> tuple[str, int]:
        while True:
            path = f"{self.unfinished}/{os.getpid()}-{next(self._numbers)}"
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            except FileExistsError:  # of a process with our pid: an older one, or one in another container
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                os.ftruncate(fd, size)
            except OSError:
                os.close(fd)
                os.unlink(path)
                raise
            return path, fd

    def _make_room(self, size: int) -> int:
        """Remove what was not used for longest, until a part of the limit is free; returns how much is left."""
        taken = sum(self._unfinished())
        found = sorted(self._finished())
        taken += sum(entry.size for entry in found)
        for entry in found:
            if taken + size <= self.limit_bytes * _KEPT_SHARE:
                break
            if _is_removed(entry.path):
                taken -= entry.size
                with suppress(OSError):  # another file is there
                    os.rmdir(os.path.dirname(entry.path))
        return taken

    def _unfinished(self) -> Iterator[int]:
        """The sizes of files being written; those whose writers have died go."""
        for entry in os.scandir(self.unfinished):
            with suppress(FileNotFoundError):
                size = entry.stat().st_size
                if not _is_removed(entry.path):
                    yield size

    def _finished(self) -> Iterator[_Entry]:
        for folder, _, names in os.walk(self.entries):
            for name in names:
                path = f"{folder}/{name}"
                with suppress(FileNotFoundError):
                    status = os.stat(path)
                    yield _Entry(status.st_atime_ns, status.st_size, path)

    def _read(self, fd: int) -> int:
        found = os.pread(fd, 8, 0)
        if len(found) == 8:
            return int.from_bytes(found, "little")
        return self._make_room(0)

    def _write(self, fd: int, taken: int) -> None:
        os.pwrite(fd, taken.to_bytes(8, "little"), 0)


def _is_removed(path: str) -> bool:
    """Whether the file has gone because nobody has it open."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(path)
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True
