"""SIGTERM at any process under load: nothing fails, nothing is lost, nothing costs a step one of its tries."""

import json
import os
import signal
import sqlite3
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from plugmesh.cli.server.process import ProcessId
from tests.e2e.authors import SLOW, flow_of
from tests.e2e.conftest import MakeMesh
from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync

BUSY = """
import time

import pyarrow as pa
from module_sdk import module, serve


@module("busy.work")
def work(*, n: int, ms: int = 40) -> pa.Table:
    time.sleep(ms / 1000)
    return pa.table({"n": [n]})


if __name__ == "__main__":
    serve(work)
"""
GRACE_S = 30
"""Who stops a pod sends SIGTERM, waits so long, and sends SIGKILL."""


def load(mesh: RealMesh, runs: int = 12, steps: int = 10) -> list[str]:
    """Runs with many short steps, all at once."""
    nodes = "\n".join(f"  s{n}: {{module: busy.work, params: {{n: {n}}}}}" for n in range(steps))
    flow = f"flow: e2e/busy\nnodes:\n{nodes}\n"
    return [mesh.submit(flow) for _ in range(runs)]


def serve(mesh: RealMesh, *options: str) -> int:
    """Start a process that serves `busy.work`; its pid."""
    (mesh.folder / "busy.py").write_text(BUSY)
    process = mesh.start("module", "serve", "busy.py", "--slots", "2", *options)
    wait_until_sync(lambda: process.pid in pids(mesh), 30, message=mesh.said())
    return process.pid


def pids(mesh: RealMesh) -> set[int]:
    return {one["pid"] for one in mesh.instances() if one["usable"]}


def under_way(mesh: RealMesh, runs: list[str]) -> None:
    """Wait until some steps have ended and many have not."""

    def some() -> bool:
        states = [step["state"] for run in runs for step in mesh.show(run)["steps"]]
        return states.count("succeeded") > 5

    wait_until_sync(some, 60, message=mesh.said())


def all_well(mesh: RealMesh, runs: list[str], losses: int = 0) -> None:
    """Every run succeeds, and no step has paid for what happened to its process."""
    for run in runs:
        for step in mesh.finish(run)["steps"]:
            assert step["failures"] == 0, f"{step}{mesh.said()}"
            assert step["losses"] <= losses, f"{step}{mesh.said()}"


def submit(mesh: RealMesh, flow: str) -> tuple[int, dict[str, str], Any]:
    """What `POST /runs` answers: status, headers, body."""
    body = json.dumps({"flow": flow}).encode()
    request = urllib.request.Request(
        f"{mesh.url}/api/v1/runs", body, {"content-type": "application/json"}, method="POST"
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as answer:
            return answer.status, dict(answer.headers), json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), json.loads(error.read())


def slow_modules(folder: Path) -> str:
    """A folder to watch, with a module that waits."""
    modules = folder / "modules"
    modules.mkdir()
    (modules / "slow.py").write_text(SLOW)
    return str(modules)


def begun(gate: Path) -> bool:
    return Path(f"{gate}.begun").exists()


@pytest.mark.full
def test_a_server_that_is_asked_to_stop_takes_no_new_runs_and_finishes_what_it_has(
    make_mesh: MakeMesh, tmp_path: Path
) -> None:
    mesh = make_mesh("--no-builtins", "--modules", slow_modules(tmp_path), "--drain-s", "60")
    gate = mesh.folder / "gate"
    run = mesh.submit(flow_of("slow.count", gate=str(gate)))
    wait_until_sync(lambda: begun(gate), 30, message=mesh.said())
    with ThreadPoolExecutor(1) as client:
        asked = client.submit(mesh.ask, f"/api/v1/runs/{run}?wait_s=30")
        mesh.server.send_signal(signal.SIGTERM)
        refuses(mesh)
        gate.touch()
        assert asked.result()["id"] == run
    assert mesh.server.wait(timeout=60) == 0
    assert set(owners(mesh)) == {None}
    mesh.up("--no-builtins")
    all_well(mesh, [run])
    assert len(Path(f"{gate}.begun").read_text().splitlines()) == 1


def refuses(mesh: RealMesh) -> None:
    """It says that it stops, takes no runs, and answers all else."""
    wait_until_sync(lambda: "stopping" in mesh.said_last(), 30, message=mesh.said())
    status, headers, problem = submit(mesh, flow_of("slow.count", gate="none"))
    assert (status, problem["code"]) == (503, "stopping")
    assert int(headers["retry-after"]) >= 1
    assert mesh.ask("/api/v1/runs")["runs"][0]["state"] == "running"


@pytest.mark.full
def test_the_signal_that_a_server_sends_to_its_modules_is_no_second_one(make_mesh: MakeMesh, tmp_path: Path) -> None:
    """Who stops a group of processes signals the modules, too, and right after them the server does it."""
    mesh = make_mesh("--no-builtins", "--modules", slow_modules(tmp_path), "--drain-s", "60")
    gate = mesh.folder / "gate"
    run = mesh.submit(flow_of("slow.count", gate=str(gate)))
    wait_until_sync(lambda: begun(gate), 30, message=mesh.said())
    for pid in mesh.family():
        signal_to(pid, signal.SIGTERM)
    wait_until_sync(lambda: "stopping" in mesh.said_last(), 30, message=mesh.said())
    wait_until_sync(lambda: all(one["draining"] for one in mesh.instances()), 30, message=mesh.said())
    gate.touch()
    assert mesh.server.wait(timeout=60) == 0
    mesh.up("--no-builtins")
    all_well(mesh, [run])


@pytest.mark.full
def test_a_pod_with_modules_is_replaced_under_load(make_mesh: MakeMesh) -> None:
    mesh = make_mesh("--no-builtins")
    first, _ = serve(mesh), serve(mesh)
    runs = load(mesh)
    for _ in range(3):
        under_way(mesh, runs)
        os.kill(first, signal.SIGTERM)
        ended_in_time(first)
        first = serve(mesh)
        runs += load(mesh, runs=4)
    all_well(mesh, runs)


@pytest.mark.full
def test_everything_is_stopped_under_load_and_started_again(make_mesh: MakeMesh) -> None:
    mesh = make_mesh()
    runs: list[str] = []
    for killed in (False, True):
        serve(mesh)
        runs += load(mesh)
        under_way(mesh, runs[-4:])
        for pid in mesh.family():
            signal_to(pid, signal.SIGTERM)
        assert mesh.server.wait(timeout=GRACE_S) == 0
        for pid in mesh.family() if killed else ():  # who still waits for a server to take its results
            signal_to(pid, signal.SIGKILL)
        mesh.up()
    serve(mesh)
    all_well(mesh, runs, losses=1)


@pytest.mark.full
def test_executors_are_ended_under_load(make_mesh: MakeMesh) -> None:
    mesh = make_mesh("--no-builtins")
    parent = serve(mesh)
    runs = load(mesh)
    asked: set[int] = set()
    for _ in range(4):
        under_way(mesh, runs)
        for child in set(children_of(parent)) - asked:  # a second signal would end its step
            signal_to(child, signal.SIGTERM)
            asked.add(child)
    all_well(mesh, runs)


@pytest.mark.full
def test_an_instance_is_drained_by_a_command_under_load(make_mesh: MakeMesh) -> None:
    mesh = make_mesh("--no-builtins")
    first, _ = serve(mesh), serve(mesh)
    runs = load(mesh)
    under_way(mesh, runs)
    [instance] = [one["id"] for one in mesh.instances() if one["pid"] == first]
    mesh.cli("drain", instance)
    ended_in_time(first)
    all_well(mesh, runs)


@pytest.mark.full
def test_the_built_in_modules_are_stopped_under_load(mesh: RealMesh) -> None:
    steps = "\n".join(
        f"  s{n}: {{module: table.limit, in: {{table: inputs.rows}}, params: {{rows: {n + 1}}}}}" for n in range(20)
    )
    (mesh.folder / "rows.csv").write_text("n\n" + "\n".join(map(str, range(1000))))
    read = '  read: {module: io.read, params: {file: "${inputs.data}"}}'
    flow = f"flow: e2e/limits\ninputs: {{data: file}}\nnodes:\n{read}\n{steps.replace('inputs.rows', 'read')}\n"
    runs = [mesh.submit(flow, "-i", "data=rows.csv") for _ in range(10)]
    before = mesh.builtins()
    before.send(signal.SIGTERM)
    ended_in_time(before.pid)
    all_well(mesh, runs)
    assert mesh.builtins() != before


@pytest.mark.full
def test_what_outlasts_the_time_to_finish_goes_to_somebody_else_at_no_cost(make_mesh: MakeMesh) -> None:
    mesh = make_mesh("--no-builtins")
    (mesh.folder / "slow.py").write_text(SLOW)
    first = mesh.start("module", "serve", "slow.py", "--slots", "1", "--drain-s", "0.5")
    gate = mesh.folder / "gate"
    run = mesh.submit(flow_of("slow.count", gate=str(gate)))
    wait_until_sync(lambda: begun(gate), 30, message=mesh.said())
    mesh.start("module", "serve", "slow.py", "--slots", "1")
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=GRACE_S) == 0
    wait_until_sync(lambda: len(Path(f"{gate}.begun").read_text().splitlines()) == 2, 30, message=mesh.said())
    gate.touch()
    all_well(mesh, [run])


@pytest.mark.full
def test_a_second_signal_ends_a_process_with_modules_at_once(make_mesh: MakeMesh) -> None:
    mesh = make_mesh("--no-builtins")
    (mesh.folder / "slow.py").write_text(SLOW)
    first = mesh.start("module", "serve", "slow.py", "--slots", "1", "--drain-s", "600")
    gate = mesh.folder / "gate"
    run = mesh.submit(flow_of("slow.count", gate=str(gate)))
    wait_until_sync(lambda: begun(gate), 30, message=mesh.said())
    first.send_signal(signal.SIGTERM)
    wait_until_sync(lambda: "draining" in mesh.said(), 30)
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=30) == 130
    gate.touch()
    mesh.start("module", "serve", "slow.py", "--slots", "1")
    all_well(mesh, [run], losses=1)


@pytest.mark.full
def test_a_process_that_waits_for_its_mesh_ends_at_the_first_signal(make_mesh: MakeMesh) -> None:
    mesh = make_mesh("--no-builtins")
    mesh.stop()
    (mesh.folder / "slow.py").write_text(SLOW)
    waiting = mesh.start("module", "serve", "slow.py")
    wait_until_sync(lambda: "waiting for the mesh" in mesh.said_last(), 30, message=mesh.said())
    waiting.send_signal(signal.SIGTERM)
    assert waiting.wait(timeout=30) == 130


def signal_to(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def owners(mesh: RealMesh) -> list[str | None]:
    """Who owns the shards, by the database of a mesh that is stopped."""
    with closing(sqlite3.connect(mesh.data / "state.db")) as connection:
        return [row[0] for row in connection.execute("SELECT owner FROM shard")]


def ended_in_time(pid: int) -> None:
    """It ends before it would be killed."""
    wait_until_sync(lambda: ProcessId.of(pid) is None, GRACE_S, message=f"{pid} is still there")


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
