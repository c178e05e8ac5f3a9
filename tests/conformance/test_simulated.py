"""The suites over the drivers of the simulation: a test double that promises too much proves nothing."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from plugmesh.bus.port import EARLIEST, Bus
from plugmesh.conformance.bus import BusConformance, BusMesh, Inbox
from plugmesh.conformance.discovery import DiscoveryConformance, DiscoveryMesh
from plugmesh.conformance.objects import ObjectStoreConformance
from plugmesh.conformance.waiting import wait_until
from plugmesh.discovery.port import Discovery
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import SystemRuntime
from tests.sim.bus import LogBroker, SimBus
from tests.sim.discovery import Book, SimDiscovery
from tests.sim.network import Link, Weather
from tests.sim.objects import Disk, MemoryStore
from tests.sim.process import SimProcess

BAD = Weather(again=0.1, slow=0.05, slow_s=0.02)
"""What is not kept is neither dropped nor repeated: the suite publishes once and expects it to arrive once."""


class _House:
    """Processes on the test's real loop."""

    def __init__(self, weather: Weather) -> None:
        self.loop: Any = asyncio.get_running_loop()
        self.broker = LogBroker(random.Random(1), weather)
        self.book = Book(self.broker)
        self.links: list[Link] = []

    def outside(self, when: float, function: Callable[..., Any], *args: Any) -> None:
        self.loop.call_at(when, function, *args)

    def note(self, who: str, what: str) -> None:
        return None

    def reached(self, process: SimProcess, point: str) -> None:
        return None

    def link(self) -> Link:
        self.links.append(Link(SimProcess(self, f"p{len(self.links)}", "test", len(self.links))))
        return self.links[-1]


class _Mesh(_House):
    log_keeps = True
    connections = True

    async def interrupt(self) -> None:
        for link in self.links:
            link.cut(0.05)

    async def restart(self) -> None:
        await self.interrupt()


class _Buses(_Mesh):
    async def open(self) -> Bus:
        return SimBus(self.broker, self.link())


class _Books(_Mesh):
    async def open(self) -> Discovery:
        return SimDiscovery(self.book, self.link())

    async def vanish(self, discovery: Discovery) -> None:
        assert isinstance(discovery, SimDiscovery)
        discovery._process.kill("vanishes")


@pytest.mark.parametrize("weather", [Weather(), BAD], ids=["fair", "bad"])
class TestSimBus(BusConformance):
    @pytest.fixture
    async def mesh(self, weather: Weather) -> BusMesh:
        return _Buses(weather)

    # With a log, `publish` returns before a reader has seen the message: these two wait for it as well.

    async def test_a_kept_message_without_a_reader_waits_for_one(self, mesh: BusMesh) -> None:
        reader, writer, inbox = await mesh.open(), await mesh.open(), Inbox()
        offset = await reader.end("runs", 0)
        sent = [str(number).encode() for number in range(20)]
        await asyncio.gather(*(writer.publish("runs", 0, text) for text in sent))
        reader.subscribe("runs", [0], inbox, offset)
        await wait_until(lambda: inbox.distinct == sent)

    @pytest.mark.parametrize("start", [EARLIEST, "an offset of long ago"])
    async def test_an_unknown_start_gives_all_that_is_kept(self, mesh: BusMesh, start: str) -> None:
        reader, writer, inbox = await mesh.open(), await mesh.open(), Inbox()
        await writer.publish("runs", 0, b"1")
        reader.subscribe("runs", [0], inbox, start)
        await wait_until(lambda: inbox.distinct == [b"1"])


class TestSimDiscovery(DiscoveryConformance):
    @pytest.fixture
    async def mesh(self) -> DiscoveryMesh:
        return _Books(Weather())


class TestMemoryStore(ObjectStoreConformance):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return MemoryStore(Disk(), SystemRuntime())
