"""`/healthz`, `/readyz`, `/metrics`, and the description of the API."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, Scope, access
from gateway.answers import Json
from gateway.documents.document import Responses, answers, stream_of
from gateway.documents.health import Description, Health, Readiness
from gateway.metrics import Metrics
from gateway.routing import API, actor_of
from plugmesh import __version__
from plugmesh.contracts.base import PROTOCOL
from plugmesh.errors import PlugmeshError
from plugmesh.state.reads import Reader
from plugmesh.state.store import State

Check = Callable[[], Awaitable[str | None]]
"""Returns why something is not ready, or `None`."""

_METRICS = """\
# HELP plugmesh_runs_submitted_total Runs accepted by this gateway
# TYPE plugmesh_runs_submitted_total counter
plugmesh_runs_submitted_total 12.0
"""

READY_S = 2.0
"""A check that does not answer in this time fails."""


class HealthRoutes:
    """Endpoints for whoever looks after the mesh."""

    def __init__(self, app: FastAPI, state: State, metrics: Metrics, checks: Mapping[str, Check]) -> None:
        self._app = app
        self._database = state
        self._metrics = metrics
        self._checks: dict[str, Check] = {"state": self._state, **checks}

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        ready = answers(Readiness, 200, "It is ready; 503: it is not, or a problem", 503)
        shown = {CONTENT_TYPE_LATEST.partition(";")[0]: _METRICS}
        routes: tuple[tuple[str, Callable[..., Any], Responses], ...] = (
            ("/healthz", self.health, answers(Health)),
            ("/readyz", self.ready, ready),
            ("/metrics", self.metrics, stream_of(shown, "The text format of Prometheus")),
            (f"{API}/openapi.json", self.description, answers(Description)),
        )
        for path, endpoint, found in routes:
            app.add_api_route(path, endpoint, methods=["GET"], tags=["health"], responses=found)

    @access(Action.PING, Kind.HEALTH)
    async def health(self, request: Request) -> Response:
        """The process answers: what it is, and on what it runs; without a token, where one is needed, only `alive`."""
        if actor_of(request).scope is Scope.NOBODY:
            return Json({"alive": True})
        return Json(
            {
                "alive": True,
                "service": "plugmesh",
                "version": __version__,
                "protocol": PROTOCOL,
                "python": platform.python_version(),
                "architecture": platform.machine(),
                "system": platform.system(),
            }
        )

    @access(Action.READ, Kind.HEALTH)
    async def ready(self, request: Request) -> Response:
        """Whether it can take work: 200, or 503 with the reason for each part."""
        reasons = await asyncio.gather(*(_reason(check) for check in self._checks.values()))
        checks = {name: reason or "ok" for name, reason in zip(self._checks, reasons, strict=True)}
        ready = not any(reasons)
        return Json({"ready": ready, "checks": checks}, 200 if ready else 503)

    @access(Action.READ, Kind.HEALTH)
    async def metrics(self, request: Request) -> Response:
        """Metrics in the text format of Prometheus."""
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @access(Action.READ, Kind.HEALTH)
    async def description(self, request: Request) -> Response:
        """This API as OpenAPI."""
        return Json(self._app.openapi())

    async def _state(self) -> str | None:
        await self._database.read(Reader.run, "")
        return None


async def _reason(check: Check) -> str | None:
    try:
        async with asyncio.timeout(READY_S):
            return await check()
    except TimeoutError:
        return f"no answer within {READY_S:g} s"
    except PlugmeshError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  a check that fails in any way is a part that is not ready
        return f"{type(error).__name__}: {error}"
