"""Data that is not what a flow needs, through the built-in modules the whole way: the words of the step that stops."""

import json
from typing import Any

import pytest

from tests.badinput.data import DATA, FILES, DataRow
from tests.e2e.real_mesh import RealMesh

pytestmark = pytest.mark.full


def _step(row: DataRow) -> dict[str, Any]:
    if row.module == "io.read":
        return {"module": row.module, "params": {"file": f"${{inputs.{row.file}}}", **row.params}}
    source = f"file_{row.file}"
    edges = {"left": source, "right": source} if row.module == "table.join" else source
    return {"module": row.module, "in": edges, "params": row.params}


@pytest.fixture(scope="module")
def run(shared_mesh: RealMesh) -> str:
    """A run of all of them, which has failed."""
    nodes = {f"step_{number}": _step(row) for number, row in enumerate(DATA)}
    nodes |= {
        f"file_{name}": {"module": "io.read", "params": {"file": f"${{inputs.{name}}}"}} for name in ("good", "wide")
    }
    inputs: list[str] = []
    for name, content in FILES.items():
        (shared_mesh.folder / f"{name}.csv").write_bytes(content)
        inputs += ["--input", f"{name}={name}.csv"]
    flow = {"flow": "bad/data", "inputs": dict.fromkeys(FILES, "file"), "nodes": nodes}
    run = shared_mesh.submit(json.dumps(flow), *inputs)
    shared_mesh.finish(run, "failed")
    return run


@pytest.mark.parametrize("row", DATA, ids=str)
def test_the_step_says_what_is_wrong_with_the_data(shared_mesh: RealMesh, run: str, row: DataRow) -> None:
    found = shared_mesh.step(run, f"step_{DATA.index(row)}")
    assert found["state"] == ("failed" if row.says else "succeeded")
    assert (found["error"] or {"message": ""})["message"] == row.says
