"""A part of the Kafka bus that ends with an error that nobody foresaw."""

from __future__ import annotations

import asyncio

import pytest

from plugmesh.bus.failure import bus_failed
from plugmesh.bus.kafka.bus import KafkaBus
from plugmesh.contracts.messages import RUNS
from plugmesh.errors import NotReachable
from plugmesh.runtime import SystemRuntime


async def _broken() -> None:
    raise ValueError("a record that nobody can read")


async def test_it_says_that_it_has_failed_for_good() -> None:
    bus = KafkaBus("kafka://127.0.0.1:1/mesh", SystemRuntime())
    failed = asyncio.ensure_future(bus_failed(bus))
    await asyncio.sleep(0)
    assert not failed.done(), "that no broker answers is an outage"
    bus._begin("bus-watch", _broken())
    with pytest.raises(NotReachable, match=r"nobody can read.*start this process again"):
        await asyncio.wait_for(failed, 20)
    with pytest.raises(NotReachable, match="start this process again"):
        await bus.publish(RUNS, 0, b"x")
    await bus.close()


async def test_a_first_connection_that_ends_oddly_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KafkaBus, "_first_connection", lambda _: _broken())
    bus = KafkaBus("kafka://127.0.0.1:1/mesh", SystemRuntime())
    with pytest.raises(NotReachable, match="start this process again"):
        await asyncio.wait_for(bus.end(RUNS, 0), 20)
    await bus.close()


async def test_a_bus_that_is_closed_has_not_failed() -> None:
    bus = KafkaBus("kafka://127.0.0.1:1/mesh", SystemRuntime())
    failed = asyncio.ensure_future(bus_failed(bus))
    await asyncio.sleep(0)
    await bus.close()
    await asyncio.sleep(0)
    assert not failed.done()
    failed.cancel()
