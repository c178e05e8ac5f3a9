"""This process's own file descriptors, out of the way of code that closes or redirects all it finds."""

from __future__ import annotations

import fcntl
import os
import resource

_HIGHEST = 4096
_ROOM = 16


def out_of_the_way(fd: int) -> int:
    """A duplicate of `fd` with a high number, which children do not get."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    least = _HIGHEST if soft == resource.RLIM_INFINITY else max(3, min(soft, _HIGHEST) - _ROOM)
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, least)


class Descriptors:
    """`log` is where stdout and stderr go. User code that closes low numbers does not reach it."""

    def __init__(self, log: int) -> None:
        self.log = out_of_the_way(log)
        # A mark that no other file has, so that a number that was closed and given away is noticed.
        self._mark = os.open("/", os.O_PATH | os.O_CLOEXEC)

    def mend(self) -> None:
        """Make stdout and stderr go to the log again."""
        os.dup2(self.log, 1)
        os.dup2(self.log, 2)

    def intact(self) -> bool:
        """Whether descriptors that user code did not open are still there (it may have closed all of a range)."""
        try:
            return bool(fcntl.fcntl(self._mark, fcntl.F_GETFL) & os.O_PATH)
        except OSError:
            return False
