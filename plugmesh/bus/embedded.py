"""The embedded bus: `HubBus` beside the hub (direct calls), `LinkBus` in any other process (over its link).

A kept message is acknowledged when its reader has committed what it caused. Until then the sender holds it, and a
link that is lost sends it again; the hub holds it too, so that a reader which comes back gets it without the sender.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from plugmesh.bus.port import KEPT_TOPICS, Delivery, Subscription
from plugmesh.errors import LinkLost, NotReachable, PlugmeshError
from plugmesh.hub.hub import Hub
from plugmesh.hub.link import HubLink
from plugmesh.hub.subscription import Arrived, LinkSubscription, deliver_safely
from plugmesh.hub.topics import Partition, check_message, check_partition, sorted_partitions
from plugmesh.hub.wire import Welcome, pub_line

_CLOSED = "this process has closed its bus; the message was not acknowledged and stays with the caller"


# -- in the hub's process ------------------------------------------------------------------------------------------


class HubBus:
    """The bus of a component that lives in the hub's process."""

    def __init__(self, hub: Hub) -> None:
        self._topics = hub.topics
        self._seqs = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._subscriptions: set[_LocalSubscription] = set()
        self._closed = False

    async def publish(self, topic: str, partition: int, payload: bytes) -> None:
        check_message(topic, payload)
        if self._closed:
            raise NotReachable(_CLOSED)
        target = self._topics.partition(topic, partition)
        if not target.kept:
            target.publish((payload,), self, (0,))
            return
        seq = next(self._seqs)
        future = self._waiting[seq] = asyncio.get_running_loop().create_future()
        target.publish((payload,), self, (seq,))
        await future

    def acked(self, seq: int) -> None:
        """A kept message can no longer be lost (called by the hub)."""
        future = self._waiting.pop(seq, None)
        if future is not None and not future.done():
            future.set_result(None)

    def subscribe(
        self, topic: str, partitions: Iterable[int], deliver: Callable[[Delivery], None], start: str | None = None
    ) -> Subscription:
        found = [self._topics.partition(topic, index) for index in sorted_partitions(partitions)]
        subscription = _LocalSubscription(deliver, found, self._subscriptions.discard)
        self._subscriptions.add(subscription)
        begin = self._topics.start(start)
        for target in found:
            target.join(subscription, begin)
        return subscription

    async def end(self, topic: str, partition: int) -> str:
        self._topics.partition(topic, partition)
        return self._topics.offset(self._topics.number)

    @property
    def is_away(self) -> bool:
        return False

    async def close(self) -> None:
        self._closed = True
        for subscription in tuple(self._subscriptions):
            subscription.close()
        _release(self._waiting)


class _LocalSubscription:
    """A reader that is called directly; what was kept before it came is delivered once `subscribe` has returned."""

    def __init__(
        self,
        deliver: Callable[[Delivery], None],
        partitions: Sequence[Partition],
        closed: Callable[[_LocalSubscription], None],
    ) -> None:
        self._deliver = deliver
        self._partitions = partitions
        self._when_closed = closed
        self._early: list[Delivery] | None = []
        self._closed = False
        asyncio.get_running_loop().call_soon(self._begin)

    def push(self, partition: Partition, numbers: Sequence[int], messages: Sequence[bytes]) -> None:
        ack = partial(partition.release, numbers[0], numbers[-1]) if partition.kept else _nothing
        offset = partition.topics.offset(numbers[-1])
        delivery = Delivery(partition.topic, partition.index, tuple(messages), offset, ack)
        if self._early is not None:
            self._early.append(delivery)
        else:
            self._call(delivery)

    def close(self) -> None:
        self._closed = True
        for partition in self._partitions:
            partition.leave(self)
        self._when_closed(self)

    def _begin(self) -> None:
        early = self._early or []
        while early:
            self._call(early.pop(0))
        self._early = None

    def _call(self, delivery: Delivery) -> None:
        if not self._closed:
            deliver_safely(self._deliver, delivery)


# -- in another process ----------------------------------------------------------------------------------------------


class LinkBus:
    """The bus of a process that reached the hub over a link."""

    def __init__(self, link: HubLink) -> None:
        self._link = link
        self._unacked: dict[int, tuple[bytes, asyncio.Future[None]]] = {}  # by seq, oldest first
        self._subscriptions: dict[bytes, LinkSubscription] = {}
        self._arrived: dict[tuple[bytes, bytes], Arrived] = {}
        self._closed = False
        link.attach(self)

    async def publish(self, topic: str, partition: int, payload: bytes) -> None:
        check_message(topic, payload)
        if self._closed:
            raise NotReachable(_CLOSED)
        check_partition(topic, partition)
        if topic not in KEPT_TOPICS:
            if not self._link.crowded:
                self._link.send(pub_line(topic, partition, 0, payload))
            return
        if self._link.failure is not None:
            raise self._link.failure
        seq = self._link.number()
        text = pub_line(topic, partition, seq, payload)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unacked[seq] = (text, future)
        self._link.send(text)
        try:
            await future
        finally:
            self._unacked.pop(seq, None)

    def subscribe(
        self, topic: str, partitions: Iterable[int], deliver: Callable[[Delivery], None], start: str | None = None
    ) -> Subscription:
        wanted = sorted_partitions(partitions)
        for index in wanted:
            check_partition(topic, index)
        name = str(self._link.number())
        subscription = LinkSubscription(self._link, name, topic=topic, partitions=wanted, deliver=deliver, start=start)
        self._subscriptions[name.encode()] = subscription
        subscription.when_closed = partial(self._subscriptions.pop, name.encode(), None)
        if self._link.is_up:
            subscription.ask()
        return subscription

    async def end(self, topic: str, partition: int) -> str:
        while True:
            await self._link.up()
            try:
                return await self._link.ask("end", topic, partition)
            except LinkLost:
                continue

    @property
    def is_away(self) -> bool:
        return not self._link.is_up

    async def close(self) -> None:
        self._closed = True
        for subscription in tuple(self._subscriptions.values()):
            subscription.close()
        self.closed(NotReachable(_CLOSED))

    # -- as a part of the link -----------------------------------------------------------------------------------------

    def verbs(self) -> dict[bytes, Callable[[bytes], None]]:
        return {b"msg": self._msg, b"ack": self._ack}

    def resume(self, welcome: Welcome, new_boot: bool) -> None:
        for subscription in self._subscriptions.values():
            subscription.ask()
        for text, _ in self._unacked.values():
            self._link.send(text)

    def closed(self, error: PlugmeshError) -> None:
        for _, future in self._unacked.values():
            if not future.done():
                future.set_exception(error)

    def frame_ended(self) -> None:
        """Deliver what a frame brought: one delivery a subscription and partition."""
        if self._arrived:
            arrived, self._arrived = self._arrived, {}
            for (name, _), batch in arrived.items():
                subscription = self._subscriptions.get(name)
                if subscription is not None:
                    subscription.take(batch)

    def _msg(self, rest: bytes) -> None:
        name, topic, index, offset, payload = rest.split(b" ", 4)
        batch = self._arrived.get((name, index))
        if batch is None:
            batch = self._arrived[name, index] = Arrived(topic, index, offset)
        batch.last = offset
        batch.messages.append(payload)

    def _ack(self, rest: bytes) -> None:
        for digits in rest.split(b","):
            waiting = self._unacked.get(int(digits))
            if waiting is not None and not waiting[1].done():
                waiting[1].set_result(None)


def _release(waiting: dict[int, asyncio.Future[None]]) -> None:
    for future in waiting.values():
        if not future.done():
            future.set_exception(NotReachable(_CLOSED))
    waiting.clear()


def _nothing() -> None:
    return None
