"""Kept answers: found again, bounded, and computed once for all who ask at the same time."""

from __future__ import annotations

import asyncio

import pytest

from gateway.kept import Kept
from gateway.reading import Reading
from plugmesh.runtime import SystemRuntime
from tests.waiting import wait_until


class Maker:
    def __init__(self, size: int = 1) -> None:
        self.calls = 0
        self.ended = 0
        self.go = asyncio.Event()
        self.size = size

    async def __call__(self) -> bytes:
        self.calls += 1
        try:
            await self.go.wait()
        finally:
            self.ended += 1
        return bytes(self.size)


def kept(limit: int = 10_000) -> Kept:
    return Kept(SystemRuntime(), lambda: limit)


async def test_an_answer_is_made_once() -> None:
    answers, make = kept(), Maker()
    make.go.set()
    assert await answers.get("a", make) == await answers.get("a", make) == b"\0"
    assert make.calls == 1


async def test_who_asks_the_same_meanwhile_shares_the_work_and_may_leave() -> None:
    answers, make = kept(), Maker()
    asking = [asyncio.ensure_future(answers.get("a", make)) for _ in range(3)]
    await wait_until(lambda: make.calls == 1)
    asking[0].cancel()
    await asyncio.wait(asking[:1])
    make.go.set()
    assert await asking[1] == await asking[2] == b"\0"
    assert (make.calls, make.ended) == (1, 1)


async def test_work_that_nobody_waits_for_any_more_is_stopped_and_begun_anew() -> None:
    answers, make = kept(), Maker()
    asking = asyncio.ensure_future(answers.get("a", make))
    await wait_until(lambda: make.calls == 1)
    asking.cancel()
    await wait_until(lambda: make.ended == 1)
    make.go.set()
    assert await answers.get("a", make) == b"\0"
    assert make.calls == 2


async def test_errors_are_not_kept() -> None:
    answers, make = kept(), Maker()
    make.go.set()

    async def fail() -> bytes:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await answers.get("a", fail)
    assert await answers.get("a", make) == b"\0"


async def test_what_was_not_used_for_longest_goes_first_and_large_answers_are_not_kept() -> None:
    answers, small, large = kept(10_000), Maker(1800), Maker(3000)
    small.go.set()
    large.go.set()
    for name in "abcde":
        await answers.get(name, small)
    await answers.get("a", small)
    assert (small.calls, answers.bytes) == (5, 10_000)
    await answers.get("f", small)
    assert answers.bytes <= 10_000
    await answers.get("a", small)
    assert small.calls == 6
    await answers.get("b", small)
    assert small.calls == 7
    await answers.get("x", large)
    await answers.get("x", large)
    assert large.calls == 2


async def test_a_run_is_held_as_long_as_anybody_reads_it() -> None:
    reading = Reading()
    async with reading.holding("run-1"):
        async with reading.holding("run-1"), reading.holding("run-2"):
            assert reading.lenders == {"run-1", "run-2"}
        assert reading.lenders == {"run-1"}
    assert reading.lenders == frozenset()
