"""A thread for blocking calls, and calls that are brief enough for the event loop."""

import asyncio
import threading
from collections.abc import Iterator

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


async def test_an_error_of_a_brief_call_is_raised_where_it_is_awaited(worker: ThreadWorker) -> None:
    def fail() -> None:
        raise ValueError("no")

    future = worker.brief(fail)
    with pytest.raises(ValueError, match="no"):
        await future
