"""Processes that attempts start: finding and ending all of them (Linux)."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Collection
from contextlib import suppress

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PIECE_BYTES = 4096


def become_subreaper() -> None:
    """Orphans among the descendants become children of this process instead of init's."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Be killed when the process `parent` ends, also if that has just happened."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def children() -> list[int]:
    """Children of this process, of all its threads."""
    found: list[int] = []
    for task in os.listdir("/proc/self/task"):
        try:
            fd = os.open(f"/proc/self/task/{task}/children", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # the thread has ended
            continue
        try:
            text = b""
            while piece := os.read(fd, _PIECE_BYTES):
                text += piece
            found.extend(map(int, text.split()))
        finally:
            os.close(fd)
    return found


def has_children() -> bool:
    """Whether there is any child, running or dead: one system call."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def end_children(but: Collection[int] = ()) -> int:
    """Kill and reap all children, and the orphans that become children by it; returns how many there were."""
    ended = 0
    while True:
        pids = [pid for pid in children() if pid not in but]
        if not pids:
            return ended
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        ended += len(pids)


def end_group(leader: int) -> None:
    """Kill a process group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def describe_status(status: int) -> str:
    """An exit code as `subprocess` gives it, in words."""
    if status >= 0:
        return f"it exited with code {status}"
    name = signal.Signals(-status).name if -status in set(signal.Signals) else "?"
    hint = ", as the system does when memory runs out" if -status == signal.SIGKILL else ""
    return f"it was killed by signal {-status} ({name}{hint})"


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
