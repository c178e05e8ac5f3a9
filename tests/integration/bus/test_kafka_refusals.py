"""A broker that answers and does not take a topic's messages any more: that is told, and over when it takes them again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.protocol.admin import DeleteAclsRequest

from plugmesh.bus.kafka.bus import KafkaBus
from plugmesh.errors import ConfigurationError
from plugmesh.runtime import SystemRuntime
from scripts.real_servers import rooms
from scripts.real_servers.kafka_settings import STRANGER
from scripts.real_servers.server import PASSWORD, USER
from tests.integration.starts.places import permit
from tests.servers import address_of
from tests.waiting import wait_until

PATIENCE_S = 30
_TOPIC, _PREFIXED, _WRITE, _ALLOW = 2, 4, 4, 3


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[KafkaBus]:
    bus = KafkaBus(url, SystemRuntime())
    try:
        yield bus
    finally:
        await bus.close()


@asynccontextmanager
async def asked(address: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def limit(kafka_url: str, options: Mapping[str, str]) -> None:
    """Give the topic of results these options."""
    parts = urlsplit(kafka_url)
    async with asked(parts.netloc) as admin:
        name = f"{parts.path[1:]}.results"
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=dict(options))])


async def revoke_write(address: str, prefix: str) -> None:
    async with asked(address) as admin:
        revoked = DeleteAclsRequest(_TOPIC, prefix, _PREFIXED, f"User:{STRANGER}", "*", _WRITE, _ALLOW)
        await admin._send_request(revoked)


def outage_s(bus: KafkaBus) -> float:
    return next(figure.values[()] for figure in bus.figures() if figure.name == "plugmesh_bus_outage_seconds")


class Writer:
    """Publishes results, one after the other: what a broker is told of topics and rights holds a little later."""

    published = 0

    async def write(self, bus: KafkaBus, payload: bytes) -> None:
        while True:
            await bus.publish("results", 0, payload)
            self.published += 1


@asynccontextmanager
async def writing(bus: KafkaBus, payload: bytes) -> AsyncIterator[Writer]:
    writer = Writer()
    task = asyncio.ensure_future(writer.write(bus, payload))
    try:
        yield writer
    finally:
        task.cancel()
        await asyncio.wait([task])


async def told_until(
    bus: KafkaBus, payload: bytes, says: str, mend: Callable[[], Awaitable[None]], caplog: pytest.LogCaptureFixture
) -> None:
    """What is published is told as refused, with what `says` what to do, until `mend` has done it."""
    async with writing(bus, payload) as writer:
        await wait_until(lambda: "takes no messages for" in caplog.text, PATIENCE_S)
        line = next(text for text in caplog.messages if "takes no messages for" in text)
        assert ".results (" in line
        assert says in line
        assert outage_s(bus) > 0
        before = writer.published
        await mend()
        await wait_until(lambda: writer.published > before, PATIENCE_S)
        assert [text for text in caplog.messages if "takes messages for" in text]
        await wait_until(lambda: outage_s(bus) == 0, PATIENCE_S)


async def test_a_topic_that_takes_smaller_messages_only_is_told_and_an_outage_until_it_takes_all(
    kafka_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with opened(kafka_url) as bus:
        await bus.publish("results", 0, b"1")
        await limit(kafka_url, {"max.message.bytes": "1000"})
        await told_until(bus, b"2" * 2000, "max.message.bytes", partial(limit, kafka_url, {}), caplog)


async def test_a_right_that_was_revoked_is_told_and_an_outage_until_it_is_given_again(
    kafka_sasl_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    address, prefix = address_of("kafka"), f"revoked-{urlsplit(kafka_sasl_url).path[1:]}"
    url = kafka_sasl_url.replace(f"{USER}:{PASSWORD}@", f"{STRANGER}:{PASSWORD}@")
    await permit(address, prefix, "Create", "Describe", "Read", "Write")
    led = urlsplit(url)._replace(path=f"/{prefix}").geturl()
    try:
        await wait_until(partial(may_publish, led), PATIENCE_S)
        caplog.clear()
        async with opened(led) as bus:
            await bus.publish("results", 0, b"1")
            await revoke_write(address, prefix)
            await told_until(bus, b"2", "permit Write", partial(permit, address, prefix, "Write"), caplog)
        assert PASSWORD not in caplog.text
    finally:
        rooms.delete_topics(address, prefix)


async def may_publish(url: str) -> bool:
    async with opened(url) as bus:
        try:
            await bus.publish("results", 0, b"0")
        except ConfigurationError:
            return False
        return True
