"""Whether the brokers answer, and take messages: said once when they stop, and once when they do again."""

from __future__ import annotations

import logging

from plugmesh.runtime import Runtime

SAY_AGAIN_S = 60.0
_log = logging.getLogger(__name__)


class Outage:
    """What one process knows of its brokers (`shown`: their URL without secrets)."""

    def __init__(self, shown: str, runtime: Runtime) -> None:
        self._shown = shown
        self._runtime = runtime
        self._since: float | None = None
        self._said_dropping = float("-inf")
        self._refused: dict[tuple[str, int], float] = {}
        """Partitions for which they take no messages, and since when."""
        self._said_refused: dict[str, float] = {}
        self._refused_topics: set[str] = set()
        """Those of which it was said, and not yet that it is over."""
        self.failures = 0
        """Questions that no broker answered."""

    @property
    def seconds(self) -> float:
        """How long the brokers have not answered, or not taken messages for some partition; 0 while they do."""
        since = [*self._refused.values(), *([] if self._since is None else [self._since])]
        return self._runtime.now() - min(since) if since else 0.0

    @property
    def is_on(self) -> bool:
        """The brokers did not answer last time."""
        return self._since is not None

    def away(self, error: BaseException) -> None:
        """No broker answered."""
        self.failures += 1
        if self._since is None:
            self._since = self._runtime.now()
            why = " ".join(str(error).split()) or type(error).__name__
            _log.warning("the bus %s does not answer (%s); trying on, kept messages wait here", self._shown, why)

    def back(self) -> None:
        """A broker answered."""
        if self._since is not None:
            _log.warning("the bus %s answers again after %.1f s", self._shown, self._runtime.now() - self._since)
            self._since = None

    def refused(self, topic: str, partition: int, why: str) -> None:
        """The brokers answer, and take no messages for a partition; `why` says what to do."""
        now = self._runtime.now()
        self._refused.setdefault((topic, partition), now)
        if now - self._said_refused.get(topic, float("-inf")) >= SAY_AGAIN_S:
            self._said_refused[topic] = now
            self._refused_topics.add(topic)
            _log.warning(
                "the bus %s takes no messages for %s (%s); trying on, kept messages wait here", self._shown, topic, why
            )

    def took(self, topic: str, partition: int) -> None:
        """They took messages for a partition."""
        self.nothing_waits(topic, partition)
        if topic in self._refused_topics and not any(topic == refused for refused, _ in self._refused):
            self._refused_topics.remove(topic)
            _log.warning("the bus %s takes messages for %s again", self._shown, topic)

    def nothing_waits(self, topic: str, partition: int) -> None:
        """There are no messages for a partition that they could refuse."""
        self._refused.pop((topic, partition), None)

    def dropping(self, topic: str) -> None:
        """A message was dropped because too many wait."""
        now = self._runtime.now()
        if now - self._said_dropping >= SAY_AGAIN_S:
            self._said_dropping = now
            _log.warning("too many messages wait for the bus %s; new ones for %r are dropped", self._shown, topic)
