"""A folder of this host with bytes of objects, which all processes share: what one of them has fetched or written, the others
have. Entries are maps of files that are never changed; a folder of which nothing can be written holds nothing, and no more.

entries/ab/<hash of store and key>/<start>-<end>-<bytes of the object>
fetching    whoever fetches bytes holds a lock on a part of it that stands for them
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import mmap
import os
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import WeakValueDictionary

from plugmesh.disk import disk_figures
from plugmesh.figures import Figure, amount
from plugmesh.objects.local_reader import MAP_FROM_BYTES, copied, most_maps
from plugmesh.objects.s3.cache_file import CacheFile
from plugmesh.objects.s3.cache_room import CacheRoom
from plugmesh.objects.s3.spans import Span, parsed
from plugmesh.runtime import Runtime

PATIENCE_S = 60.0
"""How long to wait for another process that fetches the same bytes; it may have been stopped."""

_PAUSE_S, _LONGEST_PAUSE_S = 0.0005, 0.01
_LOCK = struct.Struct("hhqqi4x")  # struct flock of Linux on 64 bits: type, whence, start, length, pid
_OBJECT_BITS, _PLACE_BITS = 40, 22

_log = logging.getLogger(__name__)


class _Map(mmap.mmap):
    """An entry's bytes."""


class Cache:
    """The cache of one store. Any thread."""

    def __init__(
        self, folder: Path, limit_bytes: int, store: str, runtime: Runtime, booted_at: float | None = None
    ) -> None:
        """`store` tells stores in one folder from each other. `booted_at`: when the machine was started, if that is not to be
        found out: older entries may have lost bytes then. Raises `OSError`."""
        self._room, self._runtime = CacheRoom(str(folder), limit_bytes), runtime
        self._fetching = str(folder / "fetching")
        self._seed = hashlib.blake2b(store.encode(), digest_size=16).digest()
        self._booted_at = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) if booted_at is None else booted_at
        self._maps: WeakValueDictionary[str, _Map] = WeakValueDictionary()

    def figures(self) -> Iterator[Figure]:
        """How much it holds and may hold; nothing where its folder cannot be read."""
        with suppress(OSError):
            yield amount("plugmesh_objects_cache_bytes", "Bytes in the host's cache of objects", self._room.taken())
            limit = "Bytes that the host's cache of objects may hold"
            yield amount("plugmesh_objects_cache_limit_bytes", limit, self._room.limit_bytes)
        yield from disk_figures("objects_cache", "the host's cache of objects", self._room.entries)

    def spans(self, key: str) -> Sequence[Span]:
        """What is there of an object."""
        try:
            found = map(parsed, os.listdir(self._folder(key)))
        except OSError:
            return []
        return [span for span in found if span is not None]

    def view(self, key: str, span: Span) -> memoryview | None:
        """The bytes of an entry; `None` if it has gone."""
        path = f"{self._folder(key)}/{span.name}"
        mapped = self._maps.get(path)
        if mapped is not None and os.path.exists(path):
            return memoryview(mapped)
        fd = self.descriptor(key, span)
        return None if fd is None else self._viewed(fd, path, span)

    def descriptor(self, key: str, span: Span) -> int | None:
        """An entry, open to be read and kept from going while it is; `None` if it has gone."""
        path = f"{self._folder(key)}/{span.name}"
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            status = os.fstat(fd)
            if status.st_nlink and status.st_size == span.end - span.start and status.st_mtime >= self._booted_at:
                os.utime(fd, ns=(int(self._runtime.wall() * 1e9), status.st_mtime_ns))
                return fd
        except OSError:  # somebody removes it just now
            os.close(fd)
            return None
        os.close(fd)
        self._remove(path)
        return None

    def begin(self, key: str, size: int) -> CacheFile | None:
        """A new entry of about so many bytes, if there is room."""
        try:
            made = self._room.new_file(size)
        except OSError as error:
            _log.debug("nothing is kept in the cache of objects: %s", error)
            return None
        return None if made is None else CacheFile(self._room, *made, size, lambda span: self._place(key, span))

    def publish(self, key: str, file: CacheFile, span: Span) -> memoryview | None:
        """Make it an entry; its bytes, if that has worked."""
        fd = file.publish(*span)
        return None if fd is None else self._viewed(fd, f"{self._folder(key)}/{span.name}", span)

    def forget(self, key: str) -> None:
        """Remove all entries of an object; who has one open keeps it."""
        for span in self.spans(key):
            self._remove(f"{self._folder(key)}/{span.name}")

    @contextmanager
    def fetching(self, key: str, start: int, end: int | None) -> Iterator[None]:
        """While nobody else on this host, who asks as well, fetches any of these bytes; or after having waited for long."""
        fd = self._opened()
        try:
            if fd is not None:
                self._await(fd, key, start, end)
            yield
        finally:
            if fd is not None:
                os.close(fd)

    def _opened(self) -> int | None:
        try:
            return os.open(self._fetching, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError:
            return None

    def _await(self, fd: int, key: str, start: int, end: int | None) -> None:
        most = 1 << _OBJECT_BITS
        place = int.from_bytes(self._hash(key)[:4], "little") % (1 << _PLACE_BITS)
        first = min(start, most - 1)
        length = (most if end is None else max(first + 1, min(end, most))) - first
        lock = _LOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, place * most + first, length, 0)
        until, pause = self._runtime.now() + PATIENCE_S, _PAUSE_S
        while self._runtime.now() < until:
            try:
                fcntl.fcntl(fd, fcntl.F_OFD_SETLK, lock)
                return
            except BlockingIOError:
                time.sleep(pause)
                pause = min(_LONGEST_PAUSE_S, pause * 1.5)
            except OSError:  # a file system without locks: several may fetch the same
                return

    def _viewed(self, fd: int, path: str, span: Span) -> memoryview:
        try:
            size = span.end - span.start
            if size < MAP_FROM_BYTES or len(self._maps) >= most_maps():
                return memoryview(copied(fd, 0, size))
            mapped = _Map(fd, size, prot=mmap.PROT_READ)
            self._maps[path] = mapped
            return memoryview(mapped)
        finally:
            os.close(fd)

    def _place(self, key: str, span: Span) -> str:
        folder = self._folder(key)
        os.makedirs(folder, exist_ok=True)
        return f"{folder}/{span.name}"

    def _remove(self, path: str) -> None:
        with suppress(OSError):
            self._room.remove(path)

    def _folder(self, key: str) -> str:
        digest = self._hash(key).hex()
        return f"{self._room.entries}/{digest[:2]}/{digest}"

    def _hash(self, key: str) -> bytes:
        return hashlib.blake2b(key.encode(), digest_size=16, key=self._seed).digest()
