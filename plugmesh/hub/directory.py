"""The phone book inside the hub: entries in memory, told to whoever watches."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from plugmesh.contracts.instance import Beat, Registration
from plugmesh.discovery.port import Entry, Watch
from plugmesh.runtime import Runtime

_log = logging.getLogger(__name__)
FORGET_S = 600.0
"""An entry that has not given a sign of life for this long leaves the book."""


class Seat:
    """Stands for the link over which an instance registered."""


class _Watcher:
    def __init__(self, directory: Directory, deliver: Callable[[str, Entry | None], None]) -> None:
        self._directory = directory
        self._deliver = deliver
        self._closed = False

    def tell(self, instance: str, entry: Entry | None) -> None:
        if self._closed:
            return
        try:
            self._deliver(instance, entry)
        except Exception:  # noqa: BLE001  one watcher must not keep the news from the others
            _log.exception("a watcher of the directory failed at %s", instance)

    def close(self) -> None:
        self._closed = True
        self._directory.unwatch(self)


class Directory:
    """The `Discovery` of the process that holds the hub; its sessions enter the instances of other processes."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._entries: dict[str, Entry] = {}
        self._seats: dict[str, Seat | None] = {}
        self._watchers: tuple[_Watcher, ...] = ()
        self._swept_at = runtime.now()
        self.calls = Counter[str](register=0, beat=0, deregister=0)
        """Calls by word, since the start."""

    # -- the Discovery port --------------------------------------------------------------------------------------

    async def check(self) -> None:
        """It is here."""

    async def register(self, registration: Registration) -> None:
        self.enter(registration, None)

    async def beat(self, beat: Beat) -> None:
        self.heard(beat)

    async def deregister(self, instance: str) -> None:
        self.leave(instance)

    def watch(self, deliver: Callable[[str, Entry | None], None]) -> Watch:
        watcher = _Watcher(self, deliver)
        for instance, entry in tuple(self._entries.items()):
            watcher.tell(instance, entry)
        self._watchers = (*self._watchers, watcher)
        return watcher

    async def close(self) -> None:
        """There is no access to end: it goes with the hub, and serves other processes until then."""

    # -- for the sessions of the hub -------------------------------------------------------------------------------

    def now(self) -> float:
        """The clock of `Entry.beat_at`."""
        return self._runtime.now()

    def enter(self, registration: Registration, seat: Seat | None) -> None:
        """Enter or replace an instance. One that comes back over a new link keeps what its last beat said."""
        self.calls["register"] += 1
        now = self.now()
        connected = None if seat is None else True
        known = self._entries.get(registration.instance)
        if known is None:
            entry = Entry(registration, now, connected=connected)
        else:
            entry = replace(known, registration=registration, beat_at=now, connected=connected, gone_at=None)
        self._seats[registration.instance] = seat
        self._tell(registration.instance, entry)
        self._sweep(now)

    def heard(self, beat: Beat) -> None:
        """Note a sign of life; one of an unknown instance is ignored."""
        self.calls["beat"] += 1
        now = self.now()
        entry = self._entries.get(beat.instance)
        if entry is not None:
            said = replace(entry, beat_at=now, draining=beat.draining, running=beat.running, held=beat.held)
            self._tell(beat.instance, said)
        self._sweep(now)

    def leave(self, instance: str) -> None:
        """Strike an instance out."""
        self.calls["deregister"] += 1
        if instance in self._entries:
            self._tell(instance, None)

    def lost(self, seat: Seat) -> None:
        """A link ended: mark the instances that registered over it, unless they are back over another one."""
        now = self.now()
        for instance in [name for name, holder in self._seats.items() if holder is seat]:
            self._tell(instance, replace(self._entries[instance], connected=False, gone_at=now))

    def unwatch(self, watcher: Watch) -> None:
        """Make no more calls to a watcher."""
        self._watchers = tuple(other for other in self._watchers if other is not watcher)

    def _tell(self, instance: str, entry: Entry | None) -> None:
        if entry is None:
            del self._entries[instance], self._seats[instance]
        else:
            self._entries[instance] = entry
        for watcher in self._watchers:
            watcher.tell(instance, entry)

    def _sweep(self, now: float) -> None:
        if now - self._swept_at < FORGET_S / 10:
            return
        self._swept_at = now
        for instance in [name for name, entry in self._entries.items() if now - entry.beat_at > FORGET_S]:
            self._tell(instance, None)
