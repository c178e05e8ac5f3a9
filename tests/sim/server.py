"""A simulated server process of a mesh: the real gateway, scheduler and registry, started as `plugmesh up` does."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from gateway.core import Gateway
from plugmesh.bus.embedded import HubBus
from plugmesh.bus.port import Bus
from plugmesh.discovery.port import Discovery
from plugmesh.hub.hub import Hub
from plugmesh.objects.port import ObjectStore
from registry.registry import Registry
from scheduler.engine import Engine
from tests.sim.bus import LogBroker, SimBus
from tests.sim.database import SimDatabase, open_state
from tests.sim.discovery import Book, SimDiscovery
from tests.sim.hubwire import Listener, Switchboard
from tests.sim.network import Link
from tests.sim.process import SimProcess


class Ground(Protocol):
    """What the server stands on: everything that outlives it."""

    broker: LogBroker
    book: Book
    switchboard: Switchboard
    database: SimDatabase
    with_hub: bool

    def store(self, process: SimProcess) -> ObjectStore:
        """The process's access to the object store."""
        ...

    def simulated(self, error: Exception) -> bool:
        """The simulation itself caused this error."""
        ...

    def fault(self, text: str) -> None:
        """Something happened that must never happen."""
        ...


class NoReader:
    """Nobody looks at rows in the simulation."""

    async def close(self) -> None:
        return None


class Server:
    """One life of the `place`-th server. `ready` when it takes requests."""

    def __init__(self, ground: Ground, process: SimProcess, place: int) -> None:
        self.ground, self.process, self.place = ground, process, place
        self.ready = False
        self.link: Link | None = None
        """Its way to the bus; with the hub it holds the bus itself."""
        self.engine: Engine
        self.registry: Registry
        self.gateway: Gateway

    async def run(self) -> None:
        """Start, then watch over the engine. A part that ends by itself ends the process, which is a bug."""
        try:
            await self._start()
            await self.engine.failed()
        except Exception as error:  # noqa: BLE001  whatever it was
            if not self.ground.simulated(error):
                self.ground.fault(f"the server ended by itself: {error!r}")
            self.process.kill(f"ended by {error!r}")

    async def _start(self) -> None:
        runtime, ground = self.process.runtime, self.ground
        state = await open_state(ground.database, self.process)
        mesh = await state.mesh_value("id", runtime.new_id("mesh"))
        objects = ground.store(self.process)
        bus, discovery, hub = self._wire(mesh)
        self.registry = Registry(runtime, discovery, objects, bus, state)
        owner = runtime.new_id("scheduler")
        self.engine = Engine(runtime, state, bus=bus, registry=self.registry, objects=objects, owner=owner)
        reader: Any = NoReader()
        self.gateway = Gateway(
            runtime=runtime,
            state=state,
            intake=self.engine,
            registry=self.registry,
            bus=bus,
            objects=objects,
            reader=reader,
        )
        await self.registry.start()
        await self.engine.start()
        self.gateway.start()
        if hub is not None:
            ground.switchboard.listener = Listener(self.process, hub)
        self.ready = True
        self.process.house.note(self.process.name, "is ready")

    async def stop(self) -> None:
        """End in order, as on SIGTERM."""
        self.ready = False
        await self.gateway.close()
        await self.engine.stop()
        await self.registry.stop()

    def _wire(self, mesh: str) -> tuple[Bus, Discovery, Hub | None]:
        if self.ground.with_hub:
            hub = Hub(self.process.runtime, mesh=mesh, objects="sim://")
            return HubBus(hub), hub.directory, hub
        self.link = Link(self.process)
        return SimBus(self.ground.broker, self.link), SimDiscovery(self.ground.book, self.link), None


class Away(Exception):
    """A request had no answer: whether it did anything is unknown."""


async def ask(server: Server | None, question: Any, answer_lost: bool) -> Any:
    """A request from outside: `question` gets the gateway. Raises `Away`, or what the gateway raises."""
    if server is None or not server.ready or not server.process.alive:
        raise Away("connection refused")
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def handle() -> None:
        try:
            _set(answer, await question(server.gateway), None)
        except Exception as error:  # noqa: BLE001  it is the client's now
            _set(answer, None, error)

    server.process.on_death.append(lambda: _set(answer, None, Away("the connection was closed")))
    server.process.spawn(handle(), "request")
    value = await answer
    if answer_lost:
        raise Away("the answer was lost")
    return value


def _set(future: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
