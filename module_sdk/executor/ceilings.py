"""Limits that the kernel holds while an attempt runs: memory and open files."""

from __future__ import annotations

import os
import resource
from contextlib import suppress

from module_sdk.executor.allocator import give_back
from module_sdk.executor.memory import Memory
from plugmesh.contracts.module import Limits


class NoRoom(Exception):
    """The process has as much memory as the attempt may have, before it has begun."""


class Ceilings:
    """Raised and lowered around each attempt; soft limits only, so that they can be raised again.

    Memory is limited by `RLIMIT_DATA`, which does not count mapped files. What allocators have reserved but not touched
    is left out: the attempt may have as much more as its limit is above what is resident now. What it takes from the
    reserve is seen by the supervisor.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._data = resource.getrlimit(resource.RLIMIT_DATA)
        self._files = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._own_files: list[int] = []
        self._next_file = -1
        self._lowered = self._files_lowered = False

    def set_memory(self, limits: Limits | None) -> None:
        """For an attempt that begins, before anything was done. Raises `NoRoom`."""
        if limits is not None and limits.memory_bytes is not None:
            give_back(0)
            resident, data = self._memory.now()
            if resident >= limits.memory_bytes:
                raise NoRoom
            most = data + limits.memory_bytes - resident
            hard = self._data[1]
            resource.setrlimit(resource.RLIMIT_DATA, (most if hard < 0 else min(most, hard), hard))
            self._lowered = True

    def set_files(self, limits: Limits | None, *, recount: bool) -> None:
        """For an attempt whose inputs are there; with `recount`, some may be mapped, which takes a descriptor each."""
        if limits is not None and limits.open_files is not None:
            soft = self._soft_files(limits.open_files, recount)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, self._files[1]))
            self._files_lowered = True

    def lift(self) -> None:
        """The attempt is over."""
        if self._lowered:
            _raise_again(resource.RLIMIT_DATA, self._data)
            self._lowered = False
        if self._files_lowered:
            _raise_again(resource.RLIMIT_NOFILE, self._files)
            self._files_lowered = False

    def are_lifted(self) -> bool:
        """Whether all is as it was: user code may have changed the limits itself, for good."""
        found = resource.getrlimit(resource.RLIMIT_DATA), resource.getrlimit(resource.RLIMIT_NOFILE)
        return found == (self._data, self._files)

    def _soft_files(self, files: int, recount: bool) -> int:
        """So that `files` numbers are free: what this process has open for itself comes on top."""
        own, free = self._own_files, _next_file()
        if recount or not own or free != self._next_file:  # an attempt may leave files open
            own = sorted(map(int, os.listdir("/proc/self/fd")))
            self._own_files, self._next_file = [] if recount else own, free
        soft = files
        for fd in own:
            if fd >= soft:
                break
            soft += 1
        hard = self._files[1]
        return soft if hard < 0 else min(soft, hard)


def _raise_again(which: int, limits: tuple[int, int]) -> None:
    with suppress(OSError, ValueError):  # user code has lowered the hard limit: see `are_lifted`
        resource.setrlimit(which, limits)


def _next_file() -> int:
    """The number that the next open file gets. Raises `OSError` if there is none."""
    free = os.dup(0)
    os.close(free)
    return free
