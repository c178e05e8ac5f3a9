"""Writing into a local store: a locked temporary file, then one link."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress

from plugmesh.errors import Conflict
from plugmesh.objects.extent import (
    TRAILER_BYTES,
    Extent,
    file_size,
    is_long,
    write_extent,
)
from plugmesh.objects.local_folder import is_no_room
from plugmesh.objects.pool import Pool, Taken
from plugmesh.objects.port import Stored
from plugmesh.runtime import Runtime

_CHECK_ROOM_EVERY_BYTES = 16 * 1024 * 1024


class LocalWriter:
    """`Writer` of the new file `path`, open and locked as `fd`."""

    def __init__(self, pool: Pool, runtime: Runtime, key: str, path: str, fd: int) -> None:
        self._folder, self._pool, self._runtime = pool.folder, pool, runtime
        self._key, self._path = key, path
        self._fd: int | None = fd
        self._pid = os.getpid()
        self._written = 0
        self._room = _CHECK_ROOM_EVERY_BYTES

    def write(self, data: bytes | memoryview) -> int:
        fd = self._open_fd()
        view = memoryview(data).cast("B") if isinstance(data, memoryview) else memoryview(data)
        try:
            self._check_room(len(view))
            self._put(fd, view)
        except BaseException as error:
            self.abort()
            if isinstance(error, OSError):
                raise self._folder.explain(error, self._key) from error
            raise
        self._written += len(view)
        return len(view)

    def commit(self) -> Stored:
        fd, published = self._open_fd(), False
        try:
            self._shape(fd)
            self._runtime.point("objects.commit.before_rename")
            if self._folder.durable:
                os.fsync(fd)  # first the bytes, then the name: a name without its bytes must not be found
            self._folder.publish(self._path, self._key)
            published = True
            if self._folder.durable:
                self._folder.flush(self._key)
            status = os.fstat(fd)
        except OSError as error:
            raise self._folder.explain(error, self._key) from error
        finally:
            self._fd = None
            self._leave(fd, published=published)
        self._runtime.point("objects.commit.after_rename")
        return Stored(self._key, self._written, status.st_mtime)

    def abort(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            self._leave(fd, published=False)

    def _check_room(self, more: int) -> None:
        self._room -= more
        if self._room < 0:
            self._pool.make_room(more)
            self._room = _CHECK_ROOM_EVERY_BYTES

    def _put(self, fd: int, view: memoryview) -> None:
        written = 0
        while written < len(view):
            try:
                written += os.write(fd, view[written:] if written else view)
            except OSError as error:
                self._find_room(error, len(view))

    def _find_room(self, error: OSError, more: int) -> None:
        """Raises `error`, unless free files could be given up for what there was no room for."""
        if not is_no_room(error) or not self._pool.give_up(more + _CHECK_ROOM_EVERY_BYTES):
            raise error

    def _shape(self, fd: int) -> None:
        """What is new is its object, byte for byte; only a size that would say otherwise is given a trailer."""
        if is_long(self._written):
            write_extent(fd, file_size(self._written), Extent(self._written, self._written))

    def _leave(self, fd: int, *, published: bool) -> None:
        try:
            if self._pid != os.getpid():  # a forked child: the file is its parent's, and so is the lock
                return
            with suppress(FileNotFoundError):  # somebody emptied the folder: nothing left to drop
                os.unlink(self._path)
            with suppress(OSError):  # after the unlink: the lock must outlive the name
                fcntl.flock(fd, fcntl.LOCK_UN)  # a child that was forked meanwhile would keep it
        finally:
            os.close(fd)

    def _open_fd(self) -> int:
        if self._fd is None:
            raise Conflict(f"object {self._key} was committed or aborted already: create it again under another key")
        return self._fd


class RecycledWriter(LocalWriter):
    """`Writer` of a file that was taken from the pool: copies into its map, as far as that reaches."""

    def __init__(self, pool: Pool, runtime: Runtime, key: str, taken: Taken) -> None:
        super().__init__(pool, runtime, key, taken.path, taken.fd)
        self._taken = taken

    def _check_room(self, more: int) -> None:
        beyond = self._written + more - self._taken.written
        if beyond > 0:
            super()._check_room(min(more, beyond))

    def _put(self, fd: int, view: memoryview) -> None:
        mapped, at = self._taken.map, self._written
        copied = 0
        if mapped is not None and at < len(mapped):
            copied = min(len(view), len(mapped) - at)
            mapped[at : at + copied] = view if copied == len(view) else view[:copied]
        while copied < len(view):
            try:
                copied += os.pwrite(fd, view[copied:], at + copied)
            except OSError as error:
                self._find_room(error, len(view))

    def _shape(self, fd: int) -> None:
        size = self._taken.size
        if self._written > size - TRAILER_BYTES:
            size = file_size(self._written)
        write_extent(fd, size, Extent(self._written, max(self._written, self._taken.written)))
        self._taken.size = size

    def _leave(self, fd: int, *, published: bool) -> None:
        if self._pid != os.getpid():  # a forked child: the file is its parent's, and so is the lock
            return
        if not published:
            self._taken.size = os.fstat(fd).st_size
        free = not published and self._pool.give(self._path, self._taken.size, self._taken.inode)
        if not free:
            with suppress(FileNotFoundError):
                os.unlink(self._path)
        self._pool.done(self._taken, keep=published or free)
