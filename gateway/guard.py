"""What every request passes first: the names under which this gateway may be called, and by which web pages.

A page from anywhere can make a browser send requests to 127.0.0.1. So the `Host` must be one of ours (a foreign name
that resolves to this machine is not), and an `Origin`, where a browser sends one, must be this gateway's own.
"""

from __future__ import annotations

import logging

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.access import Actor
from gateway.errors import HostRefused
from gateway.metrics import Metrics
from gateway.problems import of_error, on_crash
from gateway.routing import ACTOR
from gateway.settings import GatewaySettings
from plugmesh.runtime import Runtime

_log = logging.getLogger("plugmesh.gateway")
_LOCAL = Actor()


class Guard:
    """ASGI middleware: checks, names the actor, measures, and turns what nobody expected into a problem."""

    def __init__(self, app: ASGIApp, settings: GatewaySettings, metrics: Metrics, runtime: Runtime) -> None:
        self._app = app
        self._metrics = metrics
        self._runtime = runtime
        self._hosts = frozenset(host.lower() for host in settings.allowed_hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in settings.allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        try:
            self._check(scope)
        except HostRefused as error:
            await _refuse(scope, receive, send, error)
            return
        scope[ACTOR] = _LOCAL
        if scope["type"] == "http":
            await self._measured(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _measured(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = self._runtime.now()
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            status = status or 499
        except Exception as error:
            if status:  # the answer has begun: cutting the connection is how the client learns that it is not whole
                _log.warning("%s %s broke off: %s", scope["method"], scope["path"], error, exc_info=error)
                raise
            answer: Response = await on_crash(Request(scope), error)
            await answer(scope, receive, watched)
        finally:
            self._metrics.request(scope, status, self._runtime.now() - begun)

    def _check(self, scope: Scope) -> None:
        host, origins = "", []
        for name, value in scope["headers"]:
            if name == b"host":
                host = value.decode("latin-1").lower()
            elif name == b"origin":
                origins.append(value.decode("latin-1").lower())
        if host_name(host) not in self._hosts:
            raise HostRefused(
                f"this gateway does not answer to the name {host!r}: use one of {', '.join(sorted(self._hosts))}, "
                "or add the name to allowed_hosts in its settings"
            )
        for origin in origins:
            scheme, _, authority = origin.partition("://")
            if origin not in self._origins and (scheme not in {"http", "https"} or authority != host):
                raise HostRefused(
                    f"a page of {origin!r} may not call this gateway: add it to allowed_origins in its settings"
                )


def host_name(host: str) -> str:
    """The name in a `Host` header, without the port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


async def _refuse(scope: Scope, receive: Receive, send: Send, error: HostRefused) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": str(error)[:120]})
        return
    await of_error(error)(scope, receive, send)
