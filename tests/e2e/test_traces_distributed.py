"""Traces of a mesh whose parts are processes of their own, over Kafka and over the gateway's own bus."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from plugmesh.telemetry.ids import root_of, trace_of
from scripts.real_mesh import Member, RealMesh, Urls
from tests.collector import Collector, Seen, collecting

pytestmark = pytest.mark.servers

MODULES = """
import time
from pathlib import Path

import pyarrow as pa
from module_sdk import module, serve
from opentelemetry import trace


@module("t.work")
def work(*, n: int = 1) -> pa.Table:
    with trace.get_tracer("author").start_as_current_span("inner"):
        return pa.table({"n": [n]})


@module("t.gate")
def gate(table: pa.Table, *, file: str) -> pa.Table:
    while not Path(file).exists():
        time.sleep(0.02)
    return table


if __name__ == "__main__":
    serve(work, gate, slots=2)
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


def _traced(folder: Path, urls: Urls, collector: Collector) -> Iterator[RealMesh]:
    told = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "PLUGMESH_LOG_FORMAT": "json",
        "PLUGMESH_LOG_LEVEL": "info",
        "PLUGMESH_LOG_FILE": str(folder / "logs" / "mesh.log"),
    }
    mesh = RealMesh(folder / "mesh", urls, told)
    with mesh:
        mesh.gateway()
        mesh.wait_until_answers()
        mesh.scheduler()
        mesh.scheduler()
        (mesh.folder / "traced.py").write_text(MODULES)
        mesh.python(mesh.folder / "traced.py")
        mesh.wait_until_ready("t.work", "t.gate")
        yield mesh
        assert not mesh.close()


@pytest.fixture
def embedded(tmp_path: Path, postgres_url: str, collector: Collector) -> Iterator[RealMesh]:
    """Bus and discovery are in the gateway."""
    yield from _traced(tmp_path, Urls(postgres_url), collector)


@pytest.fixture
def distributed(
    tmp_path: Path, postgres_url: str, kafka_url: str, consul_url: str, collector: Collector
) -> Iterator[RealMesh]:
    """Everything is a service of its own."""
    yield from _traced(tmp_path, Urls(postgres_url, kafka_url, consul_url, (tmp_path / "objects").as_uri()), collector)


def _one_whole_trace_through_another_scheduler(mesh: RealMesh, collector: Collector) -> None:
    """The scheduler of the run is killed in the middle of it."""
    gate = mesh.folder / "open"
    nodes = {
        "a": {"module": "t.work"},
        "b": {"module": "t.gate", "params": {"file": str(gate)}, "in": {"table": "a"}},
    }
    run = mesh.submit({"flow": "e2e/traced", "nodes": nodes})
    mesh.until(lambda: {"step a", "execute t.work"} <= _names(collector, run), "the first step is not told")
    _scheduler_of(mesh, collector, run).kill()
    gate.touch()
    mesh.finish(run)
    wanted = {"run traced", "POST /api/v1/runs", "step a", "execute t.work", "inner", "step b", "execute t.gate"}
    mesh.until(lambda: _names(collector, run) >= wanted, f"not all of {wanted} are in {_names(collector, run)}")
    spans = collector.of_trace(trace_of(run))
    assert {span.parent for span in spans} <= {span.id for span in spans} | {""}
    assert [span.id for span in spans if not span.parent] == [root_of(run)]
    seen = {span.name: span for span in spans if _counts(span)}
    assert seen["step a"].resource["process.pid"] != seen["step b"].resource["process.pid"]
    assert {span.service for span in spans} == {"plugmesh-gateway", "plugmesh-scheduler", "plugmesh-module"}


def _names(collector: Collector, run: str) -> set[str]:
    return {span.name for span in collector.of_trace(trace_of(run)) if _counts(span)}


def _counts(span: Seen) -> bool:
    """Not of an attempt that was lost, as may happen on a busy machine."""
    return bool(span.attributes.get("plugmesh.outcome", "succeeded") == "succeeded")


def _scheduler_of(mesh: RealMesh, collector: Collector, run: str) -> Member:
    """Which of them runs it: the one that has told of its first step."""
    first = next(span for span in collector.of_trace(trace_of(run)) if span.name == "step a" and _counts(span))
    return next(one for one in mesh.of("scheduler") if one.process.pid == first.resource["process.pid"])


def test_over_kafka_one_run_is_one_trace_also_when_its_scheduler_dies(
    distributed: RealMesh, collector: Collector
) -> None:
    _one_whole_trace_through_another_scheduler(distributed, collector)


def test_over_the_gateways_bus_one_run_is_one_trace_also_when_its_scheduler_dies(
    embedded: RealMesh, collector: Collector, tmp_path: Path, postgres_url: str
) -> None:
    _one_whole_trace_through_another_scheduler(embedded, collector)
    logs = sorted((tmp_path / "logs").glob("mesh.*.log"))
    assert [log.name for log in logs] == [
        "mesh.gateway.log", "mesh.module.log", "mesh.scheduler-2.log", "mesh.scheduler.log",
    ]  # fmt: skip
    for log in logs:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert {line["role"] for line in lines} == {log.name.split(".")[1].partition("-")[0]}
        assert password(postgres_url) not in log.read_text()


def password(url: str) -> str:
    """That of a URL, which is no word of a log by itself."""
    found = urlsplit(url).password or "no password"
    return f":{found}@"
