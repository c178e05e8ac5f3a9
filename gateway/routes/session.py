"""`/session`: a browser shows the token once, and keeps a cookie that no page can read."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from gateway.access import Action, Kind, Scope, access
from gateway.bodies import read_json, read_json_body, read_model
from gateway.documents.document import no_content
from gateway.documents.problem import problems
from gateway.errors import Unauthenticated
from gateway.routing import API, SCHEME, json_body
from gateway.tokens import Tokens
from plugmesh.errors import Conflict

_BODY_BYTES = 4096


class SessionRequest(BaseModel):
    """`POST /session`: what `plugmesh token show` prints."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"token": "kE0…, what `plugmesh token show` prints"}]},
    )

    token: str = Field(max_length=1000)


class SessionRoutes:
    """Endpoints about the session of a browser; without tokens there are none."""

    def __init__(self, tokens: Tokens | None) -> None:
        self._tokens = tokens

    def declare(self, app: FastAPI) -> None:
        """Add the routes."""
        path, tags = f"{API}/session", ["session"]
        add = app.add_api_route
        add(
            path,
            self.open,
            methods=["POST"],
            status_code=204,
            tags=[*tags],
            openapi_extra=json_body(SessionRequest),
            responses=no_content("The cookie is set") | problems("conflict", "request-invalid"),
        )
        over = no_content("The cookie is taken back") | problems("conflict")
        add(path, self.close, methods=["DELETE"], status_code=204, tags=[*tags], responses=over)

    @access(Action.SIGN_IN, Kind.SESSION)
    async def open(self, request: Request) -> Response:
        """Show the token and get a cookie (HttpOnly, SameSite=Strict). 409 when this mesh asks for no token."""
        tokens = self._required()
        asked = read_model(SessionRequest, read_json(await read_json_body(request, _BODY_BYTES)))
        if tokens.shown(asked.token.encode()).scope is not Scope.TOKEN:
            raise Unauthenticated("this is not the token of this mesh: `plugmesh token show` on its machine prints it")
        return _answer(tokens.sessions.open(secure=_secure(request)))

    @access(Action.SIGN_IN, Kind.SESSION)
    async def close(self, request: Request) -> Response:
        """End the session of this browser."""
        cookie = request.headers.get("cookie", "").encode("latin-1")
        return _answer(self._required().sessions.close(cookie, secure=_secure(request)))

    def _required(self) -> Tokens:
        if self._tokens is None:
            raise Conflict("this mesh asks for no token, so there is no session to open or end")
        return self._tokens


def _answer(cookie: str) -> Response:
    return Response(status_code=204, headers={"set-cookie": cookie, "cache-control": "no-store"})


def _secure(request: Request) -> bool:
    return bool(request.scope.get(SCHEME) == "https")
