"""Watchers: woken by messages, by time, and by closing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import pytest

from gateway.waiting import ENDED, Waiting
from plugmesh.bus.port import Delivery, Subscription
from plugmesh.contracts.messages import EVENTS, RunChanged
from plugmesh.runtime import SystemRuntime
from tests.waiting import wait_until


class OneTopic:
    """A bus that delivers what a test says."""

    def __init__(self) -> None:
        self.deliver: Callable[[Delivery], None]
        self.partitions: list[int] = []
        self.closed = False

    async def publish(self, topic: str, partition: int, payload: bytes) -> None:
        self.deliver(Delivery(topic, partition, (payload,), "1", lambda: None))

    def subscribe(
        self, topic: str, partitions: Iterable[int], deliver: Callable[[Delivery], None], start: str | None = None
    ) -> Subscription:
        assert topic == EVENTS
        self.partitions, self.deliver = list(partitions), deliver
        return self

    async def end(self, topic: str, partition: int) -> str:
        return "0"

    @property
    def is_away(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


class Clock(SystemRuntime):
    """Time that a test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


@pytest.fixture
def bus() -> OneTopic:
    return OneTopic()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def waiting(clock: Clock, bus: OneTopic) -> Waiting:
    waiting = Waiting(clock, bus)  # type: ignore[arg-type]
    waiting.start()
    return waiting


def changed(run: str, state: str, seq: int = 1) -> bytes:
    return RunChanged(run=run, seq=seq, state=state, at=0.0, changes=({"a": 1},)).encode()


async def test_all_partitions_of_events_are_heard(waiting: Waiting, bus: OneTopic) -> None:
    assert bus.partitions == list(range(32))
    waiting.close()
    assert bus.closed


@pytest.mark.parametrize("state", sorted(ENDED))
async def test_the_end_of_a_run_wakes_who_waits_for_it(waiting: Waiting, bus: OneTopic, state: str) -> None:
    with waiting.watch("r-1") as watcher, waiting.watch("r-2") as other:
        tasks = [asyncio.ensure_future(watcher.wait(60)), asyncio.ensure_future(other.wait(60))]
        await asyncio.sleep(0)
        await bus.publish(EVENTS, 0, changed("r-1", "running"))
        await bus.publish(EVENTS, 0, changed("r-1", state, 2))
        await tasks[0]
        assert watcher.ended
        assert not tasks[1].done()
        await bus.publish(EVENTS, 0, changed("r-2", state))
        await tasks[1]
    assert (len(waiting), waiting.ended[state]) == (0, 2)
    waiting.close()


async def test_waiting_ends_when_the_time_is_over(waiting: Waiting, clock: Clock) -> None:
    with waiting.watch("r-1") as watcher:
        task = asyncio.ensure_future(watcher.wait(5))
        for _ in range(20):
            await asyncio.sleep(0)
        assert not task.done()
        clock.time = 5.0
        await task
        assert not watcher.ended


async def test_closing_wakes_everybody_and_nobody_waits_after_it(waiting: Waiting) -> None:
    with waiting.watch("r-1") as watcher:
        task = asyncio.ensure_future(watcher.wait(60))
        await asyncio.sleep(0)
        waiting.close()
        await task
        await watcher.wait(60)


async def test_no_task_is_left_when_nobody_waits(waiting: Waiting, bus: OneTopic, clock: Clock) -> None:
    with waiting.watch("r-1") as watcher:
        task = asyncio.ensure_future(watcher.wait(60))
        await asyncio.sleep(0)
        await bus.publish(EVENTS, 0, changed("r-1", "failed"))
        await task
    clock.time = 60.0
    await wait_until(lambda: not [one for one in asyncio.all_tasks() if one.get_name() == "gateway-waiting"])


async def test_a_backlog_that_is_full_sends_its_reader_to_sql(waiting: Waiting, bus: OneTopic) -> None:
    with waiting.watch("r-1", backlog=3) as watcher:
        for seq in range(1, 4):
            await bus.publish(EVENTS, 0, changed("r-1", "running", seq))
        assert ([seq for seq, _ in watcher.changes], watcher.missed) == ([1, 2, 3], False)
        await bus.publish(EVENTS, 0, changed("r-1", "running", 4))
        assert ([seq for seq, _ in watcher.changes], watcher.missed) == ([4], True)
        await watcher.wait(60)  # there is something to do


async def test_states_are_remembered_and_an_end_stays_an_end(waiting: Waiting, bus: OneTopic) -> None:
    assert waiting.state("r-1") is None
    waiting.submitted("r-1")
    assert waiting.state("r-1") == "queued"
    await bus.publish(EVENTS, 0, changed("r-1", "succeeded", 2))
    await bus.publish(EVENTS, 0, changed("r-1", "running", 1))
    waiting.submitted("r-1")
    assert waiting.state("r-1") == "succeeded"
    assert waiting.ended["succeeded"] == 1


async def test_a_message_that_cannot_be_read_harms_nobody(waiting: Waiting, bus: OneTopic) -> None:
    for payload in (b"nonsense", b"{}", b'{"v":"9.0","run":"r","seq":1,"state":"failed"}'):
        await bus.publish(EVENTS, 0, payload)
    assert waiting.state("r") is None
    await bus.publish(EVENTS, 0, changed("r", "running"))
    assert waiting.state("r") == "running"


async def test_only_so_many_states_are_remembered(waiting: Waiting) -> None:
    for number in range(20_001):
        waiting.submitted(f"r-{number}")
    assert waiting.state("r-0") is None
    assert waiting.state("r-20000") == "queued"
