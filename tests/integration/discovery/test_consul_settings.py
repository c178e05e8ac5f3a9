"""Settings that a real Consul does not take."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from plugmesh.conformance.discovery import Book, registration
from plugmesh.discovery.consul.discovery import ConsulDiscovery
from plugmesh.errors import ConfigurationError, NotReachable, Unauthorized
from plugmesh.runtime import SystemRuntime
from tests.integration.discovery.conftest import Site
from tests.servers import OwnServer
from tests.waiting import wait_until

MANUAL = """
service "plugmesh" { policy = "write" }
key_prefix "plugmesh/own/" { policy = "write" }
session_prefix "" { policy = "write" }
node_prefix "" { policy = "read" }
"""
NOTHING_ELSE = """
service_prefix "" { policy = "deny" }
key_prefix "" { policy = "deny" }
agent_prefix "" { policy = "deny" }
operator = "deny"
"""


async def refusal(url: str) -> str:
    """What checking and registering at `url` say; both must say the same."""
    said = []
    for attempt in ("check", "register"):
        discovery = ConsulDiscovery(url, SystemRuntime())
        try:
            with pytest.raises((ConfigurationError, Unauthorized, NotReachable)) as caught:
                await (discovery.check() if attempt == "check" else discovery.register(registration()))
            said.append((caught.type, str(caught.value)))
        finally:
            await discovery.close()
    assert said[0][0] is said[1][0]
    assert "setting `discovery`" in said[0][1]
    return f"{said[0][0].__name__}: {said[0][1]}"


@pytest.fixture
def token(own_site: tuple[Site, OwnServer]) -> Callable[[str], str]:
    """Makes a token with these rules."""
    site, server = own_site
    master = server.urls["PLUGMESH_TEST_CONSUL_TOKEN"]

    def make(rules: str) -> str:
        name = f"rules-{secrets.token_hex(4)}"
        path, body = "/v1/acl/policy", json.dumps({"Name": name, "Rules": rules})
        site.consul.http.put(lambda answer: answer, path, headers={"X-Consul-Token": master}, data=body)
        made: dict[str, Any] = site.consul.acl.token.create(policies_name=[name], token=master)
        return str(made["SecretID"])

    return make


async def test_a_wrong_token_is_said_without_the_token(own_site: tuple[Site, OwnServer]) -> None:
    site, _ = own_site
    wrong = "12345678-1234-1234-1234-123456789abc"
    said = await refusal(f"consul://:{wrong}@127.0.0.1:{site.proxy.port}/own")
    assert said.startswith("Unauthorized")
    assert wrong not in said


async def test_a_token_that_may_not_write_is_refused(
    own_site: tuple[Site, OwnServer], token: Callable[[str], str]
) -> None:
    site, _ = own_site
    reader = token(MANUAL.replace("write", "read"))
    said = await refusal(f"consul://:{reader}@127.0.0.1:{site.proxy.port}/own")
    assert said.startswith("Unauthorized")


async def test_a_token_with_the_rules_of_the_manual_is_enough(
    own_site: tuple[Site, OwnServer], token: Callable[[str], str]
) -> None:
    site, _ = own_site
    url, book = f"consul://:{token(MANUAL + NOTHING_ELSE)}@127.0.0.1:{site.proxy.port}/own", Book()
    process = site.open(url)
    await process.check()
    process.watch(book)
    await process.register(registration())
    await wait_until(lambda: "i-1" in book.entries)
    await process.deregister("i-1")
    await wait_until(lambda: "i-1" not in book.entries)


async def test_a_datacenter_that_is_not_there_is_named(site: Site) -> None:
    said = await refusal(f"{site.url}?datacenter=atlantis")
    assert said.startswith("ConfigurationError")
    assert "'atlantis'" in said


async def test_tls_where_there_is_none_is_named(site: Site) -> None:
    said = await refusal(f"{site.url}?tls=true")
    assert said.startswith("ConfigurationError")
    assert "tls" in said


async def test_nobody_at_the_address_is_an_outage(site: Site) -> None:
    site.proxy.refuse()
    said = await refusal(site.url)
    assert said.startswith("NotReachable")
    assert "refused" in said


@pytest.fixture
async def web_server() -> AsyncIterator[str]:
    """It answers everything, and is no Consul."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_a_server_that_is_no_consul_is_said_to_be_none(web_server: str) -> None:
    said = await refusal(f"consul://:s3cret@{web_server}/m")
    assert said.startswith("ConfigurationError")
    assert "no Consul" in said
    assert "s3cret" not in said


async def test_a_watch_with_a_wrong_setting_says_so_in_the_log(
    web_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    discovery = ConsulDiscovery(f"consul://{web_server}/m", SystemRuntime())
    discovery.watch(lambda instance, entry: None)
    await wait_until(lambda: "setting `discovery`" in caplog.text)
    await discovery.close()
