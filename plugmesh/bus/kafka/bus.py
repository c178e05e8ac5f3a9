"""The bus on Kafka: each topic of the mesh is a topic on the brokers, with the same partitions.

Nothing here joins a consumer group or commits to Kafka: readers keep their offsets in SQL. An offset is the decimal
number of the next message.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from aiokafka.structs import TopicPartition

from plugmesh.bus.kafka.address import KafkaUrl
from plugmesh.bus.kafka.clients import FAULTS, FIRST_S, KafkaClients, reason
from plugmesh.bus.kafka.figures import kafka_figures
from plugmesh.bus.kafka.offsets import KafkaOffsets
from plugmesh.bus.kafka.outage import Outage
from plugmesh.bus.kafka.positions import Progress
from plugmesh.bus.kafka.reader import KafkaReader
from plugmesh.bus.kafka.readers import KafkaReaders
from plugmesh.bus.kafka.rights import check_rights
from plugmesh.bus.kafka.sender import KafkaSender
from plugmesh.bus.kafka.topics import check_topic, prepare_topics
from plugmesh.bus.port import KEPT_TOPICS, Delivery, Subscription
from plugmesh.contracts.messages import RUNS
from plugmesh.errors import NotReachable, PlugmeshError
from plugmesh.figures import Figure
from plugmesh.hub.topics import check_message, sorted_partitions
from plugmesh.runtime import Runtime

WATCH_S = 5.0
WATCH_OUTAGE_S = 0.5
_SILENT_S = 15.0
_CLOSED = "this process has closed its bus; the message was not acknowledged and stays with the caller"
_log = logging.getLogger(__name__)


class KafkaBus:
    """One process's access to the bus; make it on a running event loop.

    It connects by itself. If the first connection shows that a setting is wrong, or no broker answers for ten
    seconds, every call raises the `ConfigurationError` or `NotReachable` that says so. Later it tries on for ever.
    """

    def __init__(self, url: str, runtime: Runtime) -> None:
        parsed = KafkaUrl.parse(url)
        _quiet()
        self._runtime = runtime
        self._clients = KafkaClients(parsed)
        outage = self._outage = Outage(parsed.shown, runtime)
        self._offsets = KafkaOffsets(self._clients, runtime, outage)
        self._sender = KafkaSender(self._clients, runtime, outage)
        make_reader = partial(KafkaReader, self._clients, runtime, self._offsets, outage)
        self._readers = KafkaReaders(make_reader, self._begin_to_read)
        self._ends: Mapping[TopicPartition, int] = {}
        self._failure: PlugmeshError | None = None
        self._connected = asyncio.get_running_loop().create_future()
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: list[asyncio.Task[None]] = []
        self._begin("bus", self._run())

    @property
    def dropped(self) -> int:
        """Messages of topics that are not kept, dropped because the brokers were away or too slow."""
        return self._sender.dropped

    def figures(self) -> Iterator[Figure]:
        """For `/metrics`."""
        return kafka_figures(self._clients.url, self._sender, self._readers, self._outage, self._ends)

    async def publish(self, topic: str, partition: int, payload: bytes) -> None:
        check_message(topic, payload)
        self._check(topic, partition)
        if topic in KEPT_TOPICS:
            await self._sender.send(topic, partition, payload)
        else:
            self._sender.offer(topic, partition, payload)

    def subscribe(
        self, topic: str, partitions: Iterable[int], deliver: Callable[[Delivery], None], start: str | None = None
    ) -> Subscription:
        wanted = sorted_partitions(partitions)
        for partition in wanted:
            self._check(topic, partition)
        return self._readers.subscribe(topic, wanted, deliver, start)

    async def end(self, topic: str, partition: int) -> str:
        """See `Bus.end`. Nothing that anyone publishes after this is missed by the subscriptions made before it."""
        self._check(topic, partition)
        await asyncio.shield(self._connected)
        await self._sender.settled(topic, partition)
        await self._readers.settled()
        self._check(topic, partition)
        return str(await self._offsets.end(TopicPartition(self._clients.url.topic(topic), partition)))

    @property
    def is_away(self) -> bool:
        return self._outage.is_on

    async def failed(self) -> None:
        """Wait until a part of it has ended by itself, after which it does nothing any more; raises `NotReachable` then."""
        await asyncio.shield(self._broken)

    async def close(self) -> None:
        self._fail(NotReachable(_CLOSED))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._offsets.close()

    def _check(self, topic: str, partition: int) -> None:
        if self._failure is not None:
            raise self._failure
        check_topic(topic, partition)

    async def _run(self) -> None:
        try:
            await self._first_connection()
        except PlugmeshError as error:
            _log.error("%s", error)
            self._fail(error)
            return
        self._connected.set_result(None)
        self._begin("bus-send", self._sender.run())
        self._begin("bus-watch", self._watch())
        self._readers.start()

    def _begin_to_read(self, reader: KafkaReader) -> None:
        self._begin("bus-read", reader.run())
        self._begin("bus-starts", reader.find_starts())

    def _begin(self, name: str, part: Coroutine[Any, Any, None]) -> None:
        task = self._runtime.spawn(part, name)
        task.add_done_callback(partial(self._ended, name))
        self._tasks.append(task)

    async def _first_connection(self) -> None:
        deadline = self._runtime.now() + FIRST_S
        while True:
            connection = await self._clients.first_connection(deadline, self._runtime)
            try:
                await prepare_topics(connection, self._clients, self._runtime)
                return await check_rights(connection, self._clients.url)
            except FAULTS as error:
                if self._runtime.now() >= deadline:
                    shown = self._clients.url.shown
                    raise NotReachable(f"the setting `bus` ({shown}): the broker went away ({reason(error)})") from None
            finally:
                connection.close()
            await self._runtime.sleep(WATCH_OUTAGE_S)

    async def _watch(self) -> None:
        """Notice that the brokers are away or back, and replace a client that gets nothing done while they answer."""
        progress = Progress()
        while True:
            await self._runtime.sleep(WATCH_OUTAGE_S if self._outage.is_on else WATCH_S)
            positions = self._readers.positions
            try:
                ends = await self._offsets.ends(positions or [TopicPartition(self._clients.url.topic(RUNS), 0)])
            except NotReachable:
                continue
            self._ends = ends
            stuck = progress.stuck(self._runtime.now(), positions, ends)
            if stuck:
                _log.warning("nothing was read from %s for a while although there is something; reading anew", stuck[0])
                progress = Progress()
                self._readers.renew(stuck[0])
            if self._sender.stuck(_SILENT_S):
                self._sender.renew()

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("%s ended", name, exc_info=error)
            failure = NotReachable(
                f"the bus {self._clients.url.shown} failed here ({error!r}): start this process again"
            )
            self._fail(failure)
            if not self._broken.done():
                self._broken.set_exception(failure)
                self._broken.exception()  # whoever waits is told; it is no error if nobody does

    def _fail(self, error: PlugmeshError) -> None:
        if self._failure is None:
            self._failure = error
        if not self._connected.done():
            self._connected.set_exception(error)
            self._connected.exception()  # whoever calls next is told
        self._sender.close(error)


def _quiet() -> None:
    """Let aiokafka's own log be ours to tell: it says every failed attempt, some ten a second while a broker is away."""
    library = logging.getLogger("aiokafka")
    if library.level == logging.NOTSET:
        library.setLevel(logging.CRITICAL)
