"""The parts of a single-machine mesh, wired together. Each part is handed what it needs; nothing is global."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from gateway.app import create_app
from gateway.core import Gateway
from gateway.reader.pool import Reader
from gateway.routes.health import Check
from gateway.tokens import Tokens
from gateway.unplugged import Unpluggeds
from plugmesh.bus.embedded import HubBus
from plugmesh.cli.roles.places import OBJECTS, backends_of, objects_url, state_url, told_objects
from plugmesh.cli.server.attempt_defaults import AttemptSettings
from plugmesh.cli.server.closing_intake import ClosingIntake
from plugmesh.cli.server.first_end import first_end
from plugmesh.cli.server.telemetry import server_telemetry
from plugmesh.cli.server.upkeep import Upkeep
from plugmesh.errors import ConfigurationError, StoreFull
from plugmesh.hub.hub import Hub
from plugmesh.intake_rows import RowsIntake
from plugmesh.objects.local import DEFAULT_KEEP_FREE_BYTES
from plugmesh.objects.local_folder import LocalFolder
from plugmesh.objects.measured import MeasuredStore
from plugmesh.objects.open import open_store
from plugmesh.objects.port import check_store, close_store
from plugmesh.objects.reach import put_marker
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings
from plugmesh.settings.stored import StoredSettings
from plugmesh.state.attendance import Attendance
from plugmesh.state.store import State
from plugmesh.telemetry.port import Telemetry
from registry.registry import Registry
from scheduler.engine import Engine
from scheduler.figures import engine_figures

RUN, DATABASES = "run", "databases"
"""What lies in the data folder besides the database and the object store: records and logs of processes, and what `sql.write`
made."""


@dataclass(frozen=True, slots=True)
class Mesh:
    """Opened by `Mesh.open`; `start` before use, `stop` after it."""

    state: State
    objects: MeasuredStore
    hub: Hub
    bus: HubBus
    registry: Registry
    engine: Engine
    intake: ClosingIntake
    gateway: Gateway
    telemetry: Telemetry
    upkeep: Upkeep
    attendance: Attendance

    @classmethod
    async def open(cls, data: Path, settings: Settings, runtime: Runtime, *, url: str) -> Mesh:
        """Take the data folder, for a server at `url`.

        Raises `Conflict` if another server has it, `ConfigurationError` if it cannot be used, and `StateUnavailable` and
        `NotReachable` while a server that it needs does not answer.
        """
        if backends_of(data, settings).apart:
            raise ConfigurationError(
                "`plugmesh up` is all of a mesh in one process, and carries its messages itself: with the settings bus and "
                "discovery use `plugmesh serve gateway` and `plugmesh serve scheduler`"
            )
        async with AsyncExitStack() as undo:
            state = await State.open(state_url(data, settings), runtime)
            undo.push_async_callback(state.close)
            await StoredSettings(settings, state, runtime).load()
            url_of_objects = objects_url(data, settings)
            objects = MeasuredStore(open_store(url_of_objects, runtime), runtime)
            undo.callback(close_store, objects)
            await check_store(objects, runtime)
            mesh = await state.mesh_value("id", runtime.new_id("mesh"))
            marker = await runtime.run_sync(put_marker, objects, runtime)
            undo.pop_all()
        hub = Hub(runtime, mesh=mesh, objects=told_objects(url_of_objects), objects_marker=marker)
        bus = HubBus(hub)
        registry = Registry(runtime, hub.directory, objects, bus, state)
        telemetry = server_telemetry(settings, runtime)
        owner = runtime.new_id("scheduler")
        engine = Engine(
            runtime,
            state,
            bus=bus,
            registry=registry,
            objects=objects,
            owner=owner,
            defaults=AttemptSettings(settings),
            on_notifications=lambda: upkeep.notifier.wake(),  # noqa: PLW0108  it is made below
            telemetry=telemetry,
        )
        intake = ClosingIntake(engine if state.exclusive else RowsIntake(runtime, state, bus))
        reader = Reader(runtime, url_of_objects, settings)
        gateway = Gateway(
            runtime=runtime,
            state=state,
            intake=intake,
            registry=registry,
            bus=bus,
            objects=objects,
            reader=reader,
            settings=settings,
            telemetry=telemetry,
        )
        upkeep = Upkeep.of(gateway, engine, objects, settings=settings, data=data, url=url)
        attendance = Attendance(state, runtime, "mesh")
        return cls(state, objects, hub, bus, registry, engine, intake, gateway, telemetry, upkeep, attendance)

    def app(self, modules: Check, tokens: Tokens | None, unplugged: Unpluggeds = tuple) -> FastAPI:
        """The web application; `modules` says whether the palette is there, `unplugged` which files are not in it.

        With `tokens`, callers must show one.
        """
        checks = {"modules": modules, "scheduler": self._scheduler, "submits": self.intake.closed}
        engine = partial(engine_figures, self.engine, self.gateway.runtime)
        figures = (self.state.figures, self.objects.figures, engine, self.upkeep.figures, self.telemetry.figures)
        upkeep = self.upkeep
        return create_app(
            self.gateway,
            self.hub,
            tokens=tokens,
            checks=checks,
            figures=figures,
            sweeper=upkeep.sweeper,
            wake_notifier=upkeep.notifier.wake,
            unplugged=unplugged,
        )

    async def _scheduler(self) -> str | None:
        return self.engine.trouble

    async def start(self) -> None:
        """Begin to work; what the last server left unfinished goes on."""
        await self.attendance.start()
        await self.registry.start()
        await self.engine.start()
        self.gateway.start()
        self.upkeep.start()

    async def failed(self) -> None:
        """Wait until a part ends by itself, which is an error; raises it."""
        await first_end(self.gateway.runtime, self.engine.failed(), self.attendance.failed())

    async def stop(self) -> None:
        """Finish what is at hand and close everything; who is connected reconnects to the next server."""
        await self.gateway.close()
        await self.upkeep.stop()
        await self.engine.stop()
        await self.telemetry.close()
        await self.registry.stop()
        await self.hub.close()
        await self.bus.close()
        close_store(self.objects)
        await self.attendance.stop()
        await self.state.close()


def no_room(data: Path, keep_free_bytes: int = DEFAULT_KEEP_FREE_BYTES) -> str | None:
    """Why nothing can be written into the object store of an opened mesh, what that means, and what to do; None if
    there is room."""
    if not (data / OBJECTS).is_dir():  # they are elsewhere: see the setting objects
        return None
    try:
        LocalFolder(data / OBJECTS, keep_free_bytes).check_room(0)
    except StoreFull as error:
        return f"{error}. Until then no module can join and nothing can be uploaded or computed; deleting is possible"
    return None


def data_folder(path: str) -> Path:
    """The data folder, made where needed, and then for this user alone. Raises `ConfigurationError`."""
    data = Path(path).expanduser().resolve()
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data / RUN).mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"the data folder {data} cannot be used ({error.strerror}): choose another with --data"
        ) from error
    return data
