"""What stands in a real Consul, for Plugmesh and for other tools."""

from __future__ import annotations

from plugmesh.conformance.discovery import registration
from plugmesh.contracts.instance import Beat, Offer, Registration
from plugmesh.discovery.consul.entry import Page, key, service_id
from tests.integration.discovery.conftest import Site
from tests.waiting import wait_until


async def test_another_tool_can_read_who_is_there(site: Site) -> None:
    await site.open().register(registration(slots=4))
    _, (row,) = site.consul.health.service("plugmesh", tag=f"mesh={site.mesh}", passing=True)
    assert "demo.echo@1.0.0" in row["Service"]["Tags"]
    assert row["Service"]["Meta"]["instance"] == "i-1"
    assert row["Service"]["Meta"]["slots"] == "4"


async def test_a_registration_is_visible_to_whoever_asks_when_register_returns(site: Site) -> None:
    process = site.open()
    for slots in range(1, 6):
        await process.register(registration(slots=slots))
        _, (row,) = site.consul.health.service("plugmesh", tag=f"mesh={site.mesh}")
        assert row["Service"]["Meta"]["slots"] == str(slots)


async def test_an_instance_of_five_hundred_modules_is_told_whole(site: Site) -> None:
    digest = "sha256:" + "0" * 64
    offers = tuple(Offer(name=f"crowd.module_{n}", version="1.0.0", digest=digest) for n in range(500))
    wide = Registration(instance="i-1", host="h", partition=0, offers=offers, labels={"ü" * 300: "x" * 900})
    book = site.watch()
    await site.open().register(wide)
    await wait_until(lambda: "i-1" in book.entries)
    assert book.entries["i-1"].registration == wide


async def test_nothing_of_an_instance_stays_when_it_has_left(site: Site) -> None:
    process = site.open()
    await process.register(registration("i-1"))
    await process.register(registration("i-2"))
    await process.deregister("i-1")
    assert site.consul.kv.get(key(site.mesh, "i-1"))[1] is None
    assert service_id(site.mesh, "i-1") not in site.consul.agent.services()
    await process.deregister("i-2")
    assert site.consul.kv.get(f"plugmesh/{site.mesh}/", recurse=True)[1] is None
    assert not [one for one in site.consul.session.list()[1] if one["Name"] == f"plugmesh {site.mesh}"]


async def test_the_document_goes_some_time_after_its_process(site: Site) -> None:
    await site.open().register(registration())
    _, item = site.consul.kv.get(key(site.mesh, "i-1"))
    _, session = site.consul.session.info(item["Session"])
    assert (session["Behavior"], session["TTL"], session["NodeChecks"] or []) == ("delete", "600s", [])


async def test_an_instance_that_its_agent_has_forgotten_is_back_within_a_beat_and_nobody_heard_it_leave(
    site: Site,
) -> None:
    book = site.watch()
    await site.open().register(registration())
    await wait_until(lambda: "i-1" in book.entries)
    site.consul.agent.service.deregister(service_id(site.mesh, "i-1"))
    await wait_until(lambda: service_id(site.mesh, "i-1") in site.consul.agent.services())
    assert ("i-1", None) not in book.told


async def test_a_document_whose_session_has_ended_is_written_again_by_the_next_beat(site: Site) -> None:
    process, book = site.open(), site.watch()
    await process.register(registration())
    await wait_until(lambda: "i-1" in book.entries)
    site.consul.session.destroy(site.consul.kv.get(key(site.mesh, "i-1"))[1]["Session"])
    assert site.consul.kv.get(key(site.mesh, "i-1"))[1] is None
    await process.beat(Beat(instance="i-1", running=1))
    await wait_until(lambda: book.entries["i-1"].running == 1)
    page = Page.model_validate_json(site.consul.kv.get(key(site.mesh, "i-1"))[1]["Value"])
    assert page.registration == registration()
    assert ("i-1", None) not in book.told


async def test_beats_that_say_nothing_new_write_nothing(site: Site) -> None:
    process = site.open()
    await process.register(registration())
    await process.beat(Beat(instance="i-1", running=1))
    await wait_until(lambda: b'"running":1' in site.consul.kv.get(key(site.mesh, "i-1"))[1]["Value"])
    before = site.consul.kv.get(key(site.mesh, "i-1"))[1]["ModifyIndex"]
    for _ in range(100):
        await process.beat(Beat(instance="i-1", running=1))
    await process.register(registration("i-2"))
    assert site.consul.kv.get(key(site.mesh, "i-1"))[1]["ModifyIndex"] == before
