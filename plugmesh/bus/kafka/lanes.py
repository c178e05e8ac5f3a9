"""Messages on their way to Kafka: a lane for each partition, in order."""

from __future__ import annotations

import asyncio
import math
from collections import deque

from plugmesh.bus.port import KEPT_TOPICS
from plugmesh.errors import PlugmeshError


class Message:
    """A payload, who wants to know that the broker has it, and the monotonic second after which it may be dropped."""

    __slots__ = ("done", "payload", "until")

    def __init__(self, payload: bytes, done: asyncio.Future[None] | None, until: float = math.inf) -> None:
        self.payload = payload
        self.done = done
        self.until = until


class Lane:
    """One partition: what waits, the batch under way since the monotonic second `since`, and what was published so far."""

    __slots__ = ("bytes", "kept", "messages", "name", "partition", "since", "topic", "under_way", "waiting")

    def __init__(self, topic: str, name: str, partition: int) -> None:
        self.topic, self.name, self.partition = topic, name, partition
        self.kept = topic in KEPT_TOPICS
        self.waiting: deque[Message] = deque()
        self.under_way: list[Message] = []
        self.since = 0.0
        self.messages = self.bytes = 0

    @property
    def newest(self) -> Message | None:
        """What was published last, unless the broker has everything."""
        return self.waiting[-1] if self.waiting else self.under_way[-1] if self.under_way else None


def tell(messages: list[Message] | deque[Message], error: PlugmeshError | None) -> None:
    """Tell those who wait that the broker has the messages, or what ended it."""
    for message in messages:
        if message.done is None or message.done.done():
            continue
        if error is None:
            message.done.set_result(None)
        else:
            message.done.set_exception(error)
