"""What the file system under a store can do: files are used again only where locks and maps are known to be right."""

from __future__ import annotations

import fcntl
import mmap
import os
import re
from dataclasses import dataclass
from pathlib import Path

from plugmesh.objects.local_folder import is_no_room

_MOUNTS = Path("/proc/self/mountinfo")
_LOCAL = {"ext2", "ext3", "ext4", "xfs", "tmpfs", "btrfs", "f2fs", "zfs", "overlay"}
# Where writing again to a page that is on the disk needs no new room: elsewhere (also on XFS, if a backup shares the
# file's blocks) a full disk would end the process.
_IN_PLACE = {"ext2", "ext3", "ext4", "tmpfs"}
_ESCAPE = re.compile(r"\\([0-7]{3})")
_PROBE = b"plugmesh"


@dataclass(frozen=True, slots=True)
class Volume:
    """`locks`: locks of files hold, also while a file is renamed, and maps show what is written. `in_place`: a file may
    be written through a map."""

    locks: bool
    in_place: bool


NOTHING = Volume(locks=False, in_place=False)


def volume_of(folder: str, mounts: Path = _MOUNTS) -> Volume:
    """What is known of the file system that `folder` lies on, by its type."""
    kind = _kind(os.path.realpath(folder), mounts)
    return Volume(locks=kind in _LOCAL, in_place=kind in _IN_PLACE)


def works(path: str, fd: int) -> bool:
    """Try on the new, empty file at `path`, open and locked as `fd`, what using files again needs. Raises `OSError` if there
    is no room to try."""
    try:
        os.pwrite(fd, bytes(mmap.PAGESIZE), 0)
        moved = f"{path}-moved"
        os.rename(path, moved)
        os.rename(moved, path)
        with mmap.mmap(fd, mmap.PAGESIZE) as written:
            written[: len(_PROBE)] = _PROBE
            return os.pread(fd, len(_PROBE), 0) == _PROBE and _is_locked(path)
    except OSError as error:
        if is_no_room(error):
            raise
        return False


def _is_locked(path: str) -> bool:
    other = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(other)
    return False


def _kind(folder: str, mounts: Path) -> str:
    """The type of the file system that is mounted last at the longest path above `folder`."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    found, longest = "", -1
    for line in lines:
        before, _, after = line.partition(" - ")
        words = before.split()
        if len(words) < 5 or not after:
            continue
        at = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), words[4])
        if (folder + "/").startswith(at.rstrip("/") + "/") and len(at) >= longest:
            found, longest = after.split()[0], len(at)
    return found
