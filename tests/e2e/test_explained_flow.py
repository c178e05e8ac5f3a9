"""The demo's flow with the built-in modules: what its plan leaves out, and that what it saved is what lies in the store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from plugmesh.contracts.data import DataRef, table_bytes
from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync

ROOT = Path(__file__).resolve().parents[2]
FLOW = ROOT / "examples" / "flows" / "late-by-carrier.yaml"
COLUMNS = [f"c{number}" for number in range(17)]
ROWS = 5_000

pytestmark = pytest.mark.full


def files(folder: Path) -> tuple[Path, Path]:
    """Flights with nineteen columns, and airlines with two."""
    flights, airlines = folder / "flights.csv", folder / "airlines.csv"
    lines = [",".join([("UA", "AA")[n % 2], str(n % 40), *("x" * 10 for _ in COLUMNS)]) for n in range(ROWS)]
    flights.write_text("\n".join([",".join(["carrier", "arr_delay", *COLUMNS]), *lines]) + "\n")
    airlines.write_text("carrier,name\nUA,United\nAA,American\n")
    return flights, airlines


@pytest.fixture(scope="module")
def given(shared_mesh: RealMesh, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The inputs, handed in, once the built-in modules answer quickly."""
    flights, airlines = files(tmp_path_factory.mktemp("given"))
    for file in (flights, airlines):
        shared_mesh.cli("files", "put", str(file))
    named = ("--input", "flights=@flights.csv", "--input", "airlines=@airlines.csv")

    def is_exact() -> bool:
        found = shared_mesh.json("explain", str(FLOW), *named)
        return all(node["exact"] for node in found["nodes"])

    wait_until_sync(is_exact, 60, message="the modules have not said which columns they read")
    return named


def by_name(document: Any) -> dict[str, Any]:
    return {node["node"]: node for node in document["nodes"]}


def test_the_plan_names_the_two_columns_that_are_used(shared_mesh: RealMesh, given: tuple[str, ...]) -> None:
    nodes = by_name(shared_mesh.json("explain", str(FLOW), *given))
    assert [column["name"] for column in nodes["read"]["outputs"][0]["columns"]] == ["carrier", "arr_delay", *COLUMNS]
    assert nodes["read"]["outputs"][0]["wanted"] == ["carrier", "arr_delay"]
    assert nodes["late"]["inputs"][0]["reads"] == ["arr_delay"]
    assert "2 of 19: carrier, arr_delay" in shared_mesh.cli("explain", str(FLOW), *given).stdout


def test_what_a_run_wrote_and_saved_is_what_lies_in_the_store(shared_mesh: RealMesh, given: tuple[str, ...]) -> None:
    run = shared_mesh.json("run", str(FLOW), *given)["id"]
    shared_mesh.finish(run)
    used = by_name(shared_mesh.json("explain", "--run", run))
    assert used["read"]["wanted"] == {"out": ["carrier", "arr_delay"]}
    assert used["read"]["widths"] == {"out": 19}
    for name in ("read", "late", "by"):
        ref = output_of(shared_mesh, run, name)
        objects = {group.key for fragment in ref.fragments for group in fragment.groups}
        size = sum(stored(shared_mesh, key).stat().st_size for key in objects)
        assert used[name]["bytes_written"] + used[name]["bytes_passed"] == table_bytes(ref)
        assert 0 <= size - table_bytes(ref) < 64 * 20, "the rest is padding"
    assert used["read"]["filters"] == ["arr_delay > 15"]
    assert used["late"]["bytes_written"] == 0, "the source has left out the rows already"
    edges = {(edge["from"], edge["to"]): edge for edge in shared_mesh.json("explain", "--run", run)["edges"]}
    read = edges["read.out", "late.table"]
    assert read["bytes_handed"] == read["bytes_whole"] == table_bytes(output_of(shared_mesh, run, "read"))
    joined = edges["by.out", "named.left"]
    assert joined["bytes_whole"] == table_bytes(output_of(shared_mesh, run, "by"))
    assert "2 of 19 columns: carrier, arr_delay" in shared_mesh.cli("explain", "--run", run).stdout


def stored(mesh: RealMesh, key: str) -> Path:
    """The file of an object."""
    (found,) = (path for path in (mesh.data / "objects").rglob(key.rpartition("/")[2]) if str(path).endswith(key))
    return found


def output_of(mesh: RealMesh, run: str, step: str) -> DataRef:
    """The reference at a step's output, as the step behind it was handed it."""
    behind, port = {"read": ("late", "table"), "late": ("by", "table"), "by": ("named", "left")}[step]
    (reference,) = mesh.ask(f"/api/v1/runs/{run}/steps/{behind}/replay")["inputs"][port]
    return DataRef.model_validate(reference)


def test_a_wide_table_that_is_shared_is_handed_over_in_part(shared_mesh: RealMesh, given: tuple[str, ...]) -> None:
    """Two branches use different columns: the source gives both, each branch is handed its own."""
    measures = {"n": "count(*)"}
    nodes: dict[str, Any] = {"read": {"module": "io.read", "params": {"file": "${inputs.flights}"}}}
    for column in ("c1", "c2"):
        where = {"where": f"{column} IS NOT NULL AND arr_delay > 3"}
        nodes[f"f{column}"] = {"module": "table.filter", "in": "read", "params": where}
        aggregate = {"by": [column], "measures": measures}
        nodes[f"by{column}"] = {"module": "table.aggregate", "in": f"f{column}", "params": aggregate}
    flow = {
        "flow": "checks/branches",
        "inputs": {"flights": {"kind": "file"}},
        "nodes": nodes,
        "outputs": {"one": "byc1", "two": "byc2"},
    }
    path = shared_mesh.folder / "branches.json"
    path.write_text(json.dumps(flow))

    def is_exact() -> bool:
        return all(node["exact"] for node in shared_mesh.json("explain", str(path), *given[:2])["nodes"])

    wait_until_sync(is_exact, 60)
    run = shared_mesh.json("run", str(path), *given[:2])["id"]
    shared_mesh.finish(run)
    found = shared_mesh.json("explain", "--run", run)
    assert by_name(found)["read"]["wanted"] == {"out": ["arr_delay", "c1", "c2"]}
    edges = {edge["to"]: edge for edge in found["edges"]}
    whole = edges["fc1.table"]["bytes_whole"]
    assert edges["fc1.table"]["columns"] == ["arr_delay", "c1"]
    assert edges["fc2.table"]["columns"] == ["arr_delay", "c2"]
    assert whole == edges["fc2.table"]["bytes_whole"]
    assert 0 < edges["fc1.table"]["bytes_saved"] == whole - edges["fc1.table"]["bytes_handed"] < whole
