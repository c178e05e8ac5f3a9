"""The Bus port: topics of numbered partitions, each an ordered log of small messages.

Calls, in time order: a reader asks for the `end` of a partition, then subscribes from there (or from the offset it
has in SQL); writers `publish`. What a driver must promise:

- within one partition and one sender, messages arrive in the order they were published; duplicates are possible;
- on a *kept* topic (`runs`, `results`), `publish` returns when the message can no longer be lost: the log has it
  (Kafka), or its reader has acknowledged it (embedded). Until then the sender holds it; if the sender gives up
  waiting, the message may or may not arrive;
- on other topics (`dispatch`, `events`), `publish` returns at once and a message may be lost.

`LinkLost` never reaches the caller of `publish` on a kept topic: drivers reconnect and send again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

KEPT_TOPICS = frozenset({"runs", "results"})

EARLIEST = ""
"""A start: the oldest message that is kept. An offset that the driver does not know (any more) means the same."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Messages of one partition, oldest first. `offset` is what to subscribe from to get what follows them.

    `ack` tells the driver that all they caused is committed; calling it twice is harmless.
    """

    topic: str
    partition: int
    messages: tuple[bytes, ...]
    offset: str
    ack: Callable[[], None]


class Subscription(Protocol):
    """A running subscription."""

    def close(self) -> None:
        """No delivery is made after this returns."""
        ...


class Bus(Protocol):
    """One process's access to the bus."""

    async def publish(self, topic: str, partition: int, payload: bytes) -> None:
        """Send one message (at most 64 KiB). Raises `LimitExceeded`; see the module's text for when it returns."""
        ...

    def subscribe(
        self, topic: str, partitions: Iterable[int], deliver: Callable[[Delivery], None], start: str | None = None
    ) -> Subscription:
        """Call `deliver` on the event loop with what arrives in `partitions` from `start` on (`None`: from now).

        `deliver` must not block or raise; it queues.
        """
        ...

    async def end(self, topic: str, partition: int) -> str:
        """The offset behind the newest message."""
        ...

    @property
    def is_away(self) -> bool:
        """Whether whatever carries the messages does not answer now: nothing arrives here, and what is not kept may be lost.

        Not known at once: a driver may need seconds to find it out. A reader must not take silence for an answer meanwhile.
        """
        ...

    async def close(self) -> None:
        """End all subscriptions and the connection. Kept messages that are not acknowledged stay with the caller."""
        ...
