"""`plugmesh serve scheduler`: an engine with what belongs to its shards, and no gateway."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fastapi import FastAPI

from gateway.figures import registry_figures
from gateway.tokens import Tokens
from plugmesh.cli.roles.health import health_app
from plugmesh.cli.roles.herald import Herald
from plugmesh.cli.roles.parts import Parts
from plugmesh.cli.server.attempt_defaults import AttemptSettings
from plugmesh.cli.server.first_end import first_end
from plugmesh.cli.server.telemetry import server_telemetry
from plugmesh.cli.server.upkeep import Upkeep
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings
from plugmesh.telemetry.port import Telemetry
from scheduler.engine import Engine
from scheduler.figures import engine_figures


@dataclass(frozen=True, slots=True)
class SchedulerRole:
    """Opened by `open`; `start` before use, `stop` after it."""

    parts: Parts
    engine: Engine
    upkeep: Upkeep
    telemetry: Telemetry

    @classmethod
    async def open(cls, data: Path, settings: Settings, runtime: Runtime, *, url: str) -> SchedulerRole:
        """One more scheduler of the mesh that the settings describe; `url` is for links in webhooks, where no `public_url` is
        set. Raises as `Parts.open`."""
        telemetry = server_telemetry(settings, runtime)
        parts = await Parts.open(data, settings, runtime, joins=True)
        engine = Engine(
            runtime,
            parts.state,
            bus=parts.bus,
            registry=parts.registry,
            objects=parts.objects,
            owner=runtime.new_id("scheduler"),
            defaults=AttemptSettings(settings),
            on_notifications=lambda: upkeep.notifier.wake(),  # noqa: PLW0108  it is made below
            telemetry=telemetry,
        )
        upkeep = Upkeep.beside(
            engine,
            runtime,
            parts.state,
            parts.objects,
            settings=settings,
            data=data,
            url=url,
            tell=Herald(runtime, parts.bus).tell,
        )
        return cls(parts, engine, upkeep, telemetry)

    def app(self, tokens: Tokens | None) -> FastAPI:
        """Health and metrics."""
        parts = self.parts
        figures = (
            parts.figures,
            partial(registry_figures, parts.registry),
            partial(engine_figures, self.engine, parts.runtime),
            self.upkeep.figures,
            self.telemetry.figures,
        )
        return health_app(
            parts.state,
            parts.runtime,
            parts.settings,
            figures=figures,
            checks={"scheduler": self._trouble},
            tokens=tokens,
        )

    async def _trouble(self) -> str | None:
        return self.engine.trouble

    async def start(self) -> None:
        """Take a share of the shards, and go on with what they hold."""
        await self.parts.start()
        await self.engine.start()
        self.upkeep.start()

    async def failed(self) -> None:
        """Wait until a part ends by itself, which is an error; raises it."""
        await first_end(self.parts.runtime, self.engine.failed(), self.parts.failed())

    def close_intake(self) -> None:
        """Nobody hands anything in here."""

    def close_streams(self) -> None:
        """Nobody reads streams here."""

    async def stop(self) -> None:
        """Finish what is at hand and give the shards back: other schedulers go on at once."""
        await self.upkeep.stop()
        await self.engine.stop()
        await self.telemetry.close()
        await self.parts.stop()
