"""The folder of a local store: its paths, its room, and how a file in it becomes an object.

tmp/<pid>-<n>         being written; its writer holds a file lock on it, which the kernel drops when the writer dies
objects/<key>         committed; never changed again, never truncated (that would kill who has it mapped)
free/<size>-<inode>   of a deleted object; whoever gets its lock may write it again (see `pool`)
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
from pathlib import Path

from plugmesh.errors import Conflict, ObjectMissing, StoreFull

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class LocalFolder:
    """Where a local store's files are, how much room is left there, and whether what is committed is on the disk."""

    def __init__(self, root: Path, keep_free_bytes: int, *, durable: bool = False) -> None:
        self.root, self.keep_free_bytes, self.durable = root, keep_free_bytes, durable
        self.objects, self.tmp, self.free = str(root / "objects"), str(root / "tmp"), str(root / "free")
        self._numbers = itertools.count()

    def make(self) -> None:
        """Make what is not there. Raises `OSError`."""
        Path(self.objects).mkdir(parents=True, exist_ok=True)
        for folder in (self.tmp, self.free):
            Path(folder).mkdir(exist_ok=True)

    def path(self, key: str) -> str:
        """The file of an object."""
        return f"{self.objects}/{key}"

    def new_tmp(self) -> tuple[str, int]:
        """A new file to write into, locked. Raises `OSError`."""
        while True:
            path = f"{self.tmp}/{os.getpid()}-{next(self._numbers)}"
            try:
                fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            except FileExistsError:  # of a process with our pid: an older one, or one in another container
                continue
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return path, fd
            os.close(fd)  # another process opened the store just then and took it for stale

    def free_files(self) -> list[tuple[int, str]]:
        """Files that may be used again: size and name, smallest first."""
        try:
            names = os.listdir(self.free)
        except FileNotFoundError:
            return []
        sizes = ((name.partition("-")[0], name) for name in names)
        return sorted((int(size), name) for size, name in sizes if size.isdecimal())

    def lacking(self, more_bytes: int) -> int:
        """By how many bytes `more_bytes` would go beyond the watermark; 0 or less: there is room. Raises `ObjectMissing`
        if the store is gone."""
        try:
            status = os.statvfs(self.root)
        except FileNotFoundError:
            raise ObjectMissing(
                f"the object store {self.root} was removed while it is in use: put the folder back where it was, or start "
                "the server again"
            ) from None
        return more_bytes + self.keep_free_bytes - status.f_bavail * status.f_frsize

    def check_room(self, more_bytes: int) -> None:
        """Raises `StoreFull` if `more_bytes` would go beyond the watermark even after all that is free for use was given
        up, `ObjectMissing` if the store is gone."""
        lacking = self.lacking(more_bytes)
        if lacking > 0 and lacking > sum(size for size, _ in self.free_files()):
            raise self.full()

    def full(self) -> StoreFull:
        """What to raise when there is no room."""
        status = os.statvfs(self.root)
        return StoreFull(
            f"no room in {self.root}: {status.f_bavail * status.f_frsize:,} bytes are free there, and "
            f"{self.keep_free_bytes:,} must stay free (keep_free_bytes of the object store): make room on that disk"
        )

    def explain(self, error: OSError, key: str) -> Exception:
        """What to raise for `error`, met while `key` was being written."""
        if is_no_room(error):
            return StoreFull(f"object {key}: {error.strerror} in {self.root}: make room on that disk")
        if isinstance(error, FileNotFoundError):
            return ObjectMissing(
                f"object {key}: its file in {self.tmp} vanished; was the folder emptied? Write it again"
            )
        return error

    def publish(self, path: str, key: str) -> None:
        """Give the file at `path` the name of an object, too. Raises `Conflict` if there is one, `OSError`."""
        target = self.path(key)
        while True:
            try:
                return os.link(path, target)
            except FileNotFoundError:  # no folder yet, or a delete pruned it just now
                if not os.path.exists(path):
                    raise
                _make_folder(target, key)
            except FileExistsError:
                _remove_empty_folder(target, key)
            except NotADirectoryError:
                raise _blocked(key) from None

    def flush(self, key: str) -> None:
        """Bring the object's name to the disk, and those of the folders above it, which may be new."""
        folder = os.path.dirname(self.path(key))
        while len(folder) >= len(self.objects):
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            folder = os.path.dirname(folder)

    def prune(self, path: str) -> None:
        """Remove the folders above the deleted file that are empty now."""
        folder = os.path.dirname(path)
        while folder != self.objects:
            try:
                os.rmdir(folder)
            except OSError:  # not empty, or gone already
                return
            folder = os.path.dirname(folder)


def is_no_room(error: OSError) -> bool:
    """Whether the disk, or what this user may have of it, is full."""
    return error.errno in _NO_ROOM


def _make_folder(target: str, key: str) -> None:
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise _blocked(key) from None


def _remove_empty_folder(target: str, key: str) -> None:
    """A folder whose keys were all deleted is no object and gives way."""
    try:
        os.rmdir(target)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise Conflict(f"object {key} exists: a key is never written twice") from None
    except OSError:
        raise Conflict(f"object {key}: there are keys below it; choose another key") from None


def _blocked(key: str) -> Conflict:
    return Conflict(f"object {key}: the first words of this key are an object; choose another key")
