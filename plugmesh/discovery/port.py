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
class Patience:
    """How long an instance may be silent before it is suspect, and then dead: that depends on how soon a driver hears of a
    sign of life. Without more said, beats come every two seconds."""

    suspect_s: float = 6.0
    dead_s: float = 15.0


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
    patience: Patience = Patience()


class Watch(Protocol):
    """A running watch."""

    def close(self) -> None:
        """No call is made after this returns."""
        ...


class Discovery(Protocol):
    """One process's access to the phone book."""

    async def check(self) -> None:
        """Ask for all that registering and watching need. Raises `ConfigurationError` and `Unauthorized`, which name the
        setting, and `NotReachable`."""
        ...

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

    async def close(self) -> None:
        """End this process's access without a word: its watches end, and what it registered falls silent."""
        ...
