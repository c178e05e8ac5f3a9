"""The duplex under a link, so that neither the hub nor the client knows a web framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Transport(Protocol):
    """One connection that carries whole frames in order. One task receives, another one sends."""

    async def receive(self) -> bytes | str:
        """The next frame. Raises `LinkLost` once the connection has ended, however it ended."""
        ...

    async def receive_each(self, take: Callable[[bytes | str], bool]) -> None:
        """Give `take` each frame as it arrives, until it returns False. Raises `LinkLost`, and what `take` raises."""
        ...

    def send_soon(self, frame: bytes) -> bool:
        """Send a frame without waiting; False if the peer is slow (or gone): then it is for `send`."""
        ...

    async def send(self, frame: bytes | str) -> None:
        """Hand a frame over; waits while the peer is slow. Raises `LinkLost`."""
        ...

    async def close(self) -> None:
        """End the connection; `receive` then raises. Harmless when called twice, or when it has ended."""
        ...


async def receive_each(transport: Transport, take: Callable[[bytes | str], bool]) -> None:
    """`Transport.receive_each` for one that can only `receive`."""
    while take(await transport.receive()):
        pass
