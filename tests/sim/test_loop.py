"""The simulation itself: time, death, stops, and that the same seed is the same simulation."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.sim.loop import SimLoop, Stuck
from tests.sim.process import Crashed, SimProcess


class _House:
    def __init__(self) -> None:
        self.failures: list[str] = []
        self.loop = SimLoop(self.failures.append)

    def outside(self, when: float, function: Callable[..., Any], *args: Any) -> None:
        self.loop.call_at(when, function, *args)

    def note(self, who: str, what: str) -> None:
        return None

    def reached(self, process: SimProcess, point: str) -> None:
        process.kill(point)
        raise Crashed(point)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        try:
            return self.loop.run_until_complete(work)
        finally:
            self.loop.close()


@pytest.fixture
def house() -> _House:
    return _House()


def test_the_clock_jumps_to_the_next_timer(house: _House) -> None:
    async def main() -> float:
        await asyncio.sleep(86_400)
        return house.loop.time()

    assert house.run(main()) == 86_400


def test_waiting_for_nothing_is_an_error(house: _House) -> None:
    async def main() -> None:
        await house.loop.create_future()

    with pytest.raises(Stuck, match="nothing is scheduled"):
        house.run(main())


def test_going_in_circles_is_an_error(house: _House) -> None:
    async def main() -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="stands still"):
        house.run(main())


def test_threads_are_refused(house: _House) -> None:
    async def main() -> None:
        await asyncio.to_thread(random.random)

    with pytest.raises(Stuck, match="wants a thread"):
        house.run(main())


def test_a_dead_process_runs_no_more_code_not_even_finally(house: _House) -> None:
    seen: list[str] = []
    process = SimProcess(house, "p", "test", 1)

    async def work() -> None:
        try:
            seen.append("begun")
            await process.runtime.sleep(1)
            seen.append("woken")
        finally:
            if process.alive:
                seen.append("cleaned up")

    async def main() -> None:
        process.spawn(work(), "work")
        await asyncio.sleep(0.5)
        process.kill("test")
        await asyncio.sleep(10)

    house.run(main())
    process.bury()
    assert seen == ["begun"]


def test_a_point_can_end_a_process_in_the_middle_of_a_call(house: _House) -> None:
    process = SimProcess(house, "p", "test", 1)
    disk: list[str] = []

    def write() -> None:
        disk.append("before")
        process.runtime.point("here")
        disk.append("after")

    async def main() -> None:
        task = process.spawn(process.runtime.worker("w").call(write), "work")
        await asyncio.sleep(1)
        assert not task.done()

    house.run(main())
    process.bury()
    assert disk == ["before"]


def test_a_stalled_process_goes_on_where_it_was(house: _House) -> None:
    process = SimProcess(house, "p", "test", 1)
    ticks: list[float] = []

    async def work() -> None:
        while len(ticks) < 4:
            await asyncio.sleep(1)
            ticks.append(house.loop.time())

    async def main() -> None:
        process.spawn(work(), "work")
        await asyncio.sleep(1.5)
        process.stall()
        await asyncio.sleep(10)
        process.go_on()
        await asyncio.sleep(10)

    house.run(main())
    assert ticks == [1.0, 11.5, 12.5, 13.5]


def test_a_worker_runs_its_calls_one_after_another(house: _House) -> None:
    process = SimProcess(house, "p", "test", 1)
    done: list[int] = []

    async def main() -> None:
        worker = process.runtime.worker("w")
        await asyncio.gather(*(worker.call(done.append, number) for number in range(50)))

    house.run(main())
    assert done == list(range(50))
