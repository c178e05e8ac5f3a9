"""What this process reads of a topic: one consumer for all its subscriptions, assigned by hand."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiokafka.errors import OffsetOutOfRangeError, TopicAuthorizationFailedError
from aiokafka.structs import TopicPartition

from plugmesh.bus.kafka.clients import FAULTS, KafkaClients, ended, opened
from plugmesh.bus.kafka.offsets import KafkaOffsets
from plugmesh.bus.kafka.outage import Outage
from plugmesh.bus.kafka.positions import Follower, positions
from plugmesh.bus.port import Delivery
from plugmesh.hub.subscription import deliver_safely
from plugmesh.runtime import Runtime

_POLL_MS = 10_000
_AGAIN_S = 0.5
_REFUSED_S = 5.0
_log = logging.getLogger(__name__)


class KafkaSubscription:
    """A running subscription."""

    def __init__(self, reader: KafkaReader, follower: Follower) -> None:
        self._reader = reader
        self._follower = follower

    def close(self) -> None:
        self._reader.forget(self._follower)


class KafkaReader:
    """One consumer. Run `run` and `find_starts` in tasks; subscriptions may be made before that."""

    def __init__(self, clients: KafkaClients, runtime: Runtime, offsets: KafkaOffsets, outage: Outage) -> None:
        self._clients = clients
        self._runtime = runtime
        self._offsets = offsets
        self._outage = outage
        self._followers: list[Follower] = []
        self._consumer: Any = None
        self._positions: dict[TopicPartition, int] = {}
        self._apply_soon = False
        self._unknown = asyncio.Event()
        self._known = asyncio.Event()
        self._known.set()
        self._reading: asyncio.Task[None] | None = None
        self._refused: set[str] = set()
        self.delivered: Counter[str] = Counter()
        """Messages handed to subscribers, by topic."""
        self.renewed = 0
        """Consumers that were given up."""

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """The offset that is read next in each partition."""
        return self._positions

    def subscribe(
        self, topic: str, partitions: Iterable[int], deliver: Callable[[Delivery], None], start: str | None
    ) -> KafkaSubscription:
        """Begin to read for a subscriber; see `Bus.subscribe`."""
        follower = Follower.of(topic, self._clients.url.topic(topic), partitions, deliver, start)
        if follower.is_strange:
            _log.warning("%r is no offset of this bus: reading %s from the oldest message that is kept", start, topic)
        self._followers.append(follower)
        if follower.unknown:
            self._known.clear()
            self._unknown.set()
        self._changed()
        return KafkaSubscription(self, follower)

    def forget(self, follower: Follower) -> None:
        """End a subscription."""
        follower.closed = True
        if follower in self._followers:
            self._followers.remove(follower)
            self._changed()

    async def settled(self) -> None:
        """Return when all subscriptions have a place that they begin at."""
        await self._known.wait()

    def renew(self) -> None:
        """Go on with a new consumer, from where this one is."""
        if self._reading is not None:
            self._reading.cancel()

    async def find_starts(self) -> None:
        """Ask for the offsets that subscriptions begin at, for ever."""
        while True:
            await self._unknown.wait()
            self._unknown.clear()
            wanted = {partition for follower in self._followers for partition in follower.unknown}
            if wanted:
                await self._learn(wanted)
            if not any(follower.unknown for follower in self._followers):
                self._known.set()

    async def run(self) -> None:
        """Read, for ever."""
        while True:
            try:
                self._consumer = await opened(self._clients.consumer())
                self._apply(afresh=True)
                self._reading = self._runtime.spawn(self._read(self._consumer), "bus-read")
                await asyncio.wait([self._reading])
                if not self._reading.cancelled():
                    self._reading.result()
            except FAULTS as error:
                _log.info("reading from Kafka failed (%r); going on with a new consumer", error)
                await self._runtime.sleep(_AGAIN_S)
            finally:
                self.renewed += 1
                await self._end()

    async def _end(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None and not reading.done():
            reading.cancel()
            await asyncio.wait([reading])
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await ended(consumer)

    async def _read(self, consumer: Any) -> None:
        while True:
            try:
                found = await consumer.getmany(timeout_ms=_POLL_MS)
            except OffsetOutOfRangeError as error:
                await self._learn(set(error.args[0]))
                self._apply(afresh=True)
                continue
            except TopicAuthorizationFailedError as error:
                await self._refuse(str(error.args[0]))
                continue
            for partition, records in found.items():
                if records and partition in self._positions:
                    self._positions[partition] = records[-1].offset + 1
                    self._hand_over(partition, [(record.offset, record.value or b"") for record in records])

    def _hand_over(self, partition: TopicPartition, records: list[tuple[int, bytes]]) -> None:
        for follower in tuple(self._followers):
            delivery = follower.take(partition, records)
            if delivery is not None:
                self.delivered[follower.topic] += len(delivery.messages)
                deliver_safely(follower.deliver, delivery)

    async def _learn(self, partitions: set[TopicPartition]) -> None:
        ranges = await self._offsets.ranges(partitions)
        for follower in self._followers:
            for partition in follower.learn(ranges):
                _log.warning(
                    "what followed in partition %d of %s is not there any more: reading on from offset %d, the oldest",
                    partition.partition,
                    partition.topic,
                    ranges[partition][0],
                )
        self._changed()

    async def _refuse(self, topic: str) -> None:
        if topic not in self._refused:
            self._refused.add(topic)
            _log.error(
                "the setting `bus` (%s): this user may not read the topic %s: permit Read on it",
                self._clients.url.shown,
                topic,
            )
        await self._runtime.sleep(_REFUSED_S)

    def _changed(self) -> None:
        """Assign once for all subscriptions that are made or closed in one go."""
        if not self._apply_soon:
            self._apply_soon = True
            asyncio.get_running_loop().call_soon(self._apply)

    def _apply(self, *, afresh: bool = False) -> None:
        self._apply_soon = False
        if self._consumer is None:
            return
        wanted = positions(self._followers)
        if afresh or wanted.keys() != self._positions.keys():
            if wanted:
                self._consumer.assign(list(wanted))
            else:
                self._consumer.unsubscribe()
            self._seek(wanted)
            self._positions = wanted
            return
        back = {partition: offset for partition, offset in wanted.items() if offset < self._positions[partition]}
        self._seek(back)
        self._positions.update(back)

    def _seek(self, places: Mapping[TopicPartition, int]) -> None:
        for partition, offset in places.items():
            self._consumer.seek(partition, offset)
