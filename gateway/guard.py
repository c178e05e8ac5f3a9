"""What every request passes first: under which name it came, from which web page, and who sends it.

A page from anywhere can make a browser send requests to 127.0.0.1. So the `Host` must be one of ours (a foreign name
that resolves to this machine is not), and an `Origin`, where a browser sends one, must be this gateway's own. Where
tokens are on, nobody without one gets further than this.
"""

from __future__ import annotations

import logging

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.access import HOW_TO_SHOW, NOBODY, OPEN_PATHS, Actor
from gateway.access import Scope as Reach
from gateway.errors import HostRefused, Unauthenticated
from gateway.metrics import Metrics
from gateway.origins import Names
from gateway.problems import of_error, on_crash
from gateway.routing import ACTOR, SCHEME
from gateway.tokens import Tokens
from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime
from plugmesh.settings.settings import Settings

_log = logging.getLogger("plugmesh.gateway")
_LOCAL = Actor()
_HEADERS = frozenset({b"host", b"origin", b"authorization", b"cookie", b"x-forwarded-proto"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_Heads = dict[bytes, bytes]
QUIET_S = 10.0
"""Refused tokens are logged at most once in this time, with how many there were."""


class Guard:
    """ASGI middleware: checks, names the actor, measures, and turns what nobody expected into a problem.

    Without `tokens` everybody who comes by a right name is the local person.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        metrics: Metrics,
        runtime: Runtime,
        tokens: Tokens | None = None,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._runtime = runtime
        self._tokens = tokens
        self._names = Names(settings)
        self._refused = 0
        self._quiet_until = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        try:
            self._admit(scope)
        except PlugmeshError as error:
            await _refuse(scope, receive, send, error)
            return
        if kind == "http":
            await self._measured(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _measured(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = self._runtime.now()
        status = 0
        endless = False

        async def watched(message: Message) -> None:
            nonlocal status, endless
            if message["type"] == "http.response.start":
                status = message["status"]
                endless = b"content-length" not in {name for name, _ in message.get("headers", ())}
            elif endless and message.get("more_body") and not self._is_admitted(scope):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                raise ClientDisconnect  # for whoever makes the pieces it is the same
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

    # -- who may come in ---------------------------------------------------------------------------------------------

    def _admit(self, scope: Scope) -> None:
        """Put the actor into the scope. Raises `HostRefused`, `Unauthenticated`."""
        heads: _Heads = {}
        for name, value in scope["headers"]:
            if name in _HEADERS:
                if name in heads:
                    raise HostRefused(f"the header {name.decode()} is there twice: send it once")
                heads[name] = value
        scheme = self._names.scheme(scope, heads.get(b"x-forwarded-proto"))
        scope[SCHEME] = scheme
        self._names.check(scope, scheme, heads.get(b"host", b""), heads.get(b"origin"))
        scope[ACTOR] = _LOCAL if self._tokens is None else self._actor(self._tokens, scope, heads)

    def _is_admitted(self, scope: Scope) -> bool:
        """Whether who came in would come in now: a stream must not outlive its token."""
        if self._tokens is None:
            return True
        heads = {name: value for name, value in scope["headers"] if name in _HEADERS}
        before: Actor = scope[ACTOR]
        try:
            return self._actor(self._tokens, scope, heads) == before
        except PlugmeshError:
            return False

    def _actor(self, tokens: Tokens, scope: Scope, heads: _Heads) -> Actor:
        actor, detail = NOBODY, HOW_TO_SHOW
        if b"authorization" in heads:
            actor = tokens.holder(heads[b"authorization"])
            if actor is NOBODY:
                detail = "the token is not one of this mesh: `plugmesh token show` on its machine prints the right one"
                self._note_refused(scope)
        elif b"cookie" in heads:
            actor = tokens.in_session(heads[b"cookie"])
            changes = scope["type"] == "websocket" or scope["method"] not in _READING
            if changes and actor.scope is Reach.SESSION and b"origin" not in heads:
                raise HostRefused(
                    "a request that changes something, and has a session's cookie, needs an Origin header"
                )
        if actor is NOBODY and scope["path"] not in OPEN_PATHS:
            raise Unauthenticated(detail)
        return actor

    def _note_refused(self, scope: Scope) -> None:
        self._refused += 1
        now = self._runtime.now()
        if now >= self._quiet_until:
            what = "a process that wants to serve modules" if scope["type"] == "websocket" else "a request"
            address = scope["client"][0] if scope.get("client") else "an unknown address"
            _log.warning("%s from %s shows a wrong token (%d refused since last told)", what, address, self._refused)
            self._refused, self._quiet_until = 0, now + QUIET_S


async def _refuse(scope: Scope, receive: Receive, send: Send, error: PlugmeshError) -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008, "reason": str(error)[:120]})
        return
    await of_error(error)(scope, receive, send)
