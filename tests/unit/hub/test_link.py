"""The client's side: what it does when the hub refuses, goes away, or answers nonsense."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from plugmesh.bus.embedded import HubBus, LinkBus
from plugmesh.bus.open import open_bus
from plugmesh.conformance.bus import Inbox, handed_over, listen
from plugmesh.conformance.discovery import Book
from plugmesh.conformance.waiting import wait_until
from plugmesh.contracts.instance import Registration
from plugmesh.discovery.embedded import LinkDiscovery
from plugmesh.discovery.open import open_discovery
from plugmesh.errors import ConfigurationError, InvalidMessage, NotReachable, ProtocolMismatch
from plugmesh.hub.link import HubLink
from plugmesh.hub.pipe import PipeEnd, pipe
from plugmesh.hub.transport import Transport
from plugmesh.hub.websocket import link_url
from plugmesh.join import join
from plugmesh.runtime import SystemRuntime
from tests.conformance.hub_servers import PipeServer


class Scripted:
    """A hub that says one thing."""

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.runtime = SystemRuntime()
        self.dialled = 0

    async def dial(self) -> Transport:
        self.dialled += 1
        near, far = pipe()
        self.runtime.spawn(self._serve(far), "scripted")
        return near

    async def _serve(self, end: PipeEnd) -> None:
        await end.receive()
        await end.send(self.answer)


@pytest.mark.parametrize(
    "answer",
    [
        'refuse {"code":"protocol-mismatch","message":"this message speaks protocol 2.0"}',
        'welcome {"v":"2.0","boot":"b","mesh":"m","objects":"o"}',
    ],
)
async def test_a_newer_major_version_is_an_error_to_whoever_waits(answer: str) -> None:
    hub = Scripted(answer)
    with pytest.raises(ProtocolMismatch, match="protocol") as refused:
        await join("http://127.0.0.1:1", hub.runtime, connect=hub.dial)
    assert refused.value.code == "protocol-mismatch"
    assert hub.dialled == 1


@pytest.mark.parametrize("answer", ["HTTP/1.1 200 OK", "welcome {}", 'refuse {"code":"new","message":"later"}'])
async def test_other_answers_are_tried_again_until_the_time_is_up(answer: str) -> None:
    hub = Scripted(answer)
    with pytest.raises(NotReachable):
        await join("http://127.0.0.1:1", hub.runtime, connect=hub.dial, timeout_s=0.3)
    assert hub.dialled > 1


async def test_a_mesh_that_is_not_there_is_named_with_what_to_do(free_port: Callable[[], int]) -> None:
    with pytest.raises(NotReachable, match="plugmesh up"):
        await join(f"http://127.0.0.1:{free_port()}", SystemRuntime(), timeout_s=0.2)


@pytest.mark.parametrize("url", ["127.0.0.1:8720", "ftp://host", "http://", ""])
async def test_what_is_no_address_of_a_mesh_is_refused_at_once(url: str) -> None:
    with pytest.raises(ConfigurationError, match="PLUGMESH_URL"):
        await join(url, SystemRuntime())


def test_the_link_lies_under_the_address_of_the_mesh() -> None:
    assert link_url("http://127.0.0.1:8720") == "ws://127.0.0.1:8720/api/v1/mesh"
    assert link_url("https://mesh.example/base/") == "wss://mesh.example/base/api/v1/mesh"


def test_an_unknown_scheme_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="embedded"):
        open_bus("carrier-pigeon://loft", SystemRuntime())
    with pytest.raises(ConfigurationError, match="embedded"):
        open_discovery("carrier-pigeon://loft", SystemRuntime())
    with pytest.raises(ConfigurationError, match="join"):
        open_bus("embedded://", SystemRuntime())


async def test_joining_gives_the_drivers_that_the_mesh_names() -> None:
    server = PipeServer()
    joined = await join("http://127.0.0.1:1", server.runtime, connect=server.dial)
    assert isinstance(joined.bus, LinkBus)
    assert isinstance(joined.discovery, LinkDiscovery)
    assert (joined.mesh, joined.objects_url) == ("test", "file:///nowhere")
    await joined.close()
    await server.close()


async def test_listeners_hear_of_each_loss_and_return() -> None:
    server = PipeServer()
    link = HubLink(server.dial, server.runtime)
    heard: list[bool] = []
    link.listen(heard.append)
    link.start()
    await link.up()
    await server.interrupt()
    await wait_until(lambda: len(heard) == 3)
    await link.close()
    assert heard == [True, False, True, False]
    await server.close()


async def test_closing_hands_unacknowledged_messages_back_to_the_caller() -> None:
    server = PipeServer()
    bus = LinkBus(await server.link())
    published = asyncio.ensure_future(bus.publish("results", 0, b"1"))
    await handed_over(bus, "results", 0)
    await bus.close()
    with pytest.raises(NotReachable, match="not acknowledged"):
        await published
    with pytest.raises(NotReachable):
        await bus.publish("results", 0, b"2")
    await server.close()


async def test_a_sender_that_gives_up_is_not_sent_again() -> None:
    server, inbox = PipeServer(), Inbox()
    bus = LinkBus(await server.link())
    await server.hub.close()
    await server.interrupt()
    given_up = asyncio.ensure_future(bus.publish("results", 0, b"1"))
    await asyncio.sleep(0)
    given_up.cancel()
    await server.restart()
    kept = asyncio.ensure_future(bus.publish("results", 0, b"2"))
    HubBus(server.hub).subscribe("results", [0], inbox, "")
    await kept
    assert inbox.messages == [b"2"]
    await server.close()


async def test_a_message_with_a_newline_is_refused() -> None:
    server = PipeServer()
    for bus in (LinkBus(await server.link()), HubBus(server.hub)):
        with pytest.raises(InvalidMessage, match="newline"):
            await bus.publish("results", 0, b'{"a":\n1}')
        with pytest.raises(InvalidMessage, match="partition"):
            await bus.publish("results", -1, b"{}")
    await server.close()


async def test_a_reader_that_lost_its_link_gets_what_arrived_meanwhile() -> None:
    server, inbox = PipeServer(), Inbox()
    reader, writer = LinkBus(await server.link()), HubBus(server.hub)
    await listen(reader, "results", [0], inbox)
    await server.interrupt()
    await writer.publish("results", 0, b"while it was away")
    assert inbox.distinct == [b"while it was away"]
    await server.close()


async def test_registering_while_the_hub_is_away_waits_for_it() -> None:
    server = PipeServer()
    discovery = LinkDiscovery(await server.link(), server.runtime)
    await server.hub.close()
    await server.interrupt()
    book = Book()
    registering = asyncio.ensure_future(
        discovery.register(Registration(instance="i-1", host="h", partition=0, offers=()))
    )
    await asyncio.sleep(0.01)
    assert not registering.done()
    await server.restart()
    server.hub.directory.watch(book)
    await registering
    assert set(book.entries) == {"i-1"}
    await server.close()


async def test_a_watcher_learns_who_left_while_its_link_was_lost() -> None:
    server = PipeServer()
    link = await server.link()
    discovery = LinkDiscovery(link, server.runtime)
    told: list[tuple[str, bool]] = []
    discovery.watch(lambda instance, entry: told.append((instance, entry is not None)))
    await server.hub.directory.register(Registration(instance="i-1", host="h", partition=0, offers=()))
    await wait_until(lambda: told)
    await server.interrupt()
    await server.hub.directory.deregister("i-1")
    await wait_until(lambda: told[-1] == ("i-1", False))
    await server.close()


async def test_a_watcher_keeps_what_it_knew_when_the_hub_starts_anew() -> None:
    server = PipeServer()
    discovery = LinkDiscovery(await server.link(), server.runtime)
    told: list[tuple[str, bool]] = []
    discovery.watch(lambda instance, entry: told.append((instance, entry is not None)))
    await server.hub.directory.register(Registration(instance="i-1", host="h", partition=0, offers=()))
    await wait_until(lambda: told)
    await server.restart()
    await server.hub.directory.register(Registration(instance="i-2", host="h", partition=0, offers=()))
    await wait_until(lambda: ("i-2", True) in told)
    assert ("i-1", False) not in told
    await server.close()
