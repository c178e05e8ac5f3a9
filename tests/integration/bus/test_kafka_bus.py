"""The Kafka driver on a real broker: what is beyond the port's own suite."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition

from plugmesh.bus.kafka.bus import KafkaBus
from plugmesh.bus.kafka.sender import CROWDED_MESSAGES, STALE_S
from plugmesh.bus.port import EARLIEST
from plugmesh.conformance.bus import Inbox, listen
from plugmesh.errors import ConfigurationError, InvalidMessage, NotReachable
from plugmesh.runtime import SystemRuntime
from tests.faults.proxy import FaultProxy
from tests.faults.urls import place_of
from tests.faults.wires import KafkaWire
from tests.hasty_runtime import HastyRuntime
from tests.waiting import wait_until

Open = Callable[..., KafkaBus]
HASTE = 50


@pytest.fixture
async def open_bus() -> AsyncIterator[Open]:
    opened: list[KafkaBus] = []

    def open_one(url: str, hasty: bool = False) -> KafkaBus:
        opened.append(KafkaBus(url, HastyRuntime(HASTE) if hasty else SystemRuntime()))
        return opened[-1]

    yield open_one
    for bus in opened:
        await bus.close()


@pytest.fixture
async def admin(kafka_url: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=urlsplit(kafka_url).netloc)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
def proxy(kafka_url: str) -> Iterator[FaultProxy]:
    with FaultProxy(place_of(kafka_url), KafkaWire) as proxy:
        yield proxy


async def test_an_offset_whose_message_was_deleted_goes_on_at_the_oldest(
    kafka_url: str, open_bus: Open, admin: AIOKafkaAdminClient, caplog: pytest.LogCaptureFixture
) -> None:
    bus, late = open_bus(kafka_url), Inbox()
    begin = await bus.end("results", 0)
    for number in range(6):
        await bus.publish("results", 0, str(number).encode())
    topic = f"{urlsplit(kafka_url).path[1:]}.results"
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=4)})
    bus.subscribe("results", [0], late, begin)
    await wait_until(lambda: late.distinct == [b"4", b"5"])
    assert "is not there any more" in caplog.text


async def test_an_offset_behind_the_end_goes_on_at_the_oldest(kafka_url: str, open_bus: Open) -> None:
    bus, inbox = open_bus(kafka_url), Inbox()
    await bus.publish("results", 0, b"0")
    bus.subscribe("results", [0], inbox, "1000")
    await wait_until(lambda: inbox.distinct == [b"0"])


async def test_subscriptions_on_one_partition_have_offsets_of_their_own(kafka_url: str, open_bus: Open) -> None:
    bus, first, earlier, later = open_bus(kafka_url), Inbox(), Inbox(), Inbox()
    await bus.end("results", 0)
    for number in range(6):
        await bus.publish("results", 0, str(number).encode())
    bus.subscribe("results", [0], first, "3")
    await wait_until(lambda: first.messages == [b"3", b"4", b"5"])
    bus.subscribe("results", [0, 1], earlier, "0")
    bus.subscribe("results", [0], later, "5")
    await wait_until(lambda: earlier.messages == [b"0", b"1", b"2", b"3", b"4", b"5"] and later.messages == [b"5"])
    await bus.publish("results", 0, b"6")
    await wait_until(lambda: [inbox.messages[-1] for inbox in (first, earlier, later)] == [b"6"] * 3)
    assert (first.messages[3:], later.messages) == ([b"6"], [b"5", b"6"])


async def test_nothing_that_is_published_after_an_end_is_missed(kafka_url: str, open_bus: Open) -> None:
    reader, writer, published = open_bus(kafka_url), open_bus(kafka_url), 0

    async def write() -> None:
        nonlocal published
        while True:
            published += 1
            await writer.publish("runs", 2, str(published).encode())

    writing = asyncio.ensure_future(write())
    for _ in range(5):
        inbox = Inbox()
        subscription = await listen(reader, "runs", [2], inbox)
        after = published
        await wait_until(partial(_has, inbox, after + 6))
        numbers = [int(message) for message in inbox.messages]
        assert numbers[0] <= after + 1
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        subscription.close()
    writing.cancel()


def _has(inbox: Inbox, number: int) -> bool:
    return bool(inbox.messages) and int(inbox.messages[-1]) >= number


async def test_topics_with_other_partitions_are_refused(
    kafka_url: str, open_bus: Open, admin: AIOKafkaAdminClient
) -> None:
    await admin.create_topics([NewTopic(f"{urlsplit(kafka_url).path[1:]}.runs", 3, 1)])
    with pytest.raises(ConfigurationError, match=r"setting `bus`.* has 3 partitions and needs 32"):
        await open_bus(kafka_url).end("runs", 0)


async def test_new_topics_have_as_many_partitions_as_a_mesh_needs(
    kafka_url: str, open_bus: Open, admin: AIOKafkaAdminClient
) -> None:
    await open_bus(kafka_url).end("runs", 0)
    names = topics_of(kafka_url)
    described = {topic["topic"]: topic["partitions"] for topic in await admin.describe_topics(list(names.values()))}
    assert {topic: len(described[name]) for topic, name in names.items()} == {
        "runs": 32,
        "results": 32,
        "dispatch": 64,
        "events": 34,
    }


async def test_new_topics_keep_messages_as_long_as_the_url_says(
    kafka_url: str, open_bus: Open, admin: AIOKafkaAdminClient
) -> None:
    await open_bus(f"{kafka_url}?retention_dispatch_s=60&retention_results_s=86400").end("runs", 0)
    options = await options_of(admin, topics_of(kafka_url))
    kept = {topic: (int(option["retention.ms"]), int(option["segment.ms"])) for topic, option in options.items()}
    minute, hour, day = 60_000, 3_600_000, 86_400_000
    assert kept == {
        "runs": (7 * day, 7 * day // 4),
        "results": (day, day // 4),
        "dispatch": (minute, minute),
        "events": (hour, hour // 4),
    }


async def test_new_topics_let_old_messages_go_by_the_brokers_clock(
    kafka_url: str, open_bus: Open, admin: AIOKafkaAdminClient
) -> None:
    await open_bus(kafka_url).end("runs", 0)
    for option in (await options_of(admin, topics_of(kafka_url))).values():
        assert (option["cleanup.policy"], option["message.timestamp.type"]) == ("delete", "LogAppendTime")
        assert int(option["segment.bytes"]) == 64 * 1024 * 1024
        assert int(option["min.insync.replicas"]) == 1


def topics_of(url: str) -> dict[str, str]:
    """What the topics of a mesh are called on the broker."""
    return {topic: f"{urlsplit(url).path[1:]}.{topic}" for topic in ("runs", "results", "dispatch", "events")}


async def options_of(admin: AIOKafkaAdminClient, names: dict[str, str]) -> dict[str, dict[str, str]]:
    """By topic, the options that the broker says it has."""
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names.values()]
    answers: list[Any] = [found for answer in await admin.describe_configs(asked) for found in answer.resources]
    found = {name: {entry[0]: entry[1] for entry in entries} for _, _, _, name, entries in answers}
    return {topic: found[name] for topic, name in names.items()}


async def test_processes_may_create_the_topics_at_once(kafka_url: str, open_bus: Open) -> None:
    buses = [open_bus(kafka_url) for _ in range(4)]
    assert await asyncio.gather(*(bus.end("events", 32) for bus in buses)) == ["0"] * 4


async def test_a_partition_that_cannot_be_is_refused(kafka_url: str, open_bus: Open) -> None:
    bus = open_bus(kafka_url)
    with pytest.raises(InvalidMessage):
        await bus.publish("runs", 32, b"{}")
    with pytest.raises(InvalidMessage):
        bus.subscribe("gossip", [0], Inbox())


@pytest.mark.parametrize(
    ("login", "options", "error"),
    [
        ("", "security=tls", NotReachable),
        ("user:geheim@", "security=sasl_plain&tls=false", ConfigurationError),
        ("user:geheim@", "security=scram_sha_512&tls=false", ConfigurationError),
        ("", "replication=3", ConfigurationError),
    ],
)
async def test_a_wrong_option_is_told_by_the_name_of_the_setting(
    kafka_url: str, open_bus: Open, login: str, options: str, error: type[Exception]
) -> None:
    bus = open_bus(f"{kafka_url.replace('://', f'://{login}')}?{options}", hasty=True)
    with pytest.raises(error, match="the setting `bus`") as caught:
        await bus.publish("runs", 0, b"{}")
    assert "geheim" not in str(caught.value)
    with pytest.raises(error):
        bus.subscribe("runs", [0], Inbox())


@pytest.mark.parametrize("place", ["127.0.0.1:1", "no-such-host.invalid"])
async def test_a_broker_that_never_answers_is_told_by_the_name_of_the_setting(place: str) -> None:
    bus = KafkaBus(f"kafka://{place}/x", HastyRuntime(HASTE))
    with pytest.raises(NotReachable, match=r"the setting `bus` .* no broker answers"):
        await bus.end("runs", 0)
    await bus.close()


async def test_a_message_that_is_not_kept_is_dropped_when_too_many_wait(
    kafka_url: str, open_bus: Open, proxy: FaultProxy
) -> None:
    bus = open_bus(f"kafka://127.0.0.1:{proxy.port}{urlsplit(kafka_url).path}")
    await bus.publish("runs", 0, b"{}")
    proxy.refuse()
    await bus.publish("dispatch", 0, b"under way")
    await asyncio.sleep(0)
    for number in range(CROWDED_MESSAGES + 50):
        await bus.publish("dispatch", 1 + number % 2, b"waits")
    assert 40 <= bus.dropped <= 50


async def test_what_waited_too_long_is_dropped_unless_its_topic_is_kept(
    kafka_url: str, open_bus: Open, proxy: FaultProxy
) -> None:
    reader, inbox, kept = open_bus(kafka_url), Inbox(), Inbox()
    await listen(reader, "dispatch", [0], inbox)
    await listen(reader, "results", [0], kept)
    writer = open_bus(f"kafka://127.0.0.1:{proxy.port}{urlsplit(kafka_url).path}", hasty=True)
    await writer.publish("results", 0, b"first")
    proxy.refuse()
    await writer.publish("dispatch", 0, b"under way")
    waiting = asyncio.ensure_future(writer.publish("results", 0, b"second"))
    await asyncio.sleep(0.05)
    await writer.publish("dispatch", 0, b"too late")
    await asyncio.sleep(STALE_S / HASTE * 2)
    await writer.publish("dispatch", 0, b"just now")
    proxy.listen()
    await waiting
    await wait_until(lambda: writer.dropped)
    await writer.publish("dispatch", 0, b"after it")
    await wait_until(lambda: b"after it" in inbox.messages)
    assert b"too late" not in inbox.messages
    assert kept.distinct == [b"first", b"second"]


async def test_a_bus_closes_while_the_broker_is_away_and_hands_back_what_it_has(
    kafka_url: str, open_bus: Open, proxy: FaultProxy
) -> None:
    bus = open_bus(f"kafka://127.0.0.1:{proxy.port}{urlsplit(kafka_url).path}")
    await bus.publish("runs", 0, b"{}")
    proxy.refuse()
    kept = asyncio.ensure_future(bus.publish("runs", 0, b"{}"))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await bus.close()
    with pytest.raises(NotReachable):
        await kept


async def test_an_outage_is_logged_once_and_its_end_once(
    kafka_url: str, open_bus: Open, proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"kafka://127.0.0.1:{proxy.port}{urlsplit(kafka_url).path}"
    caplog.set_level(logging.WARNING)
    await open_bus(kafka_url).publish("runs", 0, b"{}")
    await open_bus(url, hasty=True).publish("runs", 0, b"{}")
    proxy.refuse()
    await wait_until(lambda: "does not answer" in caplog.text)
    await asyncio.sleep(0.3)
    proxy.listen()
    await wait_until(lambda: "answers again" in caplog.text)
    assert [caplog.text.count(said) for said in ("does not answer", "answers again")] == [1, 1]
    assert all(record.name.startswith("plugmesh") for record in caplog.records)


async def test_new_clients_lose_and_reorder_nothing(kafka_url: str, open_bus: Open) -> None:
    bus, inbox = open_bus(kafka_url), Inbox()
    bus.subscribe("results", [5], inbox, EARLIEST)
    sent = [str(number).encode() for number in range(400)]
    published = []
    for number, text in enumerate(sent):
        published.append(asyncio.ensure_future(bus.publish("results", 5, text)))
        await asyncio.sleep(0.001)
        if number in {100, 250}:
            bus._sender.renew()
        if number in {150, 300}:
            bus._readers.renew(TopicPartition(bus._clients.url.topic("results"), 5))
    await asyncio.gather(*published)
    await wait_until(lambda: len(inbox.distinct) == 400)
    assert inbox.distinct == sent
