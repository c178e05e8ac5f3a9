"""Traces of a mesh of real processes, as they arrive at a collector, and its logs."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plugmesh.telemetry.ids import attempt_span, root_of, trace_of
from scripts.real_servers.ports import is_free
from tests.collector import Collector, Seen, collecting
from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.full

MODULES = """
import logging
import time
from pathlib import Path

import pyarrow as pa
from module_sdk import module
from opentelemetry import trace

tracer = trace.get_tracer("author")


@module("t.work")
def work(*, n: int = 1) -> pa.Table:
    logging.getLogger("author").warning("working on %d, not at http://me:hunter2@host", n)
    with tracer.start_as_current_span("inner") as span:
        span.set_attribute("n", n)
        if n < 0:
            raise ValueError("no answer from http://me:hunter2@host")
    return pa.table({"n": [n]})


@module("t.async")
async def awork(*, n: int = 1) -> pa.Table:
    with tracer.start_as_current_span("inner async"):
        return pa.table({"n": [n]})


@module("t.gate")
def gate(table: pa.Table, *, file: str) -> pa.Table:
    while not Path(file).exists():
        time.sleep(0.02)
    return table
"""
CALLER = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")


@dataclass(frozen=True)
class House:
    """A mesh that sends its traces to a collector."""

    mesh: RealMesh
    collector: Collector

    def whole(self, run: str, *names: str) -> dict[str, Seen]:
        """The spans of a run by name, once all of these are there."""

        def found() -> dict[str, Seen]:
            seen = {span.name: span for span in self.of(run)}
            return seen if seen.keys() >= set(names) else {}

        try:
            return wait_until_sync(found, 30)
        except AssertionError:
            raise AssertionError(f"{names} are not in {[span.name for span in self.of(run)]}") from None

    def of(self, run: str) -> list[Seen]:
        """The spans of a run that have arrived."""
        return self.collector.of_trace(trace_of(run))

    def lines(self) -> list[dict[str, Any]]:
        """Every line that any process of the mesh has logged."""
        return [json.loads(line) for log in self.logs() for line in log.read_text().splitlines()]

    def logs(self) -> list[Path]:
        return [*self.mesh.folder.glob("process-*.log"), *(self.mesh.data / "run").rglob("*.log")]


@contextmanager
def _house(folder: Path, ports: Iterator[int]) -> Iterator[House]:
    with collecting() as collector:
        told = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_HEADERS": "api-key=hunter2"}
        mesh = RealMesh(folder, next(port for port in ports if is_free(port)), told)
        (folder / "authors").mkdir()
        (folder / "authors" / "traced.py").write_text(MODULES)
        mesh.up(*options(mesh))
        wait_until_sync(lambda: {"t.work", "t.async", "t.gate"} <= mesh.module_names(), 60)
        yield House(mesh, collector)
        mesh.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, _ports: Iterator[int]) -> Iterator[House]:
    """For tests that do not hurt it."""
    with _house(tmp_path_factory.mktemp("traced"), _ports) as house:
        yield house


@pytest.fixture
def house(tmp_path: Path, _ports: Iterator[int]) -> Iterator[House]:
    """Of one test alone."""
    with _house(tmp_path, _ports) as house:
        yield house


def options(mesh: RealMesh) -> list[str]:
    modules = ["--modules", str(mesh.folder / "authors"), "--no-builtins", "--drain-s", "1"]
    return [*modules, "--log-format", "json", "--log-level", "info"]


def flow(**nodes: dict[str, Any]) -> str:
    return json.dumps({"flow": "default/traced", "nodes": nodes})


def test_one_run_is_one_trace_through_all_processes(shared: House) -> None:
    run = shared.mesh.submit(flow(a={"module": "t.work"}, b={"module": "t.async"}))
    shared.mesh.finish(run)
    inner = ("inner", "inner async", "execute t.work", "execute t.async")
    seen = shared.whole(run, "run traced", "POST /api/v1/runs", "step a", "step b", *inner)
    root = seen["run traced"]
    assert (root.id, root.parent, root.service) == (root_of(run), "", "plugmesh-scheduler")
    assert (seen["POST /api/v1/runs"].parent, seen["POST /api/v1/runs"].service) == (root.id, "plugmesh-gateway")
    for step, module, own in (("step a", "execute t.work", "inner"), ("step b", "execute t.async", "inner async")):
        assert (seen[step].parent, seen[step].id) == (root.id, attempt_span(run, step[-1], 1))
        assert (seen[module].parent, seen[module].service) == (seen[step].id, "plugmesh-module")
        assert (seen[own].parent, seen[own].scope) == (seen[module].id, "author")
        assert seen[step].start_ns <= seen[module].start_ns <= seen[own].start_ns
        assert seen[own].end_ns <= seen[module].end_ns <= seen[step].end_ns <= root.end_ns
    assert len(shared.of(run)) == len(seen) == 8
    assert len({span.resource["process.pid"] for span in seen.values()}) == 2
    assert {headers["api-key"] for headers in shared.collector.headers} == {"hunter2"}


def test_a_failure_is_in_every_span_above_it_and_a_password_in_none(shared: House) -> None:
    run = shared.mesh.submit(flow(a={"module": "t.work", "params": {"n": -1}}))
    shared.mesh.finish(run, "failed")
    seen = shared.whole(run, "run traced", "step a", "execute t.work", "inner")
    assert all(seen[name].is_error for name in ("run traced", "step a", "execute t.work", "inner"))
    assert seen["step a"].attributes["error.type"] == "module-failed"
    assert "no answer from http://***@host" in seen["step a"].message
    assert "hunter2" not in repr(shared.collector.spans)


def test_a_caller_with_a_trace_of_its_own_is_linked(shared: House) -> None:
    body = flow(a={"module": "t.work"}).encode()
    run = _post(shared.mesh, f'{{"flow": {body.decode()}}}'.encode(), {"traceparent": f"00-{CALLER[0]}-{CALLER[1]}-01"})
    shared.mesh.finish(run)
    seen = shared.whole(run, "run traced", "POST /api/v1/runs")
    assert seen["POST /api/v1/runs"].links == (CALLER,)
    [there] = wait_until_sync(lambda: shared.collector.of_trace(CALLER[0]), 10)
    assert (there.parent, there.links) == (CALLER[1], ((trace_of(run), root_of(run)),))


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_a_scheduler_that_is_started_anew_goes_on_in_the_trace(house: House, how: str) -> None:
    gate = house.mesh.folder / "open"
    nodes: dict[str, Any] = {
        "a": {"module": "t.work"},
        "b": {"module": "t.gate", "params": {"file": str(gate)}, "in": {"table": "a"}},
    }
    run = house.mesh.submit(flow(**nodes))
    house.mesh.wait_for_step(run, "b", "running")
    house.whole(run, "step a", "execute t.work")
    if how == "killed":
        house.mesh.kill_server()
    else:
        house.mesh.stop()
    house.mesh.up(*options(house.mesh))
    gate.touch()
    house.mesh.finish(run)
    seen = house.whole(run, "run traced", "POST /api/v1/runs", "step a", "step b", "execute t.gate")
    known = {span.id for span in house.of(run)} | {""}
    assert {span.parent for span in house.of(run)} <= known
    assert seen["run traced"].start_ns <= seen["step a"].start_ns < seen["step b"].end_ns <= seen["run traced"].end_ns
    assert [span.name for span in house.of(run)].count("run traced") == 1


def test_a_collector_that_is_gone_or_hangs_costs_the_mesh_nothing(house: House) -> None:
    house.collector.flowing.clear()
    for _ in range(3):
        house.mesh.finish(house.mesh.submit(flow(a={"module": "t.work"})))
    assert house.mesh.stop() == 0
    lost = [line for line in house.lines() if "did not reach" in line["message"]]
    assert [line["role"] for line in lost if line["role"] == "server"] == ["server"]


def test_every_process_logs_json_with_ids_and_without_secrets(shared: House) -> None:
    run = shared.mesh.submit(flow(a={"module": "t.work", "params": {"n": -1}}))
    shared.mesh.finish(run, "failed")
    wait_until_sync(lambda: {"scheduler.journal", "step.author"} <= {line["logger"] for line in shared.lines()})
    of_run = [line for line in shared.lines() if line.get("run") == run]
    author = next(line for line in of_run if line["logger"] == "step.author")
    assert author["message"] == "working on -1, not at http://***@host"
    assert (author["role"], author["step"], author["attempt"]) == ("module", "a", 1)
    instance = shared.mesh.step(run, "a")["instance"]
    assert author["instance"] == instance
    failed = next(line for line in of_run if "step failed" in line["message"])
    assert (failed["role"], failed["step"], failed["attempt"], failed["instance"]) == ("server", "a", 1, instance)
    for log in shared.logs():
        assert "hunter2" not in log.read_text()
        assert all(line.startswith("{") for line in log.read_text().splitlines()), log.read_text()


def _post(mesh: RealMesh, body: bytes, headers: dict[str, str]) -> str:
    request = urllib.request.Request(f"{mesh.url}/api/v1/runs", body, {"content-type": "application/json", **headers})
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return str(json.loads(answer.read())["id"])
