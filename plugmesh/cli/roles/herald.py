"""A scheduler has no gateway of its own: what it does beside runs is told to those of the mesh by the bus."""

from __future__ import annotations

import logging
from typing import Any

from plugmesh.bus.port import Bus
from plugmesh.contracts.messages import EVENTS, NEWS, News
from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime

_log = logging.getLogger(__name__)


class Herald:
    """Tells the feeds of gateways. What is lost on the way is in the database anyway."""

    def __init__(self, runtime: Runtime, bus: Bus) -> None:
        self._runtime, self._bus = runtime, bus

    def tell(self, topic: str, key: str, document: dict[str, Any]) -> None:
        """Something has changed. Never raises."""
        payload = News(topic=topic, key=key, document=document).encode()
        self._runtime.spawn(self._publish(payload), "news")

    async def _publish(self, payload: bytes) -> None:
        try:
            await self._bus.publish(EVENTS, NEWS, payload)
        except PlugmeshError as error:
            _log.info("gateways were not told what this scheduler did: %s", error)
