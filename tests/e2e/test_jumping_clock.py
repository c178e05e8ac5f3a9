"""A clock that jumps by a year, forwards and backwards, while a mesh works: nothing becomes late, lost or old by it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e import jumping_runtime
from tests.e2e.authors import SLOW, flow_of, greet
from tests.e2e.real_mesh import RealMesh

YEAR_S = 365 * 86400
DATED = """
flow: bad/dated
timeout: 10m
nodes:
  only: {{module: slow.count, params: {{gate: {gate}}}}}
outputs: {{result: only}}
"""


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PLUGMESH_RUNTIME", f"{jumping_runtime.__file__}:JumpingRuntime")
    monkeypatch.setenv(jumping_runtime.VARIABLE, str(tmp_path / "clock"))
    return tmp_path / "clock"


@pytest.fixture
def mesh(clock: Path, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[RealMesh]:
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "slow.py").write_text(SLOW)
    (modules / "quick.py").write_text(greet("is.quick"))
    mesh = RealMesh(tmp_path, free_port())
    mesh.up("--no-builtins", "--modules", str(modules), "--slots", "4", "--set", "sweep_every_s=0.2")
    yield mesh
    mesh.close()


@pytest.mark.full
@pytest.mark.parametrize("seconds", [YEAR_S, -YEAR_S], ids=["forwards", "backwards"])
def test_a_jump_of_a_year_changes_nothing_but_the_date(mesh: RealMesh, clock: Path, seconds: int) -> None:
    gates = [mesh.folder / f"gate-{number}" for number in range(2)]
    ended = mesh.submit(flow_of("is.quick"))
    mesh.finish(ended)
    parked = mesh.submit(flow_of("nobody.serves.this"))
    mesh.wait_for_step(parked, "it", "parked")
    running = mesh.submit(DATED.format(gate=gates[0]))
    mesh.wait_for_step(running, "only", "running")

    clock.write_text(str(seconds))
    for _ in range(2):  # what the first marks would go with a later one
        mesh.json("data", "gc", "--yes")
    after = mesh.submit(DATED.format(gate=gates[1]))
    mesh.wait_for_step(after, "only", "running")
    mesh.finish(mesh.submit(flow_of("is.quick")))
    for gate in gates:
        gate.touch()
    for run in (running, after):
        assert len(mesh.finish(run)["steps"]) == 1
        assert [attempt["state"] for attempt in mesh.ask(f"/api/v1/runs/{run}/steps/only")["attempts"]] == ["succeeded"]
    assert mesh.step(parked, "it")["state"] == "parked"
    assert mesh.show(ended)["state"] == "succeeded"
    assert mesh.rows(ended, "out") == [{"text": "hello"}]
    assert {instance["liveness"] for instance in mesh.instances()} == {"alive"}
