"""The embedded discovery: `Directory` in the hub's process, `LinkDiscovery` in any other one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from plugmesh.contracts.instance import Beat, Registration
from plugmesh.discovery.port import Entry, Watch
from plugmesh.errors import LinkLost, NotReachable, PlugmeshError
from plugmesh.hub.directory import FORGET_S, Directory
from plugmesh.hub.link import HubLink
from plugmesh.hub.presence import entry_of
from plugmesh.hub.wire import Presence, Welcome, line
from plugmesh.runtime import Runtime

__all__ = ["Directory", "LinkDiscovery"]

REGISTER_S = 10.0
LEAVE_S = 2.0


class LinkDiscovery:
    """The phone book as a process sees it over its link."""

    def __init__(self, link: HubLink, runtime: Runtime) -> None:
        self._link = link
        self._runtime = runtime
        self._registered: dict[str, Registration] = {}
        self._beats: dict[str, Beat] = {}
        self._watches: dict[bytes, _LinkWatch] = {}
        link.attach(self)

    async def check(self) -> None:
        """The link has brought us here: whatever is wrong with it, it says itself."""

    async def register(self, registration: Registration) -> None:
        try:
            async with asyncio.timeout(REGISTER_S):
                await self._enter(registration)
        except TimeoutError as error:
            raise NotReachable(
                f"{registration.instance} could not register within {REGISTER_S:g} s: "
                f"{self._link.last_error or 'the hub does not answer'}"
            ) from error
        self._registered[registration.instance] = registration

    async def beat(self, beat: Beat) -> None:
        if beat.instance in self._registered:
            self._beats[beat.instance] = beat
        self._link.send(line("beat", beat))

    async def deregister(self, instance: str) -> None:
        self._registered.pop(instance, None)
        self._beats.pop(instance, None)
        with suppress(PlugmeshError, TimeoutError):  # whoever is away will find out by the missing beats
            async with asyncio.timeout(LEAVE_S):
                await self._link.ask("dereg", instance)

    def watch(self, deliver: Callable[[str, Entry | None], None]) -> Watch:
        name = str(self._link.number()).encode()
        watch = _LinkWatch(self._link, int(name), deliver, self._runtime, lambda: self._watches.pop(name, None))
        self._watches[name] = watch
        if self._link.is_up:
            watch.ask(new_boot=True)
        return watch

    async def close(self) -> None:
        for watch in tuple(self._watches.values()):
            watch.close()
        self._registered.clear()
        self._beats.clear()

    # -- as a part of the link -----------------------------------------------------------------------------------------

    def verbs(self) -> dict[bytes, Callable[[bytes], None]]:
        return {b"entry": self._entry, b"left": self._left}

    def frame_ended(self) -> None:
        return None

    def resume(self, welcome: Welcome, new_boot: bool) -> None:
        for registration in self._registered.values():
            self._link.send(line("reg", self._link.number(), registration))
        for beat in self._beats.values():  # a draining instance stays one, also for a new hub
            self._link.send(line("beat", beat))
        for watch in self._watches.values():
            watch.ask(new_boot)

    def closed(self, error: PlugmeshError) -> None:
        return None

    async def _enter(self, registration: Registration) -> None:
        while True:
            await self._link.up()
            with suppress(LinkLost):
                await self._link.ask("reg", registration)
                return

    def _entry(self, rest: bytes) -> None:
        name, _, document = rest.partition(b" ")
        watch = self._watches.get(name)
        if watch is not None:
            watch.entry(Presence.model_validate_json(document))

    def _left(self, rest: bytes) -> None:
        name, _, instance = rest.partition(b" ")
        watch = self._watches.get(name)
        if watch is not None:
            watch.left(instance.decode())


class _LinkWatch:
    """A watch that asks again whenever the link is back, and then finds out who left meanwhile.

    A hub that was started anew knows nobody yet: entries from before stay as they are until their instances
    register again, or have been silent for `FORGET_S`.
    """

    def __init__(
        self,
        link: HubLink,
        number: int,
        deliver: Callable[[str, Entry | None], None],
        runtime: Runtime,
        when_closed: Callable[[], object],
    ) -> None:
        self._link = link
        self._number = number
        self._deliver = deliver
        self._runtime = runtime
        self._when_closed = when_closed
        self._known: dict[str, Entry] = {}
        self._unseen: set[str] = set()
        self._closed = False

    def ask(self, new_boot: bool) -> None:
        self._unseen = set() if new_boot else set(self._known)
        self._link.request(self._all_told, "watch", self._number)

    def entry(self, presence: Presence) -> None:
        now = self._runtime.now()
        entry = entry_of(presence, now)
        self._known[entry.registration.instance] = entry
        self._unseen.discard(entry.registration.instance)
        self._tell(entry.registration.instance, entry)
        for silent in [name for name, known in self._known.items() if now - known.beat_at > FORGET_S]:
            self.left(silent)

    def left(self, instance: str) -> None:
        if self._known.pop(instance, None) is not None:
            self._tell(instance, None)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._link.send(line("unwatch", self._number))
            self._when_closed()

    def _all_told(self, answer: str | PlugmeshError) -> None:
        if isinstance(answer, str):
            for instance in self._unseen:
                self.left(instance)
            self._unseen = set()

    def _tell(self, instance: str, entry: Entry | None) -> None:
        if not self._closed:
            self._deliver(instance, entry)
