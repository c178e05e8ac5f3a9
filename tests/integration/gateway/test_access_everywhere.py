"""Where tokens are on, nothing is open by omission: every route of the application is walked."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.routing import APIRoute, APIWebSocketRoute

from gateway.access import OPEN_PATHS, Action, Actor, Kind, Resource, Scope, authorize, declared
from gateway.app import create_app
from gateway.errors import Unauthenticated
from gateway.tokens import Tokens
from plugmesh.errors import Unauthorized
from plugmesh.token_file import JOIN_TOKEN, TOKEN
from tests.integration.gateway.house import URL, House


class Guarded:
    """A house whose callers must show a token."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.folder = folder
        self.tokens = Tokens(folder, house.gateway.settings, house.runtime)
        self.app: Any = create_app(house.gateway, house.hub, tokens=self.tokens)
        self.token = (folder / TOKEN).read_text().strip()
        self.join_token = (folder / JOIN_TOKEN).read_text().strip()

    def client(self, token: str | None = None, **headers: str) -> httpx2.AsyncClient:
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app), base_url=URL, headers=headers)


@pytest.fixture
def guarded(house: House, tmp_path: Path) -> Guarded:
    return Guarded(house, tmp_path)


def routes_of(app: Any) -> list[tuple[str, str]]:
    """Every method and path, with names filled in."""
    found = []
    for route in app.routes:
        assert isinstance(route, APIRoute | APIWebSocketRoute), f"{route!r} is no declared route"
        path = re.sub(r"\{(\w+)(:\w+)?\}", r"\1-x", route.path)
        methods = sorted({"HEAD"} | (route.methods or set())) if isinstance(route, APIRoute) else ["GET"]
        found += [(method, path) for method in methods]
    return found


async def test_every_route_and_everything_else_is_closed_without_a_token(guarded: Guarded) -> None:
    asked = routes_of(guarded.app)
    assert len(asked) > 20
    async with guarded.client() as nobody, guarded.client(token="x" * 43) as stranger:
        for method, path in [*asked, ("GET", "/"), ("GET", "/api/v1/nothing"), ("TRACE", "/api/v1/runs")]:
            if path in OPEN_PATHS:
                continue
            for client in (nobody, stranger):
                answer = await client.request(method, path)
                assert answer.status_code == 401, (method, path)
                assert answer.headers["www-authenticate"] == "Bearer"


async def test_what_is_open_to_all_is_declared_so_and_nothing_else_is(guarded: Guarded) -> None:
    for_all = {
        route.path
        for route in guarded.app.routes
        if (access := declared(route.endpoint)) and access.action in {Action.PING, Action.SIGN_IN}
    }
    assert for_all == OPEN_PATHS
    assert all(declared(route.endpoint) for route in guarded.app.routes)


async def test_without_a_token_health_says_only_that_it_is_alive(guarded: Guarded) -> None:
    async with guarded.client() as nobody:
        assert (await nobody.get("/healthz")).json() == {"alive": True}
        assert (await nobody.get("/readyz")).status_code == 401
    async with guarded.client(guarded.token) as owner:
        assert (await owner.get("/healthz")).json()["service"] == "plugmesh"


async def test_the_token_opens_everything(guarded: Guarded) -> None:
    async with guarded.client(guarded.token) as owner:
        for path in ("/api/v1/runs", "/readyz", "/metrics", "/api/v1/settings", "/api/v1/openapi.json"):
            assert (await owner.get(path)).status_code == 200
    async with guarded.client(authorization=f"bearer   {guarded.token} ") as owner:
        assert (await owner.get("/api/v1/runs")).status_code == 200


async def test_a_join_token_calls_no_route_of_the_api(guarded: Guarded) -> None:
    async with guarded.client(guarded.join_token) as module:
        for method, path in routes_of(guarded.app):
            if path in OPEN_PATHS or path.endswith("/mesh") or "/mesh/object" in path:  # see test_objects.py
                continue
            answer = await module.request(method, path)
            assert answer.status_code in ({403, 405} if method == "HEAD" else {403}), (method, path)


@pytest.mark.parametrize("header", ["", "Bearer", "Basic eA==", "Bearer \xff\xfe", "Token x"])
async def test_other_kinds_of_credentials_are_none(guarded: Guarded, header: str) -> None:
    async with guarded.client() as client:
        answer = await client.get("/api/v1/runs", headers=[(b"authorization", header.encode("latin-1"))])
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_two_tokens_or_two_hosts_are_a_trick(guarded: Guarded) -> None:
    async with guarded.client() as client:
        for name in ("authorization", "host", "origin", "cookie"):
            answer = await client.get("/healthz", headers=[(name, "a"), (name, "b")])
            assert (answer.status_code, answer.json()["code"]) == (403, "host-refused")


def test_authorize_asks_who_what_and_where() -> None:
    for scope in (Scope.LOCAL, Scope.TOKEN, Scope.SESSION):
        authorize(Actor("x", scope), Action.WRITE, Resource(Kind.FLOW, "sales", "daily"))
    join, nobody = Actor("join", Scope.JOIN), Actor("nobody", Scope.NOBODY)
    authorize(join, Action.JOIN, Resource(Kind.MESH))
    authorize(nobody, Action.PING, Resource(Kind.HEALTH))
    with pytest.raises(Unauthorized, match="write flow 'daily'") as refused:
        authorize(join, Action.WRITE, Resource(Kind.FLOW, "sales", "daily"))
    assert refused.value.code == "unauthorized"
    with pytest.raises(Unauthenticated, match="PLUGMESH_TOKEN"):
        authorize(nobody, Action.JOIN, Resource(Kind.MESH))


async def test_routes_name_the_thing_and_its_namespace(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, Resource]] = []

    def note(actor: Actor, action: Action, resource: Resource) -> None:
        asked.append((actor.name, resource))

    monkeypatch.setattr("gateway.routing.authorize", note)
    async with guarded.client(guarded.token) as owner:
        await owner.get("/api/v1/runs/run-9/steps/a?limit=1")
        await owner.get("/api/v1/files/x.csv?namespace=sales")
        await owner.get("/api/v1/runs")
    assert asked == [
        ("token", Resource(Kind.RUN, "default", "run-9")),
        ("token", Resource(Kind.FILE, "sales", "x.csv")),
        ("token", Resource(Kind.RUN)),
    ]


async def test_no_secret_is_in_an_answer_or_a_log(guarded: Guarded, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = (guarded.token, guarded.join_token)
    texts: list[str] = []
    async with guarded.client(guarded.token) as owner, guarded.client(guarded.join_token) as module:
        for client in (owner, module):
            for method, path in routes_of(guarded.app):
                if path.endswith(("/mesh", "/events")) and method == "GET":
                    continue
                texts.append((await client.request(method, path)).text)
        for body in ({"token": guarded.token, "more": 1}, {"token": [guarded.token]}, [guarded.token]):
            said = await owner.post("/api/v1/session", json=body)
            texts.append(said.text)
        answer = await owner.post("/api/v1/session", json={"token": guarded.token})
        cookie = answer.headers["set-cookie"].partition(";")[0].partition("=")[2]
    async with guarded.client(guarded.token[:-1] + "!") as wrong:
        texts.append((await wrong.get("/api/v1/runs")).text)
        texts.append((await wrong.post("/api/v1/session", json={"token": guarded.token[:-1]})).text)
    for secret in (*secrets, cookie, guarded.token[:-1]):
        assert all(secret not in text for text in texts)
        assert secret not in caplog.text
