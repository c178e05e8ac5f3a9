"""The port behind which traces leave a process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from plugmesh.figures import Figure
from plugmesh.telemetry.span import Span


class Telemetry(Protocol):
    """Takes spans that are over. Nothing of it ever waits, or raises: a mesh does not notice what becomes of its traces."""

    @property
    def on(self) -> bool:
        """Whether spans go anywhere: if not, nobody need make one."""
        ...

    def wants(self, trace: str) -> bool:
        """Whether the spans of this trace are taken."""
        ...

    def export(self, span: Span) -> None:
        """Send one; it may be lost, which is counted."""
        ...

    def figures(self) -> Iterator[Figure]:
        """How many were sent and lost, for `/metrics`."""
        ...

    async def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        ...
