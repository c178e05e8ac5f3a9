"""A runtime for real processes, loaded through `PLUGMESH_RUNTIME`: `kill -9` of itself at a named point.

The file that `PLUGMESH_TEST_TRAP` names says `ROLE POINT NTH`; roles are server (of `plugmesh up`), gateway, scheduler,
supervisor and executor. Whichever
process of that role is the first to pass that point for the NTH time since the file is there removes the file and dies.
Beside the trap, in `TRAP.passed`, each process writes down the points that it passes, each once.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from plugmesh.cli.options import ServerOptions
from plugmesh.runtime import SystemRuntime

VARIABLE = "PLUGMESH_TEST_TRAP"
PASSED = ".passed"
_ROLES = {
    "plugmesh.cli.server": "server",
    "module_sdk.supervisor": "supervisor",
    "module_sdk.executor": "executor",
}


class KillingRuntime(SystemRuntime):
    """The real machine, with a trap."""

    def __init__(self, trap: str) -> None:
        super().__init__()
        self._trap = trap
        self._role = _role_of(sys.orig_argv)
        self._passed = 0
        self._noted: set[str] = set()

    def point(self, name: str) -> None:
        if name not in self._noted:
            self._note(name)
        if not os.path.exists(self._trap):
            self._passed = 0
            return
        with suppress(FileNotFoundError):  # another process was faster
            with open(self._trap) as file:
                role, wanted, nth = file.read().split()
            self._passed += (role, wanted) == (self._role, name)
            if self._passed == int(nth):
                os.unlink(self._trap)
                os.kill(os.getpid(), signal.SIGKILL)

    def _note(self, name: str) -> None:
        self._noted.add(name)
        with open(self._trap + PASSED, "a") as file:
            file.write(f"{self._role} {name}\n")


def _role_of(command: list[str]) -> str:
    role = next(role for module, role in _ROLES.items() if module in command)
    return (ServerOptions.decode(command[-1]).role or role) if role == "server" else role


def make() -> KillingRuntime:
    """What `PLUGMESH_RUNTIME` names."""
    return KillingRuntime(os.environ[VARIABLE])
