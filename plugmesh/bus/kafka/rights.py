"""Whether this user may read and write the topics: asked once, and nothing is read or written."""

from __future__ import annotations

from typing import Any

from aiokafka.errors import TopicAuthorizationFailedError, for_code
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.produce import ProduceRequest

from plugmesh.bus.kafka.address import KafkaUrl
from plugmesh.bus.kafka.topics import PARTITIONS
from plugmesh.errors import ConfigurationError

_ASK_MS = 5_000


async def check_rights(connection: Any, url: KafkaUrl) -> None:
    """Raises `ConfigurationError`, which names the topics and the right that is missing.

    A broker looks at rights before anything else. So a batch without messages, which it takes from nobody, and a question
    about the first partition, whose leader may be another broker, are answered with what we want to know.
    """
    names = [url.topic(topic) for topic in PARTITIONS]
    writing = ProduceRequest(None, -1, _ASK_MS, [(name, [(0, b"")]) for name in names])
    reading = FetchRequest(0, 0, 1024, 0, [(name, [(0, 0, 1024)]) for name in names])
    for right, request in (("Write", writing), ("Read", reading)):
        answer = await connection.send(request)
        refused = [topic for topic, partitions in _answered(answer) if _is_refusal(partitions)]
        if refused:
            verb = right.lower()
            raise ConfigurationError(
                f"the setting `bus` ({url.shown}): this user may not {verb} {', '.join(refused)}: permit {right} on these topics"
            )


def _answered(answer: Any) -> list[tuple[str, list[Any]]]:
    return [(topic, partitions) for topic, partitions in answer.topics]


def _is_refusal(partitions: list[Any]) -> bool:
    return any(for_code(partition[1]) is TopicAuthorizationFailedError for partition in partitions)
