"""Spans on their way to a real collector, which may be gone, slow, or refuse: nobody waits for it, and losses are counted."""

import logging
import os
from collections.abc import AsyncIterator, Iterator

import pytest

from plugmesh.runtime import SystemRuntime
from plugmesh.telemetry import sending
from plugmesh.telemetry.config import TelemetryConfig
from plugmesh.telemetry.ids import attempt_span, root_of, trace_of
from plugmesh.telemetry.otlp import OtlpTelemetry
from plugmesh.telemetry.span import Event, Link, Span
from tests.collector import Collector, collecting
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "GATHER_S", 0.01)
    monkeypatch.setattr(sending, "RETRY_S", 0.05)
    monkeypatch.setattr(sending, "CLOSE_S", 0.5)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.fixture
async def telemetry(collector: Collector) -> AsyncIterator[OtlpTelemetry]:
    opened = open_to(collector.url)
    yield opened
    await opened.close()


def open_to(url: str, headers: str = "") -> OtlpTelemetry:
    return OtlpTelemetry(TelemetryConfig(f"{url}/v1/traces", headers=headers), SystemRuntime(), lambda: 1.0)


def span(number: int = 1, **fields: object) -> Span:
    run = "run-1"
    made = {"name": "step a", "attributes": {"n": number}, **fields}
    return Span("scheduler", trace=trace_of(run), id=attempt_span(run, "a", number), start_ns=10, end_ns=20, **made)  # type: ignore[arg-type]


def figures(telemetry: OtlpTelemetry) -> dict[str, float]:
    counted, waiting = telemetry.figures()
    return {**{labels[0]: value for labels, value in counted.values.items()}, "waiting": waiting.values[()]}


async def test_a_span_arrives_as_it_is(telemetry: OtlpTelemetry, collector: Collector) -> None:
    root = root_of("run-1")
    links, events = (Link("c" * 32, "d" * 16),), (Event("hi", 15),)
    telemetry.export(span(parent=root, kind="client", error="it broke", links=links, events=events))
    await wait_until(lambda: collector.spans)
    [seen] = collector.spans
    assert (seen.service, seen.name, seen.kind, seen.scope) == ("plugmesh-scheduler", "step a", "client", "plugmesh")
    assert (seen.trace, seen.id, seen.parent) == (trace_of("run-1"), attempt_span("run-1", "a", 1), root)
    assert (seen.start_ns, seen.end_ns, seen.attributes) == (10, 20, {"n": 1})
    assert (seen.is_error, seen.message) == (True, "it broke")
    assert (seen.links, seen.events) == ((("c" * 32, "d" * 16),), ("hi",))
    assert seen.resource["process.pid"] == os.getpid()


async def test_many_spans_go_in_few_requests(telemetry: OtlpTelemetry, collector: Collector) -> None:
    for number in range(2000):
        telemetry.export(span(number))
    await wait_until(lambda: len(collector.spans) == 2000)
    assert collector.requests <= 2000 / sending.BATCH_SPANS + 1
    await wait_until(lambda: figures(telemetry) == {"sent": 2000, "dropped": 0, "waiting": 0})


async def test_services_are_called_as_the_environment_says(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "CLOSE_S", 60)
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
    telemetry = open_to(collector.url)
    telemetry.export(span())
    await telemetry.close()
    assert collector.spans[0].resource["service.name"] == "mine"
    assert collector.spans[0].resource["deployment.environment"] == "test"


async def test_the_key_of_a_collector_goes_with_each_request_and_into_no_log(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    telemetry = open_to(collector.url, headers="api-key=hunter2,x=y")
    collector.status = 403
    telemetry.export(span())
    await wait_until(lambda: collector.requests)
    await telemetry.close()
    assert (collector.headers[0]["api-key"], collector.headers[0]["x"]) == ("hunter2", "y")
    assert "do not reach" in caplog.text
    assert "hunter2" not in caplog.text


async def test_what_was_made_while_a_collector_refused_arrives_when_it_does_not(
    telemetry: OtlpTelemetry, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.status = 400
    telemetry.export(span(1))
    await wait_until(lambda: collector.requests >= 2)
    telemetry.export(span(2))
    collector.status = 200
    await wait_until(lambda: len(collector.spans) == 2)
    await wait_until(lambda: figures(telemetry) == {"sent": 2, "dropped": 0, "waiting": 0})
    assert caplog.text.count("traces do not reach") == 1
    assert caplog.text.count("traces reach") == 1


async def test_a_collector_that_is_gone_costs_no_time_and_no_more_than_so_much_memory(free_port) -> None:
    runtime = SystemRuntime()
    telemetry = open_to(f"http://127.0.0.1:{free_port()}")
    begun = runtime.now()
    for number in range(sending.MOST_SPANS + 100):
        telemetry.export(span(number))
    spent_s = runtime.now() - begun
    told = figures(telemetry)
    assert told["dropped"] == 100
    assert told["waiting"] == sending.MOST_SPANS
    assert spent_s / sending.MOST_SPANS < 0.001
    await telemetry.close()
    assert figures(telemetry) == {"sent": 0, "dropped": sending.MOST_SPANS + 100, "waiting": 0}


async def test_a_batch_that_is_never_taken_is_given_up(
    telemetry: OtlpTelemetry, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "KEEP_TRYING_S", 0.0)
    collector.status = 400
    telemetry.export(span())
    await wait_until(lambda: figures(telemetry) == {"sent": 0, "dropped": 1, "waiting": 0})


async def test_a_process_ends_in_bounded_time_beside_a_collector_that_hangs(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.flowing.clear()
    telemetry = open_to(collector.url)
    for number in range(3):
        telemetry.export(span(number))
    await wait_until(lambda: collector.requests)
    runtime = SystemRuntime()
    begun = runtime.now()
    await telemetry.close()
    assert runtime.now() - begun < sending.CLOSE_S + 4  # far less than the collector takes
    assert figures(telemetry) == {"sent": 0, "dropped": 3, "waiting": 0}
    assert "3 spans of traces did not reach" in caplog.text


async def test_at_the_end_what_is_left_is_sent(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "CLOSE_S", 60)
    telemetry = open_to(collector.url)
    for number in range(700):
        telemetry.export(span(number))
    await telemetry.close()
    assert len(collector.spans) == 700
    telemetry.export(span())
    assert figures(telemetry) == {"sent": 700, "dropped": 1, "waiting": 0}


async def test_what_cannot_be_encoded_is_dropped_and_ends_nothing(
    telemetry: OtlpTelemetry, collector: Collector
) -> None:
    telemetry.export(span(name=3))
    telemetry.export(span(1, links=(Link("not", "hex"),)))
    telemetry.export(span(2))
    await wait_until(lambda: [seen.attributes["n"] for seen in collector.spans if seen.name == "step a"] == [2])
    await wait_until(lambda: figures(telemetry)["waiting"] == 0)
