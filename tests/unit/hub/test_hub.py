"""The hub as a process sees it that speaks the line format by hand."""

from __future__ import annotations

import asyncio
import json

import pytest

from plugmesh.bus.embedded import HubBus
from plugmesh.conformance.bus import Inbox
from plugmesh.conformance.discovery import Book
from plugmesh.conformance.waiting import wait_until
from plugmesh.contracts.data import MESSAGE_LIMIT_BYTES
from plugmesh.errors import LinkLost
from tests.unit.hub.raw_link import RawLink, new_hub

REGISTRATION = '{"instance":"i-1","host":"h","partition":3,"offers":[]}'


async def test_a_hello_is_answered_with_what_the_process_must_know() -> None:
    hub = new_hub()
    verb, _, document = (await RawLink(hub).hello()).partition(" ")
    welcome = json.loads(document)
    assert (verb, welcome["mesh"], welcome["objects"], welcome["boot"]) == (
        "welcome",
        "m-1",
        "file:///objects",
        hub.boot,
    )


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ('hello {"v":"2.0","link":"x"}', "protocol-mismatch"),
        ('hello {"v":"1.0"}', "invalid-message"),
        ("hello nonsense", "invalid-message"),
        ("GET / HTTP/1.1", "invalid-message"),
    ],
)
async def test_a_hello_that_cannot_be_used_is_refused_with_the_reason(first: str, code: str) -> None:
    link = RawLink(new_hub())
    await link.say(first)
    verb, _, document = (await link.hear()).partition(" ")
    assert (verb, json.loads(document)["code"]) == ("refuse", code)
    with pytest.raises(LinkLost):
        await link.hear()
    await link.task


async def test_a_newer_minor_version_with_unknown_fields_and_verbs_is_welcome() -> None:
    link = RawLink(new_hub())
    await link.say('hello {"v":"1.7","link":"x","colour":"red"}', "dance 1 2 3", "end 5 dispatch 0")
    assert (await link.hear()).startswith("welcome ")
    assert (await link.hear()).startswith("ok 5 ")


async def test_lines_of_one_frame_are_done_in_order_and_answered_in_one_frame() -> None:
    hub = new_hub()
    link = RawLink(hub)
    await link.hello()
    await link.say("sub 1 dispatch 0,1 -", 'pub dispatch 1 0 {"a b": 1}', "pub dispatch 0 0 x", "end 2 dispatch 0")
    frame = await link.end.receive()
    assert isinstance(frame, bytes)
    assert frame.decode().splitlines() == [
        f"ok 1 {hub.boot}:0",
        f'msg 1 dispatch 1 {hub.boot}:1 {{"a b": 1}}',
        f"msg 1 dispatch 0 {hub.boot}:2 x",
        f"ok 2 {hub.boot}:2",
    ]


@pytest.mark.parametrize(
    "nonsense",
    ["pub", "pub dispatch x 0 y", "pub dispatch -1 0 y", "pub Dispatch 0 0 y", "pub dispatch 99999 0 y", "commit 1",
     "beat {}", "beat nothing", "unsub 77", "unwatch 77", " ", "reg 9", "\u2028 \x00"],
)  # fmt: skip
async def test_a_line_that_makes_no_sense_is_dropped_and_the_link_stays(nonsense: str) -> None:
    link = RawLink(new_hub())
    await link.hello()
    await link.say(nonsense, "end 5 dispatch 0")
    while not (answer := await link.hear()).startswith("ok 5 "):
        assert answer.startswith("no 9 ")


async def test_a_request_that_cannot_be_done_is_answered_with_no() -> None:
    link = RawLink(new_hub())
    await link.hello()
    for request in ("sub 1 dispatch 99999 -", "end 2 dispatch x", 'reg 3 {"v":"3.0"}', 'reg 4 {"instance":"i"}'):
        await link.say(request)
        verb, number, document = (await link.hear()).split(" ", 2)
        assert (verb, number) == ("no", request.split(" ")[1])
        assert json.loads(document)["message"]


async def test_a_kept_message_is_acknowledged_when_its_reader_has_committed() -> None:
    hub, inbox = new_hub(), Inbox(ack=False)
    HubBus(hub).subscribe("results", [4], inbox)
    link = RawLink(hub)
    await link.hello()
    await link.say("pub results 4 1 a", "pub results 4 2 b", "pub results 4 5 c", "end 9 results 4")
    assert (await link.hear()).startswith("ok 9")
    assert [delivery.messages for delivery in inbox.deliveries] == [(b"a", b"b", b"c")]
    inbox.deliveries[0].ack()
    assert await link.hear() == "ack 1,2,5"


async def test_what_is_sent_again_after_a_reconnect_is_delivered_once() -> None:
    hub, inbox = new_hub(), Inbox(ack=False)
    HubBus(hub).subscribe("results", [0], inbox)
    first = RawLink(hub)
    await first.hello()
    await first.say("pub results 0 1 a", "pub results 0 2 b", "end 9 results 0")
    await first.hear()
    first.end.cut()
    again = RawLink(hub)
    await again.hello()
    inbox.deliveries[0].ack()
    await again.say("pub results 0 1 a", "pub results 0 2 b", "pub results 0 3 c")
    answers = [await again.hear()]
    assert inbox.messages == [b"a", b"b", b"c"]
    inbox.deliveries[-1].ack()
    while "3" not in ",".join(answers):
        answers.append(await again.hear())
    acked = {seq for answer in answers for seq in answer.removeprefix("ack ").split(",")}
    assert acked == {"1", "2", "3"}


async def test_a_link_that_opens_twice_keeps_the_newer_one() -> None:
    hub = new_hub()
    old, new = RawLink(hub), RawLink(hub)
    await old.hello()
    await old.say(f"reg 1 {REGISTRATION}")
    await old.hear()
    await new.hello()
    await new.say(f"reg 1 {REGISTRATION}")
    await new.hear()
    with pytest.raises(LinkLost):
        await old.hear()
    await old.task
    book = Book()
    hub.directory.watch(book)
    assert book.entries["i-1"].connected is True
    assert hub.links == 1


async def test_a_reader_that_is_too_slow_is_dropped_and_holds_up_nobody() -> None:
    hub, inbox = new_hub(slow_limit_bytes=50_000), Inbox()
    bus = HubBus(hub)
    slow = RawLink(hub, capacity=1)
    await slow.hello()
    await slow.say("sub 1 events 0 -", "end 2 events 0")
    await slow.hear()
    bus.subscribe("events", [0], inbox)
    for _ in range(200):
        await bus.publish("events", 0, b"x" * 1000)
        await asyncio.sleep(0)
    await slow.task
    assert hub.links == 0
    assert len(inbox.messages) == 200


async def test_a_full_hub_stops_reading_senders_until_a_reader_commits() -> None:
    hub = new_hub(kept_limit_bytes=5_000)
    link = RawLink(hub, capacity=1)
    await link.hello()
    sender = asyncio.ensure_future(_send_results(link, 40))
    await wait_until(lambda: hub.topics.full)
    for _ in range(20):
        await asyncio.sleep(0)
    assert not sender.done()
    assert hub.topics.kept_bytes < 10_000
    inbox = Inbox()
    HubBus(hub).subscribe("results", [0], inbox, "")
    await sender
    await wait_until(lambda: len(inbox.messages) == 40)
    assert hub.topics.kept_bytes == 0


async def _send_results(link: RawLink, count: int) -> None:
    for seq in range(1, count + 1):
        await link.say(f"pub results 0 {seq} {'x' * 1000}")


async def test_a_link_that_waits_for_room_ends_with_the_hub() -> None:
    hub = new_hub(kept_limit_bytes=10)
    link = RawLink(hub)
    await link.hello()
    await link.say("pub results 0 1 more than ten bytes")
    await wait_until(lambda: hub.topics.full)
    await hub.close()
    await link.task


async def test_an_oversized_message_by_hand_is_dropped() -> None:
    hub, inbox = new_hub(), Inbox()
    HubBus(hub).subscribe("dispatch", [0], inbox)
    link = RawLink(hub)
    await link.hello()
    await link.say("pub dispatch 0 0 " + "x" * (MESSAGE_LIMIT_BYTES + 1), "pub dispatch 0 0 small")
    await wait_until(lambda: inbox.messages)
    assert inbox.messages == [b"small"]


async def test_many_lines_are_sent_in_frames_of_bounded_size() -> None:
    hub = new_hub(slow_limit_bytes=1 << 24)
    link = RawLink(hub)
    await link.hello()
    await link.say("sub 1 events 0 -")
    await link.hear()
    bus = HubBus(hub)
    for _ in range(40):
        await bus.publish("events", 0, b"x" * 50_000)
    sizes: list[int] = []
    while sum(sizes) < 40 * 50_000:
        sizes.append(len(await link.end.receive()))
    assert max(sizes) <= 256 * 1024 + 50_100
    assert len(sizes) < 20


async def test_a_subscriber_that_fails_harms_neither_the_link_nor_the_others() -> None:
    hub, inbox = new_hub(), Inbox()

    def fail(delivery: object) -> None:
        raise ValueError("a bug")

    bus = HubBus(hub)
    bus.subscribe("results", [0], fail)
    bus.subscribe("results", [0], inbox)
    link = RawLink(hub)
    await link.hello()
    await link.say("pub results 0 1 a")
    assert await link.hear() == "ack 1"
    assert inbox.messages == [b"a"]


async def test_an_acknowledgement_rides_with_the_next_dispatch() -> None:
    hub, inbox = new_hub(), Inbox(ack=False)
    bus = HubBus(hub)
    bus.subscribe("results", [0], inbox)
    link = RawLink(hub)
    await link.hello()
    await link.say("sub 1 dispatch 0 -", "pub results 0 7 a")
    await link.hear()
    await wait_until(lambda: inbox.deliveries)
    inbox.deliveries[0].ack()
    await bus.publish("dispatch", 0, b"next")
    frame = await link.end.receive()
    assert isinstance(frame, bytes)
    assert sorted(line.split()[0] for line in frame.decode().splitlines()) == ["ack", "msg"]


async def test_an_instance_is_marked_when_its_link_is_lost_and_clean_when_it_is_back() -> None:
    hub = new_hub()
    book = Book()
    hub.directory.watch(book)
    link = RawLink(hub)
    await link.hello()
    await link.say(f"reg 1 {REGISTRATION}", 'beat {"instance":"i-1","running":2}')
    await link.hear()
    link.end.cut()
    await link.task
    assert (book.entries["i-1"].connected, book.entries["i-1"].running) == (False, 2)
    again = RawLink(hub)
    await again.hello()
    await again.say(f"reg 1 {REGISTRATION}")
    assert await again.hear() == "ok 1"
    assert (book.entries["i-1"].connected, book.entries["i-1"].gone_at, book.entries["i-1"].running) == (True, None, 2)
