"""What happens to a real Consul, and that nobody is told that anybody left."""

from __future__ import annotations

from functools import partial

import pytest

from plugmesh.conformance.discovery import Book, registration
from plugmesh.contracts.instance import Beat
from plugmesh.discovery.consul.discovery import ConsulDiscovery
from plugmesh.discovery.consul.entry import service_id
from plugmesh.errors import NotReachable
from registry.liveness import Liveness, judge
from tests.integration.discovery.conftest import Site
from tests.servers import OwnServer
from tests.waiting import wait_until


async def test_while_consul_is_away_the_last_known_list_stays(site: Site) -> None:
    process, book = site.open(), site.watch()
    await process.register(registration())
    await wait_until(lambda: "i-1" in book.entries)
    site.proxy.refuse()
    said = len(book.told)
    await process.beat(Beat(instance="i-1", running=5))
    with pytest.raises(NotReachable, match="setting `discovery`"):
        await process.register(registration("i-2"))
    await process.deregister("i-3")
    assert book.told[said:] == []
    site.proxy.listen()
    await wait_until(lambda: book.entries["i-1"].running == 5)
    assert [instance for instance, entry in book.told if entry is None] == []


async def test_a_new_watcher_is_told_as_soon_as_consul_is_there(site: Site) -> None:
    await site.open().register(registration())
    site.proxy.refuse()
    book = site.watch()
    site.proxy.listen()
    await wait_until(lambda: "i-1" in book.entries)


async def test_connections_on_which_nothing_arrives_any_more_are_given_up(site: Site) -> None:
    process, book = site.open(), site.watch()
    await process.register(registration())
    await wait_until(lambda: "i-1" in book.entries)
    site.proxy.freeze()
    await process.beat(Beat(instance="i-1", running=7))
    before = site.proxy.connections
    await wait_until(lambda: site.proxy.connections > before, within_s=30)
    site.proxy.thaw()
    await wait_until(lambda: book.entries["i-1"].running == 7, within_s=30)
    assert ("i-1", None) not in book.told


async def test_a_slow_consul_only_makes_news_late(site: Site) -> None:
    site.proxy.delay_s = 0.5
    process, book = site.open(), site.watch()
    await process.register(registration())
    await process.beat(Beat(instance="i-1", draining=True))
    await wait_until(lambda: "i-1" in book.entries and book.entries["i-1"].draining, within_s=30)


def _verdict(process: ConsulDiscovery, book: Book) -> Liveness:
    return judge(book.entries["i-1"], process._runtime.now())


def _runs(book: Book, running: int) -> bool:
    return book.entries["i-1"].running == running


async def test_flapping_is_harmless(site: Site) -> None:
    process, book = site.open(), site.watch()
    await process.register(registration())
    await wait_until(lambda: "i-1" in book.entries)
    for running in range(1, 5):
        site.proxy.refuse()
        await process.beat(Beat(instance="i-1", running=running, draining=bool(running % 2)))
        site.proxy.listen()
        await wait_until(partial(_runs, book, running), within_s=20)
    assert ("i-1", None) not in book.told


async def test_an_agent_that_was_started_anew_knows_everybody_within_a_beat(own_site: tuple[Site, OwnServer]) -> None:
    site, server = own_site
    process, book = site.open(), site.watch()
    await process.register(registration())
    await process.beat(Beat(instance="i-1", draining=True))
    await wait_until(lambda: "i-1" in book.entries and book.entries["i-1"].draining)
    server.stop(wipe=True)
    server.start()
    site.proxy.target = ("127.0.0.1", server.port)
    new = Book()
    site.open().watch(new)
    await wait_until(lambda: "i-1" in new.entries and new.entries["i-1"].draining, within_s=20)
    assert ("i-1", None) not in book.told
    assert _verdict(process, book) is Liveness.ALIVE


async def test_a_server_that_is_killed_and_comes_back_changes_nothing(own_site: tuple[Site, OwnServer]) -> None:
    site, server = own_site
    process, book = site.open(), site.watch()
    await process.register(registration())
    await wait_until(lambda: "i-1" in book.entries)
    server.kill()
    await process.beat(Beat(instance="i-1", running=3))
    server.start()
    site.proxy.target = ("127.0.0.1", server.port)
    await wait_until(lambda: book.entries["i-1"].running == 3, within_s=30)
    assert ("i-1", None) not in book.told


async def test_an_instance_in_maintenance_gets_no_new_work_however_busy_it_is(site: Site) -> None:
    process, book = site.open(), site.watch()
    await process.register(registration())
    await wait_until(lambda: "i-1" in book.entries)
    site.consul.agent.service.maintenance(service_id(site.mesh, "i-1"), "true", "looked at by a person")
    for running in range(1, 4):
        await process.beat(Beat(instance="i-1", running=running))
        await wait_until(partial(_runs, book, running))
    await wait_until(lambda: _verdict(process, book) is Liveness.SUSPECT)
    site.consul.agent.service.maintenance(service_id(site.mesh, "i-1"), "false")
    await wait_until(lambda: _verdict(process, book) is Liveness.ALIVE)


async def test_an_instance_without_signs_of_life_is_suspect_and_then_dead_and_then_back(site: Site) -> None:
    process, book = site.open(), site.watch()
    await process.register(registration())
    await wait_until(lambda: "i-1" in book.entries)
    assert _verdict(process, book) is Liveness.ALIVE
    await process.close()
    await wait_until(lambda: _verdict(process, book) is Liveness.SUSPECT, within_s=40)
    await wait_until(lambda: _verdict(process, book) is Liveness.DEAD, within_s=40)
    await site.open().register(registration())
    await wait_until(lambda: _verdict(process, book) is Liveness.ALIVE)
    assert ("i-1", None) not in book.told
