"""How much memory this process has, and the most it ever had since a moment that can be set anew (Linux)."""

from __future__ import annotations

import os
import resource

from module_sdk.executor.descriptors import out_of_the_way

_PAGE = os.sysconf("SC_PAGE_SIZE")
_NEW_PEAK = b"5"


class Memory:
    """Reads the kernel's figures through descriptors that are kept open."""

    def __init__(self) -> None:
        self._statm = _open("/proc/self/statm", os.O_RDONLY)
        self._clear = _open("/proc/self/clear_refs", os.O_WRONLY)
        # The kernel counts the memory that the parent had when it started this process: below that it knows no peak.
        self._floor = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def close(self) -> None:
        """Close the descriptors."""
        for fd in (self._statm, self._clear):
            if fd is not None:
                os.close(fd)
        self._statm = self._clear = None

    def forget_peak(self) -> None:
        """From now on `peak` is the most memory since now. Without the right to say so, it is since the start."""
        if self._clear is not None:
            try:
                os.write(self._clear, _NEW_PEAK)
            except OSError:
                self._clear = None

    def used(self) -> tuple[float, int]:
        """CPU seconds of this process, and its most resident bytes: what it had for itself, and pages of files that it had
        mapped."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        peak = used.ru_maxrss * 1024
        return used.ru_utime + used.ru_stime, peak if peak > self._floor else _high_water() or peak

    def now(self) -> tuple[int, int]:
        """Bytes of data that are resident, and bytes of data in all (what `RLIMIT_DATA` counts)."""
        if self._statm is None:
            return 0, 0
        words = os.pread(self._statm, 200, 0).split()
        return (int(words[1]) - int(words[2])) * _PAGE, int(words[5]) * _PAGE


def _open(path: str, flags: int) -> int | None:
    try:
        fd = os.open(path, flags | os.O_CLOEXEC)
    except OSError:  # a system that hides it
        return None
    high = out_of_the_way(fd)
    os.close(fd)
    return high


def _high_water() -> int:
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
