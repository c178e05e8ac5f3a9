"""`kill -9` of any process: accepted runs end with the right answer, and nothing is started twice."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.authors import SLOW, flow_of, greet
from tests.e2e.conftest import MakeMesh
from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync

FAILING_ENGINE = """
from pathlib import Path
from plugmesh.runtime import SystemRuntime

class Failing(SystemRuntime):
    def point(self, name):
        if name == "engine.effects.before" and Path("trip").exists():
            raise RuntimeError("the test says so")

make = Failing
"""


def begun(gate: Path) -> list[int]:
    """The processes that began to count behind a gate."""
    notes = Path(f"{gate}.begun")
    return [int(line) for line in notes.read_text().split()] if notes.exists() else []


def serve_slow(mesh: RealMesh) -> None:
    (mesh.folder / "slow.py").write_text(SLOW)
    mesh.start("module", "serve", "slow.py", "--slots", "1")


@pytest.mark.full
def test_a_step_goes_on_elsewhere_when_its_process_is_killed(mesh: RealMesh) -> None:
    serve_slow(mesh)
    wait_until_sync(lambda: "slow.count" in mesh.module_names(), 30, message=mesh.said())
    gate = mesh.folder / "gate"
    run = mesh.submit(flow_of("slow.count", gate=str(gate)))
    wait_until_sync(lambda: begun(gate), 30, message=mesh.said())
    [victim] = [one for one in mesh.instances() if "slow.count@0.1.0" in one["modules"]]
    os.kill(victim["pid"], signal.SIGKILL)
    serve_slow(mesh)
    wait_until_sync(lambda: len(begun(gate)) == 2, 30, message=mesh.said())
    gate.touch()
    document = mesh.finish(run)
    assert mesh.rows(run, "out") == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert document["steps"][0]["losses"] == 1
    assert document["steps"][0]["failures"] == 0


@pytest.mark.full
def test_modules_work_on_while_the_server_is_killed_and_started_again(mesh: RealMesh) -> None:
    serve_slow(mesh)
    gate = mesh.folder / "gate"
    run = mesh.submit(flow_of("slow.count", gate=str(gate)))
    wait_until_sync(lambda: begun(gate), 30, message=mesh.said())
    before = {one["pid"] for one in mesh.instances()}
    mesh.kill_server()
    mesh.up()
    wait_until_sync(lambda: {one["pid"] for one in mesh.instances()} == before, 30, message=mesh.said())
    gate.touch()
    mesh.finish(run)
    assert mesh.rows(run, "out") == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert len(begun(gate)) == 1, "the module was not disturbed"


@pytest.mark.full
def test_a_step_that_ends_while_the_server_is_away_counts(mesh: RealMesh) -> None:
    serve_slow(mesh)
    gate = mesh.folder / "gate"
    run = mesh.submit(flow_of("slow.count", gate=str(gate)))
    wait_until_sync(lambda: begun(gate), 30, message=mesh.said())
    mesh.kill_server()
    gate.touch()
    mesh.up()
    mesh.finish(run)
    assert len(begun(gate)) == 1


@pytest.mark.full
def test_the_built_in_modules_are_adopted_and_never_doubled(mesh: RealMesh) -> None:
    builtins = mesh.builtins()
    for _ in range(2):
        mesh.kill_server()
        assert builtins.alive
        mesh.up()
        wait_until_sync(lambda: "io.read" in mesh.module_names(), 30, message=mesh.said())
        assert mesh.builtins() == builtins
    served = Counter(name for one in mesh.instances() if one["usable"] for name in one["modules"])
    assert served["io.read@1.2.0"] == 1


@pytest.mark.full
def test_built_in_modules_that_are_killed_are_started_again(mesh: RealMesh) -> None:
    builtins = mesh.builtins()
    builtins.send(signal.SIGKILL)
    wait_until_sync(lambda: not builtins.alive)
    wait_until_sync(lambda: "io.read" in mesh.module_names(), 30, message=mesh.said())
    assert mesh.builtins() != builtins


@pytest.mark.full
def test_a_mesh_that_is_stopped_lets_steps_finish_and_leaves_nobody(mesh: RealMesh) -> None:
    (mesh.folder / "modules").mkdir()
    mesh.stop()
    (mesh.folder / "modules" / "slow.py").write_text(SLOW)
    mesh.up("--modules", str(mesh.folder / "modules"), "--drain-s", "30")
    gate = mesh.folder / "gate"
    run = mesh.submit(flow_of("slow.count", gate=str(gate)))
    wait_until_sync(lambda: begun(gate), 30, message=mesh.said())
    mesh.server.send_signal(signal.SIGTERM)
    wait_until_sync(lambda: all(one["draining"] for one in mesh.instances()), 30, message=mesh.said())
    gate.touch()
    assert mesh.server.wait(timeout=60) == 0
    wait_until_sync(lambda: not mesh.family(), message="processes are left")
    mesh.up()
    assert mesh.finish(run)["state"] == "succeeded"
    assert len(begun(gate)) == 1


@pytest.mark.full
def test_a_second_signal_ends_the_mesh_without_waiting_for_its_steps(mesh: RealMesh) -> None:
    (mesh.folder / "modules").mkdir()
    mesh.stop()
    (mesh.folder / "modules" / "slow.py").write_text(SLOW)
    mesh.up("--modules", str(mesh.folder / "modules"), "--drain-s", "600")
    gate = mesh.folder / "gate"
    run = mesh.submit(flow_of("slow.count", gate=str(gate)))
    wait_until_sync(lambda: begun(gate), 30, message=mesh.said())
    mesh.server.send_signal(signal.SIGINT)
    wait_until_sync(lambda: "stopping" in mesh.said_last(), 30)
    mesh.server.send_signal(signal.SIGINT)
    assert mesh.server.wait(timeout=60) == 0
    wait_until_sync(lambda: not mesh.family(), message="processes are left")
    mesh.up()
    assert mesh.show(run)["state"] == "running", "it goes on when the lease of its step has ended"


@pytest.mark.full
def test_open_runs_go_on_after_a_stop_and_a_start(mesh: RealMesh) -> None:
    run = mesh.submit(flow_of("to.come"))
    mesh.wait_for_step(run, "it", "parked")
    assert mesh.stop(signal.SIGINT) == 0
    mesh.up()
    (mesh.folder / "come.py").write_text(greet("to.come"))
    mesh.start("module", "serve", "come.py")
    mesh.finish(run)


@pytest.mark.full
def test_two_meshes_live_beside_each_other(make_mesh: MakeMesh) -> None:
    one, two = make_mesh("--no-builtins"), make_mesh("--no-builtins")
    (one.folder / "hello.py").write_text(greet("only.one"))
    one.start("module", "serve", "hello.py")
    wait_until_sync(lambda: one.module_names() == {"only.one"}, 30, message=one.said())
    assert two.module_names() == set()


@pytest.mark.full
def test_a_server_whose_engine_fails_ends_with_a_message_and_the_next_one_goes_on(mesh: RealMesh) -> None:
    builtins = mesh.builtins()
    mesh.stop()
    (mesh.folder / "failing.py").write_text(FAILING_ENGINE)
    mesh.up("--runtime", f"{mesh.folder / 'failing.py'}:make")
    (mesh.folder / "flow.yaml").write_text(flow_of("to.come"))
    (mesh.folder / "trip").touch()
    mesh.start("run", "flow.yaml", "--follow")
    assert mesh.server.wait(timeout=60) == 1
    assert "the server ended because a part of it failed (the test says so)" in mesh.said()
    assert mesh.builtins().alive
    assert mesh.builtins() != builtins
    builtins = mesh.builtins()
    mesh.up()
    assert mesh.builtins() == builtins
    [run] = mesh.ask("/api/v1/runs")["runs"]
    mesh.wait_for_step(run["id"], "it", "parked")


@pytest.mark.full
def test_a_stopped_module_loses_its_lease_and_does_no_harm_when_it_wakes(mesh: RealMesh) -> None:
    serve_slow(mesh)
    gate = mesh.folder / "gate"
    run = mesh.submit(flow_of("slow.count", gate=str(gate)))
    wait_until_sync(lambda: begun(gate), 30, message=mesh.said())
    [victim] = [one for one in mesh.instances() if "slow.count@0.1.0" in one["modules"]]
    os.kill(victim["pid"], signal.SIGSTOP)
    serve_slow(mesh)
    wait_until_sync(lambda: len(begun(gate)) == 2, 60, message=mesh.said())
    gate.touch()
    mesh.finish(run)
    os.kill(victim["pid"], signal.SIGCONT)
    wait_until_sync(lambda: sum(one["usable"] for one in mesh.instances()) == 3, 30, message=mesh.said())
    assert mesh.show(run)["steps"][0]["state"] == "succeeded"
    assert mesh.rows(run, "out") == [{"n": 0}, {"n": 1}, {"n": 2}]


@pytest.mark.full
def test_orphaned_built_in_modules_end_by_themselves(mesh: RealMesh) -> None:
    builtins = mesh.builtins()
    mesh.kill_server()
    assert builtins.alive
    wait_until_sync(lambda: not builtins.alive, 90, every_s=0.5)
