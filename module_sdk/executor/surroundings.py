"""What user code may change of its process, and the next attempt must not notice."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal.getsignal` makes an enum of each answer: slow
import locale
import os
import resource
import signal
import sys
from typing import Any

from module_sdk.executor.descriptors import out_of_the_way

_SIGNALS = tuple(
    int(signal.Signals[name])
    for name in ("SIGUSR1", "SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGXCPU")
)


_LIMITS = (resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC, resource.RLIMIT_AS)
_CATEGORIES = (locale.LC_NUMERIC, locale.LC_TIME, locale.LC_CTYPE)


class Surroundings:
    """Working folder, umask, environment, signal handlers, standard streams, limits and locale, as they are when it is made.

    A `restore` takes a few microseconds: it looks before it sets.
    """

    def __init__(self) -> None:
        self._streams = (sys.stdin, sys.stdout, sys.stderr)
        self._folder = -1
        self.remember()

    def remember(self) -> None:
        """How it is now is how it shall be: an author's file, when it is imported, may set its process up."""
        folder = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        if self._folder >= 0:
            os.close(self._folder)
        self._folder = out_of_the_way(folder)
        os.close(folder)
        self._umask = os.umask(0o022)
        os.umask(self._umask)
        self._environment = dict(_raw_environment())
        self._handlers = [(number, _signal.getsignal(number)) for number in _SIGNALS]
        self._locale = [locale.setlocale(category) for category in _CATEGORIES]
        self._hooks = (sys.excepthook, sys.displayhook)
        self._recursion = sys.getrecursionlimit()
        self._limits = [(which, resource.getrlimit(which)) for which in _LIMITS]

    def restore(self) -> bool:
        """Put everything back; False if something cannot be."""
        os.fchdir(self._folder)
        os.umask(self._umask)
        if _raw_environment() != self._environment:
            self._restore_environment()
        for number, handler in self._handlers:
            if _signal.getsignal(number) != handler:
                signal.signal(number, handler)
                if number == signal.SIGALRM:
                    signal.setitimer(signal.ITIMER_REAL, 0)
        sys.stdin, sys.stdout, sys.stderr = self._streams
        sys.excepthook, sys.displayhook = self._hooks
        if sys.getrecursionlimit() != self._recursion:
            sys.setrecursionlimit(self._recursion)
        if locale.setlocale(locale.LC_NUMERIC) != self._locale[0]:
            for category, value in zip(_CATEGORIES, self._locale, strict=True):
                locale.setlocale(category, value)
        return self._restore_limits()

    def _restore_limits(self) -> bool:
        for which, limits in self._limits:
            if resource.getrlimit(which) != limits:
                try:
                    resource.setrlimit(which, limits)
                except (OSError, ValueError):  # a hard limit goes down only
                    return False
        return True

    def _restore_environment(self) -> None:
        wanted = {os.fsdecode(name): os.fsdecode(value) for name, value in self._environment.items()}
        for name in [name for name in os.environ if name not in wanted]:
            del os.environ[name]
        for name, value in wanted.items():
            if os.environ.get(name) != value:
                os.environ[name] = value


def _raw_environment() -> Any:
    """The dict inside `os.environ`: comparing it takes a microsecond, comparing the mapping thirty."""
    return os.environ._data  # type: ignore[attr-defined]  # noqa: SLF001
