"""The services that a mesh's settings name, each tried from end to end as a process of the mesh uses it, and at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from plugmesh.bus.open import DRIVERS as BUSES
from plugmesh.cli.commands.doctor import bus, discovery, objects, state
from plugmesh.cli.commands.doctor.check import Check, problem, warning
from plugmesh.cli.commands.doctor.storage import DATABASE, holder_of
from plugmesh.cli.commands.doctor.trial import PATIENCE_S, tried
from plugmesh.cli.roles.places import backends_of, objects_url, state_url
from plugmesh.discovery.open import DRIVERS as DISCOVERIES
from plugmesh.drivers import driver_of
from plugmesh.errors import ConfigurationError, PlugmeshError, Unauthorized
from plugmesh.join import join
from plugmesh.objects.open import DRIVERS as STORES
from plugmesh.runtime import Runtime
from plugmesh.settings.given import settings_of
from plugmesh.settings.settings import Settings
from plugmesh.token_file import FILE_VARIABLE, JOIN_TOKEN, TOKEN_VARIABLE, local_file, read_token
from plugmesh.urls import hidden


def tried_services(
    data: Path, url: str, runtime: Runtime, *, served: bool, known: int, environment: Mapping[str, str] = os.environ
) -> list[Check]:
    """Try what the settings of a data folder and the environment name. `served`: a mesh answers at `url`, which knows `known`
    instances."""
    try:
        settings = settings_of(environment, None, data, {})
        apart = backends_of(data, settings).apart
    except ConfigurationError as error:
        return [problem("settings", str(error), "correct it where it stands; processes of a mesh do not start with it")]
    return asyncio.run(
        _tried(_Mesh(data, url, settings, runtime, environment), apart=apart, served=served, known=known)
    )


class _Mesh:
    """What is tried, and how: `settings` are those of the data folder `data`, and `url` is where a gateway may be."""

    def __init__(
        self, data: Path, url: str, settings: Settings, runtime: Runtime, environment: Mapping[str, str]
    ) -> None:
        self.data, self.url, self.settings, self.runtime = data, url, settings, runtime
        self._environment = environment

    async def trial(self, name: str, value: str, attempt: Callable[[], Awaitable[str]]) -> Check:
        """Try the service of a setting."""
        return await tried(name, hidden(value), self.settings.origin(name), attempt, self.runtime)

    def load_drivers(self) -> None:
        """Import them, so that trials tell how long the services took. What cannot be found is told by its trial."""
        backends = backends_of(self.data, self.settings)
        ports = (
            ("bus", backends.bus, BUSES),
            ("discovery", backends.discovery, DISCOVERIES),
            ("objects", backends.objects, STORES),
        )
        for port, url, drivers in ports:
            if urlsplit(url).scheme in drivers:
                with suppress(ConfigurationError):
                    driver_of(port, url, drivers)

    def state(self) -> list[Awaitable[Check]]:
        """The database: a file only while nobody has it."""
        if not self.settings.state and (not self._has_file() or holder_of(self.data / f"{DATABASE}.lock")):
            return []
        return [self.trial("state", self.settings.state or "SQLite", self._state)]

    async def _state(self) -> str:
        return await state.try_url(state_url(self.data, self.settings), self.runtime)

    def _has_file(self) -> bool:
        return (self.data / DATABASE).exists()

    def objects(self) -> list[Awaitable[Check]]:
        """The object store: a folder of the data folder only where there is one."""
        if not self.settings.objects and not (self.data / "objects").is_dir():
            return []
        return [self.trial("objects", self.settings.objects or f"{self.data / 'objects'}", self._objects)]

    async def _objects(self) -> str:
        return await objects.try_url(objects_url(self.data, self.settings), self.runtime)

    def apart(self, known: int) -> list[Awaitable[Check]]:
        """Bus and discovery that are services of their own."""
        backends = backends_of(self.data, self.settings)
        there = partial(discovery.try_url, backends.discovery, self.runtime, known)
        return [
            self.trial("bus", self.settings.bus, partial(bus.try_url, backends.bus, self.runtime)),
            self.trial("discovery", self.settings.discovery, there),
        ]

    async def embedded(self, known: int) -> list[Check]:
        """Bus and discovery that live in the gateway: it is joined, as a module joins it."""
        try:
            joined = await join(self.url, self.runtime, timeout_s=PATIENCE_S / 2, token=self._join_token)
        except Unauthorized as error:
            todo = f"export {TOKEN_VARIABLE} with the join token: `plugmesh token show --join` on the mesh's machine"
            return [warning("bus", f"it lives in the gateway, which lets nobody join without a token: {error}", todo)]
        except PlugmeshError as error:
            todo = "if the mesh has a bus of its own, export PLUGMESH_BUS, PLUGMESH_DISCOVERY and PLUGMESH_OBJECTS as it has them"
            return [warning("bus", f"it cannot be tried through the gateway: {error}", todo)]
        try:
            return [
                await self.trial("bus", self.settings.bus, partial(bus.try_bus, joined.bus, self.runtime)),
                await self.trial(
                    "discovery",
                    self.settings.discovery,
                    partial(discovery.try_discovery, joined.discovery, self.runtime, known),
                ),
            ]
        finally:
            await joined.close()

    def _join_token(self) -> str:
        if token := self._environment.get(TOKEN_VARIABLE):
            return token.strip()
        if named := self._environment.get(FILE_VARIABLE):
            return read_token(Path(named).expanduser())
        file = local_file(self.url, {"PLUGMESH_DATA": str(self.data)}, JOIN_TOKEN)
        return "" if file is None else read_token(file)


async def _tried(mesh: _Mesh, *, apart: bool, served: bool, known: int) -> list[Check]:
    mesh.load_drivers()
    trials = [*mesh.state(), *mesh.objects(), *(mesh.apart(known) if apart else ())]
    checks = list(await asyncio.gather(*trials))
    if served and not apart:
        checks += await mesh.embedded(known)
    order = ("bus", "discovery", "objects", "state")
    return sorted(checks, key=lambda check: order.index(check.part))
