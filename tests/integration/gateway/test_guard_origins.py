"""Which names and web pages a gateway answers to, also behind a proxy and after a change of settings."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from gateway.errors import HostRefused
from gateway.origins import Names
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import House

PROXY, ELSEWHERE = ("10.9.0.1", 5000), ("10.8.0.1", 5000)


def check(names: Names, host: str, origin: str | None = None, **scope: Any) -> None:
    full = {"type": "http", "scheme": "http", "server": ("127.0.0.1", 8720), "client": ELSEWHERE, **scope}
    proto = full.pop("proto", None)
    names.check(full, names.scheme(full, proto), host.encode(), None if origin is None else origin.encode())


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "right"),
    [
        ("http://localhost:8720", "localhost:8720", "http", True),
        ("http://LOCALHOST:8720", "localhost:8720", "http", True),
        ("https://localhost:8720", "localhost:8720", "http", False),
        ("http://localhost:8720", "localhost:8720", "https", False),
        ("https://localhost:8720", "localhost:8720", "https", True),
        ("https://localhost", "localhost:443", "https", True),
        ("https://localhost:443", "localhost", "https", True),
        ("http://localhost", "localhost:80", "http", True),
        ("http://localhost:443", "localhost", "http", False),
        ("http://localhost", "localhost:8720", "http", False),
        ("http://127.0.0.1:8720", "localhost:8720", "http", False),
        ("http://user@localhost:8720", "localhost:8720", "http", False),
        ("ws://localhost:8720", "localhost:8720", "http", False),
        ("null", "localhost:8720", "http", False),
        ("", "localhost:8720", "http", False),
        ("http://localhost:8720", "localhost:8720", "ws", True),
        ("https://localhost:8720", "localhost:8720", "ws", False),
    ],
)
def test_a_page_may_call_only_where_it_came_from_exactly(origin: str, host: str, scheme: str, right: bool) -> None:
    names = Names(Settings())
    if right:
        check(names, host, origin, scheme=scheme)
    else:
        with pytest.raises(HostRefused, match="allowed_origins"):
            check(names, host, origin, scheme=scheme)


def test_only_a_trusted_proxy_may_say_that_the_browser_came_by_https() -> None:
    names = Names(Settings(allowed_hosts=("mesh.example",), trusted_proxies=("10.9.0.0/16",)))
    page = "https://mesh.example"
    check(names, "mesh.example", page, client=PROXY, proto=b"https")
    check(names, "mesh.example", page, client=PROXY, proto=b"http, https")
    for client, proto in ((ELSEWHERE, b"https"), (PROXY, b"http"), (PROXY, b"gopher"), (PROXY, None), (None, b"https")):
        with pytest.raises(HostRefused):
            check(names, "mesh.example", page, client=client, proto=proto)


def test_the_address_that_it_was_reached_by_is_a_name_of_the_gateway_and_a_made_up_one_is_not() -> None:
    names = Names(Settings(host="0.0.0.0"))
    check(names, "192.168.7.4:8720", server=("192.168.7.4", 8720))
    check(names, "[fd00::7]:8720", server=("fd00::7", 8720))
    for host, server in (("192.168.7.5", "192.168.7.4"), ("evil.example", "evil.example")):
        with pytest.raises(HostRefused, match="allowed_hosts"):
            check(names, host, server=(server, 8720))


async def test_names_and_pages_change_while_the_gateway_runs(house: House) -> None:
    async def status(host: str, **headers: str) -> int:
        return (await house.client.get("/healthz", headers={"host": host, **headers})).status_code

    assert await status("mesh.example") == 403
    house.gateway.settings.change("allowed_hosts", ["localhost", "mesh.example"])
    assert (await status("mesh.example"), await status("127.0.0.2")) == (200, 403)
    assert await status("mesh.example", origin="https://a.example") == 403
    house.gateway.settings.change("allowed_origins", "https://a.example")
    assert await status("mesh.example", origin="https://a.example") == 200


@pytest.mark.parametrize("key", ["limt", "LIMIT", "%6cimt", "limit[]"])
async def test_an_unknown_query_key_is_answered_with_the_nearest_right_one(house: House, key: str) -> None:
    answer = await house.client.get(f"/api/v1/runs?{key}=5")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
    assert "'limit'" in answer.json()["detail"]


async def test_a_known_query_key_may_be_written_in_any_way_and_a_route_without_keys_says_so(house: House) -> None:
    assert (await house.client.get("/api/v1/runs?%6cimit=5&&")).status_code == 200
    answer = await house.client.get("/healthz?verbose=1")
    assert (answer.status_code, "takes none" in answer.json()["detail"]) == (400, True)


async def test_whatever_can_be_got_can_be_asked_for_with_head(house: House) -> None:
    await house.client.put("/api/v1/files/x.bin", content=b"12345")
    for path in ("/healthz", "/api/v1/runs", "/api/v1/files/x.bin", "/metrics"):
        whole, head = await house.client.get(path), await house.client.head(path)
        assert (head.status_code, head.content) == (whole.status_code, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]
    assert (await house.client.head("/api/v1/files/x.bin")).headers["content-length"] == "5"
    assert (await house.client.head("/api/v1/runs/none")).status_code == 404
    assert (await house.client.head("/api/v1/validate")).status_code == 405
    run = await house.submit()
    assert (await house.client.head(f"/api/v1/runs/{run}/events")).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_no_route_takes_what_a_page_can_send_without_asking(house: House, kind: str) -> None:
    for route in house.app.routes:
        for method in getattr(route, "methods", set()) & {"POST", "PUT", "PATCH", "DELETE"}:
            path = route.path_format.replace("{", "").replace("}", "")
            answer = await house.client.request(method, path, content=b"{}", headers={"content-type": kind})
            assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type"), (method, path)


async def test_a_body_says_what_it_is(house: House) -> None:
    async def send(kind: str | None, content: bytes = b"{}") -> httpx2.Response:
        headers = {} if kind is None else {"content-type": kind}
        return await house.client.post("/api/v1/runs", content=content, headers=headers)

    for kind in ("application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'):
        assert (await send(kind)).status_code == 422, kind
    for other in (None, "", ";", "application/jsonp", "application/json; charset=latin-1"):
        answer = await send(other)
        assert answer.status_code == 415, other
    assert "Content-Type" in (await send(None)).json()["detail"]
    assert (await send(None, b"")).status_code == 400  # no body, no kind


async def test_a_file_may_be_of_any_kind_but_those_and_need_not_say(house: House) -> None:
    for kind in (None, "application/octet-stream", "text/csv", "image/png"):
        said = {} if kind is None else {"content-type": kind}
        assert (await house.client.put("/api/v1/files/f", content=b"x", headers=said)).status_code == 201
