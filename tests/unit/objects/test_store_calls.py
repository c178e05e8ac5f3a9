"""On which threads calls of a store wait for its server."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from plugmesh.objects.measured import MeasuredStore
from plugmesh.objects.open import open_store
from plugmesh.objects.port import close_store, store_call
from plugmesh.runtime import SystemRuntime
from tests.waiting import wait_until

RUNTIME = SystemRuntime()
FAR = "s3://a:b@bucket/mesh?endpoint=http://127.0.0.1:9"


def _here() -> str:
    return threading.current_thread().name


async def test_a_store_on_another_machine_has_threads_of_its_own(tmp_path: Path) -> None:
    far, near = (MeasuredStore(open_store(url, RUNTIME), RUNTIME) for url in (FAR, tmp_path.as_uri()))
    assert (await store_call(far, RUNTIME, _here)).startswith("objects-")
    assert not (await store_call(near, RUNTIME, _here)).startswith("objects-")
    close_store(far)
    close_store(near)


async def test_calls_that_wait_for_a_store_keep_no_other_call_waiting() -> None:
    store, go, begun = open_store(FAR, RUNTIME), threading.Event(), list[int]()

    def wait() -> None:
        begun.append(1)
        go.wait()

    calls = [asyncio.ensure_future(store_call(store, RUNTIME, wait)) for _ in range(100)]
    try:
        await wait_until(lambda: len(begun) >= 32)
        assert await asyncio.wait_for(RUNTIME.run_sync(int, "7"), 60) == 7
    finally:
        go.set()
    await asyncio.gather(*calls)
    close_store(store)


async def test_a_store_that_is_closed_takes_no_more_calls() -> None:
    store = open_store(FAR, RUNTIME)
    close_store(store)
    with pytest.raises(RuntimeError, match="closed"):
        await store_call(store, RUNTIME, _here)
