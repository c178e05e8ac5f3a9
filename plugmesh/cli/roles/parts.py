"""What every process of a mesh stands on: the database, the object store, bus, discovery and the registry."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from plugmesh.bus.failure import bus_failed
from plugmesh.bus.open import open_bus
from plugmesh.bus.port import Bus
from plugmesh.cli.roles.places import backends_of, state_url, told_objects
from plugmesh.cli.server.first_end import first_end
from plugmesh.discovery.open import open_discovery
from plugmesh.discovery.port import Discovery
from plugmesh.errors import ConfigurationError
from plugmesh.figures import Figure, Latency, figures_of
from plugmesh.first_contact import check_services
from plugmesh.hub.hub import Hub
from plugmesh.hub.link import HubLink
from plugmesh.join import EMBEDDED, join
from plugmesh.objects.measured import MeasuredStore
from plugmesh.objects.open import open_store
from plugmesh.objects.port import check_store, close_store
from plugmesh.objects.reach import put_marker
from plugmesh.runtime import Runtime
from plugmesh.settings.follow import SettingsFollower
from plugmesh.settings.settings import Settings
from plugmesh.settings.stored import StoredSettings
from plugmesh.state.attendance import Attendance
from plugmesh.state.store import State
from plugmesh.token_file import FILE_VARIABLE, JOIN_TOKEN, TOKEN_VARIABLE, local_file, read_token
from plugmesh.urls import hidden
from registry.registry import Registry

URL_VARIABLE = "PLUGMESH_URL"


def join_token(url: str, data: Path) -> str:
    """The token with which a process joins the gateway at `url`: from the environment, or the data folder's."""
    if token := os.environ.get(TOKEN_VARIABLE):
        return token.strip()
    file = join_token_file(url, data)
    return "" if file is None else read_token(file)


def join_token_file(url: str, data: Path) -> Path | None:
    """The file with the join token, if there is one."""
    if named := os.environ.get(FILE_VARIABLE):
        return Path(named).expanduser()
    return local_file(url, {"PLUGMESH_DATA": str(data)}, JOIN_TOKEN)


@dataclass(frozen=True, slots=True)
class Parts:
    """Opened by `open`; `start` before use, `stop` after it. With a `hub` this is the gateway that others join; with a `link`
    it has joined one."""

    runtime: Runtime
    settings: Settings
    state: State
    objects: MeasuredStore
    objects_url: str
    bus: Bus
    registry: Registry
    follower: SettingsFollower
    discovery: Discovery
    hub: Hub | None
    link: HubLink | None
    attendance: Attendance

    @classmethod
    async def open(cls, data: Path, settings: Settings, runtime: Runtime, *, joins: bool) -> Parts:
        """For one process of several; with `joins` it looks for an embedded bus in the gateway at `PLUGMESH_URL`.

        Raises `ConfigurationError`, `Conflict` and `Unauthorized` for what a setting must change, `StateUnavailable` and
        `NotReachable` for an outage.
        """
        async with AsyncExitStack() as undo:
            backends = backends_of(data, settings)
            apart = backends.apart
            state = await _open_state(data, settings, runtime)
            undo.push_async_callback(state.close)
            stored = StoredSettings(settings, state, runtime)
            await stored.load()
            mesh = await state.mesh_value("id", runtime.new_id("mesh"))
            objects = MeasuredStore(open_store(backends.objects, runtime), runtime)
            undo.callback(close_store, objects)
            await check_store(objects, runtime)
            hub = link = None
            bus: Bus
            discovery: Discovery
            if apart or not joins:
                hub = None if apart else await _hub(mesh, backends.objects, objects, runtime)
                bus = open_bus(backends.bus, runtime, hub=hub)
                undo.push_async_callback(bus.close)
                discovery = open_discovery(backends.discovery, runtime, hub=hub)
                undo.push_async_callback(discovery.close)
                await check_services(bus, discovery)
            else:
                url = os.environ.get(URL_VARIABLE, "")
                if not url:
                    raise ConfigurationError(
                        f"bus is {EMBEDDED}, so this process joins the gateway: set {URL_VARIABLE} to its address, or bus and "
                        "discovery to services of their own"
                    )
                joined = await join(url, runtime, token=partial(join_token, url, data), backends=backends)
                undo.push_async_callback(joined.close)
                bus, discovery, link = joined.bus, joined.discovery, joined.link
            registry = Registry(runtime, discovery, objects, bus, state)
            undo.pop_all()
        follower = SettingsFollower(settings, state, runtime)
        attendance = Attendance(state, runtime, "scheduler" if joins else "gateway")
        return cls(
            runtime,
            settings,
            state,
            objects,
            backends.objects,
            bus,
            registry,
            follower,
            discovery,
            hub,
            link,
            attendance,
        )

    async def failed(self) -> None:
        """Wait until the database is not for this process any more, or the bus has failed for good: an error, which is raised."""
        await first_end(self.runtime, self.attendance.failed(), bus_failed(self.bus))

    async def start(self) -> None:
        """Watch the phone book and the settings."""
        await self.attendance.start()
        await self.registry.start()
        self.follower.start()

    async def stop(self) -> None:
        """Close everything, what others stand on last."""
        await self.follower.stop()
        await self.registry.stop()
        await self.discovery.close()
        if self.hub is not None:
            await self.hub.close()
        await self.bus.close()
        if self.link is not None:
            await self.link.close()
        close_store(self.objects)
        await self.attendance.stop()
        await self.state.close()

    def figures(self) -> Iterator[Figure | Latency]:
        """For `/metrics`."""
        yield from self.state.figures()
        yield from self.objects.figures()
        yield from figures_of(self.bus)
        yield from figures_of(self.discovery)


async def _hub(mesh: str, url: str, objects: MeasuredStore, runtime: Runtime) -> Hub:
    marker = await runtime.run_sync(put_marker, objects, runtime)
    return Hub(runtime, mesh=mesh, objects=told_objects(url), objects_marker=marker)


async def _open_state(data: Path, settings: Settings, runtime: Runtime) -> State:
    state = await State.open(state_url(data, settings), runtime)
    if state.exclusive:
        await state.close()
        shown = hidden(settings.state) if settings.state else f"SQLite in {data}"
        raise ConfigurationError(
            f"the state is {shown}, which one process alone can have open: `plugmesh serve` needs the setting state to be "
            "postgresql://… or mysql://…; on one machine `plugmesh up` is all of a mesh in one process"
        )
    return state
