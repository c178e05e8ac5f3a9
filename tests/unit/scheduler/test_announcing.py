"""What watchers are told at once, and what waits for more of it."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from plugmesh.bus.port import Bus
from plugmesh.conformance.waiting import wait_until
from plugmesh.errors import NotReachable
from plugmesh.runtime import SystemRuntime
from scheduler.announcing import HOLD_S, Announcement, Announcing

STEP_1, STEP_2 = Announcement(3, b"step 1", False), Announcement(3, b"step 2", False)
END = Announcement(3, b"end", True)


class SetTime(SystemRuntime):
    """Sleepers sleep until `time_is_up` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.time_is_up = asyncio.Event()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.time_is_up.wait()


class Wire:
    """Takes what is published."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, bytes]] = []
        self.error: Exception | None = None

    async def publish(self, topic: str, partition: int, payload: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((topic, partition, payload))


class House:
    def __init__(self) -> None:
        self.clock, self.wire = SetTime(), Wire()
        self.announcing = Announcing(self.clock, cast(Bus, self.wire))


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.announcing.close()


async def test_what_steps_did_leaves_together(house: House):
    await house.announcing.tell([STEP_1])
    await house.announcing.tell([STEP_2])
    assert house.wire.sent == []
    house.clock.time_is_up.set()
    await wait_until(lambda: len(house.wire.sent) == 2)
    assert house.wire.sent == [("events", 3, b"step 1"), ("events", 3, b"step 2")]
    assert house.clock.slept == [HOLD_S]


async def test_the_end_of_a_run_leaves_at_once_and_after_what_came_before_it(house: House):
    await house.announcing.tell([STEP_1])
    await house.announcing.tell([END])
    assert [payload for _, _, payload in house.wire.sent] == [b"step 1", b"end"]


async def test_what_comes_after_it_is_held_again(house: House):
    await house.announcing.tell([END])
    await house.announcing.tell([STEP_1])
    assert len(house.wire.sent) == 1
    house.clock.time_is_up.set()
    await wait_until(lambda: len(house.wire.sent) == 2)


async def test_nothing_is_held_back_at_the_end(house: House):
    await house.announcing.tell([STEP_1])
    await house.announcing.close()
    assert house.wire.sent == [("events", 3, b"step 1")]


async def test_a_bus_that_is_away_hurts_nobody(house: House, caplog: pytest.LogCaptureFixture):
    house.wire.error = NotReachable("the broker is away")
    await house.announcing.tell([END])
    assert "the broker is away" in caplog.text
