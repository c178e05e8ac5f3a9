"""`file:///folder`: objects are files, read through read-only maps, shared by all processes of a host.

    tmp/<pid>-<n>    being written; its writer holds a file lock on it, which the kernel drops when the writer dies
    objects/<key>    committed; never changed again, never truncated (that would kill who has it mapped)

Commit is one `link` into `objects`, which unlike `rename` fails if the key exists. Data is flushed to the disk only by
a `durable` store; all others lose what was committed shortly before the machine's power goes.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import mmap
import os
import resource
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from weakref import WeakValueDictionary

from plugmesh.errors import ConfigurationError, ObjectCorrupt, ObjectMissing
from plugmesh.objects.keys import check_key, check_prefix
from plugmesh.objects.local_writer import LocalFolder, LocalWriter
from plugmesh.objects.port import Stored
from plugmesh.runtime import Runtime, SystemRuntime

DEFAULT_KEEP_FREE_BYTES = 64 * 1024 * 1024
"""Room that is left on the disk for the database and the system."""

_MAP_FROM_BYTES = 16 * 1024  # below this a copy is faster than a map, a page fault and an unmap

_PLENTY = 30_000  # below the kernel's default limit of maps a process, 65,530


class LocalStore:
    """`SweptStore` in a folder."""

    def __init__(
        self,
        root: Path,
        runtime: Runtime | None = None,
        *,
        keep_free_bytes: int = DEFAULT_KEEP_FREE_BYTES,
        durable: bool = False,
        read_only: bool = False,
    ) -> None:
        """Make `root` where needed and remove what dead writers left, unless it is only to be read (`read_only`).
        Raises `ConfigurationError`."""
        self._folder = LocalFolder(root, keep_free_bytes, durable=durable)
        self._runtime: Runtime = runtime or SystemRuntime()
        self._numbers = itertools.count()
        self._maps: WeakValueDictionary[tuple[int, int], mmap.mmap] = WeakValueDictionary()
        if read_only:
            return
        try:
            Path(self._folder.objects).mkdir(parents=True, exist_ok=True)
            Path(self._folder.tmp).mkdir(exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"object store {root}: {error.strerror}: use a folder that can be written"
            ) from error
        self.remove_abandoned()

    def create(self, key: str) -> LocalWriter:
        check_key(key)
        self._folder.check_room(0)
        try:
            path, fd = self._open_tmp()
        except OSError as error:
            raise self._folder.explain(error, key) from error
        return LocalWriter(self._folder, self._runtime, key, path, fd)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        path = self._folder.path(check_key(key))
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectMissing(
                f"object {key} is not in the store {self._folder.root}: it was removed or never there"
            ) from None
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise ObjectMissing(f"object {key} is not in the store {self._folder.root}: only keys below it are")
            end = status.st_size if length is None else offset + length
            if not 0 <= offset <= end <= status.st_size:
                raise ObjectCorrupt(
                    f"object {key}: bytes {offset} to {end} were asked for, but it has {status.st_size}"
                )
            return self._bytes(fd, status, offset, end)
        finally:
            os.close(fd)

    def delete(self, key: str) -> bool:
        path = self._folder.path(check_key(key))
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return False
        self._prune(os.path.dirname(path))
        return True

    def list(self, prefix: str) -> Iterator[Stored]:
        check_prefix(prefix)
        return self._walk(f"{self._folder.objects}/{prefix}", prefix)

    def folders(self, prefix: str) -> Sequence[str]:
        check_prefix(prefix)
        try:
            with os.scandir(f"{self._folder.objects}/{prefix}") as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def remove_abandoned(self) -> int:
        removed = 0
        for entry in os.scandir(self._folder.tmp):
            try:
                fd = os.open(entry.path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(entry.path)
                removed += 1
            except (BlockingIOError, FileNotFoundError):
                continue
            finally:
                os.close(fd)
        return removed

    def _bytes(self, fd: int, status: os.stat_result, offset: int, end: int) -> memoryview:
        # The inode, not the key, names a mapping: it cannot be given to another file while it is mapped.
        inode = (status.st_dev, status.st_ino)
        mapped = self._maps.get(inode)
        if mapped is None:
            if end - offset < _MAP_FROM_BYTES or len(self._maps) >= _most_maps():
                return memoryview(_copy(fd, offset, end))
            mapped = self._maps[inode] = mmap.mmap(fd, status.st_size, prot=mmap.PROT_READ)
        return memoryview(mapped)[offset:end]

    def _open_tmp(self) -> tuple[str, int]:
        while True:
            path = f"{self._folder.tmp}/{os.getpid()}-{next(self._numbers)}"
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            except FileExistsError:  # of a process with our pid: an older one, or one in another container
                continue
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return path, fd
            os.close(fd)  # another process opened the store just then and took it for stale

    def _prune(self, folder: str) -> None:
        while folder != self._folder.objects:
            try:
                os.rmdir(folder)
            except OSError:  # not empty, or gone already
                return
            folder = os.path.dirname(folder)

    def _walk(self, folder: str, prefix: str) -> Iterator[Stored]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk(entry.path, f"{prefix}{entry.name}/")
                    continue
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:  # deleted meanwhile
                continue
            yield Stored(prefix + entry.name, status.st_size, status.st_mtime)


def _copy(fd: int, offset: int, end: int) -> bytes:
    first = os.pread(fd, end - offset, offset)
    if len(first) == end - offset:
        return first
    pieces = [first]  # Linux reads at most 2 GiB at once
    while (at := offset + sum(map(len, pieces))) < end:
        pieces.append(os.pread(fd, end - at, at))
        if not pieces[-1]:
            raise OSError(errno.EIO, "the file became shorter while it was read")
    return b"".join(pieces)


def _most_maps() -> int:
    """Each map holds a file descriptor; the other half is for sockets and for what the author's code opens. Asked each time:
    an attempt may have fewer than its process."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _PLENTY if descriptors == resource.RLIM_INFINITY else min(descriptors // 2, _PLENTY)
