"""Bad days of a machine: what the person is told, that nothing is lost, and that work goes on by itself afterwards."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.real_servers.ports import is_free
from tests.e2e.authors import SLOW
from tests.e2e.real_mesh import RealMesh, _opener
from tests.e2e.tmpfs import SmallDisk, small_disk
from tests.waiting import wait_until_sync

MIB = 2**20
DISK_BYTES = 128 * MIB
"""The store keeps 64 MiB of it free."""
PARKED = {"flow": "bad/day", "nodes": {"only": {"module": "nobody.serves.this"}}}


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory, _ports: Iterator[int]) -> Iterator[RealMesh]:
    """A mesh whose data folder, and nothing else, is a small disk."""
    mesh = RealMesh(tmp_path_factory.mktemp("mesh"), next(port for port in _ports if is_free(port)))
    modules = mesh.folder / "modules"
    modules.mkdir()
    (modules / "slow.py").write_text(SLOW)
    with small_disk(mesh.data, DISK_BYTES):
        mesh.up("--no-builtins", "--modules", str(modules), "--slots", "1")
        yield mesh
        mesh.close()


@pytest.fixture
def disk(mesh: RealMesh) -> Iterator[SmallDisk]:
    """Full when the test begins, with room again when it is over."""
    disk = SmallDisk(mesh.data)
    yield disk
    if (disk.path / "ballast").exists():
        disk.make_room()
    wait_until_sync(lambda: ask(mesh, "GET", "/readyz")[0] == 200, 30, message=mesh.said())


def ask(mesh: RealMesh, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and document of an answer; a body that is no document is streamed, without a length."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    kind = "application/json" if isinstance(body, dict) else "application/octet-stream"
    headers = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(mesh.url + path, data=data, method=method, headers=headers)
    try:
        with _opener().open(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def submit(mesh: RealMesh, flow: dict[str, Any]) -> str:
    status, answer = ask(mesh, "POST", "/api/v1/runs", {"flow": flow})
    assert status == 202, answer
    return str(answer["id"])


def patient(gate: Path, upto: int = 3) -> dict[str, Any]:
    """A flow whose step waits for a file, and is tried again as often as it takes."""
    retry = {"attempts": 100, "delay": "100ms", "max_delay": "200ms"}
    node = {"module": "slow.count", "params": {"gate": str(gate), "upto": upto}, "retry": retry}
    return {"flow": "bad/patient", "nodes": {"only": node}, "outputs": {"result": "only"}}


def fill_for_commits(mesh: RealMesh, disk: SmallDisk, accepted: list[str]) -> tuple[str, dict[str, Any]]:
    """Fill the disk, and what room the database's own log still has; the first key that is refused, and how."""
    disk.fill()
    for number in range(5000):
        key = f"bad-day-{len(accepted)}-{number}"
        status, answer = ask(mesh, "POST", "/api/v1/runs", {"flow": PARKED}, Idempotency_Key=key)
        if status == 507:
            return key, answer
        assert status == 202, answer
        accepted.append(answer["id"])
    raise AssertionError("the disk is full, and commits still work")


def half_written(mesh: RealMesh) -> list[str]:
    return os.listdir(mesh.data / "objects" / "tmp")


@pytest.mark.full
def test_an_upload_that_fills_the_disk_is_refused_and_nothing_of_it_stays(mesh: RealMesh, disk: SmallDisk) -> None:
    status, problem = ask(mesh, "PUT", "/api/v1/files/large.bin", (b"x" * MIB for _ in range(100)))
    assert (status, problem["code"]) == (507, "store-full")
    assert "make room on that disk" in problem["detail"]
    assert ask(mesh, "GET", "/api/v1/files/large.bin")[0] == 404
    assert half_written(mesh) == []
    assert ask(mesh, "PUT", "/api/v1/files/small.bin", iter([b"small"]))[0] == 201  # the disk is no worse than before


@pytest.mark.full
def test_a_submit_that_cannot_be_committed_is_refused_and_the_same_one_works_later(
    mesh: RealMesh, disk: SmallDisk
) -> None:
    before = [submit(mesh, PARKED)]
    key, problem = fill_for_commits(mesh, disk, before)
    assert problem["code"] == "store-full"
    assert "the disk of the database is full" in problem["detail"]
    assert "SQL" not in problem["detail"]
    said = mesh.cli("run", flow_file(mesh), code=1).stderr
    assert "make room" in said
    assert "Traceback" not in said + mesh.said()
    saved, problem = ask(mesh, "PUT", "/api/v1/flows/bad/day", PARKED)
    assert (saved, problem.get("code")) == (507, "store-full"), problem
    assert mesh.server.poll() is None
    assert ask(mesh, "GET", "/healthz")[0] == 200
    status, ready = ask(mesh, "GET", "/readyz")
    assert status == 503
    assert "full" in ready["checks"]["scheduler"]
    assert {run["id"] for run in mesh.ask("/api/v1/runs?limit=1000")["runs"]} == set(before)

    disk.make_room()
    again = wait_until_sync(lambda: _accepted(mesh, key), 30, message=mesh.said())
    assert {run["id"] for run in mesh.ask("/api/v1/runs?limit=1000")["runs"]} == {*before, again}
    for run in (before[0], str(again)):
        mesh.wait_for_step(run, "only", "parked")


def test_an_output_that_finds_no_room_is_tried_again_and_the_run_succeeds(mesh: RealMesh, disk: SmallDisk) -> None:
    gate = mesh.folder / "gate"
    run = submit(mesh, patient(gate))
    mesh.wait_for_step(run, "only", "running")
    disk.fill(leave_bytes=8 * MIB)  # the database has room, the store has not
    gate.touch()
    waiting = wait_until_sync(lambda: _failed_attempt(mesh, run), 30, message=mesh.said())
    assert waiting is not None
    assert waiting["error"]["code"] == "store-full"
    assert "make room on that disk" in waiting["error"]["message"]
    disk.make_room()
    mesh.finish(run)
    assert mesh.rows(run, "result") == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert half_written(mesh) == []


def test_a_table_that_fills_the_disk_is_given_up_whole_and_written_when_there_is_room(
    mesh: RealMesh, disk: SmallDisk
) -> None:
    gate, rows = mesh.folder / "large-gate", 4_000_000
    run = submit(mesh, patient(gate, rows))
    mesh.wait_for_step(run, "only", "running")
    disk.fill(leave_bytes=72 * MIB)  # 8 MiB more than what the store keeps free, and 32 are to be written
    gate.touch()
    failed = wait_until_sync(lambda: _failed_attempt(mesh, run), 30, message=mesh.said())
    assert failed is not None
    assert failed["error"]["code"] == "store-full"
    disk.make_room()
    mesh.finish(run)
    last = mesh.ask(f"/api/v1/runs/{run}/steps/only/outputs/out?offset={rows - 1}")
    assert last["rows"] == [{"n": rows - 1}]
    assert half_written(mesh) == []


def test_a_step_that_ends_while_nothing_can_be_committed_counts_afterwards(mesh: RealMesh, disk: SmallDisk) -> None:
    gate = mesh.folder / "other-gate"
    run = submit(mesh, patient(gate))
    mesh.wait_for_step(run, "only", "running")
    fill_for_commits(mesh, disk, [])
    gate.touch()
    wait_until_sync(lambda: ask(mesh, "GET", "/readyz")[0] == 503, 30, message=mesh.said())
    assert mesh.show(run)["state"] == "running"
    disk.make_room()
    mesh.finish(run)
    assert mesh.rows(run, "result") == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_a_step_that_hangs_is_ended_by_a_limit_that_is_set_while_the_mesh_runs(mesh: RealMesh) -> None:
    hanging = {**patient(mesh.folder / "never"), "timeout": "1m"}
    hanging["nodes"] = {"only": {**hanging["nodes"]["only"], "retry": {"attempts": 1}}}
    assert ask(mesh, "PUT", "/api/v1/settings/attempt_wall_s", {"value": "200ms"})[0] == 200
    try:
        run = submit(mesh, hanging)
        document = mesh.finish(run, "failed")
    finally:
        ask(mesh, "DELETE", "/api/v1/settings/attempt_wall_s")
    assert "0.2 s" in document["reason"] + json.dumps(mesh.step(run, "only"))
    gate = mesh.folder / "third-gate"
    run = submit(mesh, patient(gate))
    mesh.wait_for_step(run, "only", "running")
    gate.touch()
    mesh.finish(run)


def test_more_is_logged_as_soon_as_somebody_wants_to_look_closer(mesh: RealMesh) -> None:
    logged, line = mesh.folder / "process-0.log", "local changed the setting log_level"
    for level, lines in (("warning", 0), ("info", 1), ("warning", 1)):
        assert ask(mesh, "PUT", "/api/v1/settings/log_level", {"value": level})[0] == 200
        assert logged.read_text().count(line) == lines


def flow_file(mesh: RealMesh) -> str:
    path = mesh.folder / "parked.yaml"
    path.write_text(json.dumps(PARKED))
    return str(path)


def _accepted(mesh: RealMesh, key: str) -> str | None:
    status, answer = ask(mesh, "POST", "/api/v1/runs", {"flow": PARKED}, Idempotency_Key=key)
    return answer["id"] if status in {200, 202} else None


def _failed_attempt(mesh: RealMesh, run: str) -> dict[str, Any] | None:
    attempts: list[dict[str, Any]] = mesh.ask(f"/api/v1/runs/{run}/steps/only")["attempts"]
    return next((attempt for attempt in attempts if attempt.get("error")), None)
