"""A few threads for calls that wait long."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from plugmesh.runtime import ThreadPool
from tests.waiting import wait_until

MOST = 3


@pytest.fixture
def threads() -> Iterator[ThreadPool]:
    made = ThreadPool("test", MOST)
    yield made
    made.close()


class Crowd:
    """Calls that wait for `go`; notes how many have begun."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.names: list[str] = []

    def wait(self) -> None:
        self.names.append(threading.current_thread().name)
        self.go.wait()


async def test_as_many_calls_as_there_are_threads_wait_at_once_and_no_more(threads: ThreadPool) -> None:
    crowd = Crowd()
    calls = [asyncio.ensure_future(threads.call(crowd.wait)) for _ in range(2 * MOST)]
    await wait_until(lambda: len(crowd.names) == MOST)
    assert threads.begun == MOST
    crowd.go.set()
    await asyncio.gather(*calls)
    assert (len(crowd.names), threads.begun) == (2 * MOST, MOST)
    assert set(crowd.names) <= {f"test-{number}" for number in range(1, MOST + 1)}


async def test_a_thread_that_is_free_is_used_again(threads: ThreadPool) -> None:
    assert threads.begun == 0
    assert len({await threads.call(threading.get_ident) for _ in range(5)}) == 1


async def test_an_error_is_raised_where_it_is_awaited(threads: ThreadPool) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await threads.call(int, "x")


async def test_what_waits_when_they_are_closed_is_finished_and_nothing_else_is_taken(threads: ThreadPool) -> None:
    crowd = Crowd()
    calls = [asyncio.ensure_future(threads.call(crowd.wait)) for _ in range(MOST + 1)]
    await wait_until(lambda: len(crowd.names) == MOST)
    threads.close()
    with pytest.raises(RuntimeError, match="closed"):
        await threads.call(int, "1")
    crowd.go.set()
    await asyncio.gather(*calls)
    await wait_until(lambda: not [one for one in threading.enumerate() if one.name.startswith("test-")])
