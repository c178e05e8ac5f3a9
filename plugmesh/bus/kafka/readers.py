"""All that this process reads: one consumer for each topic.

A broker with a message for a consumer looks at all the partitions that it was asked about and tells of all of them, and
the consumer asks about all of them again. A quiet topic that shares a consumer with a busy one doubles that work.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from aiokafka.structs import TopicPartition

from plugmesh.bus.kafka.reader import KafkaReader, KafkaSubscription
from plugmesh.bus.port import Delivery


class KafkaReaders:
    """The readers of one process: `make` makes one, `begin` is called with each once `start` was called."""

    def __init__(self, make: Callable[[], KafkaReader], begin: Callable[[KafkaReader], None]) -> None:
        self._make, self._begin = make, begin
        self._readers: dict[str, KafkaReader] = {}
        self._started = False

    def start(self) -> None:
        """Begin to read, what is subscribed to by now and what will be."""
        self._started = True
        for reader in self._readers.values():
            self._begin(reader)

    def subscribe(
        self, topic: str, partitions: Iterable[int], deliver: Callable[[Delivery], None], start: str | None
    ) -> KafkaSubscription:
        """See `Bus.subscribe`."""
        reader = self._readers.get(topic)
        if reader is None:
            reader = self._readers[topic] = self._make()
            if self._started:
                self._begin(reader)
        return reader.subscribe(topic, partitions, deliver, start)

    async def settled(self) -> None:
        """Return when all subscriptions have a place that they begin at."""
        for reader in tuple(self._readers.values()):
            await reader.settled()

    def renew(self, partition: TopicPartition) -> None:
        """Go on with a new consumer where this partition is read."""
        for reader in self._readers.values():
            if partition in reader.positions:
                reader.renew()

    @property
    def positions(self) -> Mapping[TopicPartition, int]:
        """The offset that is read next in each partition."""
        readers = self._readers.values()
        return {partition: offset for reader in readers for partition, offset in reader.positions.items()}

    @property
    def delivered(self) -> Counter[str]:
        """Messages handed to subscribers, by topic."""
        return sum((reader.delivered for reader in self._readers.values()), Counter())

    @property
    def renewed(self) -> int:
        """Consumers that were given up."""
        return sum(reader.renewed for reader in self._readers.values())
