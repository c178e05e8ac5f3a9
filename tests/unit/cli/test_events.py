"""What happens on the mesh, in words."""

import json
from typing import Any

from plugmesh.cli.api.client import as_commands
from plugmesh.cli.commands.events import Frame, frames_of, told


def lines_of(frame: str, document: dict[str, Any]) -> list[str]:
    return [words for words, _ in told(Frame("", frame, document))]


def test_frames_are_read_and_comments_are_left_out() -> None:
    stream = [": nothing happens", "", "id: a:1", "event: run", 'data: {"run":"r"}', "", "data: {broken", ""]
    assert list(frames_of(stream)) == [Frame("a:1", "run", {"run": "r"})]


def test_a_run_is_told_step_by_step() -> None:
    steps = {"read": {"state": "succeeded"}, "late": {"state": "skipped", "reason": "upstream_failed"}}
    found = lines_of("run", {"run": "run-1", "state": "failed", "steps": steps})
    assert found == ["run-1 read succeeded", "run-1 late skipped: a step before it failed", "run-1 is failed"]


def test_progress_is_told() -> None:
    progress = {"done": 1, "total": 4, "message": "rows"}
    assert (
        "25 %, 1 of 4: rows"
        in lines_of("run", {"run": "r", "state": "running", "steps": {"a": {"progress": progress}}})[0]
    )


def test_where_too_much_changed_the_run_is_told() -> None:
    assert lines_of("run", {"run": "r", "state": "running", "steps": None}) == ["r is running: many steps have changed"]


def test_instances_modules_and_the_rest_are_told() -> None:
    one = {"id": "i", "host": "h", "liveness": "alive", "running": 1, "slots": 2}
    assert lines_of("instance", one) == ["i on h alive, 1 of 2 slots at work"]
    assert lines_of("instance", {**one, "gone": True}) == ["i is gone"]
    assert lines_of("module", {"name": "m", "live": 0}) == ["module m served by nobody"]
    off = {"version": "1.1.0", "kind": "quarantined", "at": 1.0, "reason": "3 runs ended its process"}
    assert lines_of("module", {"name": "m", "live": 2, "disabled": [off]}) == [
        "module m served by 2; 1.1.0 quarantined: 3 runs ended its process"
    ]
    assert lines_of("module", {"name": "m", "live": 0, "disabled": [{**off, "version": "*", "kind": "disabled"}]}) == [
        "module m disabled: 3 runs ended its process"
    ]
    assert lines_of("notification", {"id": "n", "run": "r", "state": "failed"}) == ["notification n of r failed"]
    assert lines_of("data", {"objects": 3}) == [f"data {json.dumps({'objects': 3})}"]


def test_what_the_mesh_says_of_routes_is_said_of_commands() -> None:
    assert (
        as_commands("no run 'x': `plugmesh runs` or GET /api/v1/runs lists them")
        == "no run 'x': `plugmesh runs` lists them"
    )
    assert (
        as_commands("no letter 'x': `plugmesh dlq ls` or GET /api/v1/dlq lists them")
        == "no letter 'x': `plugmesh dlq ls` lists them"
    )
    assert as_commands("none (GET /api/v1/flows lists them)") == "none (`plugmesh flows ls` lists them)"
    assert as_commands("PUT /api/v1/files/NAME uploads one") == "`plugmesh files put PATH` uploads one"
    assert as_commands("GET /api/v1/runs/x/steps lists them") == "GET /api/v1/runs/x/steps lists them"
