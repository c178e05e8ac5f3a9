"""SIGTERM in an executor: what it runs is finished, then it leaves. The next one ends it at once."""

from __future__ import annotations

import _thread
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

_TERM = frozenset({signal.SIGTERM})


class Leaving:
    """Whether this process was asked to leave; `tell` is called, in a thread of its own, when it is."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self.asked = False
        self._tell = tell
        # What user code forks must end at a SIGTERM, as it would anywhere. One that comes while Python forks would be lost.
        os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_be_as_others)

    def listen(self) -> None:
        """Take SIGTERM from now on."""
        signal.signal(signal.SIGTERM, self._signalled)

    def _signalled(self, signum: int, at: FrameType | None) -> None:
        if self.asked:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            return
        self.asked = True
        with suppress(RuntimeError, MemoryError):  # no room for a thread: it is told with the result
            # User code was interrupted, at any place: it may hold the locks that `threading` needs for a thread.
            _thread.start_new_thread(self._tell_quietly, ())

    def _tell_quietly(self) -> None:
        with suppress(OSError):  # the supervisor is gone, and so is this process in a moment
            self._tell()


def _hold() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _TERM)


def _let_go() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _TERM)


def _be_as_others() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _let_go()
