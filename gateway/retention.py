"""What is kept and for how long: asking the sweeper, and keeping a run in spite of it."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from gateway.errors import RequestInvalid
from plugmesh.errors import NotReachable
from plugmesh.runtime import Runtime
from plugmesh.state.pins import pin_run, unpin_run
from plugmesh.state.store import State


class Sweeping(Protocol):
    """What a gateway asks of the sweeper: documents as the API gives them."""

    async def usage(self) -> dict[str, Any]:
        """What is kept, and what holds it."""
        ...

    async def collect(self, dry_run: bool) -> dict[str, Any]:
        """Sweep everything now, or say what would go."""
        ...


class PinRequest(BaseModel):
    """`POST /runs/{run}/pin`: why the run is kept, and until when (Unix seconds; without: until it is let go)."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, json_schema_extra={"examples": [{"reason": "for the audit"}]}
    )

    reason: str = Field(max_length=1000)
    until: float | None = Field(default=None, gt=0, le=1e11, allow_inf_nan=False)


class CollectRequest(BaseModel):
    """`POST /data/gc`: with `dry_run` nothing is changed."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, json_schema_extra={"examples": [{"dry_run": True}]}
    )

    dry_run: bool = False


class Retention:
    """The gateway's side of retention."""

    def __init__(self, runtime: Runtime, state: State, sweeper: Sweeping | None) -> None:
        self._runtime, self._state, self._sweeper = runtime, state, sweeper

    @property
    def sweeper(self) -> Sweeping:
        """Raises `NotReachable` where none runs beside this gateway."""
        if self._sweeper is None:
            raise NotReachable("no sweeper runs beside this gateway: ask one that has a scheduler in its process")
        return self._sweeper

    async def pin(self, run: str, asked: PinRequest, actor: str) -> dict[str, Any]:
        """Keep a run. Raises `NotFound`, `Conflict` if its data is gone, `RequestInvalid`."""
        now = self._runtime.wall()
        if asked.until is not None and asked.until <= now:
            problem = {"where": "until", "message": "this time is over; it is in Unix seconds"}
            raise RequestInvalid(f"until: {problem['message']}", (problem,))
        await self._state.write(pin_run, run, actor=actor, reason=asked.reason, at=now, until=asked.until)
        return {"run": run, "actor": actor, "reason": asked.reason, "at": now, "until": asked.until}

    async def unpin(self, run: str) -> None:
        """Let retention decide again. Raises `NotFound`."""
        await self._state.write(unpin_run, run)
