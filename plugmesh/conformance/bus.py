"""What every bus driver must do.

Subclass `BusConformance` in a test file and give it a fixture `mesh` that yields a `BusMesh`:

    class TestMyBus(BusConformance):
        @pytest.fixture
        async def mesh(self) -> AsyncIterator[BusMesh]:
            ...

The tests use partitions 0 to 3 of `runs`, `results`, `dispatch` and `events`, and expect them empty.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import pytest

from plugmesh.bus.port import EARLIEST, Bus, Delivery, Subscription
from plugmesh.conformance.waiting import wait_until
from plugmesh.contracts.data import MESSAGE_LIMIT_BYTES
from plugmesh.errors import LimitExceeded


class BusMesh(Protocol):
    """What the suite needs from a driver's author.

    `log_keeps`: the driver has a log, which keeps messages without a reader (`publish` returns when the log has
    them). Otherwise `publish` on a kept topic waits for the reader's `ack`.
    """

    log_keeps: bool

    async def open(self) -> Bus:
        """The access of one more process."""
        ...

    async def interrupt(self) -> None:
        """Break every connection; the drivers come back by themselves. Nothing to do for a driver without any."""
        ...

    async def restart(self) -> None:
        """End the server and start it again at the same address. Nothing to do for a driver without one."""
        ...


class Inbox:
    """A subscriber that keeps what it gets, and acknowledges it if `ack`."""

    def __init__(self, ack: bool = True) -> None:
        self.ack = ack
        self.deliveries: list[Delivery] = []

    def __call__(self, delivery: Delivery) -> None:
        self.deliveries.append(delivery)
        if self.ack:
            delivery.ack()

    @property
    def messages(self) -> list[bytes]:
        """Everything that arrived, in order, duplicates included."""
        return [message for delivery in self.deliveries for message in delivery.messages]

    @property
    def distinct(self) -> list[bytes]:
        """What arrived, each message where it came first."""
        return list(dict.fromkeys(self.messages))


class BusConformance:
    """The suite. `asyncio_mode = "auto"` (pytest-asyncio) runs it."""

    async def test_a_message_reaches_a_subscriber_in_another_process(self, mesh: BusMesh) -> None:
        reader, writer, inbox = await mesh.open(), await mesh.open(), Inbox()
        await listen(reader, "dispatch", [0], inbox)
        await writer.publish("dispatch", 0, b'{"n": 1}')
        await wait_until(lambda: inbox.messages == [b'{"n": 1}'])
        assert (inbox.deliveries[0].topic, inbox.deliveries[0].partition) == ("dispatch", 0)
        assert not reader.is_away
        assert not writer.is_away

    async def test_every_subscriber_gets_every_message(self, mesh: BusMesh) -> None:
        writer, first, second = await mesh.open(), Inbox(), Inbox()
        await listen(await mesh.open(), "events", [0], first)
        await listen(await mesh.open(), "events", [0], second)
        await writer.publish("events", 0, b"1")
        await wait_until(lambda: first.messages == second.messages == [b"1"])

    @pytest.mark.parametrize("topic", ["dispatch", "results"])
    async def test_messages_of_one_sender_keep_their_order_in_a_partition(self, mesh: BusMesh, topic: str) -> None:
        reader, writer, inbox = await mesh.open(), await mesh.open(), Inbox()
        await listen(reader, topic, [0, 1], inbox)
        sent = [str(number).encode() for number in range(300)]
        await asyncio.gather(*(writer.publish(topic, int(text) % 2, text) for text in sent))
        await wait_until(lambda: len(inbox.distinct) == 300)
        for partition in (0, 1):
            expected = [text for text in sent if int(text) % 2 == partition]
            assert distinct(inbox, partition) == expected

    async def test_a_subscription_gets_its_partitions_and_no_others(self, mesh: BusMesh) -> None:
        reader, writer, inbox = await mesh.open(), await mesh.open(), Inbox()
        await listen(reader, "dispatch", [1, 3], inbox)
        for partition in range(4):
            await writer.publish("dispatch", partition, str(partition).encode())
        await writer.publish("dispatch", 3, b"last")
        await wait_until(lambda: b"last" in inbox.messages and b"1" in inbox.messages)
        assert sorted(inbox.messages) == [b"1", b"3", b"last"]

    async def test_start_none_gives_only_what_is_published_afterwards(self, mesh: BusMesh) -> None:
        reader, writer, inbox = await mesh.open(), await mesh.open(), Inbox()
        early = asyncio.ensure_future(writer.publish("results", 0, b"before"))
        await handed_over(writer, "results", 0)
        await listen(reader, "results", [0], inbox)
        await writer.publish("results", 0, b"after")
        await wait_until(lambda: inbox.messages)
        assert inbox.messages == [b"after"]
        early.cancel()

    async def test_what_follows_an_end_is_delivered_from_that_offset(self, mesh: BusMesh) -> None:
        reader, writer, inbox = await mesh.open(), await mesh.open(), Inbox()
        offset = await reader.end("results", 0)
        published = asyncio.ensure_future(writer.publish("results", 0, b"1"))
        await handed_over(writer, "results", 0)
        reader.subscribe("results", [0], inbox, offset)
        await wait_until(lambda: inbox.distinct == [b"1"])
        await published

    async def test_a_reader_that_comes_back_continues_at_its_offset(self, mesh: BusMesh) -> None:
        reader, writer, first, second = await mesh.open(), await mesh.open(), Inbox(), Inbox(ack=False)
        subscription = await listen(reader, "results", [0], first)
        await writer.publish("results", 0, b"1")
        await wait_until(lambda: first.messages)
        subscription.close()
        rest = [asyncio.ensure_future(writer.publish("results", 0, text)) for text in (b"2", b"3")]
        await handed_over(writer, "results", 0)
        reader.subscribe("results", [0], second, first.deliveries[-1].offset)
        await wait_until(lambda: second.distinct == [b"2", b"3"])
        second.deliveries[-1].ack()
        second.deliveries[0].ack()
        await asyncio.gather(*rest)

    async def test_what_was_not_acknowledged_comes_again_to_the_next_reader(self, mesh: BusMesh) -> None:
        writer, first, second = await mesh.open(), Inbox(ack=False), Inbox()
        begin = await writer.end("results", 0)
        lost = await mesh.open()
        lost.subscribe("results", [0], first, begin)
        published = asyncio.ensure_future(writer.publish("results", 0, b"1"))
        await wait_until(lambda: first.messages)
        await lost.close()
        (await mesh.open()).subscribe("results", [0], second, begin)
        await wait_until(lambda: second.distinct == [b"1"])
        await published

    async def test_a_kept_publish_returns_when_its_reader_has_acknowledged(self, mesh: BusMesh) -> None:
        reader, writer, inbox = await mesh.open(), await mesh.open(), Inbox(ack=False)
        await listen(reader, "results", [0], inbox)
        published = asyncio.ensure_future(writer.publish("results", 0, b"1"))
        await wait_until(lambda: inbox.messages)
        await handed_over(writer, "results", 0)
        if not mesh.log_keeps:
            assert not published.done()
        inbox.deliveries[0].ack()
        inbox.deliveries[0].ack()
        await published

    async def test_a_kept_message_without_a_reader_waits_for_one(self, mesh: BusMesh) -> None:
        reader, writer, inbox = await mesh.open(), await mesh.open(), Inbox()
        offset = await reader.end("runs", 0)
        published = [asyncio.ensure_future(writer.publish("runs", 0, str(n).encode())) for n in range(20)]
        await handed_over(writer, "runs", 0)
        reader.subscribe("runs", [0], inbox, offset)
        await asyncio.gather(*published)
        await wait_until(lambda: inbox.distinct == [str(n).encode() for n in range(20)])

    @pytest.mark.parametrize("start", [EARLIEST, "an offset of long ago"])
    async def test_an_unknown_start_gives_all_that_is_kept(self, mesh: BusMesh, start: str) -> None:
        reader, writer, inbox = await mesh.open(), await mesh.open(), Inbox()
        published = asyncio.ensure_future(writer.publish("runs", 0, b"1"))
        await handed_over(writer, "runs", 0)
        reader.subscribe("runs", [0], inbox, start)
        await published
        await wait_until(lambda: inbox.distinct == [b"1"])

    async def test_a_message_that_is_not_kept_never_waits(self, mesh: BusMesh) -> None:
        writer = await mesh.open()
        async with asyncio.timeout(10):
            await writer.publish("dispatch", 0, b"nobody listens")

    async def test_nothing_is_delivered_after_a_subscription_is_closed(self, mesh: BusMesh) -> None:
        reader, writer, closed, other = await mesh.open(), await mesh.open(), Inbox(), Inbox()
        subscription = await listen(reader, "dispatch", [0], closed)
        await listen(reader, "dispatch", [0], other)
        await writer.publish("dispatch", 0, b"1")
        await wait_until(lambda: closed.messages and other.messages)
        subscription.close()
        await writer.publish("dispatch", 0, b"2")
        await wait_until(lambda: other.messages == [b"1", b"2"])
        assert closed.messages == [b"1"]

    async def test_a_message_over_the_limit_is_refused_and_one_at_the_limit_arrives(self, mesh: BusMesh) -> None:
        reader, writer, inbox = await mesh.open(), await mesh.open(), Inbox()
        await listen(reader, "results", [0], inbox)
        with pytest.raises(LimitExceeded):
            await writer.publish("results", 0, b"x" * (MESSAGE_LIMIT_BYTES + 1))
        await writer.publish("results", 0, b"x" * MESSAGE_LIMIT_BYTES)
        await wait_until(lambda: [len(message) for message in inbox.distinct] == [MESSAGE_LIMIT_BYTES])

    async def test_closing_one_bus_leaves_the_others_alone(self, mesh: BusMesh) -> None:
        gone, reader, writer, inbox = await mesh.open(), await mesh.open(), await mesh.open(), Inbox()
        await listen(reader, "results", [0], inbox)
        await gone.close()
        await writer.publish("results", 0, b"1")
        await wait_until(lambda: inbox.distinct == [b"1"])

    async def test_a_broken_connection_loses_and_reorders_nothing_that_is_kept(self, mesh: BusMesh) -> None:
        await self._kept_through(mesh, mesh.interrupt)

    async def test_a_restarted_server_loses_and_reorders_nothing_that_is_kept(self, mesh: BusMesh) -> None:
        await self._kept_through(mesh, mesh.restart)

    async def test_a_subscription_goes_on_after_a_restart(self, mesh: BusMesh) -> None:
        reader, writer, inbox = await mesh.open(), await mesh.open(), Inbox()
        await listen(reader, "dispatch", [2], inbox)
        await mesh.restart()
        async with asyncio.timeout(20):
            while not inbox.messages:  # a message may be lost while the reader is not back yet
                await writer.publish("dispatch", 2, b"again")
                await asyncio.sleep(0.01)

    async def _kept_through(self, mesh: BusMesh, fault: Fault) -> None:
        reader, writer, inbox = await mesh.open(), await mesh.open(), Inbox(ack=False)
        begin = await reader.end("results", 1)
        reader.subscribe("results", [1], inbox, begin)
        sent = [str(number).encode() for number in range(60)]
        published = [asyncio.ensure_future(writer.publish("results", 1, text)) for text in sent[:30]]
        await wait_until(lambda: inbox.messages)
        await fault()
        published += [asyncio.ensure_future(writer.publish("results", 1, text)) for text in sent[30:]]
        inbox.ack = True
        for delivery in tuple(inbox.deliveries):
            delivery.ack()
        async with asyncio.timeout(20):
            await asyncio.gather(*published)
        await wait_until(lambda: inbox.distinct == sent)


class Fault(Protocol):
    """Something that goes wrong."""

    async def __call__(self) -> None: ...


async def listen(bus: Bus, topic: str, partitions: list[int], inbox: Inbox) -> Subscription:
    """Subscribe from now on, and return when the subscription holds: `end` is answered after it."""
    subscription = bus.subscribe(topic, partitions, inbox)
    await bus.end(topic, partitions[0])
    return subscription


async def handed_over(bus: Bus, topic: str, partition: int) -> None:
    """Return when what `bus` was told to publish so far has left the process: `end` is answered after it."""
    await asyncio.sleep(0)
    await bus.end(topic, partition)


def distinct(inbox: Inbox, partition: int) -> list[bytes]:
    """The distinct messages of one partition, in the order they came."""
    found = [message for item in inbox.deliveries if item.partition == partition for message in item.messages]
    return list(dict.fromkeys(found))
