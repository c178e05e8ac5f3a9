"""`/metrics` of a whole server: every part is there, the figures rise, and the page about them is complete."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import Metrics
from plugmesh.bus.kafka.bus import KafkaBus
from plugmesh.cli.server.mesh import Mesh, data_folder
from plugmesh.contracts.instance import Registration
from plugmesh.discovery.consul.discovery import ConsulDiscovery
from plugmesh.figures import Figures
from plugmesh.objects.s3.store import open_s3
from plugmesh.runtime import SystemRuntime
from plugmesh.settings.settings import Settings
from plugmesh.telemetry.config import TelemetryConfig
from plugmesh.telemetry.otlp import OtlpTelemetry
from tests.integration.gateway.house import FLOW, URL
from tests.waiting import wait_until

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "metrics.md"
HEAD = """# Metrics

<!-- Made from what a server shows by tests/integration/gateway/test_metrics.py: change the figures of a part, then run
     WRITE_DOCS=1 scripts/test tests/integration/gateway/test_metrics.py -->

`GET /metrics` shows these in the text format of Prometheus: each process those of its own parts, of a bus, a store or a discovery
outside only what the drivers of Kafka, S3 and Consul count. A counter only rises and begins anew when the server starts;
a gauge is the amount of now; a histogram counts how long something took. Ages and times are in seconds.
[Watch a mesh](../howto/watch-a-mesh.md) has a dashboard and alerts made of them.
"""


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    mesh = await Mesh.open(data_folder(str(tmp_path)), Settings(), SystemRuntime(), url=URL)
    await mesh.start()
    yield mesh
    await mesh.stop()


class Scraped:
    """The metrics of a mesh, by name."""

    def __init__(self, mesh: Mesh) -> None:
        async def fine() -> str | None:
            return None

        app = mesh.app(fine, None)
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=URL)
        self.families: dict[str, Metric] = {}

    async def look(self) -> None:
        text = (await self.client.get("/metrics")).text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}

    def value(self, name: str, **labels: str) -> float:
        """The sum of the samples with this name that have these labels."""
        samples = (sample for family in self.families.values() for sample in family.samples if sample.name == name)
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


@pytest.fixture
async def scraped(mesh: Mesh) -> AsyncIterator[Scraped]:
    scraped = Scraped(mesh)
    yield scraped
    await scraped.client.aclose()


async def test_a_run_leaves_its_traces_in_every_part(mesh: Mesh, scraped: Scraped) -> None:
    await mesh.hub.directory.register(Registration(instance="i-1", host="h", partition=0, slots=3, offers=()))
    await wait_until(mesh.registry.members)
    await scraped.client.post("/api/v1/runs", json={"flow": FLOW})
    await scraped.client.put("/api/v1/files/a.csv", content=b"a\n1\n", headers={"content-type": "text/csv"})
    await scraped.client.put("/api/v1/settings/log_level", json={"value": "info"})

    async def told() -> bool:
        await scraped.look()
        return scraped.value("plugmesh_bus_messages_total", topic="events") >= 1

    await wait_until(told)
    assert scraped.value("plugmesh_runs_submitted_total") == 1
    assert scraped.value("plugmesh_engine_commits_total") >= 1
    assert scraped.value("plugmesh_state_commit_seconds_count") == scraped.value("plugmesh_engine_commits_total")
    assert scraped.value("plugmesh_state_rows_total") >= 2
    assert scraped.value("plugmesh_engine_runs") == 1
    assert scraped.value("plugmesh_engine_ready") + scraped.value("plugmesh_engine_parked") == 1
    assert scraped.value("plugmesh_discovery_calls_total", call="register") == 1
    assert scraped.value("plugmesh_state_read_seconds_count") == scraped.value("plugmesh_state_reads_total")
    assert scraped.value("plugmesh_state_write_seconds_count") >= 1
    assert scraped.value("plugmesh_bus_age_seconds") >= 0
    assert scraped.value("plugmesh_objects_bytes_total", direction="written") >= 4
    assert scraped.value("plugmesh_uploads_bytes_total") == 4
    assert scraped.value("plugmesh_slots") == 3
    assert scraped.value("plugmesh_instances", liveness="alive") == 1
    assert scraped.value("plugmesh_http_requests_total", route="/api/v1/runs", status="202") == 1
    assert scraped.value("plugmesh_process_resident_memory_bytes") > 0


async def test_a_failing_look_at_an_object_is_counted(mesh: Mesh, scraped: Scraped) -> None:
    with pytest.raises(Exception, match="nothing/here"):
        mesh.objects.read("nothing/here")
    await scraped.look()
    assert scraped.value("plugmesh_objects_errors_total", operation="read") == 1


async def test_every_metric_has_a_text_and_is_on_the_page(mesh: Mesh, scraped: Scraped, tmp_path: Path) -> None:
    await scraped.client.get("/healthz")
    await scraped.look()
    families = {name: family for name, family in scraped.families.items() if _shown(name)}
    async with drivers(tmp_path) as figures:
        of_drivers = generate_latest(Metrics(CollectorRegistry(), figures).registry).decode()
    for family in text_string_to_metric_families(of_drivers):
        if _shown(family.name):
            known = families.setdefault(family.name, family)
            assert (known.type, known.documentation) == (family.type, family.documentation)
    assert all(family.documentation for family in families.values())
    page = "\n".join([HEAD, *_rows(families.values())]) + "\n"
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(page)
    again = "WRITE_DOCS=1 scripts/test tests/integration/gateway/test_metrics.py writes it again"
    assert PAGE.read_text() == page, again


@asynccontextmanager
async def drivers(folder: Path) -> AsyncIterator[list[Figures]]:
    """Those whose servers are not needed to know the names of what they tell."""
    runtime = SystemRuntime()
    bus = KafkaBus("kafka://127.0.0.1:1", runtime)
    discovery = ConsulDiscovery("consul://127.0.0.1:1/mesh", runtime)
    objects = open_s3(f"s3://bucket?endpoint=http://127.0.0.1:1&cache={folder / 'cache'}", runtime)
    traces = OtlpTelemetry(TelemetryConfig("http://127.0.0.1:1/v1/traces"), runtime, lambda: 1.0)
    yield [bus.figures, discovery.figures, objects.figures, traces.figures]
    await bus.close()
    await discovery.close()


def _rows(families: Iterable[Metric]) -> Iterable[str]:
    yield "| name | kind | |"
    yield "| --- | --- | --- |"
    for family in sorted(families, key=lambda family: family.name):
        name = family.name + ("_total" if family.type == "counter" else "")
        yield f"| `{name}` | {family.type} | {family.documentation} |"


def _shown(name: str) -> bool:
    """Not those of the garbage collector, and no times at which a counter was made."""
    return name.startswith("plugmesh_") and not name.endswith("_created")
