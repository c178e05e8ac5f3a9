"""The four topics on the broker: created if they are missing, and counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from aiokafka.admin import NewTopic
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    InvalidReplicationFactorError,
    NoError,
    PolicyViolationError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.metadata import MetadataRequest

from plugmesh.bus.kafka.address import KafkaUrl
from plugmesh.bus.kafka.clients import FAULTS, KafkaClients
from plugmesh.contracts.instance import DISPATCH_PARTITIONS
from plugmesh.contracts.messages import DISPATCH, EVENTS, NEWS, RESULTS, RUNS
from plugmesh.contracts.run import SHARDS
from plugmesh.errors import ConfigurationError, InvalidMessage, NotReachable
from plugmesh.runtime import Runtime

PARTITIONS: Mapping[str, int] = MappingProxyType(
    {RUNS: SHARDS, RESULTS: SHARDS, DISPATCH: DISPATCH_PARTITIONS, EVENTS: NEWS + 1}
)
VISIBLE_S = 30.0
_LOOK_S = 0.05
_LARGEST_SEGMENT_BYTES = 64 * 1024 * 1024
_REPLICAS_FOR_TWO_COPIES = 3


def check_topic(topic: str, partition: int) -> None:
    """Raise `InvalidMessage` for a topic or partition that a mesh does not have."""
    count = PARTITIONS.get(topic)
    if count is None or not 0 <= partition < count:
        has = ", ".join(f"{name} (0 to {number - 1})" for name, number in PARTITIONS.items())
        raise InvalidMessage(f"partition {partition} of topic {topic!r} cannot exist: the bus has {has}")


async def prepare_topics(connection: Any, clients: KafkaClients, runtime: Runtime) -> None:
    """Create the topics that are missing, wait until all of them are there, and compare their partitions.

    Raises `ConfigurationError` for topics that cannot be used or made, and `NotReachable` if they do not appear.
    """
    url = clients.url
    names = [url.topic(topic) for topic in PARTITIONS]
    found = await _describe(connection, names)
    missing = [topic for topic in PARTITIONS if _is_missing(found[url.topic(topic)])]
    if missing:
        await _create(clients, missing)
    deadline = runtime.now() + VISIBLE_S
    while not all(_is_there(found[name], url) for name in names):
        if runtime.now() >= deadline:
            raise NotReachable(
                f"the setting `bus` ({url.shown}): the topics {', '.join(names)} do not appear on the broker"
            )
        await runtime.sleep(_LOOK_S)
        found = await _describe(connection, names)
    for topic, count in PARTITIONS.items():
        has = len(found[url.topic(topic)]["partitions"])
        if has != count:
            raise _wrong(
                url,
                f"the topic {url.topic(topic)} has {has} partitions and needs {count}: delete it, or use another prefix",
            )


async def missing_topics(connection: Any, url: KafkaUrl) -> list[str]:
    """The names of the mesh's topics that are not on the broker."""
    found = await _describe(connection, [url.topic(topic) for topic in PARTITIONS])
    return [name for name, topic in found.items() if _is_missing(topic)]


async def _describe(connection: Any, names: list[str]) -> dict[str, Any]:
    answer = await connection.send(MetadataRequest(names, False))
    return {topic["topic"]: topic for topic in answer.to_object()["topics"]}


def _is_missing(topic: Mapping[str, Any]) -> bool:
    return for_code(topic["error_code"]) is UnknownTopicOrPartitionError


def _is_there(topic: Mapping[str, Any], url: KafkaUrl) -> bool:
    error = for_code(topic["error_code"])
    if error is TopicAuthorizationFailedError:
        raise _wrong(url, f"this user may not see the topic {topic['topic']}: permit Describe, Read and Write on it")
    return error is NoError and all(partition["leader"] >= 0 for partition in topic["partitions"])


async def _create(clients: KafkaClients, topics: Iterable[str]) -> None:
    url, admin = clients.url, clients.admin()
    try:
        await admin.start()
        answer = await admin.create_topics([_new_topic(url, topic) for topic in topics], timeout_ms=10_000)
    except FAULTS as error:
        raise NotReachable(
            f"the setting `bus` ({url.shown}): the topics cannot be created ({error}); try again"
        ) from None
    finally:
        await admin.close()
    for name, code, *message in answer.topic_errors:
        _check_created(url, name, for_code(code), message[0] if message else None)


def _check_created(url: KafkaUrl, name: str, error: type[Exception], message: str | None) -> None:
    if error in {NoError, TopicAlreadyExistsError}:  # another process was faster
        return
    if error in {TopicAuthorizationFailedError, ClusterAuthorizationFailedError}:
        counts = ", ".join(f"{url.topic(topic)} with {count} partitions" for topic, count in PARTITIONS.items())
        raise _wrong(url, f"this user may not create the topic {name}: permit Create, or create by hand {counts}")
    if error is InvalidReplicationFactorError:
        raise _wrong(url, f"replication={url.replication} does not fit the brokers ({message}): change the option")
    if error is PolicyViolationError:
        raise _wrong(url, f"a policy of the brokers forbids the topic {name} ({message})")
    raise NotReachable(
        f"the setting `bus` ({url.shown}): the topic {name} was not created ({message or error.__name__})"
    )


def _new_topic(url: KafkaUrl, topic: str) -> Any:
    """Old messages go by the broker's clock, in segments that are small enough to go."""
    kept_ms = url.retention_s[topic] * 1000
    options = {
        "cleanup.policy": "delete",
        "retention.ms": kept_ms,
        "segment.ms": max(60_000, kept_ms // 4),
        "segment.bytes": _LARGEST_SEGMENT_BYTES,
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": 2 if url.replication >= _REPLICAS_FOR_TWO_COPIES else 1,
    }
    configs = {name: str(value) for name, value in options.items()}
    return NewTopic(url.topic(topic), PARTITIONS[topic], url.replication, topic_configs=configs)


def _wrong(url: KafkaUrl, what: str) -> ConfigurationError:
    return ConfigurationError(f"the setting `bus` ({url.shown}): {what}")
