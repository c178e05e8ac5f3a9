"""The Kafka driver and a broker of the test's own: killed, stopped, and with logins, encryption and permissions."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from plugmesh.bus.kafka.bus import KafkaBus
from plugmesh.bus.port import EARLIEST
from plugmesh.conformance.bus import Inbox
from plugmesh.errors import ConfigurationError
from plugmesh.runtime import SystemRuntime
from scripts.real_servers.kafka_settings import STRANGER
from scripts.real_servers.server import PASSWORD, USER
from tests.servers import OwnServer
from tests.waiting import wait_until

OwnServers = Callable[[str], OwnServer]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[KafkaBus]:
    bus = KafkaBus(url, SystemRuntime())
    try:
        yield bus
    finally:
        await bus.close()


@pytest.mark.parametrize("fault", ["killed", "stopped"])
async def test_a_broker_that_was_away_gets_everything_in_order(
    own_server: OwnServers, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    broker = await asyncio.to_thread(own_server, "kafka")
    caplog.set_level(logging.WARNING)
    sent, published, inbox = [str(number).encode() for number in range(300)], [], Inbox()
    async with opened(f"kafka://{broker.address}/x") as reader, opened(f"kafka://{broker.address}/x") as writer:
        await writer.end("results", 3)
        reader.subscribe("results", [3], inbox, EARLIEST)
        for number, text in enumerate(sent):
            published.append(asyncio.ensure_future(writer.publish("results", 3, text)))
            await asyncio.sleep(0.002)
            if number == 100:
                broker.kill() if fault == "killed" else broker.pause()
            if number == 200 and fault == "killed":
                await asyncio.to_thread(broker.start)
            if number == 200 and fault == "stopped":
                await wait_until(lambda: "does not answer" in caplog.text, 20)
                await wait_until(lambda: reader.is_away and writer.is_away, 20)
                broker.resume()
        async with asyncio.timeout(40):
            await asyncio.gather(*published)
        await wait_until(lambda: inbox.distinct == sent, 30)
        await wait_until(lambda: not reader.is_away and not writer.is_away, 30)


async def test_every_way_in_works_and_says_what_is_wrong_with_it(own_server: OwnServers) -> None:
    urls = (await asyncio.to_thread(own_server, "kafka")).urls
    sasl, tls, both, ca = (urls[f"PLUGMESH_TEST_KAFKA_{name}"] for name in ("SASL", "TLS", "SASL_TLS", "CA"))
    for security in ("sasl_plain", "scram_sha_256", "scram_sha_512"):
        for way in (f"{sasl}/x?security={security}&tls=false", f"{both}/x?security={security}&ca_file={ca}"):
            async with opened(f"kafka://{USER}:{PASSWORD}@{way}") as bus:
                await bus.publish("runs", 0, b"{}")
            await refused(f"kafka://{USER}:geheim@{way}", "refuses the user or the password")
    async with opened(f"kafka://{tls}/x?security=tls&ca_file={ca}") as bus:
        await bus.publish("runs", 0, b"{}")
    await refused(f"kafka://{tls}/x?security=tls", "no encrypted connection")
    await refused(f"kafka://{USER}:{PASSWORD}@{both}/x?security=scram_sha_512", "no encrypted connection")
    stranger = f"kafka://{STRANGER}:{PASSWORD}@{sasl}"
    await refused(f"{stranger}/x?security=sasl_plain&tls=false", "may not")
    await refused(f"{stranger}/y?security=sasl_plain&tls=false", "may not")


async def refused(url: str, why: str) -> None:
    """A bus at `url` says `why`, names the setting, and no secret."""
    async with opened(url) as bus:
        with pytest.raises(ConfigurationError, match=why) as caught:
            await bus.publish("runs", 0, b"{}")
    assert "the setting `bus`" in str(caught.value)
    assert "geheim" not in str(caught.value)
    assert PASSWORD not in str(caught.value)
