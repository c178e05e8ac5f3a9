"""No traces."""

from __future__ import annotations

from collections.abc import Iterator

from plugmesh.figures import Figure
from plugmesh.telemetry.span import Span


class NoTelemetry:
    """The driver that does nothing."""

    @property
    def on(self) -> bool:
        return False

    def wants(self, trace: str) -> bool:
        return False

    def export(self, span: Span) -> None:
        return None

    def figures(self) -> Iterator[Figure]:
        return iter(())

    async def close(self) -> None:
        return None


OFF = NoTelemetry()
