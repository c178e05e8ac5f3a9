"""Schema, sorted and filtered rows, and figures of an output, over HTTP and with real reader processes."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pyarrow as pa
import pytest

from plugmesh.contracts.data import FileRef, ValueRef
from plugmesh.data.reference import spill
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import House
from tests.waiting import wait_until

TABLE = pa.table(
    {
        "id": pa.array(range(1000), pa.int64()),
        "price": pa.array([None if n % 10 == 0 else float(n % 7) for n in range(1000)]),
        "carrier": pa.array([("UA", "AA", None)[n % 3] for n in range(1000)]),
    }
)


@pytest.fixture
def settings() -> Settings:
    return Settings(reader_timeout_s=60)


async def table_run(house: House, table: pa.Table = TABLE) -> str:
    return await house.finished(house.put_table("runs/t/1", table))


async def get(house: House, run: str, rest: str, **query: Any) -> httpx2.Response:
    return await house.client.get(f"/api/v1/runs/{run}/steps/only/outputs/out{rest}", params=query)


async def test_a_schema_has_columns_rows_and_bytes(house: House) -> None:
    found = (await get(house, await table_run(house), "/schema")).json()
    assert (found["kind"], found["rows"]) == ("table", 1000)
    assert found["bytes"] > 16_000
    assert found["columns"][1] == {"name": "price", "type": "double", "nullable": True}


async def test_rows_are_sorted_filtered_and_paged(house: House) -> None:
    run = await table_run(house)
    query = {"filter": "carrier = 'UA' AND price > 2", "sort": "-price,id", "columns": "id,price"}
    kept = [
        (-row["price"], row["id"]) for row in TABLE.to_pylist() if row["carrier"] == "UA" and (row["price"] or 0) > 2
    ]
    expected = [{"id": number, "price": -price} for price, number in sorted(kept)]
    first = (await get(house, run, "/rows", limit=10, **query)).json()
    assert first["rows"] == expected[:10]
    assert (first["total"], first["matched"], first["offset"], first["truncated"]) == (1000, len(expected), 0, False)
    last = (await get(house, run, "/rows", limit=10, offset=len(expected) - 3, **query)).json()
    assert (last["rows"], last["offset"]) == (expected[-3:], len(expected) - 3)
    beyond = (await get(house, run, "/rows", limit=10, offset=10**9, **query)).json()
    assert (beyond["rows"], beyond["matched"]) == ([], len(expected))


async def test_rows_without_sort_and_filter_say_how_many_there_are(house: House) -> None:
    page = (await get(house, await table_run(house), "/rows", offset=5, limit=1)).json()
    assert (page["rows"][0]["id"], page["offset"], page["matched"], page["total"]) == (5, 5, 1000, 1000)


@pytest.mark.parametrize(
    ("rest", "query", "status", "message"),
    [
        ("/rows", {"sort": "pric"}, 422, "sort: there is no column 'pric' (did you mean 'price'?)"),
        ("/rows", {"columns": "ids"}, 422, "columns: there is no column 'ids' (did you mean 'id'?)"),
        ("/rows", {"filter": "pric > 1"}, 422, "there is no column 'pric' (did you mean 'price'?)"),
        ("/rows", {"filter": "price > "}, 422, "it ends too early"),
        ("/rows", {"filter": "x" * 10_001}, 422, "at most 10000 characters"),
        ("/rows", {"filter": "getenv('HOME') = ''"}, 422, "there is no function 'getenv' here"),
        (
            "/rows",
            {"sort": ",".join("abcdefghijklmnopqrst")},
            400,
            "sort: 20 columns are too many at once, 16 are possible",
        ),
        ("/rows", {"columns": '"open'}, 400, "put a name that has a comma"),
        ("/rows", {"limit": 10_001}, 400, "limit is at most 10,000: ask page by page, or download the table"),
        ("/stats", {"columns": "carier"}, 422, "columns: there is no column 'carier' (did you mean 'carrier'?)"),
        ("/stats", {"columns": "id,id"}, 422, "columns: the column 'id' is named twice"),
        (
            "/stats",
            {"columns": ",".join(["a"] * 101)},
            400,
            "columns: 101 columns are too many at once, 100 are possible",
        ),
        ("/download", {"columns": "ids"}, 422, "columns: there is no column 'ids' (did you mean 'id'?)"),
    ],
)
async def test_what_cannot_be_answered_says_why(
    house: House, rest: str, query: dict[str, Any], status: int, message: str
) -> None:
    answer = await get(house, await table_run(house), rest, **query)
    assert answer.status_code == status, answer.text
    assert message in answer.json()["detail"]


async def test_no_columns_can_be_asked_for(house: House) -> None:
    run = await table_run(house)
    rows = await get(house, run, "/rows", columns="", limit=2)
    assert (rows.status_code, rows.json()["rows"], rows.json()["columns"]) == (200, [{}, {}], [])
    assert (await get(house, run, "/stats", columns="")).json()["columns"] == []


async def test_figures_of_columns(house: House) -> None:
    found = (await get(house, await table_run(house), "/stats", columns="price,carrier")).json()
    price, carrier = found["columns"]
    assert (found["rows"], price["nulls"], price["distinct"], price["min"], price["max"]) == (1000, 100, 7, 0.0, 6.0)
    assert sum(part["count"] for part in price["histogram"]) == 900
    assert carrier["top"] == [{"value": "UA", "count": 334}, {"value": "AA", "count": 333}]


async def test_values_and_files_have_no_columns_and_cannot_be_sorted(house: House) -> None:
    value = await house.finished(ValueRef(value={"a": 1}))
    for rest in ("/rows", "/schema", "/stats"):
        found = (await get(house, value, rest)).json()
        assert (found["kind"], found["value"], found["columns"]) == ("value", {"a": 1}, [])
    file = (await house.client.put("/api/v1/files/t.csv", content=b"a\n1\n")).json()
    run = await house.finished(FileRef.model_validate({**file, "kind": "file"}))
    assert (await get(house, run, "/schema")).json()["kind"] == "file"
    answer = await get(house, run, "/rows", sort="a")
    assert answer.status_code == 422
    assert "only a table can be sorted and filtered; this output is a file: download it" in answer.json()["detail"]


@pytest.mark.full
async def test_empty_wide_and_columnless_tables_can_be_looked_at(house: House) -> None:
    empty = await table_run(house, TABLE.slice(0, 0))
    assert (await get(house, empty, "/rows", sort="id", filter="price > 1")).json()["rows"] == []
    wide = await house.finished(house.put_table("runs/t/2", pa.table({f"c{n}": [n] for n in range(10_000)})))
    page = (await get(house, wide, "/rows")).json()
    assert (len(page["columns"]), page["columns_left_out"]) == (1000, 9000)
    assert page["message"] == "the first 1,000 of 10,000 columns are shown: name others with columns=a,b"
    assert (await get(house, wide, "/rows", columns="c9999", sort="c5000")).json()["rows"] == [{"c9999": 9999}]
    assert len((await get(house, wide, "/schema")).json()["columns"]) == 10_000
    figures = (await get(house, wide, "/stats")).json()
    assert (len(figures["columns"]), figures["columns_left_out"]) == (100, 9_900)
    bare = await house.finished(house.put_table("runs/t/3", pa.table({"x": [1, 2]}).select([])))
    assert (await get(house, bare, "/rows")).json()["total"] == 2
    assert (await get(house, bare, "/rows", filter="1 = 1")).json()["matched"] == 2
    for kind in ("csv", "json", "jsonl", "arrow", "xlsx"):
        assert (await get(house, bare, "/download", format=kind)).status_code == 200


class Asked:
    """Counts what reader processes are asked, by kind of question."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ops: list[str] = []
        ask = house.gateway.reader.ask

        async def counted(**request: Any) -> bytes:
            self.ops.append(request["op"])
            return await ask(**request)

        monkeypatch.setattr(house.gateway.reader, "ask", counted)


async def test_what_was_computed_once_is_kept(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    run = await table_run(house)
    asked = Asked(house, monkeypatch)
    for _ in range(3):
        await get(house, run, "/stats")
        await get(house, run, "/schema")
    for offset in range(3):
        await get(house, run, "/rows", sort="-price", offset=offset)
    assert sorted(asked.ops) == ["order", "rows", "rows", "rows", "schema", "stats"]


async def test_equal_questions_at_one_time_are_computed_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    run = await table_run(house)
    asked = Asked(house, monkeypatch)
    found = await asyncio.gather(*(get(house, run, "/stats") for _ in range(5)))
    assert (asked.ops, len({answer.content for answer in found})) == (["stats"], 1)


async def test_another_output_with_the_same_question_is_another_answer(house: House) -> None:
    one, two = await table_run(house), await house.finished(house.put_table("runs/t/2", TABLE.slice(0, 10)))
    assert (await get(house, one, "/stats")).json()["rows"] == 1000
    assert (await get(house, two, "/stats")).json()["rows"] == 10


async def test_a_spilled_reference_is_followed(house: House) -> None:
    run = await house.finished(spill(house.objects, "runs/t/ref", house.put_table("runs/t/1", TABLE), limit_bytes=10))
    assert (await get(house, run, "/stats")).json()["rows"] == 1000
    assert (await get(house, run, "/rows", sort="-id", limit=1)).json()["rows"][0]["id"] == 999


async def test_a_run_is_held_while_its_data_is_read(house: House) -> None:
    run = await table_run(house)
    held = house.gateway.reading
    asking = asyncio.ensure_future(get(house, run, "/stats"))
    await wait_until(lambda: held.lenders == {run})
    assert (await asking).status_code == 200
    assert held.lenders == frozenset()
    assert (await get(house, run, "/rows", sort="nope")).status_code == 422
    assert held.lenders == frozenset()


class TestWithLittleMemory:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(reader_memory_bytes=150 * 1024 * 1024, reader_timeout_s=60)

    async def test_a_sort_that_needs_too_much_says_what_to_do(self, house: House) -> None:
        table = pa.table({"text": pa.arange(0, 600_000).cast(pa.string()), "n": pa.arange(0, 600_000)})
        big = pa.concat_tables([table] * 12)
        run = await table_run(house, big)
        answer = await get(house, run, "/rows", sort="text,n")
        assert (answer.status_code, answer.json()["code"]) == (413, "limit-exceeded"), answer.text
        assert "ask for fewer rows or columns, or raise reader_memory_bytes" in answer.json()["detail"]
        assert (await get(house, run, "/rows", limit=1)).status_code == 200
