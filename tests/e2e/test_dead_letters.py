"""Dead letters, as a person meets them: of the built-in modules, on real processes, over the death of the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.e2e.real_mesh import PLUGMESH, RealMesh

pytestmark = pytest.mark.full  # each part is tried in tests/integration, too
ORDERS = "order,qty\n1,5\n2,many\n3,7\n4\n5,no\n"
FLOW = {
    "flow": "shop/orders",
    "inputs": {"orders": "file"},
    "nodes": {
        "read": {"module": "io.read", "params": {"file": "${inputs.orders}", "bad_rows": "reject"}},
        "doubled": {
            "module": "table.derive",
            "in": "read",
            "params": {"columns": {"twice": "CAST(qty AS INTEGER) * 2"}},
            "rejects": {"percent": 60},
        },
        "sorted": {"module": "table.sort", "in": "doubled", "params": {"by": ["order"]}},
        "bad": {"module": "table.limit", "in": "doubled.rejected", "params": {"rows": 10}},
    },
    "outputs": {"good": "sorted", "bad": "bad"},
}
_EDIT = "import sys; p = sys.argv[1]; t = open(p).read(); open(p, 'w').write(t.replace('many', '6').replace('no', '1'))"


def test_rejected_rows_are_found_corrected_and_used(mesh: RealMesh) -> None:
    mesh.up()
    (mesh.folder / "orders.csv").write_text(ORDERS)
    run = mesh.submit(json.dumps(FLOW), "--input", "orders=orders.csv")
    mesh.finish(run)
    assert mesh.rows(run, "good") == [{"order": 1, "qty": "5", "twice": 10}, {"order": 3, "qty": "7", "twice": 14}]
    assert [row["qty"] for row in mesh.rows(run, "bad")] == ["many", "no"]
    mesh.kill_server()
    mesh.up()
    letters = {letter["step"]: letter for letter in mesh.json("dlq", "ls", "--run", run)["letters"]}
    assert {step: letter["rows"] for step, letter in letters.items()} == {"read": 1, "doubled": 2}
    assert "it has 1 values instead of 2" in mesh.cli("dlq", "show", f"{run}.read").stdout
    assert "reads its source itself" in mesh.cli("dlq", "redrive", f"{run}.read", code=2).stderr.replace("\n", " ")
    letter = f"{run}.doubled"
    _edit(mesh, letter)
    mesh.cli("dlq", "redrive", letter, "--follow")
    (redriven,) = mesh.json("dlq", "ls", "--state", "redriven")["letters"]
    redrive = redriven["redrive"]
    assert mesh.rows(redrive, "good") == [{"order": 2, "qty": "6", "twice": 12}, {"order": 5, "qty": "1", "twice": 2}]
    assert mesh.step(redrive, "read")["state"] == "recovered"
    assert mesh.json("dlq", "redrive", letter)["run"] == redrive
    mesh.cli("dlq", "discard", f"{run}.read", "--yes", "--reason", "a line that was cut")
    assert mesh.json("dlq", "ls", "--state", "open")["letters"] == []


def test_more_rows_than_the_flow_allows_fail_the_step_and_are_kept(mesh: RealMesh) -> None:
    mesh.up()
    (mesh.folder / "orders.csv").write_text(ORDERS)
    strict = {**FLOW, "nodes": {**FLOW["nodes"], "doubled": {**FLOW["nodes"]["doubled"], "rejects": {"percent": 25}}}}  # type: ignore[dict-item,index]
    run = mesh.submit(json.dumps(strict), "--input", "orders=orders.csv")
    mesh.finish(run, "failed")
    error = mesh.step(run, "doubled")["error"]
    assert (error["code"], error["error_class"]) == ("too-many-rejected", "data")
    (letter,) = mesh.json("dlq", "ls", "--step", "doubled")["letters"]
    assert letter["outcome"] == "failed"
    shown = mesh.json("data", "rows", run, "doubled", "rejected")
    assert shown["rows"][0]["qty"] in {"many", "no"}


def _edit(mesh: RealMesh, letter: str) -> None:
    """As a person does it, with an editor that needs no terminal."""
    editor = mesh.folder / "editor.py"
    editor.write_text(_EDIT)
    environment = {**os.environ, "PLUGMESH_URL": mesh.url, "VISUAL": f"{sys.executable} {editor}"}
    done = subprocess.run(
        [PLUGMESH, "dlq", "edit", letter], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "has 2 corrected rows" in done.stdout
