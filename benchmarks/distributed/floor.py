"""What the servers themselves cost, through their plain clients."""

from __future__ import annotations

import asyncio
import io
import time
from urllib.parse import urlsplit

import psycopg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from minio import Minio

from benchmarks.distributed.mesh import Distributed
from benchmarks.figures import Figure, figure, percentile

_LINE = b"x" * 600
_OBJECT = b"x" * 4096
_TOPIC = "floor"


def measure(running: Distributed, *, quick: bool) -> list[Figure]:
    """One commit of a row, one message there, one small object written and read; one after another, p50 and p99."""
    rounds = 200 if quick else 1000
    addresses = {name: server.address for name, server in running.servers.items()}
    put, get = _objects_ms(addresses["minio"], rounds // 4)
    found = {
        "postgres-commit": _commits_ms(addresses["postgres"], rounds),
        "kafka-there": asyncio.run(_messages_ms(addresses["kafka"], rounds)),
        "minio-put-4k": put,
        "minio-get-4k": get,
    }
    return [
        figure("floor", name, metric, "ms", [percentile(times, share)])
        for name, times in found.items()
        for metric, share in (("p50", 0.5), ("p99", 0.99))
    ]


def _commits_ms(address: str, rounds: int) -> list[float]:
    times = []
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("CREATE TABLE floor (id serial PRIMARY KEY, body bytea)")
        for _ in range(rounds):
            begin = time.perf_counter()
            connection.execute("INSERT INTO floor (body) VALUES (%s)", (_LINE,))
            times.append((time.perf_counter() - begin) * 1e3)
        connection.execute("DROP TABLE floor")
    return times


async def _messages_ms(address: str, rounds: int) -> list[float]:
    """From `send` of an idempotent producer with acks=all until the consumer has it."""
    producer = AIOKafkaProducer(bootstrap_servers=address, acks="all", enable_idempotence=True)
    consumer = AIOKafkaConsumer(bootstrap_servers=address, fetch_max_wait_ms=500)
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    for client in (admin, producer, consumer):
        await client.start()
    times = []
    try:
        await admin.create_topics([NewTopic(_TOPIC, num_partitions=1, replication_factor=1)])
        await producer.send_and_wait(_TOPIC, _LINE)
        consumer.assign([TopicPartition(_TOPIC, 0)])
        await consumer.getone()
        for _ in range(rounds):
            begin = time.perf_counter()
            await producer.send(_TOPIC, _LINE)
            await consumer.getone()
            times.append((time.perf_counter() - begin) * 1e3)
    finally:
        await consumer.stop()
        await producer.stop()
        await admin.close()
    return times


def _objects_ms(address: str, rounds: int) -> tuple[list[float], list[float]]:
    server = urlsplit(address)
    client = Minio(
        f"{server.hostname}:{server.port}", access_key=server.username, secret_key=server.password, secure=False
    )
    client.make_bucket("floor")
    put, get = [], []
    for number in range(rounds):
        begin = time.perf_counter()
        client.put_object("floor", str(number), io.BytesIO(_OBJECT), len(_OBJECT))
        put.append((time.perf_counter() - begin) * 1e3)
    for number in range(rounds):
        begin = time.perf_counter()
        with client.get_object("floor", str(number)) as answer:
            answer.read()
        get.append((time.perf_counter() - begin) * 1e3)
    return put, get
