"""What one process's access to Kafka tells about itself: messages by topic, what waits on either side, and outages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from aiokafka.structs import TopicPartition

from plugmesh.answering import outage
from plugmesh.bus.kafka.address import KafkaUrl
from plugmesh.bus.kafka.outage import Outage
from plugmesh.bus.kafka.readers import KafkaReaders
from plugmesh.bus.kafka.sender import KafkaSender
from plugmesh.figures import Figure, amounts, count, counts


def kafka_figures(
    url: KafkaUrl, sender: KafkaSender, readers: KafkaReaders, away: Outage, ends: Mapping[TopicPartition, int]
) -> Iterator[Figure]:
    """The figures of one bus. `ends` are where partitions ended when somebody looked last, some seconds ago."""
    messages, size, waiting = Counter[str](), Counter[str](), Counter[str]()
    for lane in sender.lanes:
        messages[lane.topic] += lane.messages
        size[lane.topic] += lane.bytes
        waiting[lane.topic] += len(lane.waiting) + len(lane.under_way)
    yield counts("plugmesh_bus_messages", "Messages published", "topic", messages)
    yield counts("plugmesh_bus_bytes", "Bytes published", "topic", size)
    yield counts("plugmesh_bus_delivered", "Messages handed to readers", "topic", readers.delivered)
    yield amounts("plugmesh_bus_waiting", "Messages published here that no broker has yet", "topic", waiting)
    text = "Messages on the brokers that this process reads and has not read yet, as of the last look (every 5 s)"
    yield amounts("plugmesh_bus_lag", text, "topic", _lag(url, readers.positions, ends))
    yield count("plugmesh_bus_dropped", "Messages of topics that are not kept that were dropped", sender.dropped)
    renewed = {"producer": sender.renewed, "consumer": readers.renewed}
    yield counts("plugmesh_bus_renewed", "Clients that were replaced because they got nothing done", "client", renewed)
    yield count("plugmesh_bus_failures", "Questions that no broker answered", away.failures)
    yield outage("bus", "the bus", away.seconds)


def _lag(
    url: KafkaUrl, positions: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> Mapping[str, int]:
    behind: dict[str, int] = {}
    for partition, position in positions.items():
        topic = partition.topic.removeprefix(f"{url.prefix}.")
        behind[topic] = behind.get(topic, 0) + max(0, ends.get(partition, position) - position)
    return behind
