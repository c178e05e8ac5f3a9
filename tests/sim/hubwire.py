"""Connections between the product's own hub and links: in order and complete until they break, as TCP is."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from plugmesh.errors import LinkLost, NotReachable
from plugmesh.hub.hub import Hub
from plugmesh.hub.transport import Transport, receive_each
from tests.sim.bus import TICK_S, LogBroker
from tests.sim.network import Link
from tests.sim.process import SimProcess

UNNOTICED_S = 10_000.0
"""How long it takes a peer to find out that a host has vanished without closing its connections: nothing may rely on it."""
WINDOW = 64
"""Frames that may be under way in one direction before a sender waits."""


class Listener:
    """Where the server's process takes connections; there is none while it is down."""

    def __init__(self, process: SimProcess, hub: Hub) -> None:
        self.process, self.hub = process, hub


class Switchboard:
    """Connects processes with the server of the moment."""

    def __init__(self, weather: LogBroker) -> None:
        self.weather = weather
        self.listener: Listener | None = None

    def dialer(self, link: Link) -> Callable[[], object]:
        """What a process's `HubLink` dials with."""

        async def dial() -> Transport:
            await asyncio.sleep(self.weather.delay_s())
            listener = self.listener
            if listener is None or not listener.process.alive or not link.up:
                raise NotReachable("connection refused")
            near = _End(self.weather, link, link.process)
            far = _End(self.weather, link, listener.process)
            near.peer, far.peer = far, near
            near.watch()
            far.watch()
            listener.process.spawn(listener.hub.serve(far), "serve")
            return near

        return dial


class _End:
    """One end of a connection. `link` is that of the process that dialled."""

    def __init__(self, weather: LogBroker, link: Link, process: SimProcess) -> None:
        self._weather, self._link, self._process = weather, link, process
        self._arrived: deque[bytes | str] = deque()
        self._under_way: deque[bytes | str] = deque()
        self._changed = asyncio.Event()
        self._ended = False
        self._last = 0.0
        self.peer: _End = self

    def watch(self) -> None:
        """Notice the death of the process and what happens to the link."""
        self._process.on_death.append(self._died)
        self._link.listeners.append(self._link_changed)

    async def receive_each(self, take: Callable[[bytes | str], bool]) -> None:
        await receive_each(self, take)

    def send_soon(self, frame: bytes) -> bool:
        return False  # a crash may come between any two frames

    async def send(self, frame: bytes | str) -> None:
        while not self._ended and len(self.peer._under_way) >= WINDOW:
            await self._wait()
        self._process.check()
        if self._ended:
            raise LinkLost("the connection is closed")
        self._note(frame)
        self.peer._expect(frame)

    async def receive(self) -> bytes | str:
        while not self._arrived:
            if self._ended:
                raise LinkLost("the connection was closed")
            await self._wait()
        return self._arrived.popleft()

    async def close(self) -> None:
        self.end()
        self._process.house.outside(self._process.house.loop.time(), self.peer.end)

    def end(self) -> None:
        """This end is over; frames under way are lost."""
        self._ended = True
        self._under_way.clear()
        self._changed.set()

    def _expect(self, frame: bytes | str) -> None:
        """The peer sent a frame: it will be here soon, unless the link is frozen."""
        self._under_way.append(frame)
        loop = self._process.house.loop
        self._last = max(self._last + TICK_S, loop.time() + self._weather.delay_s())
        self._process.call_at(self._last, self._arrive)

    @property
    def _passes(self) -> bool:
        """What is under way to this end gets here."""
        return self._link.hears if self._process is self._link.process else self._link.sends

    def _arrive(self) -> None:
        if self._under_way and not self._ended and self._passes:
            self._arrived.append(self._under_way.popleft())
            self._changed.set()
            self.peer._changed.set()

    def _died(self) -> None:
        """Whoever is alive notices: at once when the kernel closes the socket, late when the whole host is gone."""
        self._ended = True
        loop = self._process.house.loop
        delay_s = UNNOTICED_S if self._link.is_silent else 0.0001
        self._process.house.outside(loop.time() + delay_s, self.peer.end)

    def _link_changed(self) -> None:
        if self._ended:
            return
        if self._link.is_cut:
            self.end()
        elif not self.peer._process.alive:
            if not self._link.is_silent:  # the first packet that gets through is answered by a reset
                self.end()
        elif self._passes:
            while self._under_way:  # thawed
                self._arrived.append(self._under_way.popleft())
            self._changed.set()
            self.peer._changed.set()

    def _note(self, frame: bytes | str) -> None:
        for line in (frame if isinstance(frame, bytes) else frame.encode()).splitlines():
            self._process.house.note(self._process.name, f"> {line[:240].decode(errors='replace')}")

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()
