"""What a process that publishes to Kafka tells, and to whom, when brokers answer and do not take its messages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    MessageSizeTooLargeError,
    OutOfOrderSequenceNumber,
    RecordListTooLargeError,
    TopicAuthorizationFailedError,
)

from plugmesh.bus.kafka.address import KafkaUrl
from plugmesh.bus.kafka.clients import KafkaClients
from plugmesh.bus.kafka.outage import SAY_AGAIN_S, Outage
from plugmesh.bus.kafka.sender import STALE_S, KafkaSender
from plugmesh.errors import ConfigurationError
from tests.hasty_runtime import HastyRuntime
from tests.waiting import wait_until

HASTE = 50
SILENT_S = 15.0


class Broker(KafkaClients):
    """Takes messages as long as `answer` of their topic gives no error."""

    def __init__(self) -> None:
        super().__init__(KafkaUrl.parse("kafka://u:geheim@h/m?security=sasl_plain&tls=false"))
        self.answer: Callable[[str], BaseException | None] = lambda topic: None
        self.taken: list[bytes] = []
        self.refusals = 0
        self.is_silent = False

    def producer(self) -> Any:
        return _Producer(self)


class _Producer:
    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def create_batch(self) -> _Batch:
        return _Batch()

    async def send_batch(self, batch: _Batch, topic: str, partition: int) -> asyncio.Future[None]:
        sent = asyncio.get_running_loop().create_future()
        if self._broker.is_silent:
            return sent
        if (error := self._broker.answer(topic)) is None:
            self._broker.taken += batch.messages
            sent.set_result(None)
        else:
            self._broker.refusals += 1
            sent.set_exception(error)
        return sent


class _Batch:
    def __init__(self) -> None:
        self.messages: list[bytes] = []

    def append(self, key: None, value: bytes, timestamp: None) -> object:
        self.messages.append(value)
        return self


class House:
    """A sender at work, and what it knows of its brokers."""

    def __init__(self) -> None:
        self.broker, self.runtime = Broker(), HastyRuntime(HASTE)
        self.outage = Outage("kafka://h/m", self.runtime)
        self.sender = KafkaSender(self.broker, self.runtime, self.outage)


@asynccontextmanager
async def working() -> AsyncIterator[House]:
    house = House()
    task = asyncio.ensure_future(house.sender.run())
    try:
        yield house
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (TopicAuthorizationFailedError("m.results"), "permit Write"),
        (MessageSizeTooLargeError(), "max.message.bytes"),
        (RecordListTooLargeError(), "max.message.bytes"),
    ],
)
async def test_a_topic_that_takes_no_messages_any_more_is_told_and_is_an_outage_until_it_does(
    error: Exception, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with working() as house:
        await house.sender.send("results", 3, b"1")
        house.broker.answer = lambda topic: error
        kept = house.sender.send("results", 3, b"2")
        await wait_until(lambda: house.broker.refusals >= 3)
        (line,) = warnings(caplog)
        assert "m.results" in line
        assert says in line
        assert "geheim" not in line
        assert house.outage.seconds > 0
        house.outage.back()  # brokers do answer other questions
        assert house.outage.seconds > 0
        house.broker.answer = lambda topic: None
        await kept
        assert house.broker.taken == [b"1", b"2"]
        assert house.outage.seconds == 0
        assert "takes messages for m.results again" in warnings(caplog)[-1]


async def test_a_refusal_that_goes_on_is_told_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    async with working() as house:
        await house.sender.send("results", 0, b"1")
        house.broker.answer = TopicAuthorizationFailedError
        begun = house.runtime.now()
        for partition in range(3):
            house.sender.send("results", partition, b"2")
        await wait_until(lambda: len(warnings(caplog)) == 2)
        assert house.runtime.now() - begun >= SAY_AGAIN_S
        assert house.broker.refusals > 2


async def test_one_topic_that_takes_messages_does_not_end_the_outage_of_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with working() as house:
        for topic in ("results", "runs"):
            await house.sender.send(topic, 0, b"1")
        house.broker.answer = lambda topic: TopicAuthorizationFailedError(topic) if topic == "m.results" else None
        house.sender.send("results", 0, b"2")
        await wait_until(lambda: house.outage.seconds > 0)
        await house.sender.send("runs", 0, b"2")
        assert house.outage.seconds > 0
        assert len(warnings(caplog)) == 1


async def test_what_is_not_taken_by_two_producers_is_told_without_a_reason(caplog: pytest.LogCaptureFixture) -> None:
    async with working() as house:
        await house.sender.send("results", 0, b"1")
        house.broker.is_silent = True
        kept = house.sender.send("results", 0, b"2")
        for told in (0, 1):
            await wait_until(lambda: house.sender.stuck(SILENT_S))
            house.sender.renew()
            assert len(warnings(caplog)) == told
            await wait_until(lambda: not house.sender.stuck(SILENT_S))
        assert "m.results" in warnings(caplog)[0]
        assert "min.insync.replicas" in warnings(caplog)[0]
        assert house.outage.seconds > 0
        house.broker.is_silent = False
        house.sender.renew()
        await kept
        assert house.outage.seconds == 0


@pytest.mark.parametrize("error", [OutOfOrderSequenceNumber(), KafkaConnectionError("gone")])
async def test_what_the_next_producer_can_send_is_not_told(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async with working() as house:
        await house.sender.send("results", 0, b"1")
        left = [error]
        house.broker.answer = lambda topic: left.pop() if left else None
        await house.sender.send("results", 0, b"2")
        assert house.broker.refusals == 1
        assert not warnings(caplog)
        assert house.outage.seconds == 0


async def test_an_outage_of_messages_that_were_dropped_is_over(caplog: pytest.LogCaptureFixture) -> None:
    async with working() as house:
        house.sender.offer("dispatch", 0, b"1")
        await wait_until(lambda: house.broker.taken)
        house.broker.answer = TopicAuthorizationFailedError
        begun = house.runtime.now()
        house.sender.offer("dispatch", 0, b"2")
        await wait_until(lambda: house.outage.seconds > 0)
        await wait_until(lambda: house.sender.dropped == 1)
        assert house.runtime.now() - begun >= STALE_S
        assert house.outage.seconds == 0
        assert len(warnings(caplog)) == 1


async def test_a_topic_that_never_took_a_message_is_told_to_the_caller() -> None:
    async with working() as house:
        house.broker.answer = TopicAuthorizationFailedError
        with pytest.raises(ConfigurationError, match="permit Write"):
            await house.sender.send("results", 0, b"1")
