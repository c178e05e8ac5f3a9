"""What a Kafka bus tells about itself: what was sent, what waits, what was dropped, and how long nobody has answered."""

import asyncio
from collections.abc import Callable, Iterable, Mapping

from plugmesh.bus.kafka import sender
from plugmesh.bus.kafka.bus import KafkaBus
from plugmesh.bus.port import EARLIEST
from plugmesh.conformance.bus import Inbox
from plugmesh.figures import Figure
from plugmesh.runtime import SystemRuntime
from tests.servers import OwnServer
from tests.waiting import wait_until


def values(figures: Iterable[Figure]) -> dict[str, Mapping[tuple[str, ...], float]]:
    return {figure.name.removeprefix("plugmesh_bus_"): figure.values for figure in figures}


async def test_figures_count_messages_and_tell_of_an_outage(own_server: Callable[[str], OwnServer]) -> None:
    broker = await asyncio.to_thread(own_server, "kafka")
    bus, inbox = KafkaBus(f"kafka://{broker.address}/x", SystemRuntime()), Inbox()
    try:
        bus.subscribe("results", range(32), inbox, EARLIEST)
        for partition in range(3):
            await bus.publish("results", partition, b"12345")
        await wait_until(lambda: len(inbox.messages) == 3)
        found = values(bus.figures())
        assert found["messages"][("results",)] == 3
        assert found["bytes"][("results",)] == 15
        assert found["delivered"][("results",)] == 3
        assert found["waiting"] == {("results",): 0}
        assert found["lag"] == {("results",): 0}
        assert found["outage_seconds"] == {(): 0}
        broker.pause()
        await wait_until(lambda: values(bus.figures())["outage_seconds"][()] > 0, 30)
        kept = asyncio.ensure_future(bus.publish("results", 0, b"later"))
        for _ in range(sender.CROWDED_MESSAGES + 50):
            await bus.publish("events", 0, b"")
        await wait_until(lambda: values(bus.figures())["waiting"][("results",)] == 1)
        found = values(bus.figures())
        assert found["dropped"][()] >= 50
        assert found["failures"][()] >= 1
        broker.resume()
        await kept
        await wait_until(lambda: values(bus.figures())["outage_seconds"][()] == 0, 30)
    finally:
        await bus.close()
