"""What a gateway adds to the traces of runs: a span for each request that made one.

It lies in the trace of the run, below the run itself. A caller that sends a `traceparent` has a trace of its own: there the
request is a span, too, and each of the two is linked to the other's trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from starlette.requests import Request

from plugmesh.runtime import Runtime
from plugmesh.telemetry.ids import read_traceparent, root_of, trace_of
from plugmesh.telemetry.port import Telemetry
from plugmesh.telemetry.span import Link, Span, nanoseconds


class SubmitTracing:
    """Of one gateway; costs a look at a flag where there are no traces."""

    def __init__(self, telemetry: Telemetry, runtime: Runtime) -> None:
        self._telemetry, self._runtime = telemetry, runtime

    def begin(self) -> float:
        """A request begins."""
        return self._runtime.wall() if self._telemetry.on else 0.0

    def end(self, request: Request, begun: float, accepted: Iterable[Mapping[str, Any]]) -> None:
        """It is answered with these runs, each with `id` and `repeated`."""
        if self._telemetry.on:
            for run in accepted:
                self._tell(request, begun, run)

    def _tell(self, request: Request, begun: float, accepted: Mapping[str, Any]) -> None:
        run = accepted["id"]
        trace, root = trace_of(run), root_of(run)
        if not self._telemetry.wants(trace):
            return
        caller = read_traceparent(request.headers.get("traceparent"))
        route = getattr(request.scope.get("route"), "path", request.url.path)
        name = f"{request.method} {route}"
        attributes = {
            "http.request.method": request.method,
            "http.route": route,
            "plugmesh.run": run,
            "plugmesh.repeated": bool(accepted.get("repeated", False)),
        }
        start, end = nanoseconds(begun), nanoseconds(self._runtime.wall())
        span = self._id()
        of_caller = () if caller is None else (Link(*caller),)
        self._telemetry.export(
            Span("gateway", name, trace, span, start, end, root, "server", attributes, links=of_caller)
        )
        if caller is not None:
            to_run = (Link(trace, root),)
            there, parent = caller
            self._telemetry.export(
                Span("gateway", name, there, self._id(), start, end, parent, "server", attributes, links=to_run)
            )

    def _id(self) -> str:
        return f"{self._runtime.random().getrandbits(64) or 1:016x}"
