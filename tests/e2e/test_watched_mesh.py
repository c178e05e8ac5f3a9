"""A real Prometheus collects a mesh of several processes on real servers, and one in a single process: every drawing of the
dashboard has something to show, every alert can be judged, and those that should sound do."""

import json
import math
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.real_mesh import Member, RealMesh, Urls
from scripts.real_mesh.asked import PLUGMESH
from scripts.real_mesh.mesh import free_port
from tests.integration.watching.watched import ALERTS, alerts, queries
from tests.servers import OwnServer
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.servers

MODULES = """
import pyarrow as pa
from module_sdk import Context, module, serve


@module("watched.numbers")
def numbers(*, n: int) -> pa.Table:
    return pa.table({"n": list(range(n))})


@module("watched.odd")
def odd(table: pa.Table, ctx: Context) -> pa.Table:
    ctx.reject(table.slice(0, 2), "too small")
    return table.slice(2)


@module("watched.fails")
def fails(table: pa.Table) -> pa.Table:
    raise ValueError("on purpose")


if __name__ == "__main__":
    serve(numbers, odd, fails, slots=2)
"""
NUMBERS = {"module": "watched.numbers", "params": {"n": 100_000}}
GOOD = {"numbers": NUMBERS, "odd": {"module": "watched.odd", "in": "numbers", "rejects": {"percent": 50}}}
BAD = {"numbers": NUMBERS, "fails": {"module": "watched.fails", "in": "numbers"}}
ALONE = {
    "flow": "watched/alone",
    "inputs": {"numbers": "file"},
    "nodes": {"read": {"module": "io.read", "params": {"file": "${inputs.numbers}"}}},
    "outputs": {"numbers": "read"},
}
PROVOKED = {"PlugmeshDeadLettersGrow", "PlugmeshProcessDown", "PlugmeshRegistryAway"}
OUTAGE_S = 5


class Asked:
    """A Prometheus of the test's own, with the alerts as they are delivered, but for the patience with outages."""

    def __init__(self, server: OwnServer) -> None:
        self._url, self._folder = server.address, Path(server.urls["PLUGMESH_TEST_PROMETHEUS_FILES"])
        sooner = ALERTS.read_text().replace("outage_seconds > 30", f"outage_seconds > {OUTAGE_S}")
        (self._folder / "rules" / "alerts.yml").write_text(sooner)
        self._open(urllib.request.Request(f"{self._url}/-/reload", method="POST"))

    def collect(self, **roles: list[Member]) -> None:
        """From these processes, by role, from now on."""
        targets = [
            {"targets": [f"127.0.0.1:{one.port}" for one in members], "labels": {"role": role}}
            for role, members in roles.items()
        ]
        (self._folder / "targets" / "mesh.json").write_text(json.dumps(targets))

    def values(self, expr: str) -> list[float]:
        """What a query gives now, with a minute for what a drawing chooses by its width."""
        found = self.get("query", query=expr.replace("$__rate_interval", "1m"))["result"]
        return [float(sample["value"][1]) for sample in found]

    def get(self, path: str, **query: str) -> Any:
        answer = json.loads(self._open(f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(query)}"))
        assert answer["status"] == "success", answer
        return answer["data"]

    def rules(self) -> dict[str, Any]:
        """All alerts by name, as Prometheus judges them."""
        return {rule["name"]: rule for group in self.get("rules")["groups"] for rule in group["rules"]}

    def sounding(self) -> set[str]:
        """Those that are active; some of them have to be so for a while before they call anybody."""
        return {name for name, rule in self.rules().items() if rule["state"] != "inactive"}

    def _open(self, request: Any) -> bytes:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            body: bytes = answer.read()
        return body


@pytest.fixture
def consul(own_server: Callable[[str], OwnServer]) -> OwnServer:
    return own_server("consul")


@pytest.fixture
def mesh(tmp_path: Path, consul: OwnServer, kafka_url: str, minio_url: str, postgres_url: str) -> Iterator[RealMesh]:
    urls = Urls(
        state=postgres_url,
        bus=kafka_url,
        discovery=f"consul://{consul.address.removeprefix('http://')}/watched",
        objects=f"{minio_url}&cache={tmp_path / 'cache'}",
    )
    with RealMesh(tmp_path / "mesh", urls) as mesh:
        (mesh.folder / "watched.py").write_text(MODULES)
        yield mesh


@pytest.fixture
def single(tmp_path: Path, mesh: RealMesh) -> Iterator[Member]:
    """A mesh in one process, with its bus in it."""
    port, folder = free_port(), tmp_path / "single"
    folder.mkdir()
    environment = {name: value for name, value in mesh.environment.items() if not name.startswith("PLUGMESH_")}
    command = (PLUGMESH, "up", "--port", str(port), "--data", str(folder / "data"))
    member = Member("single", "mesh", command, port, folder / "log", environment)
    member.start()
    yield member
    member.stop()


def work(mesh: RealMesh, single: Member) -> None:
    """Runs that succeed and leave dead letters, runs that fail, and questions."""
    good = [mesh.submit({"flow": "watched/good", "nodes": GOOD}) for _ in range(6)]
    bad = [mesh.submit({"flow": "watched/bad", "nodes": BAD}) for _ in range(2)]
    for run, state in [*((run, "succeeded") for run in good), *((run, "failed") for run in bad)]:
        mesh.finish(run, state)
    (mesh.folder / "alone.json").write_text(json.dumps(ALONE))
    (mesh.folder / "numbers.csv").write_text("n\n1\n2\n")
    arguments = ("run", "alone.json", "--input", "numbers=numbers.csv", "--url", f"http://127.0.0.1:{single.port}")
    subprocess.run([PLUGMESH, *arguments], cwd=mesh.folder, env=dict(single.environment), check=True, timeout=60)


def test_every_drawing_has_data_and_every_alert_is_judged(
    mesh: RealMesh, single: Member, consul: OwnServer, own_server: Callable[[str], OwnServer]
) -> None:
    prometheus = Asked(own_server("prometheus"))
    gateway, first, second = mesh.gateway(), mesh.scheduler(), mesh.scheduler()
    prometheus.collect(gateway=[gateway], scheduler=[first, second], mesh=[single])
    mesh.python(mesh.folder / "watched.py")
    mesh.wait_until_ready("watched.numbers", "watched.odd", "watched.fails")
    wait_until_sync(lambda: mesh.ask("/readyz", single), 60, message="the single mesh is not ready")
    wait_until_sync(lambda: prometheus.values('sum(up{job="plugmesh"})') == [4.0], 30)
    work(mesh, single)

    empty = {query for query in queries() if not _drawn(prometheus, query.expr)}
    wait_until_sync(lambda: _drop(empty, prometheus), 60, 1.0, message=f"nothing is drawn by {empty}")

    rules = prometheus.rules()
    assert set(rules) == {rule["alert"] for rule in alerts()}
    assert {(rule["health"], rule.get("lastError")) for rule in rules.values()} == {("ok", None)}
    assert prometheus.values("sum(plugmesh_engine_shards)") == [64.0]  # of two meshes
    assert prometheus.values('sum(plugmesh_attempts_total{module="watched.fails",outcome="failed"}) >= 2')

    consul.pause()
    second.kill()
    wait_until_sync(lambda: prometheus.sounding() >= PROVOKED, 60, 1.0)
    assert "PlugmeshStateAway" not in prometheus.sounding()
    consul.resume()
    wait_until_sync(lambda: "PlugmeshRegistryAway" not in prometheus.sounding(), 60, 1.0)


def _drawn(prometheus: Asked, expr: str) -> bool:
    return any(not math.isnan(value) for value in prometheus.values(expr))


def _drop(empty: set[Any], prometheus: Asked) -> bool:
    """Take out what has something to show by now; whether nothing is left."""
    empty.difference_update([query for query in empty if _drawn(prometheus, query.expr)])
    return not empty
