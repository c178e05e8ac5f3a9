"""`file:///folder`: objects are files, read through read-only maps, shared by all processes of a host.

Commit is one `link` into `objects`, which unlike `rename` fails if the key exists. Data is flushed to the disk only by
a `durable` store; all others lose what was committed shortly before the machine's power goes. Large files of deleted
objects are written again (see `pool`); so whoever reads one holds a shared lock on it.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from plugmesh.disk import disk_figures
from plugmesh.errors import ConfigurationError
from plugmesh.figures import Figure
from plugmesh.objects.extent import LARGE_BYTES, is_long
from plugmesh.objects.keys import check_key, check_prefix
from plugmesh.objects.local_folder import LocalFolder
from plugmesh.objects.local_reader import LocalReader, is_at, length_of
from plugmesh.objects.local_writer import LocalWriter, RecycledWriter
from plugmesh.objects.pool import DEFAULT_POOL_BYTES, Pool
from plugmesh.objects.port import Stored
from plugmesh.runtime import Runtime, SystemRuntime

DEFAULT_KEEP_FREE_BYTES = 64 * 1024 * 1024
"""Room that is left on the disk for the database and the system."""


class LocalStore:
    """`SweptStore` in a folder."""

    def __init__(
        self,
        root: Path,
        runtime: Runtime | None = None,
        *,
        keep_free_bytes: int = DEFAULT_KEEP_FREE_BYTES,
        pool_bytes: int = DEFAULT_POOL_BYTES,
        durable: bool = False,
        read_only: bool = False,
        booted_at: float | None = None,
    ) -> None:
        """Make `root` where needed and remove what dead writers left, unless it is only to be read (`read_only`).
        `pool_bytes`: how much of what was deleted may lie there, to be written again. `booted_at`: when the machine was
        started, if that is not to be found out. Raises `ConfigurationError`."""
        self._folder = LocalFolder(root, keep_free_bytes, durable=durable)
        self._runtime: Runtime = runtime or SystemRuntime()
        self._pool = Pool(self._folder, self._runtime, pool_bytes)
        self._reader = LocalReader(self._folder, booted_at)
        if read_only:
            return
        try:
            self._folder.make()
        except OSError as error:
            raise ConfigurationError(
                f"object store {root}: {error.strerror}: use a folder that can be written (setting objects)"
            ) from error
        self.remove_abandoned()

    def create(self, key: str, bytes: int | None = None) -> LocalWriter:
        check_key(key)
        if bytes is not None and bytes >= LARGE_BYTES and (taken := self._pool.take(bytes)) is not None:
            return RecycledWriter(self._pool, self._runtime, key, taken)
        self._pool.make_room(0)
        try:
            path, fd = self._folder.new_tmp()
        except OSError as error:
            raise self._folder.explain(error, key) from error
        return LocalWriter(self._pool, self._runtime, key, path, fd)

    def figures(self) -> Iterator[Figure]:
        """For `/metrics`."""
        return disk_figures("objects", "the object store", self._folder.root)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        return self._reader.read(check_key(key), offset, length)

    def is_older(self, key: str) -> bool:
        """Whether an object that this process has read was written before the machine was started."""
        return self._reader.is_older(check_key(key))

    def descriptor(self, key: str) -> int | None:
        return self._reader.descriptor(check_key(key))

    def delete(self, key: str) -> bool:
        path = self._folder.path(check_key(key))
        try:
            if not self._recycle(path):
                os.unlink(path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return False
        self._folder.prune(path)
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
        removed = sum(self._is_removed(entry.path) for entry in os.scandir(self._folder.tmp))
        self._pool.trim()
        return removed

    def free_bytes(self) -> int:
        return sum(size for size, _ in self._folder.free_files())

    def _recycle(self, path: str) -> bool:
        """Whether the file is free for others now. A file with a second name is somebody's backup."""
        status = os.lstat(path)
        large = status.st_size >= LARGE_BYTES and stat.S_ISREG(status.st_mode) and status.st_nlink == 1
        return large and self._pool.give(path, status.st_size, status.st_ino)

    def _is_removed(self, path: str) -> bool:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not is_at(path, fd):  # removed, and made anew by somebody else
                return False
            if not self._recycle(path):
                os.unlink(path)
        except (BlockingIOError, FileNotFoundError):
            return False
        finally:
            os.close(fd)
        return True

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
                size = length_of(entry.path) if is_long(status.st_size) else status.st_size
            except FileNotFoundError:  # deleted meanwhile
                continue
            yield Stored(prefix + entry.name, size, status.st_mtime)
