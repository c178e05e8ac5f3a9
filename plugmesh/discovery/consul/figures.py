"""What one process's access to Consul tells about itself: calls by kind, failures, and when Consul answered last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Iterator
from typing import TypeVar

from plugmesh.answering import Answering
from plugmesh.errors import NotReachable, PlugmeshError
from plugmesh.figures import Figure, counts
from plugmesh.hub.figures import CALLS_OF_DISCOVERY
from plugmesh.runtime import Runtime

T = TypeVar("T")


class ConsulCalls:
    """Counted on the event loop."""

    def __init__(self, runtime: Runtime) -> None:
        self._answering = Answering("discovery", "Consul", runtime)
        self._calls: Counter[str] = Counter()

    async def counted(self, name: str, call: Awaitable[T]) -> T:
        """What the call gives. A refusal is an answer."""
        self._calls[name] += 1
        try:
            result = await call
        except NotReachable:
            self._answering.failed()
            raise
        except PlugmeshError:
            self._answering.answered()
            raise
        self._answering.answered()
        return result

    def figures(self) -> Iterator[Figure]:
        """The figures of one access."""
        yield counts("plugmesh_discovery_calls", CALLS_OF_DISCOVERY, "call", self._calls)
        yield from self._answering.figures()
