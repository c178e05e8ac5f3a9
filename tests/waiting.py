"""Waiting for something to become true: tests never sleep for a while and hope."""

import asyncio
import inspect
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def wait_until(
    predicate: Callable[[], Coroutine[Any, Any, T | None]],
    within_s: float = 10,
    every_s: float = 0.02,
    message: str = "",
) -> T: ...


@overload
async def wait_until(
    predicate: Callable[[], T | None], within_s: float = 10, every_s: float = 0.02, message: str = ""
) -> T: ...


async def wait_until(
    predicate: Callable[[], Any], within_s: float = 10, every_s: float = 0.02, message: str = ""
) -> Any:
    """Call `predicate` (plain or async) until it returns something true, and return that.

    `within_s` only bounds how long a broken test takes; make it generous. Raises AssertionError, with `message` and
    the last value, when the time is over. An exception of the predicate is raised at once.
    """
    deadline = time.monotonic() + within_s
    while True:
        answer = predicate()
        value = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within_s} s: {message or _name(predicate)} (last value: {value!r})")
        await asyncio.sleep(every_s)


def wait_until_sync(predicate: Callable[[], T], within_s: float = 10, every_s: float = 0.02, message: str = "") -> T:
    """`wait_until` for tests without a loop; the predicate is a plain function."""
    deadline = time.monotonic() + within_s
    while not (value := predicate()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within_s} s: {message or _name(predicate)} (last value: {value!r})")
        time.sleep(every_s)
    return value


def _name(predicate: Callable[[], object]) -> str:
    return getattr(predicate, "__qualname__", repr(predicate))
