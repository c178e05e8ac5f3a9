"""Light mode: a module on another host has the gateway's address and a join token, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.real_servers.ports import is_free
from tests.e2e.other_host import NAME, OtherHost, other_host
from tests.e2e.real_mesh import RealMesh, _opener
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.full

ROWS = 12_500_000
"""Of two columns of 8 bytes: 200 MB."""
MODULES = '''
import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from module_sdk import module, serve


@module("light.make")
def make(*, rows: int = 10) -> pa.Table:
    return pa.table({"a": np.arange(rows, dtype="int64"), "b": np.random.default_rng(1).random(rows)})


@module("light.add")
def add(table: pa.Table) -> pa.Table:
    """Every byte of it comes, and as many go."""
    return pa.table({"a": table["a"].to_numpy() + 1, "b": table["b"].to_numpy() * 2})


@module("light.tell")
def tell(table: pa.Table) -> pa.Table:
    return pa.table({"host": [os.uname().nodename], "sum": [int(table["a"].to_numpy().sum())]})


@module("light.wait")
def wait(table: pa.Table, *, gate: str) -> pa.Table:
    """Begun, and ends with large data once the gate is there."""
    Path(gate + ".begun").touch()
    while not Path(gate).exists():
        time.sleep(0.02)
    return pa.table({"a": table["a"].to_numpy() + 1})


@module("light.spy")
def spy() -> pa.Table:
    """What user code finds in the variables, arguments and temporary files of its own process."""
    texts = [Path(f"/proc/self/{name}").read_bytes().decode(errors="replace") for name in ("environ", "cmdline")]
    folder = Path(os.environ["TMPDIR"])
    texts += [file.read_text() for file in folder.glob("plugmesh-ticket-*/*")]
    return pa.table({"found": texts})


if __name__ == "__main__":
    serve(SERVED, slots=1)
'''


class GuardedMesh(RealMesh):
    """A mesh whose callers show a token."""

    def ask(self, path: str) -> Any:
        token = (self.data / "token").read_text().strip()
        asked = urllib.request.Request(self.url + path, headers={"authorization": f"Bearer {token}"})
        try:
            with _opener().open(asked, timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError:
            raise
        except OSError:
            return None


class Light:
    """A mesh here and a module process there."""

    def __init__(self, mesh: GuardedMesh, far: OtherHost, folder: Path) -> None:
        self.mesh, self.far, self.folder = mesh, far, folder
        folder.mkdir()
        self.token = ""
        self.process: subprocess.Popen[bytes]

    def start(self) -> None:
        mesh = self.mesh
        self.up()
        wait_until_sync((mesh.data / "join-token").exists, 60, message="there is no join token")
        self.token = (mesh.data / "join-token").read_text().strip()
        mesh._environment |= {"PLUGMESH_URL": mesh.url, "PLUGMESH_TOKEN_FILE": str(mesh.data / "token")}
        wait_until_sync(lambda: mesh.ask("/healthz"), 60, message=mesh.said())

    def up(self) -> None:
        mesh = self.mesh
        mesh.server = mesh.start(
            "up", "--host", self.far.gateway, "--port", str(mesh.port), "--data", str(mesh.data), "--no-builtins"
        )

    def join(self) -> None:
        file = self.folder / "modules.py"
        file.write_text(MODULES.replace("SERVED", "make, add, tell, wait, spy"))
        variables = {"PLUGMESH_URL": self.mesh.url, "PLUGMESH_TOKEN": self.token}
        self.process = self.far.start(self.mesh.data, file, variables, self.folder / "far.log")
        wait_until_sync(lambda: "light.spy" in self.mesh.module_names(), 60, 0.1, message=self.said())

    def said(self) -> str:
        return (self.folder / "far.log").read_text(errors="replace") + self.mesh.said()

    def begin(self, nodes: dict[str, Any]) -> str:
        """Submit a flow; the id of its run."""
        return self.mesh.submit(json.dumps({"flow": "e2e/light", "nodes": nodes, "outputs": {"out": list(nodes)[-1]}}))

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0, self.said()
        assert not list(self.folder.glob("plugmesh-ticket-*")), "a ticket was left behind"


@pytest.fixture
def light(tmp_path: Path, _ports: Iterator[int]) -> Iterator[Light]:
    port = next(port for port in _ports if is_free(port))
    with other_host(os.getpid() % 8192) as far:
        mesh = GuardedMesh(tmp_path, port)
        mesh.url = f"http://{far.gateway}:{port}"
        light = Light(mesh, far, tmp_path / "far")
        light.start()
        light.join()
        yield light
        light.close()
        mesh.close()


def test_a_flow_with_large_tables_runs_where_the_store_cannot_be_seen(light: Light) -> None:
    mesh = light.mesh
    nodes = {
        "make": {"module": "light.make", "params": {"rows": ROWS}},
        "add": {"module": "light.add", "in": {"table": "make"}},
        "tell": {"module": "light.tell", "in": {"table": "add"}},
    }
    run = light.begin(nodes)
    mesh.finish(run)
    assert mesh.rows(run, "out") == [{"host": NAME, "sum": ROWS * (ROWS + 1) // 2}]
    spied = light.begin({"spy": {"module": "light.spy"}})
    mesh.finish(spied)
    found = [row["found"] for row in mesh.rows(spied, "out")]
    assert any(text.startswith("ticket.inst-") for text in found)
    assert not [text for text in found if light.token in text], "user code can see the join token"


def test_what_was_under_way_goes_on_when_the_gateway_is_killed_and_started_again(light: Light) -> None:
    mesh, gate = light.mesh, light.folder / "gate"
    nodes = {
        "make": {"module": "light.make", "params": {"rows": 2_000_000}},
        "wait": {"module": "light.wait", "in": {"table": "make"}, "params": {"gate": str(gate)}},
        "tell": {"module": "light.tell", "in": {"table": "wait"}},
    }
    run = light.begin(nodes)
    wait_until_sync(Path(f"{gate}.begun").exists, 60, message=light.said())
    mesh.kill_server()
    gate.touch()  # what the module returns has nowhere to go now
    light.up()
    mesh.finish(run)
    assert mesh.step(run, "wait")["epoch"] == 1, "the attempt was not lost"
    assert mesh.rows(run, "out") == [{"host": NAME, "sum": 2_000_000 * 2_000_001 // 2}]
