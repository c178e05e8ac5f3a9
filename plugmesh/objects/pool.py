"""Files of deleted objects that are written again: fresh pages cost four times as much as warm ones that are mapped.

Each change of state is one rename. A file is taken by renaming it out of `free/`, getting its lock for itself alone,
and then seeing that the name still means the file that is locked. Readers of large files hold a shared lock for as
long as they have a map, so what somebody still reads cannot be taken, whatever its name was. The kernel drops the
locks of the dead. What is given up is taken in the same way and emptied, for others may keep it open; nothing else is
ever truncated.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from plugmesh.errors import ObjectCorrupt
from plugmesh.objects.extent import LARGE_BYTES, file_size, is_long, read_extent, reused_size
from plugmesh.objects.free_files import FreeFiles
from plugmesh.objects.kept_files import Kept, KeptFiles
from plugmesh.objects.local_folder import LocalFolder, is_no_room
from plugmesh.objects.volume import NOTHING, Volume, volume_of, works
from plugmesh.runtime import Runtime

DEFAULT_POOL_BYTES = 2 * 1024**3

_STAT_BLOCK_BYTES = 512
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True)
class Taken:
    """A file to write into, which this process alone has: `size` is the one that it gets. `written` bytes of it need no new
    room; of these, `map` shows as many as it is long."""

    fd: int
    path: str
    size: int
    inode: int
    written: int
    map: mmap.mmap | None


class Pool:
    """The free files of a store. Any thread. `limit_bytes` is what may lie free at most; 0: nothing is used again."""

    def __init__(self, folder: LocalFolder, runtime: Runtime, limit_bytes: int) -> None:
        self.folder, self._runtime, self.limit_bytes = folder, runtime, limit_bytes
        self._volume: Volume | None = None
        self._free = FreeFiles(folder, limit_bytes, self._emptied)
        self._start()

    def _start(self) -> None:
        self._kept, self._lock = KeptFiles(), threading.Lock()
        self._pid = os.getpid()  # last: another thread looks at it

    @property
    def is_on(self) -> bool:
        """Whether large files are used again here."""
        return self.limit_bytes > 0 and self.volume().locks

    def volume(self) -> Volume:
        """What the file system can do; tried when it is first asked."""
        if self._volume is None:
            known = volume_of(self.folder.tmp)
            try:
                self._volume = known if known.locks and self._tried() else NOTHING
            except OSError as error:
                if is_no_room(error):
                    return known  # it cannot be tried now
                self._volume = NOTHING
        return self._volume

    def take(self, need_bytes: int) -> Taken | None:
        """A file for an object of about so many bytes, if there is one."""
        if not self.is_on:
            return None
        least = file_size(need_bytes)
        most = least + least // 4
        with self._mine():
            self._kept.forget_removed()
            for inode, kept in self._kept.fitting(least, most):
                if (taken := self._take_kept(inode, kept)) is not None:
                    return taken
            for name in self._free.fitting(least, most):
                if (taken := self._take_free(name)) is not None:
                    return taken
        return None

    def done(self, taken: Taken, *, keep: bool) -> None:
        """Unlock what was taken, and published or given back (`keep`: open, for the next time) or else removed."""
        kept = Kept(taken.fd, taken.size, taken.map)
        if not keep:
            kept.close()
            return
        with suppress(OSError):  # closed by somebody else's code: then the lock is gone, too
            fcntl.flock(taken.fd, fcntl.LOCK_UN)
        with self._mine():
            self._kept.keep(taken.inode, kept)

    def give(self, path: str, size: int, inode: int) -> bool:
        """Let the large file at `path` be used again; False: it is not wanted (or gone), remove it."""
        if not LARGE_BYTES <= size <= self.limit_bytes or not self.is_on:
            return False
        with self._mine():
            return self._free.add(path, size, inode)

    def make_room(self, more_bytes: int) -> None:
        """Raises `StoreFull` if `more_bytes` do not fit on the disk, even without what is free here; `ObjectMissing` if
        the store is gone."""
        lacking = self.folder.lacking(more_bytes)
        if lacking > 0 and self.give_up(lacking):
            lacking = self.folder.lacking(more_bytes)
        if lacking > 0:
            raise self.folder.full()

    def give_up(self, need_bytes: int) -> int:
        """Remove free files, largest first, until so many bytes are free again; returns how many are."""
        if not self.folder.free_files():
            return 0  # and the volume need not be tried for that
        self.volume()
        with self._mine():
            removed = self._free.give_up(need_bytes)
            self._kept.forget_removed()
        return removed

    def trim(self) -> None:
        """Remove what is more than may lie here; all of it, if the machine was started anew: what was written last before
        may not have come to the disk."""
        boot = _read(_BOOT_ID)
        here = self.folder.root / "boot"
        if _read(here) != boot:
            self.give_up(2**63)
            with suppress(OSError):  # a full disk: then the next one who opens the store does the same
                here.write_text(boot)
        elif self.limit_bytes == 0:
            self.give_up(2**63)
        else:
            with self._mine():
                self._free.trim()

    def _mine(self) -> threading.Lock:
        """The lock. A forked child starts anew: it shares the locks of the files that its parent has open."""
        if self._pid != os.getpid():
            self._start()
        return self._lock

    def _tried(self) -> bool:
        folders = (self.folder.objects, self.folder.tmp, self.folder.free)
        if len({os.stat(folder).st_dev for folder in folders}) > 1:  # nothing can be renamed from one to the other
            return False
        path, fd = self.folder.new_tmp()
        try:
            return works(path, fd)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(path)
            os.close(fd)

    def _take_kept(self, inode: int, kept: Kept) -> Taken | None:
        path = self._claim(f"{kept.size}-{inode}", kept.fd)
        if path is None:
            return None
        del self._kept[inode]
        return self._taken(path, kept.fd, kept.map)

    def _take_free(self, name: str) -> Taken | None:
        try:
            fd = os.open(f"{self.folder.free}/{name}", os.O_RDWR | os.O_CLOEXEC)
        except OSError:  # somebody else was faster, or this process may open no more files
            return None
        path = self._claim(name, fd)
        if path is None:
            os.close(fd)
            return None
        return self._taken(path, fd, None)

    def _emptied(self, name: str) -> bool:
        """Remove a free file that nobody reads, and its bytes with it: other processes may keep it open for long. Nobody
        looks at the map of a file that is not theirs."""
        if self._volume is None or not self._volume.locks:
            return False
        try:
            fd = os.open(f"{self.folder.free}/{name}", os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            path = self._claim(name, fd)
            if path is None:
                return False
            os.ftruncate(fd, 0)
            os.unlink(path)
        finally:
            os.close(fd)
        return True

    def _taken(self, path: str, fd: int, mapped: mmap.mmap | None) -> Taken:
        status = os.fstat(fd)
        size = status.st_size
        try:
            written = read_extent(fd, size).written if is_long(size) else size
        except ObjectCorrupt:
            written = 0
        if written > status.st_blocks * _STAT_BLOCK_BYTES:  # a copy with holes, as restored backups may be
            written = 0
        if mapped is None or len(mapped) != written:
            if mapped is not None:
                mapped.close()
            mapped = self._mapped(fd, written)
        return Taken(fd, path, reused_size(size), status.st_ino, written, mapped)

    def _mapped(self, fd: int, written: int) -> mmap.mmap | None:
        if not self.volume().in_place or written < LARGE_BYTES:
            return None
        try:
            return mmap.mmap(fd, written)
        except OSError:  # no more maps, files or memory for this process: writing needs none
            return None

    def _claim(self, name: str, fd: int) -> str | None:
        """The path of the file that was free as `name` and is open as `fd`: now it is ours, and locked. None: it is not."""
        free, path = f"{self.folder.free}/{name}", f"{self.folder.tmp}/{os.getpid()}-{self._runtime.new_id('r')}"
        try:
            os.rename(free, path)
        except OSError:  # it is an object, or somebody else was faster
            return None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # it still has readers
            with suppress(FileNotFoundError):
                os.rename(path, free)
            return None
        if _is_one_file(path, fd):
            return path
        with suppress(OSError):  # a second name, as backups make it: its bytes must stay
            os.unlink(path)
        fcntl.flock(fd, fcntl.LOCK_UN)
        return None


def _is_one_file(path: str, fd: int) -> bool:
    """Whether `path` is the file that is open as `fd`, large, and without another name."""
    try:
        named = os.stat(path)
    except FileNotFoundError:
        return False
    opened = os.fstat(fd)
    same = (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)
    return same and opened.st_nlink == 1 and opened.st_size >= LARGE_BYTES


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
