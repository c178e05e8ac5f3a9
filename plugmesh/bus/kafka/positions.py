"""Who is to get what from where: the subscriptions of a process and their offsets, without any I/O."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka.structs import TopicPartition

from plugmesh.bus.port import EARLIEST, Delivery

STUCK_S = 15.0
_OFFSET = re.compile(r"[0-9]{1,18}")


@dataclass(eq=False, slots=True)
class Follower:
    """One subscription: the offset it needs next in each partition, or no offset while it is being asked for.

    `start` as in `Bus.subscribe`; `name` is the topic's name on the broker.
    """

    topic: str
    name: str
    deliver: Callable[[Delivery], None]
    start: str | None
    next: dict[TopicPartition, int | None] = field(default_factory=dict)
    closed: bool = False

    @classmethod
    def of(
        cls, topic: str, name: str, partitions: Iterable[int], deliver: Callable[[Delivery], None], start: str | None
    ) -> Follower:
        """A follower of some partitions."""
        offset = int(start) if start is not None and _OFFSET.fullmatch(start) else None
        return cls(topic, name, deliver, start, {TopicPartition(name, index): offset for index in partitions})

    @property
    def is_strange(self) -> bool:
        """Its start is no offset of this driver."""
        return bool(self.start) and not _OFFSET.fullmatch(self.start or EARLIEST)

    @property
    def unknown(self) -> list[TopicPartition]:
        """The partitions where it is not known yet what it needs next."""
        return [partition for partition, offset in self.next.items() if offset is None]

    def learn(self, ranges: Mapping[TopicPartition, tuple[int, int]]) -> list[TopicPartition]:
        """Take note of where partitions begin and end; returns those whose next message is not there (any more)."""
        lost = []
        for partition, (first, end) in ranges.items():
            offset = self.next.get(partition, -1)
            if offset is None:
                self.next[partition] = end if self.start is None else first
            elif partition in self.next and not first <= offset <= end:
                self.next[partition] = first
                lost.append(partition)
        return lost

    def take(self, partition: TopicPartition, records: Sequence[tuple[int, bytes]]) -> Delivery | None:
        """What of the records (offset, message) is new to it."""
        after = self.next.get(partition)
        if after is None or self.closed:
            return None
        fresh = tuple(message for offset, message in records if offset >= after)
        self.next[partition] = max(after, records[-1][0] + 1)
        if not fresh:
            return None
        return Delivery(self.topic, partition.partition, fresh, str(self.next[partition]), _nothing)


def positions(followers: Iterable[Follower]) -> dict[TopicPartition, int]:
    """From where each partition has to be read, so that every follower gets what it needs."""
    found: dict[TopicPartition, int] = {}
    for follower in followers:
        for partition, offset in follower.next.items():
            if offset is not None:
                found[partition] = min(offset, found.get(partition, offset))
    return found


class Progress:
    """Tells whether reading stands still although there is something to read."""

    def __init__(self) -> None:
        self._behind: dict[TopicPartition, tuple[int, float]] = {}

    def stuck(
        self, now: float, positions: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> list[TopicPartition]:
        """The partitions that were behind their end at the same position for `STUCK_S`, at the monotonic second `now`."""
        behind = {}
        for partition, position in positions.items():
            if position < ends.get(partition, 0):
                last = self._behind.get(partition)
                behind[partition] = last if last is not None and last[0] == position else (position, now)
        self._behind = behind
        return [partition for partition, (_, since) in behind.items() if now - since >= STUCK_S]


def _nothing() -> None:
    """The log keeps what was delivered: there is nothing to acknowledge."""
