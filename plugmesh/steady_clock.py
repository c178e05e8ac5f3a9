"""Unix time for limits that must not come early."""

from __future__ import annotations

from plugmesh.runtime import Runtime


class SteadyClock:
    """Unix time that never runs ahead: when the machine's clock jumps forward while the process runs, data does not
    become old and attempts do not become late at once. It goes on from the start by the monotonic clock, or follows
    the other one back."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._offset = runtime.wall() - runtime.now()

    def now(self) -> float:
        """Seconds."""
        wall = self._runtime.wall()
        self._offset = min(self._offset, wall - self._runtime.now())
        return self._runtime.now() + self._offset
