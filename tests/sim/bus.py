"""`SimBus`: a bus with a log, over links that lose, repeat, delay and reorder what the port allows them to.

Kept topics are a log that survives every process and is read by offset. Other topics are handed to whoever reads
right now, or lost. Between two senders nothing is ordered; within one sender and partition only repeats are.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from plugmesh.bus.port import KEPT_TOPICS, Delivery, Subscription
from plugmesh.errors import NotReachable
from plugmesh.hub.topics import check_message, check_partition, sorted_partitions
from tests.sim.network import Link, Walls, Weather

Place = tuple[str, int]
LARGEST_BATCH = 20
LOOK_AGAIN_S = 0.25
TICK_S = 1e-6
"""Timers of the same instant run in any order: what must stay in order is this far apart."""


@dataclass(slots=True)
class Log:
    """One partition: the messages of a kept topic, and who reads it."""

    entries: list[bytes] = field(default_factory=list)
    readers: list[_Reader] = field(default_factory=list)


class LogBroker:
    """All partitions. It never fails itself; links and processes do. `lost` counts what `Weather` dropped."""

    def __init__(self, dice: random.Random, weather: Weather | None = None) -> None:
        self.dice = dice
        self.weather = weather or Weather()
        self.walls = Walls()
        self.logs: dict[Place, Log] = {}
        self.lost = 0
        self.held: dict[str, float] = {}
        """Until when what a process sends to kept topics is under way."""
        self.quiet = False
        """Healed: nothing is dropped, repeated or slow any more."""

    def log(self, place: Place) -> Log:
        """The partition, made when first asked for."""
        check_partition(*place)
        return self.logs.setdefault(place, Log())

    def chance(self, probability: float) -> bool:
        """Throw the dice, unless it is quiet."""
        return not self.quiet and probability > 0 and self.dice.random() < probability

    def delay_s(self) -> float:
        """How long the next message takes."""
        return Weather().delay_s(self.dice) if self.quiet else self.weather.delay_s(self.dice)


class SimBus:
    """One process's access."""

    def __init__(self, broker: LogBroker, link: Link) -> None:
        self._broker, self._link, self._process = broker, link, link.process
        self._channels: dict[Place, _Channel] = {}
        self._readers: list[_Reader] = []
        self._closed = False
        link.listeners.append(self._link_changed)

    async def publish(self, topic: str, partition: int, payload: bytes) -> None:
        self._process.check()
        check_message(topic, payload)
        if self._closed:
            raise NotReachable("this process has closed its bus")
        self._broker.log((topic, partition))
        if topic in KEPT_TOPICS:
            await self._channel((topic, partition)).put(payload)
        else:
            self._channel((topic, partition)).throw(payload)

    def subscribe(
        self, topic: str, partitions: Iterable[int], deliver: Callable[[Delivery], None], start: str | None = None
    ) -> Subscription:
        self._process.check()
        readers = [
            _Reader(self._broker, self._link, (topic, partition), deliver, start)
            for partition in sorted_partitions(partitions)
        ]
        self._readers.extend(readers)
        return _SimSubscription(readers)

    async def end(self, topic: str, partition: int) -> str:
        self._process.check()
        await self._channel((topic, partition)).put(None)
        return str(len(self._broker.log((topic, partition)).entries))

    @property
    def is_away(self) -> bool:
        """The broker itself never is, and nobody is told of what links lose."""
        return False

    async def close(self) -> None:
        self._closed = True
        for reader in self._readers:
            reader.close()
        for channel in self._channels.values():
            channel.close()

    def _channel(self, place: Place) -> _Channel:
        return self._channels.setdefault(place, _Channel(self._broker, self._link, place))

    def _link_changed(self) -> None:
        for channel in self._channels.values():
            channel.pump()
        for reader in self._readers:
            reader.wake()


class _SimSubscription:
    def __init__(self, readers: list[_Reader]) -> None:
        self._readers = readers

    def close(self) -> None:
        for reader in self._readers:
            reader.close()


class _Channel:
    """One sender's way into one partition: first in, first out; what waits here dies with the sender."""

    def __init__(self, broker: LogBroker, link: Link, place: Place) -> None:
        self._broker, self._link, self._place = broker, link, place
        self._queue: deque[tuple[bytes | None, asyncio.Future[None]]] = deque()
        self._pumping = False
        self._last = 0.0

    def put(self, payload: bytes | None) -> asyncio.Future[None]:
        """Send for sure; done when the log has it. `None` is a question that travels behind what was sent."""
        future: asyncio.Future[None] = self._link.process.house.loop.create_future()
        self._queue.append((payload, future))
        self.pump()
        return future

    def throw(self, payload: bytes) -> None:
        """Send to whoever reads now; it may be lost."""
        broker = self._broker
        for reader in tuple(broker.log(self._place).readers):
            walled = broker.walls.between(self._link.process.name, reader.name)
            if walled or not self._link.sends or broker.chance(broker.weather.drop):
                self._lose(payload)
                continue
            self._last = reader.hand_over(payload, self._last)
            if broker.chance(broker.weather.repeat):
                reader.hand_over(payload, 0.0)

    def pump(self) -> None:
        """Send the next one when the link is up."""
        if self._queue and not self._pumping and self._link.sends:
            self._pumping = True
            loop = self._link.process.house.loop
            at = max(loop.time() + self._broker.delay_s(), self._broker.held.get(self._link.process.name, 0.0))
            self._link.process.house.outside(at, self._arrive)

    def close(self) -> None:
        for _, future in self._queue:
            if not future.done():
                future.set_exception(NotReachable("this process has closed its bus"))
                future.exception()  # nobody has to look
        self._queue.clear()

    def _arrive(self) -> None:
        self._pumping = False
        if not self._queue or not self._link.sends:
            return
        if self._walled():
            self._pumping = True
            house = self._link.process.house
            house.outside(house.loop.time() + LOOK_AGAIN_S, self._arrive)
            return
        payload, future = self._queue[0]
        if payload is not None:
            self._append(payload)
        if payload is None or not self._broker.chance(self._broker.weather.again):
            self._queue.popleft()
            self._link.process.call_later(self._broker.delay_s(), _done, future)
        self.pump()  # with the same one, if the answer to it got lost

    def _walled(self) -> bool:
        """Whoever reads the partition cannot be reached from here: the log has it when that is over, or when another one
        reads it."""
        readers = self._broker.log(self._place).readers
        return any(self._broker.walls.between(self._link.process.name, reader.name) for reader in readers)

    def _append(self, payload: bytes) -> None:
        log = self._broker.log(self._place)
        log.entries.append(payload)
        self._note("+", payload)
        for reader in tuple(log.readers):
            reader.wake()

    def _lose(self, payload: bytes) -> None:
        self._broker.lost += 1
        self._note("lost", payload)

    def _note(self, what: str, payload: bytes) -> None:
        process = self._link.process
        text = payload.decode(errors="replace")
        process.house.note(process.name, f"{what} {self._place[0]}/{self._place[1]} {text[:240]}")


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _Reader:
    """One subscription to one partition."""

    def __init__(
        self, broker: LogBroker, link: Link, place: Place, deliver: Callable[[Delivery], None], start: str | None
    ) -> None:
        self._broker, self._link, self._place, self._deliver = broker, link, place, deliver
        self._log = broker.log(place)
        known = start is not None and start.isdecimal()
        self._next = len(self._log.entries) if start is None else int(start) if known else 0
        self._waking = False
        self._closed = False
        self._log.readers.append(self)
        link.process.on_death.append(self.close)
        self.wake()

    @property
    def name(self) -> str:
        """Of the process that reads."""
        return self._link.process.name

    def close(self) -> None:
        self._closed = True
        if self in self._log.readers:
            self._log.readers.remove(self)

    def wake(self) -> None:
        """There may be more in the log."""
        behind = self._next < len(self._log.entries)
        if behind and not self._waking and not self._closed and self._link.hears:
            self._waking = True
            self._link.process.call_later(self._broker.delay_s(), self._read)

    def hand_over(self, payload: bytes, not_before: float) -> float:
        """Deliver one message that is not kept; returns when."""
        process = self._link.process
        at = max(not_before + TICK_S, process.house.loop.time() + self._broker.delay_s())
        process.call_at(at, self._give, payload)
        return at

    def _read(self) -> None:
        self._waking = False
        if self._closed or not self._link.hears:
            return
        last = min(len(self._log.entries), self._next + self._broker.dice.randint(1, LARGEST_BATCH))
        messages = tuple(self._log.entries[self._next : last])
        self._next = last
        self._deliver(Delivery(*self._place, messages, str(last), _nothing))
        self.wake()

    def _give(self, payload: bytes) -> None:
        if self._closed:
            return
        if not self._link.hears:
            self._broker.lost += 1
            return
        process = self._link.process
        process.house.note(
            process.name, f"< {self._place[0]}/{self._place[1]} {payload.decode(errors='replace')[:160]}"
        )
        self._deliver(Delivery(*self._place, (payload,), str(len(self._log.entries)), _nothing))


def _nothing() -> None:
    """A log keeps what it has: there is nothing to forget."""
