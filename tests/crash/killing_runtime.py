"""A runtime for real processes, loaded through `PLUGMESH_RUNTIME`: `kill -9` of itself at a named point.

The file that `PLUGMESH_TEST_TRAP` names says `POINT NTH`. Whichever process is the first to pass that point for the
NTH time since the file is there removes the file and dies.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from plugmesh.runtime import SystemRuntime

VARIABLE = "PLUGMESH_TEST_TRAP"


class KillingRuntime(SystemRuntime):
    """The real machine, with a trap."""

    def __init__(self, trap: str) -> None:
        super().__init__()
        self._trap = trap
        self._passed = 0

    def point(self, name: str) -> None:
        if not os.path.exists(self._trap):
            self._passed = 0
            return
        with suppress(FileNotFoundError):  # another process was faster
            with open(self._trap) as file:
                wanted, nth = file.read().split()
            self._passed += name == wanted
            if self._passed == int(nth):
                os.unlink(self._trap)
                os.kill(os.getpid(), signal.SIGKILL)


def make() -> KillingRuntime:
    """What `PLUGMESH_RUNTIME` names."""
    return KillingRuntime(os.environ[VARIABLE])
