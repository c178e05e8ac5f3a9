"""The two ends that a link has inside the hub: as the origin of kept messages, and as a reader of partitions."""

from __future__ import annotations

from collections.abc import Sequence

from plugmesh.hub.outbox import Outbox
from plugmesh.hub.topics import Partition, Topics


class LinkOrigin:
    """What one link published and nobody has committed; it outlives a reconnect."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen = 0
        self.pending: set[int] = set()
        self.outbox: Outbox | None = None

    def acked(self, seq: int) -> None:
        self.pending.discard(seq)
        if seq and self.outbox is not None:
            self.outbox.ack(seq)


class WireReader:
    """A subscription whose messages become `msg` lines."""

    def __init__(self, name: str, topics: Topics, outbox: Outbox) -> None:
        self._name = name
        self._boot = topics.boot
        self._outbox = outbox
        self._prefixes: dict[Partition, bytes] = {}

    def join(self, partition: Partition, start: str | None) -> None:
        prefix = f"msg {self._name} {partition.topic} {partition.index} {self._boot}:"
        self._prefixes[partition] = prefix.encode()
        partition.join(self, partition.topics.start(start))

    def push(self, partition: Partition, numbers: Sequence[int], messages: Sequence[bytes]) -> None:
        prefix, put = self._prefixes[partition], self._outbox.put
        for number, message in zip(numbers, messages, strict=True):
            put(b"%b%d %b\n" % (prefix, number, message))

    def reads_kept(self) -> bool:
        return any(partition.kept for partition in self._prefixes)

    def leave(self) -> None:
        for partition in self._prefixes:
            partition.leave(self)
