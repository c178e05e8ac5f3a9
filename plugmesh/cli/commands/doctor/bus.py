"""The bus, tried: a message goes out and comes back, and what schedulers read can be read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import urlsplit

from plugmesh.bus.open import open_bus
from plugmesh.bus.port import Bus, Delivery
from plugmesh.cli.commands.doctor.trial import Doubt
from plugmesh.contracts.instance import dispatch_partition
from plugmesh.contracts.messages import DISPATCH, RESULTS, RUNS, Renewed
from plugmesh.errors import NotReachable
from plugmesh.runtime import Runtime

BACK_S, AGAIN_S = 10.0, 1.0


async def try_url(url: str, runtime: Runtime) -> str:
    """Open the bus at `url` as a process does, and try it. Raises `Doubt`, `ConfigurationError`, `NotReachable`."""
    if urlsplit(url).scheme == "kafka":
        await _check_topics(url, runtime)
    bus = open_bus(url, runtime)
    try:
        return await try_bus(bus, runtime)
    finally:
        await bus.close()


async def try_bus(bus: Bus, runtime: Runtime) -> str:
    """Send a message to an instance that does not exist, and wait for it. No scheduler reads `dispatch`, and instances pass over
    what is for others. Raises `NotReachable`, `ConfigurationError`."""
    for topic in (RUNS, RESULTS):
        await bus.end(topic, 0)
    instance = runtime.new_id("doctor")
    partition, payload = dispatch_partition(instance), Renewed(instance=instance, shard=0, term=0).encode()
    back = asyncio.Event()
    subscription = bus.subscribe(DISPATCH, [partition], _listener(payload, back))
    try:
        await bus.end(DISPATCH, partition)  # what is published from here on is heard
        begun = runtime.now()
        await _sent(partial(bus.publish, DISPATCH, partition, payload), back, begun + BACK_S, runtime)
        return f"a message came back after {(runtime.now() - begun) * 1000:.0f} ms; runs and results can be read"
    finally:
        subscription.close()


def _listener(payload: bytes, back: asyncio.Event) -> Callable[[Delivery], None]:
    def heard(delivery: Delivery) -> None:
        if payload in delivery.messages:
            back.set()
        delivery.ack()

    return heard


async def _sent(send: Callable[[], Awaitable[None]], back: asyncio.Event, until: float, runtime: Runtime) -> None:
    """Such messages may be lost: it is sent until one has come back."""
    while runtime.now() < until:
        await send()
        try:
            async with asyncio.timeout(AGAIN_S):
                await back.wait()
        except TimeoutError:
            continue
        return
    raise NotReachable(f"the bus took messages for the topic {DISPATCH}, and none came back within {BACK_S:g} s")


async def _check_topics(url: str, runtime: Runtime) -> None:
    """Raises `Doubt` where no process has made the topics: the doctor does not."""
    from plugmesh.bus.kafka.address import KafkaUrl  # noqa: PLC0415  its library is not everybody's
    from plugmesh.bus.kafka.clients import FIRST_S, KafkaClients  # noqa: PLC0415  as above
    from plugmesh.bus.kafka.topics import missing_topics  # noqa: PLC0415  as above

    parsed = KafkaUrl.parse(url)
    connection = await KafkaClients(parsed).first_connection(runtime.now() + FIRST_S, runtime)
    try:
        missing = await missing_topics(connection, parsed)
    finally:
        connection.close()
    if missing:
        raise Doubt(
            f"the brokers answer, and have no topic {', '.join(sorted(missing))}",
            f"the first process of a mesh makes them; if one has been there, the prefix {parsed.prefix!r} in the setting `bus` "
            "is wrong",
        )
