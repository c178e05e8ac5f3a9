"""`plugmesh serve gateway`: takes runs and answers questions; schedulers are processes of their own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from gateway.app import create_app
from gateway.core import Gateway
from gateway.reader.pool import Reader
from gateway.tokens import Tokens
from plugmesh.cli.roles.parts import Parts
from plugmesh.cli.server.closing_intake import ClosingIntake
from plugmesh.cli.server.telemetry import server_telemetry
from plugmesh.contracts.run import SHARDS
from plugmesh.errors import Conflict
from plugmesh.intake_rows import RowsIntake
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings
from plugmesh.state.reads import Reader as Questions
from plugmesh.telemetry.port import Telemetry
from scheduler.sweep.sweeper import Sweeper


class AskedSweeper:
    """What a gateway without shards says about what is kept: it looks at everything, and deletes nothing."""

    def __init__(self, sweeper: Sweeper) -> None:
        self._sweeper = sweeper

    async def usage(self) -> dict[str, Any]:
        """See `Sweeping.usage`."""
        return await self._sweeper.usage()

    async def collect(self, dry_run: bool) -> dict[str, Any]:
        """See `Sweeping.collect`. Raises `Conflict` unless nothing is to be changed."""
        if not dry_run:
            raise Conflict(
                "the schedulers of this mesh sweep, each for its own shards, every sweep_every_s seconds: nothing was done; "
                "lower that setting, or ask with dry_run what will go"
            )
        return await self._sweeper.collect(dry_run=True)


@dataclass(frozen=True, slots=True)
class GatewayRole:
    """Opened by `open`; `start` before use, `stop` after it."""

    parts: Parts
    rows: RowsIntake
    intake: ClosingIntake
    gateway: Gateway
    telemetry: Telemetry

    @classmethod
    async def open(cls, data: Path, settings: Settings, runtime: Runtime) -> GatewayRole:
        """One more gateway of the mesh that the settings describe; with an embedded bus it is the only one, and holds it.

        Raises as `Parts.open`.
        """
        telemetry = server_telemetry(settings, runtime)
        parts = await Parts.open(data, settings, runtime, joins=False)
        rows = RowsIntake(runtime, parts.state, parts.bus)
        intake = ClosingIntake(rows)
        gateway = Gateway(
            runtime=runtime,
            state=parts.state,
            intake=intake,
            registry=parts.registry,
            bus=parts.bus,
            objects=parts.objects,
            reader=Reader(runtime, parts.objects_url, settings),
            settings=settings,
            telemetry=telemetry,
        )
        return cls(parts, rows, intake, gateway, telemetry)

    def app(self, tokens: Tokens | None) -> FastAPI:
        """The web application; with `tokens`, callers must show one."""
        parts = self.parts
        sweeper = Sweeper(
            parts.runtime,
            parts.state,
            parts.objects,
            settings=parts.settings,
            owned=lambda: range(SHARDS),
            reading=lambda: self.gateway.reading.lenders,
        )
        checks = {"schedulers": self._unowned, "submits": self.intake.closed}
        return create_app(
            self.gateway,
            parts.hub,
            tokens=tokens,
            checks=checks,
            figures=(parts.figures, self.telemetry.figures),
            sweeper=AskedSweeper(sweeper),
        )

    async def _unowned(self) -> str | None:
        """Runs are taken without a scheduler, but nobody begins them."""
        held = await self.parts.state.read(Questions.held_shards)
        return None if held else "no scheduler has any shard: start one with `plugmesh serve scheduler`"

    async def start(self) -> None:
        """Begin to answer."""
        await self.parts.start()
        self.gateway.start()

    async def failed(self) -> None:
        """Wait until a part ends by itself, which is an error; raises it."""
        await self.parts.failed()

    def close_intake(self) -> None:
        """Take no more runs."""
        self.intake.close()

    def close_streams(self) -> None:
        """Let everybody who waits go."""
        self.gateway.close_streams()

    async def stop(self) -> None:
        """Close everything; clients ask another gateway."""
        await self.gateway.close()
        await self.rows.close()
        await self.telemetry.close()
        await self.parts.stop()
