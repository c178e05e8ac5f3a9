"""Waiting for what must become true, without sleeping for a fixed time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def wait_until(predicate: Callable[[], object], within_s: float = 10.0) -> None:
    """Return as soon as `predicate()` is true. Raises `AssertionError` naming it after `within_s`."""
    try:
        async with asyncio.timeout(within_s):
            while not predicate():  # noqa: ASYNC110  what is awaited here is anybody's: no event tells of it
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"{predicate!r} did not become true within {within_s:g} s") from None
