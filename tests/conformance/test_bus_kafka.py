"""The bus suite over a real Kafka broker, through a proxy that can cut its connections and refuse new ones."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from plugmesh.bus.open import open_bus
from plugmesh.bus.port import Bus
from plugmesh.conformance.bus import BusConformance, BusMesh
from plugmesh.runtime import SystemRuntime
from tests.faults.proxy import FaultProxy
from tests.faults.urls import place_of
from tests.faults.wires import KafkaWire

DOWN_S = 3.0


class KafkaMesh:
    """Processes that reach a broker through one proxy."""

    log_keeps = True

    def __init__(self, proxy: FaultProxy, prefix: str) -> None:
        self.proxy = proxy
        self.prefix = prefix
        self.buses: list[Bus] = []

    async def open(self) -> Bus:
        bus = open_bus(f"kafka://127.0.0.1:{self.proxy.port}{self.prefix}", SystemRuntime())
        self.buses.append(bus)
        return bus

    async def interrupt(self) -> None:
        assert self.proxy.cut()

    async def restart(self) -> None:
        """To its clients, a broker that is down for a while; tests/integration/bus does it to a real one."""
        assert self.proxy.refuse()
        await asyncio.sleep(DOWN_S)
        self.proxy.listen()

    async def close(self) -> None:
        for bus in self.buses:
            await bus.close()


class TestKafkaBus(BusConformance):
    @pytest.fixture
    async def mesh(self, kafka_url: str) -> AsyncIterator[BusMesh]:
        with FaultProxy(place_of(kafka_url), KafkaWire) as proxy:
            mesh = KafkaMesh(proxy, urlsplit(kafka_url).path)
            yield mesh
            await mesh.close()
