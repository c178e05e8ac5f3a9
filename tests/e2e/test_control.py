"""Runs that are paused, resumed, put in line and given a deadline, by the command, on real processes."""

from pathlib import Path

import pytest

from tests.e2e.authors import SLOW
from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.full

FLOW = """
flow: shop/counts
params: {{customer: acme}}
priority: 7
concurrency: {{limit: 1, key: "${{params.customer}}"}}
nodes:
  count: {{module: slow.count, params: {{gate: {gate}}}}}
  few: {{module: table.limit, in: count, params: {{rows: 2}}}}
outputs: {{few: few}}
"""


def test_a_run_is_paused_under_way_while_another_waits_for_its_turn(mesh: RealMesh) -> None:
    gate = mesh.folder / "gate"
    module = mesh.folder / "slow.py"
    module.write_text(SLOW)
    mesh.start("module", "serve", str(module))
    flow = FLOW.format(gate=gate)

    first = mesh.submit(flow)
    wait_until_sync(Path(f"{gate}.begun").exists, 30, message=mesh.said())
    second, late = mesh.submit(flow, "--priority", "50"), mesh.submit(flow, "--deadline", "+15s")
    shown = mesh.cli("show", second).stdout
    assert "waits for its turn: at most 1 of counts:acme at a time" in shown
    assert "priority 50" in shown

    assert mesh.cli("pause", first, "--reason", "the source is down").stdout == f"{first} is paused\n"
    assert mesh.cli("pause", first).stdout == f"{first} is paused\n"
    assert "paused by local: the source is down" in mesh.cli("show", first).stdout
    assert "the source is down" in mesh.cli("runs", "--state", "paused").stdout
    gate.touch()
    mesh.wait_for_step(first, "count", "succeeded")
    assert mesh.step(first, "few")["state"] in {"pending", "ready"}
    mesh.finish(late, "timed_out")
    assert mesh.show(second)["state"] == "queued"

    assert mesh.cli("resume", first).stdout == f"{first} is running\n"
    assert len(mesh.finish(first)["steps"]) == 2
    assert mesh.finish(second)["priority"] == 50
    assert len(mesh.rows(second, "few")) == 2
    assert f"run {first} has ended (succeeded), so it cannot be resumed" in mesh.cli("resume", first, code=2).stderr
    assert mesh.cli("cancel", first, second).stdout.count("had already ended") == 2
