"""Whatever is sent, the answer is the one of the table: its status, its code, and every word of its message."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
import pytest_asyncio

from tests.badinput import flows_as_graphs, flows_as_text, letters, raw, requests
from tests.badinput.mesh import BadMesh
from tests.badinput.raw import RawRow
from tests.badinput.row import Row
from tests.badinput.served import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")

FLOWS = (
    *flows_as_text.SYNTAX, *flows_as_text.PARTS,
    *flows_as_graphs.EDGES, *flows_as_graphs.PARAMS, *flows_as_graphs.MODULES, *flows_as_graphs.SIZES,
)  # fmt: skip
REQUESTS = (*requests.JSON, *requests.FORMS, *requests.QUERIES, *requests.NAMES, *letters.LETTERS)


def _rows(rows: Iterable[Row]) -> list[Any]:
    return [pytest.param(row, id=str(row), marks=[pytest.mark.full] if row.slow else []) for row in rows]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[BadMesh]:
    mesh = BadMesh(tmp_path_factory.mktemp("mesh"))
    await mesh.start()
    yield mesh
    await mesh.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(mesh: BadMesh) -> AsyncIterator[Served]:
    async with Served(mesh) as served:
        yield served


@pytest.mark.parametrize("row", _rows(FLOWS))
async def test_a_flow_file_gets_every_problem_with_line_and_column(mesh: BadMesh, row: Row) -> None:
    await mesh.stay_alive()
    assert await mesh.validate(row) == (row.status, row.code, row.says)


@pytest.mark.parametrize(
    "row", _rows(row for row in FLOWS if isinstance(row.body, str) and not row.shown and row.status == 422)
)
async def test_a_run_of_that_flow_is_refused_for_the_same_problems(mesh: BadMesh, row: Row) -> None:
    await mesh.stay_alive()
    body = json.dumps({"flow": row.body, "strict": row.strict, "inputs": {}})
    answer = await mesh.client.post("/api/v1/runs", content=body, headers={"content-type": "application/json"})
    problems = [problem for problem in answer.json()["problems"] if problem["file"] == "flow.yaml"]
    said = [line for line in row.says.splitlines() if ": warning: " not in line]
    assert answer.status_code == 422
    assert mesh.lines(problems) == said
    assert mesh.intake.submissions == []


@pytest.mark.parametrize("row", _rows(REQUESTS))
async def test_a_request_gets_a_problem_that_says_what_to_do(mesh: BadMesh, row: Row) -> None:
    assert await mesh.ask(row) == (row.status, row.code, row.says)


@pytest.mark.parametrize("row", raw.RAW, ids=str)
async def test_bytes_of_any_kind_get_an_answer(served: Served, row: RawRow) -> None:
    assert await served.send(row) == (row.status, row.says)


async def test_no_route_that_takes_json_minds_how_deep_it_is_nested(mesh: BadMesh) -> None:
    deep = b'{"a":' * 100_000
    document = (await mesh.client.get("/api/v1/openapi.json")).json()
    asked = 0
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "application/json" not in operation.get("requestBody", {}).get("content", {}):
                continue
            url = path.replace("{", "").replace("}", "")
            answer = await mesh.client.request(method, url, content=deep, headers={"content-type": "application/json"})
            assert "nested " in answer.text or answer.status_code in {404, 409, 413}, (method, path, answer.text)
            asked += 1
    assert asked > 5


async def test_a_flow_of_a_hundred_megabytes_is_refused_after_its_first_pieces(mesh: BadMesh) -> None:
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b"#" * 1_000_000

    answer = await mesh.client.post("/api/v1/validate", content=pieces(), headers={"content-type": "application/yaml"})
    assert answer.status_code == 413
    assert "the body has at least 17,000,000 bytes, 16,777,216 are possible here" in answer.json()["detail"]
    assert sent < 100


@pytest.mark.parametrize("shape", ["wide", "deep"])
async def test_ten_thousand_nodes_are_no_problem(mesh: BadMesh, shape: str) -> None:
    await mesh.stay_alive()
    first = {"n0": {"module": "shop.orders"}}
    others = {f"n{n}": {"module": "shop.link", "in": f"n{n - 1 if shape == 'deep' else 0}"} for n in range(1, 10_000)}
    answer = await mesh.client.post("/api/v1/validate", json={"flow": "f", "nodes": first | others})
    assert answer.json() == {"valid": True, "flow": "default/f", "problems": [], "warnings": []}


async def test_nothing_of_all_this_came_into_the_folder(mesh: BadMesh) -> None:
    outside = {path.name for path in mesh.folder.parent.iterdir()} - {mesh.folder.name}
    inside = {path.name for path in mesh.folder.iterdir()}
    stored = [path for path in (mesh.folder / "objects").rglob("*") if path.is_file()]
    names = {str(path.relative_to(mesh.folder / "objects")) for path in stored}
    assert not any("passwd" in name or ".." in name for name in outside | inside | names)
    assert inside <= {"objects", "state.db", "state.db-shm", "state.db-wal", "state.db.lock"}


async def test_no_title_is_there_twice_in_its_table() -> None:
    for rows in (FLOWS, requests.JSON, requests.FORMS, requests.QUERIES, requests.NAMES, raw.RAW):
        titles = [str(row) for row in rows]
        assert len(set(titles)) == len(titles)
