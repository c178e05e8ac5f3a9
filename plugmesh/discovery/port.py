"""The Discovery port: instances register and beat, watchers see the entries.

Discovery stores and forwards; it never judges. Who is alive, suspect or dead is decided by `registry.liveness`
from the entries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from plugmesh.contracts.instance import Beat, Registration


@dataclass(frozen=True, slots=True)
class Entry:
    """One instance as discovery knows it.

    `beat_at` is the watcher's monotonic time of the last sign of life. `connected` is False from the moment the
    peer closed its connection (`None`: this driver holds no connections). `gone_at` is when that happened.
    """

    registration: Registration
    beat_at: float
    draining: bool = False
    running: int = 0
    held: tuple[str, ...] = ()
    connected: bool | None = None
    gone_at: float | None = None


class Watch(Protocol):
    """A running watch."""

    def close(self) -> None:
        """No call is made after this returns."""
        ...


class Discovery(Protocol):
    """One process's access to the phone book."""

    async def register(self, registration: Registration) -> None:
        """Enter (or replace) an instance; drivers repeat it by themselves after a reconnect.

        Returns when the entry is visible to watchers. Raises `NotReachable`.
        """
        ...

    async def beat(self, beat: Beat) -> None:
        """Give a sign of life. Never raises when the other side is away: the next beat will do."""
        ...

    async def deregister(self, instance: str) -> None:
        """Leave for good."""
        ...

    def watch(self, deliver: Callable[[str, Entry | None], None]) -> Watch:
        """Call `deliver(instance, entry)` for every entry known now and at each change; `None` = it left for good."""
        ...
