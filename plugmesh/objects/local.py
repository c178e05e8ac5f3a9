"""`file:///folder`: objects are files, read through read-only maps, shared by all processes of a host.

    tmp/<pid>-<n>    being written; its writer holds a file lock on it, which the kernel drops when the writer dies
    objects/<key>    committed; never changed again, never truncated (that would kill who has it mapped)

Commit is one `link` into `objects`, which unlike `rename` fails if the key exists. Data is not flushed to the disk.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import mmap
import os
import resource
import stat
from collections.abc import Iterator
from pathlib import Path
from weakref import WeakValueDictionary

from plugmesh.errors import ConfigurationError, Conflict, ObjectCorrupt, ObjectMissing, StoreFull
from plugmesh.objects.keys import check_key, check_prefix
from plugmesh.objects.port import Stored
from plugmesh.runtime import Runtime, SystemRuntime

DEFAULT_KEEP_FREE_BYTES = 64 * 1024 * 1024
"""Room that is left on the disk for the database and the system."""

_CHECK_ROOM_EVERY_BYTES = 16 * 1024 * 1024
_MAP_FROM_BYTES = 16 * 1024  # below this a copy is faster than a map, a page fault and an unmap
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class LocalStore:
    """`ObjectStore` in a folder."""

    def __init__(
        self, root: Path, runtime: Runtime | None = None, *, keep_free_bytes: int = DEFAULT_KEEP_FREE_BYTES
    ) -> None:
        """Make `root` where needed and remove what dead writers left. Raises `ConfigurationError`."""
        self._root = root
        self._objects, self._tmp = str(root / "objects"), str(root / "tmp")
        self._runtime: Runtime = runtime or SystemRuntime()
        self._keep_free_bytes = keep_free_bytes
        self._numbers = itertools.count()
        # Each map holds a file descriptor; the other half is for sockets and for what the author's code opens.
        self._most_maps = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2
        self._maps: WeakValueDictionary[tuple[int, int], mmap.mmap] = WeakValueDictionary()
        try:
            Path(self._objects).mkdir(parents=True, exist_ok=True)
            Path(self._tmp).mkdir(exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"object store {root}: {error.strerror}: use a folder that can be written"
            ) from error
        self._remove_stale()

    def create(self, key: str) -> LocalWriter:
        check_key(key)
        self.check_room(0)
        try:
            path, fd = self._open_tmp()
        except OSError as error:
            raise self.explain(error, key) from error
        return LocalWriter(self, self._runtime, key, (path, f"{self._objects}/{key}"), fd)

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        path = f"{self._objects}/{check_key(key)}"
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise ObjectMissing(
                f"object {key} is not in the store {self._root}: it was removed or never there"
            ) from None
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise ObjectMissing(f"object {key} is not in the store {self._root}: only keys below it are")
            end = status.st_size if length is None else offset + length
            if not 0 <= offset <= end <= status.st_size:
                raise ObjectCorrupt(
                    f"object {key}: bytes {offset} to {end} were asked for, but it has {status.st_size}"
                )
            return self._bytes(fd, status, offset, end)
        finally:
            os.close(fd)

    def delete(self, key: str) -> bool:
        path = f"{self._objects}/{check_key(key)}"
        try:
            os.unlink(path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return False
        self._prune(os.path.dirname(path))
        return True

    def list(self, prefix: str) -> Iterator[Stored]:
        check_prefix(prefix)
        return self._walk(f"{self._objects}/{prefix}", prefix)

    def check_room(self, more_bytes: int) -> None:
        """Raises `StoreFull` if `more_bytes` would leave less than the watermark."""
        status = os.statvfs(self._root)
        free = status.f_bavail * status.f_frsize
        if free - more_bytes < self._keep_free_bytes:
            raise StoreFull(
                f"object store {self._root}: {free:,} bytes are free and {self._keep_free_bytes:,} are kept free: "
                "remove old runs, add room, or set ?keep_free_bytes= in the store's URL"
            )

    def explain(self, error: OSError, key: str) -> Exception:
        """What to raise for `error`, met while `key` was being written."""
        if error.errno in _NO_ROOM:
            return StoreFull(f"object {key}: {error.strerror} in {self._root}: remove old runs or add room")
        if isinstance(error, FileNotFoundError):
            return ObjectMissing(
                f"object {key}: its file in {self._tmp} vanished; was the folder emptied? Write it again"
            )
        return error

    def _bytes(self, fd: int, status: os.stat_result, offset: int, end: int) -> memoryview:
        # The inode, not the key, names a mapping: it cannot be given to another file while it is mapped.
        inode = (status.st_dev, status.st_ino)
        mapped = self._maps.get(inode)
        if mapped is None:
            if end - offset < _MAP_FROM_BYTES or len(self._maps) >= self._most_maps:
                return memoryview(_copy(fd, offset, end))
            mapped = self._maps[inode] = mmap.mmap(fd, status.st_size, prot=mmap.PROT_READ)
        return memoryview(mapped)[offset:end]

    def _open_tmp(self) -> tuple[str, int]:
        while True:
            path = f"{self._tmp}/{os.getpid()}-{next(self._numbers)}"
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            except FileExistsError:  # of a process with our pid: an older one, or one in another container
                continue
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return path, fd
            os.close(fd)  # another process opened the store just then and took it for stale

    def _remove_stale(self) -> None:
        for entry in os.scandir(self._tmp):
            try:
                fd = os.open(entry.path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(entry.path)
            except (BlockingIOError, FileNotFoundError):
                continue
            finally:
                os.close(fd)

    def _prune(self, folder: str) -> None:
        while folder != self._objects:
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


class LocalWriter:
    """`Writer` of one temporary file."""

    def __init__(self, store: LocalStore, runtime: Runtime, key: str, paths: tuple[str, str], fd: int) -> None:
        self._store, self._runtime = store, runtime
        self._key, (self._path, self._target) = key, paths
        self._fd: int | None = fd
        self._room = _CHECK_ROOM_EVERY_BYTES

    def write(self, data: bytes | memoryview) -> int:
        fd = self._open_fd()
        view = memoryview(data).cast("B") if isinstance(data, memoryview) else memoryview(data)
        try:
            self._room -= len(view)
            if self._room < 0:
                self._store.check_room(len(view))
                self._room = _CHECK_ROOM_EVERY_BYTES
            written = os.write(fd, view) if view else 0
            while written < len(view):
                written += os.write(fd, view[written:])
        except BaseException as error:
            self.abort()
            if isinstance(error, OSError):
                raise self._store.explain(error, self._key) from error
            raise
        return written

    def commit(self) -> Stored:
        fd = self._open_fd()
        try:
            self._runtime.point("objects.commit.before_rename")
            self._link()
            status = os.fstat(fd)
        except OSError as error:
            raise self._store.explain(error, self._key) from error
        finally:
            self.abort()
        self._runtime.point("objects.commit.after_rename")
        return Stored(self._key, status.st_size, status.st_mtime)

    def abort(self) -> None:
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        try:
            os.unlink(self._path)
        except FileNotFoundError:  # somebody emptied the folder: nothing left to drop
            pass
        finally:
            os.close(fd)  # after the unlink: the lock must outlive the name

    def _open_fd(self) -> int:
        if self._fd is None:
            raise Conflict(f"object {self._key} was committed or aborted already: create it again under another key")
        return self._fd

    def _link(self) -> None:
        while True:
            try:
                return os.link(self._path, self._target)
            except FileNotFoundError:  # no folder yet, or a delete pruned it just now
                if not os.path.exists(self._path):
                    raise
                self._make_folder()
            except FileExistsError:
                self._remove_empty_folder()
            except NotADirectoryError:
                raise self._blocked() from None

    def _make_folder(self) -> None:
        try:
            os.makedirs(os.path.dirname(self._target), exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise self._blocked() from None

    def _remove_empty_folder(self) -> None:
        """A folder whose keys were all deleted is no object and gives way."""
        try:
            os.rmdir(self._target)
        except FileNotFoundError:
            return
        except NotADirectoryError:
            raise Conflict(f"object {self._key} exists: a key is never written twice") from None
        except OSError:
            raise Conflict(f"object {self._key}: there are keys below it; choose another key") from None

    def _blocked(self) -> Conflict:
        return Conflict(f"object {self._key}: the first words of this key are an object; choose another key")


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
