"""What people are told of modules that go wrong, by the API and by `plugmesh show`: the whole way, once each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync

pytestmark = pytest.mark.full  # the same modules are tried against an instance alone in tests/integration/sdk
BAD = Path(__file__).parents[1] / "integration/sdk/bad_modules.py"

STEPS: dict[str, tuple[str, dict[str, Any], dict[str, Any], str]] = {
    "raises": ("b.raises", {"what": "plain"}, {}, "just so"),
    "none": ("b.returns", {"what": "none"}, {}, "it returned nothing for the output 'out', expected a table"),
    "list": ("b.returns", {"what": "list"}, {}, "what it returned for the output 'out' is no table"),
    "columns": ("b.returns", {"what": "columns"}, {}, "n"),
    "exits": ("b.ends", {"how": "exit"}, {}, "the process that ran the step ended: it exited with code 3"),
    "segfaults": ("b.ends", {"how": "segfault"}, {}, "it was killed by signal 11 (SIGSEGV)"),
    "loops": ("b.loops", {}, {"timeout": "1s"}, "ran longer than its 1 s and was ended"),
    "eats": ("b.eats", {"what": "python"}, {}, "more than its memory limit of 500 MB (set by limits= of the module"),
    "flow_eats": (
        "b.eats", {"what": "python"}, {"limits": {"memory": "300MB"}},
        "memory limit of 300 MB (set by limits: of the flow's node (memory)",
    ),
    "computes": ("b.computes", {}, {}, "used more than its limit of 0.3 s of CPU time"),
    "hangs": ("b.hangs", {}, {}, "the attempt was stuck: for 0.4 s it used no CPU"),
    "opens": ("b.opens", {}, {}, "had more than 32 files and sockets open"),
    "writes": ("b.writes", {"mib": 2.0}, {}, "wrote more than its output limit of 1 MB"),
    "closes": ("b.closes", {"most": 1_000_000}, {}, "the process that ran the step ended"),
}  # fmt: skip


@pytest.fixture(scope="module")
def run(shared_mesh: RealMesh) -> str:
    """A run of all of them, which has failed; the instance that served them is there still."""
    shared_mesh.start("module", "serve", str(BAD), "--slots", "3")
    nodes = {
        name: {"module": module, "params": params, "retry": {"attempts": 1}, **more}
        for name, (module, params, more, _) in STEPS.items()
    }
    run = shared_mesh.submit(json.dumps({"flow": "bad/steps", "nodes": nodes}))
    shared_mesh.finish(run, "failed")
    return run


@pytest.mark.parametrize("step", STEPS)
def test_the_step_says_what_went_wrong_and_where(shared_mesh: RealMesh, run: str, step: str) -> None:
    words = STEPS[step][3]
    error = shared_mesh.step(run, step)["error"]
    assert words in error["message"]
    assert STEPS[step][0] in error["message"] + error["where"] or step == "raises"
    if step not in ("exits", "closes", "eats", "flow_eats"):
        assert str(BAD) in error["where"]


def test_people_are_shown_the_same(shared_mesh: RealMesh, run: str) -> None:
    shown = " ".join(shared_mesh.cli("show", run, "--step", "eats").stdout.split())
    assert "memory limit of 500 MB" in shown
    assert "why.txt" in shared_mesh.cli("show", run, "--step", "writes").stdout
    assert "last words" in shared_mesh.cli("logs", run, "exits").stdout


def test_a_limit_of_the_settings_counts_where_nobody_else_says_one(shared_mesh: RealMesh, run: str) -> None:
    shared_mesh.cli("settings", "set", "attempt_output_bytes", "100kB")
    try:
        nodes = {"prints": {"module": "b.artifacts", "params": {"bytes": 200_000}, "retry": {"attempts": 1}}}
        another = shared_mesh.submit(json.dumps({"flow": "bad/setting", "nodes": nodes}))
        shared_mesh.finish(another, "failed")
        message = shared_mesh.step(another, "prints")["error"]["message"]
        assert "output limit of 100 kB" in message
        assert "the mesh's setting attempt_output_bytes" in message
    finally:
        shared_mesh.cli("settings", "unset", "attempt_output_bytes")


def test_progress_artifacts_and_rejected_rows_are_seen_while_a_step_runs(shared_mesh: RealMesh, run: str) -> None:
    gate = shared_mesh.folder / "gate"
    nodes = {"it": {"module": "b.reports", "params": {"gate": str(gate)}}}
    another = shared_mesh.submit(json.dumps({"flow": "bad/reports", "nodes": nodes}))
    path = f"/api/v1/runs/{another}/steps/it"
    progress = wait_until_sync(lambda: shared_mesh.ask(path)["progress"], 30, message="no progress")
    assert (progress["done"], progress["total"], progress["message"]) == (3, 10, "counting")
    assert "3 of 10: counting" in " ".join(shared_mesh.cli("show", another, "--step", "it").stdout.split())
    gate.touch()
    shared_mesh.finish(another)
    step = shared_mesh.ask(path)
    assert [one["name"] for one in step["artifacts"]] == ["report.md"]
    assert step["stats"]["rows_failed"] == 2
    shared_mesh.cli("artifacts", another, "it", "report.md", "-o", str(shared_mesh.folder / "report.md"))
    assert (shared_mesh.folder / "report.md").read_text() == "# Three"
    assert "2 rows were rejected: odd" in shared_mesh.cli("logs", another, "it").stdout
