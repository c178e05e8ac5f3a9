"""A thread for blocking calls, and calls that are brief enough for the event loop."""

import asyncio
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from plugmesh import runtime
from plugmesh.runtime import ThreadWorker


@pytest.fixture
def worker() -> Iterator[ThreadWorker]:
    made = ThreadWorker("test")
    yield made
    made.close()


def _after(go: threading.Event, order: list[str]) -> None:
    go.wait()
    order.append("first")


async def test_a_brief_call_runs_here_when_nothing_else_is_under_way(worker: ThreadWorker) -> None:
    future = worker.brief(threading.get_ident)
    assert future.done()
    assert await future == threading.get_ident()


async def test_a_brief_call_waits_its_turn_behind_another(worker: ThreadWorker) -> None:
    go, order = threading.Event(), list[str]()
    first = worker.begin(_after, go, order)
    second = worker.brief(lambda: order.append("second"))
    assert not second.done()
    go.set()
    await asyncio.gather(first, second)
    assert order == ["first", "second"]


async def test_a_call_that_nobody_awaits_any_more_is_still_under_way(worker: ThreadWorker) -> None:
    go = threading.Event()
    abandoned = worker.begin(go.wait)
    abandoned.cancel()
    await asyncio.sleep(0)
    second = worker.brief(threading.get_ident)
    assert not second.done()
    go.set()
    assert await second != threading.get_ident()
    assert await worker.brief(threading.get_ident) == threading.get_ident()


async def test_what_blocked_the_loop_for_long_goes_to_the_thread_from_then_on(
    worker: ThreadWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "BRIEF_S", -1.0)  # everything takes longer than that
    assert await worker.brief(threading.get_ident) == threading.get_ident()
    assert await worker.brief(threading.get_ident) != threading.get_ident()


async def test_a_rare_long_call_is_forgiven_and_a_slow_disk_is_asked_again_after_a_while(
    worker: ThreadWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(runtime, "time", SimpleNamespace(monotonic=lambda: clock.now))

    def lasting(seconds: float) -> int:
        clock.now += seconds
        return threading.get_ident()

    async def here(seconds: float) -> bool:
        return await worker.brief(lasting, seconds) == threading.get_ident()

    for _ in range(3):
        assert await here(0.015)
        assert all([await here(0.0002) for _ in range(100)])
    assert not all([await here(0.005) for _ in range(10)])
    assert not await here(0.0002)
    clock.now += runtime.DISTRUST_S
    assert await here(0.0002)


async def test_an_error_of_a_brief_call_is_raised_where_it_is_awaited(worker: ThreadWorker) -> None:
    def fail() -> None:
        raise ValueError("no")

    future = worker.brief(fail)
    with pytest.raises(ValueError, match="no"):
        await future
