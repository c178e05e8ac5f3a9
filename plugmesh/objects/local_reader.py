"""Reading from a local store: read-only maps, and a shared lock on every file that could be written again.

A map keeps the file open, and with it the lock, until the last of its bytes is dropped.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import resource
import stat
import time
from weakref import WeakValueDictionary

from plugmesh.errors import NotReachable, ObjectCorrupt, ObjectMissing
from plugmesh.objects.extent import LARGE_BYTES, read_extent
from plugmesh.objects.local_folder import LocalFolder

MAP_FROM_BYTES = 16 * 1024  # below this a copy is faster than a map, a page fault and an unmap
_PLENTY = 30_000  # below the kernel's default limit of maps a process, 65,530
_PATIENCE_S = 2.0
_PAUSE_S = 0.0001


class _Mapping(mmap.mmap):
    """An object's bytes, and which file they are in."""

    inode: tuple[int, int]


class LocalReader:
    """Reads objects of a folder. Any thread."""

    def __init__(self, folder: LocalFolder, booted_at: float | None = None) -> None:
        """`booted_at` is when the machine was started, in Unix time; `None`: look."""
        self._folder = folder
        self._booted_at = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) if booted_at is None else booted_at
        self._has_older = False
        self._maps: WeakValueDictionary[str, _Mapping] = WeakValueDictionary()

    def read(self, key: str, offset: int, length: int | None) -> memoryview:
        """As the port says."""
        path = self._folder.path(key)
        mapped = self._maps.get(key)
        if mapped is None or not _names(path, mapped.inode):
            return self._read_file(key, path, offset, length)
        end = _end(key, offset, length, len(mapped))
        return memoryview(mapped)[offset:end]

    def is_older(self, key: str) -> bool:
        """Whether an object that was read was written before the machine was started. Costs nothing where there is none."""
        if not self._has_older:
            return False
        try:
            return os.stat(self._folder.path(key)).st_mtime < self._booted_at
        except (FileNotFoundError, NotADirectoryError):
            return False

    def descriptor(self, key: str) -> int | None:
        """A descriptor of the object's file, which protects it while it is open; `None` if the file is longer than the
        object. Raises `ObjectMissing`."""
        fd, _, size = self._open(key, self._folder.path(key))
        if os.fstat(fd).st_size == size:
            return fd
        os.close(fd)
        return None

    def _read_file(self, key: str, path: str, offset: int, length: int | None) -> memoryview:
        fd, inode, size = self._open(key, path)
        try:
            end = _end(key, offset, length, size)
            if end - offset < MAP_FROM_BYTES or len(self._maps) >= most_maps():
                return memoryview(copied(fd, offset, end))
            mapped = _Mapping(fd, size, prot=mmap.PROT_READ)
            mapped.inode = inode
            self._maps[key] = mapped
            return memoryview(mapped)[offset:end]
        finally:
            os.close(fd)

    def _open(self, key: str, path: str) -> tuple[int, tuple[int, int], int]:
        """The object's file, which nobody writes again while it or a map of it is open; which file; and the object's
        length."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise self._missing(key) from None
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise ObjectMissing(f"object {key} is not in the store {self._folder.root}: only keys below it are")
            inode, size = (status.st_dev, status.st_ino), status.st_size
            if status.st_mtime < self._booted_at:
                self._has_older = True
            if size >= LARGE_BYTES:
                self._share(fd, key, path, inode)
                size = _length(fd, key, os.fstat(fd).st_size)
        except BaseException:
            os.close(fd)
            raise
        return fd, inode, size

    def _share(self, fd: int, key: str, path: str, inode: tuple[int, int]) -> None:
        """Keep the open file from being written again. It is locked for a moment after its name is there; and if it was
        deleted before we came, it may be anything now."""
        until = time.monotonic() + _PATIENCE_S
        while not _is_shared(fd):
            if not _names(path, inode):
                raise self._missing(key)
            if time.monotonic() > until:
                raise NotReachable(
                    f"object {key}: the process that writes it has stopped between giving it its name and letting go of it; "
                    "try again, and if that does not help, end that process"
                )
            time.sleep(_PAUSE_S)
        if not _names(path, inode):
            raise self._missing(key)

    def _missing(self, key: str) -> ObjectMissing:
        return ObjectMissing(f"object {key} is not in the store {self._folder.root}: it was removed or never there")


def length_of(path: str) -> int:
    """How long the object in a file with a trailer is. Raises `FileNotFoundError`."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        try:
            return read_extent(fd, size).bytes
        except ObjectCorrupt:  # whoever reads it will hear so
            return size
    finally:
        os.close(fd)


def is_at(path: str, fd: int) -> bool:
    """Whether the open file is still called so."""
    status = os.fstat(fd)
    return _names(path, (status.st_dev, status.st_ino))


def _names(path: str, inode: tuple[int, int]) -> bool:
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return (status.st_dev, status.st_ino) == inode


def _is_shared(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:  # a file system without locks: nothing is written again there
        if error.errno not in {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}:
            raise
    return True


def _length(fd: int, key: str, size: int) -> int:
    try:
        return read_extent(fd, size).bytes
    except ObjectCorrupt as error:
        raise ObjectCorrupt(f"object {key}: {error}") from None


def _end(key: str, offset: int, length: int | None, size: int) -> int:
    end = size if length is None else offset + length
    if not 0 <= offset <= end <= size:
        raise ObjectCorrupt(f"object {key}: bytes {offset} to {end} were asked for, but it has {size}")
    return end


def copied(fd: int, offset: int, end: int) -> bytes:
    first = os.pread(fd, end - offset, offset)
    if len(first) == end - offset:
        return first
    pieces = [first]  # Linux reads at most 2 GiB at once
    while (at := offset + sum(map(len, pieces))) < end:
        pieces.append(os.pread(fd, end - at, at))
        if not pieces[-1]:
            raise OSError(errno.EIO, "the file became shorter while it was read")
    return b"".join(pieces)


def most_maps() -> int:
    """Each map holds a file descriptor; the other half is for sockets and for what the author's code opens. Asked each time:
    an attempt may have fewer than its process."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return _PLENTY if descriptors == resource.RLIM_INFINITY else min(descriptors // 2, _PLENTY)
