"""A subscription of a process that reached the hub over a link."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from plugmesh.bus.port import KEPT_TOPICS, Delivery
from plugmesh.errors import LinkLost, PlugmeshError
from plugmesh.hub.link import HubLink
from plugmesh.hub.wire import line

_log = logging.getLogger(__name__)


class Arrived:
    """Messages of one partition that one frame brought for one subscription."""

    __slots__ = ("first", "index", "last", "messages", "topic")

    def __init__(self, topic: bytes, index: bytes, first: bytes) -> None:
        self.topic, self.index, self.first, self.last = topic, index, first, first
        self.messages: list[bytes] = []


class LinkSubscription:
    """A subscription that asks again, from where it began, whenever the link is back: the hub holds what follows."""

    def __init__(
        self,
        link: HubLink,
        name: str,
        *,
        topic: str,
        partitions: tuple[int, ...],
        deliver: Callable[[Delivery], None],
        start: str | None,
    ) -> None:
        self._link = link
        self._name = name
        self._topic = topic
        self._partitions = partitions
        self._deliver = deliver
        self._start = start
        self._kept = topic in KEPT_TOPICS
        self._closed = False
        self.when_closed: Callable[[], object] = _nothing

    def ask(self) -> None:
        if self._partitions:
            places = ",".join(map(str, self._partitions))
            start = "-" if self._start is None else _word(self._start)
            self._link.request(self._began, "sub", int(self._name), self._topic, places, start)

    def take(self, batch: Arrived) -> None:
        ack = partial(self._commit, batch) if self._kept else _nothing
        delivery = Delivery(self._topic, int(batch.index), tuple(batch.messages), batch.last.decode(), ack)
        if not self._closed:
            deliver_safely(self._deliver, delivery)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._link.send(line("unsub", self._name))
            self.when_closed()

    def _began(self, answer: str | PlugmeshError) -> None:
        if isinstance(answer, LinkLost):
            return
        if isinstance(answer, PlugmeshError):
            _log.error("the hub refused a subscription of %r: %s", self._topic, answer)
        elif self._start is None and self._kept:
            self._start = f"~{answer}"

    def _commit(self, batch: Arrived) -> None:
        boot, _, first = batch.first.decode().rpartition(":")
        last = batch.last.decode().rpartition(":")[2]
        welcome = self._link.welcome
        if welcome is not None and welcome.boot == boot:  # another boot has not got these numbers
            self._link.send(line("commit", self._topic, batch.index.decode(), first, last))


def deliver_safely(deliver: Callable[[Delivery], None], delivery: Delivery) -> None:
    try:
        deliver(delivery)
    except Exception:  # noqa: BLE001  whatever a subscriber does, the link and the others go on
        _log.exception("a subscriber of %r failed; it must only queue what it gets", delivery.topic)


def _word(start: str) -> str:
    """A start as one word of a line; text that is no offset means the oldest kept message, as `EARLIEST` does."""
    return start if start and not any(letter.isspace() for letter in start) else "0"


def _nothing() -> None:
    return None
