"""What this process publishes to Kafka, in order within each partition, again and again until the broker has it.

Each partition is a lane. Of a lane one batch is under way at a time, and its messages stay at hand until the broker
has them: when a producer fails, the next one begins with them. Order therefore survives everything; duplicates do not
arise from lost answers (the producer is idempotent), only from a change of producers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError, TopicAuthorizationFailedError

from plugmesh.bus.kafka.clients import FAULTS, REQUEST_S, KafkaClients, ended, opened
from plugmesh.bus.kafka.lanes import Lane, Message, tell
from plugmesh.bus.kafka.outage import Outage
from plugmesh.errors import ConfigurationError, PlugmeshError
from plugmesh.runtime import Runtime

CROWDED_MESSAGES = 10_000
CROWDED_BYTES = 16 * 1024 * 1024
"""More messages of topics that are not kept than this are not waiting here: what comes then is dropped."""
STALE_S = 5.0
"""A message of such a topic that waited for longer is dropped: what it asks for has been given up or asked again."""
AGAIN_S = 0.5
_TOO_LARGE = "batches are too large for it: leave its max.message.bytes at 1 MiB"
_PERMANENT: Mapping[type[BaseException], str] = MappingProxyType(
    {
        TopicAuthorizationFailedError: "this user may not write to it any more: permit Write on it",
        MessageSizeTooLargeError: _TOO_LARGE,
        RecordListTooLargeError: _TOO_LARGE,
    }
)
"""What a topic does not take, however often it is sent, and what to do when it has taken others before."""
_SILENT = (
    "why is not said: may this user still write to it, and are enough replicas in sync for its min.insync.replicas?"
)
_log = logging.getLogger(__name__)


class KafkaSender:
    """The producer of one process. `run` it in a task; the other methods may be called before that."""

    def __init__(self, clients: KafkaClients, runtime: Runtime, outage: Outage) -> None:
        self._clients = clients
        self._runtime = runtime
        self._outage = outage
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._ready: list[Lane] = []
        self._wake = asyncio.Event()
        self._failure: BaseException | None = None
        self._producer: Any = None
        self._proven: set[str] = set()
        """Topics that the broker has taken messages for: a refusal there is an outage, no wrong setting."""
        self._silent: set[Lane] = set()
        """Lanes that were stuck when the producer was renewed, and of which nothing was taken since."""
        self._crowd_messages = self._crowd_bytes = 0
        self.dropped = 0
        """Messages of topics that are not kept, dropped because too many waited, or for too long."""
        self.renewed = 0
        """Producers that were given up."""

    def send(self, topic: str, partition: int, payload: bytes) -> asyncio.Future[None]:
        """Send a message of a kept topic; the future is done when the broker has it, and may be cancelled."""
        message = Message(payload, asyncio.get_running_loop().create_future())
        assert message.done is not None
        self._put(topic, partition, message)
        return message.done

    def offer(self, topic: str, partition: int, payload: bytes) -> None:
        """Send a message of another topic, or drop it if too many wait."""
        if self._crowd_messages >= CROWDED_MESSAGES or self._crowd_bytes + len(payload) > CROWDED_BYTES:
            self.dropped += 1
            self._outage.dropping(topic)
            return
        self._crowd_messages += 1
        self._crowd_bytes += len(payload)
        self._put(topic, partition, Message(payload, None, self._runtime.now() + STALE_S))

    async def settled(self, topic: str, partition: int) -> None:
        """Return when the broker has what was published to the partition before this call."""
        lane = self._lanes.get((topic, partition))
        message = lane.newest if lane else None
        if message is not None:
            message.done = message.done or asyncio.get_running_loop().create_future()
            await asyncio.wait([message.done])

    @property
    def lanes(self) -> Iterable[Lane]:
        """The partitions that anything was published to."""
        return self._lanes.values()

    def stuck(self, seconds: float) -> bool:
        """A batch has been under way for longer than `seconds`."""
        before = self._runtime.now() - seconds
        return any(lane.under_way and lane.since < before for lane in self._lanes.values())

    def renew(self) -> None:
        """Go on with a new producer, as brokers answer and something is stuck. What was stuck with the last one, too, is told."""
        before = self._runtime.now() - REQUEST_S
        for lane in self._lanes.values():
            if lane.under_way and lane.since < before:
                if lane in self._silent:
                    self._outage.refused(lane.name, lane.partition, _SILENT)
                self._silent.add(lane)
        self._fail(TimeoutError("no answer"))

    def close(self, error: PlugmeshError) -> None:
        """Tell all who wait that `error` ended it; `run` has been cancelled."""
        for lane in self._lanes.values():
            tell(lane.under_way, error)
            tell(lane.waiting, error)
            lane.under_way = []
            lane.waiting.clear()

    async def run(self) -> None:
        """Send what is published, for ever."""
        while True:
            producer = self._producer = await self._opened()
            self._failure = None
            self._ready = [lane for lane in self._lanes.values() if lane.waiting]
            self._wake.set()
            try:
                await self._pump(producer)
            finally:
                try:
                    await ended(producer)
                finally:
                    self._take_back()
            await self._runtime.sleep(AGAIN_S)

    def _put(self, topic: str, partition: int, message: Message) -> None:
        lane = self._lanes.get((topic, partition))
        if lane is None:
            name = self._clients.url.topic(topic)
            lane = self._lanes[topic, partition] = Lane(topic, name, partition)
        lane.messages += 1
        lane.bytes += len(message.payload)
        lane.waiting.append(message)
        if not lane.under_way and len(lane.waiting) == 1:
            self._ready.append(lane)
            self._wake.set()

    async def _opened(self) -> Any:
        while True:
            try:
                return await opened(self._clients.producer())
            except FAULTS as error:
                self._outage.away(error)
                await self._runtime.sleep(AGAIN_S)

    async def _pump(self, producer: Any) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._failure is not None:
                return
            lanes, self._ready = self._ready, []
            for lane in lanes:
                if lane.waiting and not lane.under_way:
                    await self._begin(producer, lane)

    async def _begin(self, producer: Any, lane: Lane) -> None:
        batch = producer.create_batch()
        lane.since = self._runtime.now()
        while lane.waiting:
            message = lane.waiting[0]
            is_stale = message.until < lane.since
            if not is_stale and batch.append(key=None, value=message.payload, timestamp=None) is None:
                break
            self._leave(lane, stale=is_stale)
        if not lane.under_way:
            self._outage.nothing_waits(lane.name, lane.partition)
            return
        try:
            future = await producer.send_batch(batch, lane.name, partition=lane.partition)
        except FAULTS as error:
            self._not_taken(lane, error)
        else:
            future.add_done_callback(partial(self._ended, producer, lane))

    def _leave(self, lane: Lane, *, stale: bool) -> None:
        """Take the first message that waits into the batch, or drop it."""
        message = lane.waiting.popleft()
        if not lane.kept:
            self._crowd_messages -= 1
            self._crowd_bytes -= len(message.payload)
        if stale:
            self.dropped += 1
            tell([message], None)
        else:
            lane.under_way.append(message)

    def _ended(self, producer: Any, lane: Lane, future: asyncio.Future[Any]) -> None:
        error = asyncio.CancelledError() if future.cancelled() else future.exception()
        if producer is not self._producer:
            return  # it was given up, and its messages are with another one
        if error is not None:
            self._not_taken(lane, error)
            return
        self._proven.add(lane.topic)
        self._silent.discard(lane)
        self._outage.took(lane.name, lane.partition)
        tell(lane.under_way, None)
        lane.under_way = []
        if lane.waiting:
            self._ready.append(lane)
            self._wake.set()

    def _not_taken(self, lane: Lane, error: BaseException) -> None:
        if self._failure is None and (why := _PERMANENT.get(type(error))):
            if lane.topic in self._proven:
                self._outage.refused(lane.name, lane.partition, why)
            else:
                self._refused(lane, error)
        self._fail(error)

    def _refused(self, lane: Lane, error: BaseException) -> None:
        """What can never be sent is told to its callers, and does not hold up what follows."""
        what = (
            "this user may not write to" if isinstance(error, TopicAuthorizationFailedError) else "too small for us is"
        )
        text = (
            f"the setting `bus` ({self._clients.url.shown}): {what} the topic {lane.name}: "
            "permit Write on it, and leave its max.message.bytes at 1 MiB"
        )
        _log.error("%s", text)
        tell(lane.under_way, ConfigurationError(text))
        lane.under_way = []

    def _fail(self, error: BaseException) -> None:
        if self._failure is None:
            self._failure = error
            self.renewed += 1
            _log.info("Kafka did not take a message (%r); going on with a new producer", error)
        self._wake.set()

    def _take_back(self) -> None:
        self._producer = None
        for lane in self._lanes.values():
            lane.waiting.extendleft(reversed(lane.under_way))
            if not lane.kept:
                self._crowd_messages += len(lane.under_way)
                self._crowd_bytes += sum(len(message.payload) for message in lane.under_way)
            lane.under_way = []
