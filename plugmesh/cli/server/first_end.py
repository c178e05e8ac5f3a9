"""Waiting for the first of several things that should never end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from plugmesh.runtime import Runtime


async def first_end(runtime: Runtime, *works: Coroutine[Any, Any, None]) -> None:
    """Return when one of them ends, or raise what it raises; the others are cancelled."""
    tasks = [runtime.spawn(work, "failure") for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
