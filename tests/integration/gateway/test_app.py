"""Who may call, health, metrics, and what every answer has in common."""

from __future__ import annotations

import platform

import httpx2
import pytest
from prometheus_client import CollectorRegistry

from gateway.access import Action, Actor, Kind, Resource, Scope, authorize
from gateway.app import create_app
from gateway.routing import check_declared
from plugmesh import __version__
from plugmesh.errors import ConfigurationError, Unauthorized
from plugmesh.figures import amount
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import FLOW, URL, House, contract_of


@pytest.fixture
def settings() -> Settings:
    hosts = ("localhost", "127.0.0.1", "[::1]", "mesh.example")
    return Settings(allowed_hosts=hosts, allowed_origins=("https://design.example",))


@pytest.mark.parametrize("host", ["127.0.0.1:8720", "localhost", "LOCALHOST:1", "[::1]:8720", "mesh.example:80"])
async def test_the_gateway_answers_to_its_names(house: House, host: str) -> None:
    assert (await house.client.get("/healthz", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "[::2]:8720", "localhost.evil:80"])
async def test_a_foreign_name_that_leads_here_is_refused(house: House, host: str) -> None:
    for path in ("/healthz", "/api/v1/runs", "/nothing"):
        answer = await house.client.get(path, headers={"host": host})
        assert (answer.status_code, answer.json()["code"]) == (403, "host-refused")


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (URL, 202),
        ("https://design.example", 202),
        ("http://evil.example", 403),
        ("http://127.0.0.1:3000", 403),
        ("null", 403),
    ],
)
async def test_only_pages_of_this_gateway_may_submit(house: House, origin: str, status: int) -> None:
    answer = await house.client.post("/api/v1/runs", json={"flow": FLOW}, headers={"origin": origin})
    assert answer.status_code == status


async def test_health_says_what_runs_here(house: House) -> None:
    health = (await house.client.get("/healthz")).json()
    assert (health["service"], health["version"]) == ("plugmesh", __version__)
    assert (health["python"], health["architecture"]) == (platform.python_version(), platform.machine())


async def test_ready_asks_every_part(house: House) -> None:
    async def fine() -> str | None:
        return None

    async def not_yet() -> str | None:
        return "no shard yet"

    async def broken() -> str | None:
        raise RuntimeError("oh")

    async def ask(**checks: object) -> httpx2.Response:
        app = create_app(house.gateway, checks=checks)  # type: ignore[arg-type]
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=URL) as client:
            return await client.get("/readyz")

    answer = await ask(registry=fine)
    assert (answer.status_code, answer.json()["checks"]) == (200, {"state": "ok", "registry": "ok"})
    answer = await ask(scheduler=not_yet, registry=broken)
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"state": "ok", "scheduler": "no shard yet", "registry": "RuntimeError: oh"}


async def test_metrics_count_runs_requests_instances_and_links(house: House) -> None:
    await house.plug_in(contract_of())
    run = await house.submit()
    await house.intake.advance(run, "failed")
    registry = CollectorRegistry()
    extra = amount("plugmesh_extra", "Something else", 7)
    app = create_app(house.gateway, house.hub, metrics=registry, figures=[lambda: [extra]])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=URL) as client:
        await client.get(f"/api/v1/runs/{run}")
        text = (await client.get("/metrics")).text
    for line in (
        "plugmesh_runs_submitted_total 1.0",
        'plugmesh_runs_ended_total{state="failed"} 1.0',
        'plugmesh_instances{liveness="alive"} 1.0',
        "plugmesh_hub_links 0.0",
        "plugmesh_extra 7.0",
        'plugmesh_http_requests_total{method="GET",route="/api/v1/runs/{run}",status="200"} 1.0',
    ):
        assert line in text.splitlines()


async def test_paths_and_methods_that_are_not_there_are_problems(house: House) -> None:
    for method, path, status in (
        ("GET", "/api/v1/nothing", 404),
        ("DELETE", "/api/v1/runs", 405),
        ("GET", "/docs", 404),
        ("GET", "/openapi.json", 404),
    ):
        answer = await house.client.request(method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status


async def test_what_nobody_expected_is_a_problem_without_its_details(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(house.gateway.modules, "all", fail)
    answer = await house.client.get("/api/v1/modules")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text


async def test_an_app_with_a_route_that_declares_no_access_is_refused(house: House) -> None:
    app = create_app(house.gateway)
    check_declared(app)

    async def open_to_all() -> None:
        return None

    app.add_api_route("/open", open_to_all)
    with pytest.raises(ConfigurationError, match="/open"):
        check_declared(app)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=URL) as client:
        assert (await client.get("/open")).status_code == 403


async def test_nobody_but_the_local_person_may_anything() -> None:
    authorize(Actor(), Action.READ, Resource(Kind.RUN))
    with pytest.raises(Unauthorized):
        authorize(Actor("stranger", Scope.JOIN), Action.READ, Resource(Kind.RUN))


async def test_the_api_describes_itself(house: House) -> None:
    document = (await house.client.get("/api/v1/openapi.json")).json()
    assert "/api/v1/runs/{run}/steps/{step}/outputs/{port}/download" in document["paths"]
    submit = document["paths"]["/api/v1/runs"]["post"]
    body = submit["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert "flow" in document["components"]["schemas"][body]["properties"]
