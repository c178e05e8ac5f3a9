"""Topics in memory: who reads which partition, and the kept messages that no reader has committed yet.

One counter numbers every message of a hub's boot, so that an offset `<boot>:<n>` means the same in every partition.
Only kept messages are stored, and only until a reader commits them: an offset of another boot, or any other text,
therefore means "all that is kept".
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from plugmesh.bus.port import KEPT_TOPICS
from plugmesh.contracts.data import MESSAGE_LIMIT_BYTES
from plugmesh.errors import InvalidMessage, LimitExceeded
from plugmesh.figures import Latency

KEPT_LIMIT_BYTES = 64 * 1024 * 1024
PARTITION_LIMIT = 4096
_TOPIC = re.compile(r"[a-z][a-z0-9_.-]{0,99}")


class Reader(Protocol):
    """Someone who subscribed."""

    def push(self, partition: Partition, numbers: Sequence[int], messages: Sequence[bytes]) -> None:
        """Take messages of one partition, oldest first. Must not raise."""
        ...


class Origin(Protocol):
    """Where kept messages come from."""

    def acked(self, seq: int) -> None:
        """The message that was published as `seq` can no longer be lost."""
        ...


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that waits for a reader's commit, since the monotonic second `at`."""

    payload: bytes
    origin: Origin
    seq: int
    at: float


@dataclass(frozen=True, slots=True)
class Start:
    """Where a subscription begins: behind number `after`. `committed`: what came before needs no reader any more."""

    after: int
    committed: bool


class Partition:
    """One partition of one topic."""

    def __init__(self, topics: Topics, topic: str, index: int) -> None:
        self.topic = topic
        self.index = index
        self.kept = topic in KEPT_TOPICS
        self.topics = topics
        self.messages = self.bytes = self.delivered = 0
        self._readers: tuple[Reader, ...] = ()  # replaced, never changed: a reader may leave while it is called
        self._pending: dict[int, Kept] = {}  # by number, oldest first

    @property
    def backlog(self) -> int:
        """Messages that no reader has committed yet."""
        return len(self._pending)

    @property
    def oldest_at(self) -> float | None:
        """Since when the oldest message waits that no reader has committed yet, in monotonic seconds."""
        return next((kept.at for kept in self._pending.values()), None)

    def publish(self, messages: Sequence[bytes], origin: Origin, seqs: Sequence[int]) -> None:
        """Number the messages, keep them if the topic is a kept one, and hand them to every reader."""
        self.messages += len(messages)
        self.bytes += sum(map(len, messages))
        self.delivered += len(messages) * len(self._readers)
        first = self.topics.number + 1
        self.topics.number += len(messages)
        numbers = range(first, first + len(messages))
        if self.kept:
            at = self.topics.now()
            for number, message, seq in zip(numbers, messages, seqs, strict=True):
                self._pending[number] = Kept(message, origin, seq, at)
                self.topics.kept_bytes += len(message)
        for reader in self._readers:
            reader.push(self, numbers, messages)

    def join(self, reader: Reader, start: Start) -> None:
        """Add a reader: it gets what is kept behind its start, then what arrives."""
        after = start.after
        if start.committed:
            self.release(0, after)
        backlog = [number for number in self._pending if number > after]
        self._readers = (*self._readers, reader)
        if backlog:
            reader.push(self, backlog, [self._pending[number].payload for number in backlog])

    def leave(self, reader: Reader) -> None:
        """Remove a reader; what it did not commit stays for the next one."""
        self._readers = tuple(other for other in self._readers if other is not reader)

    def release(self, first: int, last: int) -> None:
        """Forget the kept messages numbered `first` to `last`, and tell those who published them."""
        released = []
        for number in self._pending:
            if number > last:
                break
            if number >= first:
                released.append(number)
        now = self.topics.now() if released else 0.0
        for number in released:
            kept = self._pending.pop(number)
            self.topics.commits.observe(now - kept.at)
            self.topics.freed(len(kept.payload))
            kept.origin.acked(kept.seq)


class Topics:
    """Every partition of one boot of the hub. `now` tells monotonic seconds."""

    def __init__(self, boot: str, now: Callable[[], float], kept_limit_bytes: int = KEPT_LIMIT_BYTES) -> None:
        self.boot = boot
        self.now = now
        self.commits = Latency("plugmesh_bus_commit_seconds", "Time until a reader has committed a message")
        self.number = 0
        self.kept_bytes = 0
        self._kept_limit_bytes = kept_limit_bytes
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._by_wire: dict[tuple[bytes, bytes], Partition] = {}
        self._room: asyncio.Event | None = None

    def partition(self, topic: str, index: int) -> Partition:
        """The partition, made when first asked for. Raises `InvalidMessage`."""
        found = self._partitions.get((topic, index))
        if found is None:
            check_partition(topic, index)
            found = self._partitions[topic, index] = Partition(self, topic, index)
        return found

    def partitions(self) -> tuple[Partition, ...]:
        """Every partition that was asked for."""
        return tuple(self._partitions.values())

    def wire_partition(self, topic: bytes, index: bytes) -> Partition:
        """`partition`, by the words of a line. Raises `InvalidMessage`, `ValueError`."""
        found = self._by_wire.get((topic, index))
        if found is None:
            found = self._by_wire[topic, index] = self.partition(topic.decode(), int(index))
        return found

    def offset(self, number: int) -> str:
        """The offset behind message `number`."""
        return f"{self.boot}:{number}"

    def start(self, text: str | None) -> Start:
        """Read a start: `None` = behind the newest; an offset = behind all that was committed; an offset after a `~`
        = the place where a subscription from now began, before its link was lost."""
        if text is None:
            return Start(self.number, committed=False)
        boot, _, number = text.removeprefix("~").rpartition(":")
        known = boot == self.boot and number.isascii() and number.isdigit()
        return Start(int(number) if known else 0, committed=known and not text.startswith("~"))

    def freed(self, size: int) -> None:
        """Kept messages of `size` bytes were released."""
        self.kept_bytes -= size
        if not self.full:
            self.nudge()

    @property
    def full(self) -> bool:
        """More is kept than the limit allows: senders are not read until readers commit."""
        return self.kept_bytes > self._kept_limit_bytes

    async def room(self) -> None:
        """Wait until there may be room, or until `nudge`; the caller looks again."""
        if self._room is None:
            self._room = asyncio.Event()
        await self._room.wait()

    def nudge(self) -> None:
        """Let everyone who waits for room look again."""
        if self._room is not None:
            self._room.set()
            self._room = None


def check_message(topic: str, payload: bytes) -> None:
    """Raise `LimitExceeded` for a message that is too long and `InvalidMessage` for one that is no single line."""
    if len(payload) > MESSAGE_LIMIT_BYTES:
        raise LimitExceeded(
            f"a message of {len(payload)} bytes for {topic!r} is over the bus limit of {MESSAGE_LIMIT_BYTES}: "
            "put the large part into the object store and send its reference"
        )
    if b"\n" in payload:
        raise InvalidMessage(f"a message for {topic!r} has a newline: messages are one line of JSON")


def check_partition(topic: str, index: int) -> None:
    """Raise `InvalidMessage` for a topic or partition that cannot be."""
    if not 0 <= index < PARTITION_LIMIT or not _TOPIC.fullmatch(topic):
        raise InvalidMessage(f"partition {index} of topic {topic!r} cannot exist (0 to {PARTITION_LIMIT - 1})")


def sorted_partitions(partitions: Iterable[int]) -> tuple[int, ...]:
    """The distinct partitions, in order."""
    return tuple(sorted(set(partitions)))
