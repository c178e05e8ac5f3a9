"""A runtime for real processes, loaded through `PLUGMESH_RUNTIME`: the machine's clock jumps when a test says so.

The file that `PLUGMESH_TEST_CLOCK` names holds the seconds by which it is wrong; the monotonic clock never jumps.
"""

from __future__ import annotations

import os

from plugmesh.runtime import SystemRuntime

VARIABLE = "PLUGMESH_TEST_CLOCK"


class JumpingRuntime(SystemRuntime):
    """The real machine, with another date."""

    def wall(self) -> float:
        try:
            with open(os.environ[VARIABLE]) as file:
                return super().wall() + float(file.read() or 0)
        except (KeyError, FileNotFoundError):
            return super().wall()
