"""Waiting for a bus that has failed for good: not an outage, which drivers wait out themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from plugmesh.bus.port import Bus


async def bus_failed(bus: Bus) -> None:
    """Wait until `bus` can never again do anything in this process, as far as it can tell (`failed()`); raises the
    `PlugmeshError` that says why. A process without a bus must not stay: it would be given work of which it never hears."""
    failed: Callable[[], Awaitable[None]] | None = getattr(bus, "failed", None)
    await (asyncio.Event().wait() if failed is None else failed())
