"""`SimDiscovery`: a phone book that outlives the server, over the same links as the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from plugmesh.contracts.instance import Beat, Registration
from plugmesh.discovery.port import Entry, Watch
from tests.sim.bus import TICK_S, LogBroker
from tests.sim.network import Link


@dataclass(slots=True)
class Book:
    """The entries, by the loop's clock, and who watches them."""

    broker: LogBroker
    entries: dict[str, Entry] = field(default_factory=dict)
    watchers: list[_SimWatch] = field(default_factory=list)
    homes: dict[str, str] = field(default_factory=dict)
    """The process of each instance."""

    def __post_init__(self) -> None:
        self.broker.walls.listeners.append(self._catch_up)

    def put(self, instance: str, entry: Entry | None) -> None:
        """Enter, change or strike out."""
        if entry is None:
            self.entries.pop(instance, None)
        else:
            self.entries[instance] = entry
        for watcher in tuple(self.watchers):
            watcher.tell(instance, entry)

    def _catch_up(self) -> None:
        """Walls have fallen: tell everyone what he has missed."""
        for watcher in tuple(self.watchers):
            for instance in sorted(watcher.missed):
                watcher.tell(instance, self.entries.get(instance))


class SimDiscovery:
    """One process's access. What it registered comes back by itself after a broken connection."""

    def __init__(self, book: Book, link: Link) -> None:
        self._book, self._link, self._process = book, link, link.process
        self._mine: dict[str, Registration] = {}
        self._beats: dict[str, Beat] = {}
        self._was_cut = False
        self._is_up = asyncio.Event()
        link.listeners.append(self._link_changed)

    async def check(self) -> None:
        self._process.check()

    async def register(self, registration: Registration) -> None:
        self._process.check()
        while True:
            await asyncio.sleep(self._book.broker.delay_s())
            if self._link.up:
                break
            self._is_up.clear()
            await self._is_up.wait()
        self._mine[registration.instance] = registration
        self._book.homes[registration.instance] = self._process.name
        self._enter(registration)
        await asyncio.sleep(self._book.broker.delay_s())

    async def beat(self, beat: Beat) -> None:
        self._process.check()
        if beat.instance in self._mine:
            self._beats[beat.instance] = beat
        if self._link.sends:
            loop = self._process.house.loop
            self._process.house.outside(loop.time() + self._book.broker.delay_s(), self._heard, beat)

    async def deregister(self, instance: str) -> None:
        self._process.check()
        self._mine.pop(instance, None)
        self._beats.pop(instance, None)
        await asyncio.sleep(self._book.broker.delay_s())
        if instance in self._book.entries:
            self._book.put(instance, None)

    def watch(self, deliver: Callable[[str, Entry | None], None]) -> Watch:
        self._process.check()
        watch = _SimWatch(self._book, self._link, deliver)
        for instance, entry in self._book.entries.items():
            watch.tell(instance, entry)
        return watch

    async def close(self) -> None:
        for watch in [one for one in self._book.watchers if one.belongs_to(self._link)]:
            watch.close()
        self._mine.clear()
        self._beats.clear()

    def _enter(self, registration: Registration) -> None:
        now = self._process.house.loop.time()
        known = self._book.entries.get(registration.instance)
        if known is None:
            entry = Entry(registration, now, connected=True)
        else:
            entry = replace(known, registration=registration, beat_at=now, connected=True, gone_at=None)
        self._book.put(registration.instance, entry)

    def _heard(self, beat: Beat) -> None:
        entry = self._book.entries.get(beat.instance)
        if entry is not None:
            now = self._process.house.loop.time()
            said = replace(entry, beat_at=now, draining=beat.draining, running=beat.running, held=beat.held)
            self._book.put(beat.instance, said)

    def _link_changed(self) -> None:
        if self._link.up:
            self._is_up.set()
            if self._was_cut:
                self._was_cut = False
                self._back()
        elif not self._link.is_silent and not self._was_cut:
            self._was_cut = True
            self._gone()

    def _gone(self) -> None:
        now = self._process.house.loop.time()
        for instance in self._mine:
            entry = self._book.entries.get(instance)
            if entry is not None:
                self._book.put(instance, replace(entry, connected=False, gone_at=now))

    def _back(self) -> None:
        for registration in self._mine.values():
            self._enter(registration)
        for beat in self._beats.values():
            self._heard(beat)


class _SimWatch:
    """Tells one watcher, in order and a little later, with times by the watcher's own clock."""

    def __init__(self, book: Book, link: Link, deliver: Callable[[str, Entry | None], None]) -> None:
        self._book, self._link, self._deliver = book, link, deliver
        self._last = 0.0
        self._closed = False
        self.missed: set[str] = set()
        book.watchers.append(self)
        link.process.on_death.append(self.close)

    def tell(self, instance: str, entry: Entry | None) -> None:
        home = self._book.homes.get(instance, "")
        if self._book.broker.walls.between(home, self._link.process.name):
            self.missed.add(instance)
            return
        self.missed.discard(instance)
        loop = self._link.process.house.loop
        self._last = max(self._last + TICK_S, loop.time() + self._book.broker.delay_s())
        self._link.process.call_at(self._last, self._give, instance, entry)

    def belongs_to(self, link: Link) -> bool:
        """It is a watch of the process at this end."""
        return self._link is link

    def close(self) -> None:
        self._closed = True
        if self in self._book.watchers:
            self._book.watchers.remove(self)

    def _give(self, instance: str, entry: Entry | None) -> None:
        if self._closed:
            return
        if entry is not None:
            runtime = self._link.process.runtime
            base = runtime.now() - self._link.process.house.loop.time()
            gone_at = None if entry.gone_at is None else entry.gone_at + base
            entry = replace(entry, beat_at=entry.beat_at + base, gone_at=gone_at)
        self._deliver(instance, entry)
