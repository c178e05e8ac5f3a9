"""Rows, downloads and logs, decoded by real reader processes."""

from __future__ import annotations

import datetime
import io
import json
import os
import signal
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from gateway.reader.pool import ReaderFailure
from plugmesh.contracts.data import DataRef, FileRef, ValueRef
from plugmesh.data.reference import spill
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import House, step_row
from tests.waiting import wait_until

TABLE = pa.table(
    {
        "n": pa.array(range(1000), pa.int64()),
        "name": pa.array([None if n % 7 == 0 else f"row {n}" for n in range(1000)]),
        "at": pa.array([datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)] * 1000, pa.timestamp("us", "UTC")),
    }
)


@pytest.fixture
def settings() -> Settings:
    return Settings(reader_timeout_s=60, rows_limit=5000)


async def table_run(house: House, table: pa.Table = TABLE) -> str:
    return await house.finished(house.put_table("runs/t/1", table))


async def get(house: House, run: str, rest: str = "") -> httpx2.Response:
    return await house.client.get(f"/api/v1/runs/{run}/steps/only/outputs/out{rest}")


async def test_rows_come_page_by_page_with_columns_and_total(house: House) -> None:
    run = await table_run(house)
    page = (await get(house, run, "?offset=998&limit=5")).json()
    assert page["rows"] == [
        {"n": 998, "name": "row 998", "at": "2026-01-01T00:00:00.000000Z"},
        {"n": 999, "name": "row 999", "at": "2026-01-01T00:00:00.000000Z"},
    ]
    assert page["columns"][2] == {"name": "at", "type": "timestamp[us, tz=UTC]"}
    assert (page["total"], page["truncated"], page["kind"]) == (1000, False, "table")
    assert len((await get(house, run)).json()["rows"]) == 100
    assert (await get(house, run, "?limit=0")).json()["rows"] == []


async def test_only_the_asked_columns_are_read(house: House) -> None:
    run = await table_run(house)
    assert (await get(house, run, "?columns=name,n&limit=2")).json()["rows"] == [
        {"name": None, "n": 0},
        {"name": "row 1", "n": 1},
    ]
    answer = await get(house, run, "?columns=nam")
    assert answer.status_code == 422
    assert "did you mean 'name'?" in answer.json()["detail"]


async def test_more_rows_than_the_limit_are_refused(house: House) -> None:
    run = await table_run(house)
    assert (await get(house, run, "?limit=5001")).status_code == 400


async def test_an_output_that_is_not_there_says_what_is(house: House) -> None:
    run = await table_run(house)
    answer = await house.client.get(f"/api/v1/runs/{run}/steps/only/outputs/other")
    assert (answer.status_code, "it has out" in answer.json()["detail"]) == (404, True)
    waiting = await house.submit()
    assert "pending" in (await get(house, waiting)).json()["detail"]


async def test_the_output_of_a_mapped_node_is_at_its_elements(house: House) -> None:
    nodes = {"many": {"module": "table.make", "map": [1, 2]}}
    run = await house.submit(flow={"flow": "checks/many", "nodes": nodes})
    made = house.put_table("runs/t/1", TABLE)
    rows = (step_row(run, "many", "succeeded"), step_row(run, "many.1", "succeeded", made))
    await house.intake.advance(run, "succeeded", *rows)
    path = f"/api/v1/runs/{run}/steps"
    answer = await house.client.get(f"{path}/many/outputs/out/rows")
    assert (answer.status_code, "ask for many.0" in answer.json()["detail"]) == (404, True)
    assert (await house.client.get(f"{path}/many.1/outputs/out/rows")).json()["total"] == 1000


async def test_a_value_and_a_file_have_no_rows_but_are_there(house: House) -> None:
    value = (await get(house, await house.finished(ValueRef(value={"a": 1})))).json()
    assert (value["kind"], value["value"], value["rows"]) == ("value", {"a": 1}, [])


@pytest.mark.parametrize("format", ["csv", "parquet", "arrow", "json", "jsonl"])
async def test_a_table_is_downloaded_whole(house: House, format: str) -> None:
    run = await table_run(house)
    answer = await get(house, run, f"/download?format={format}")
    assert answer.status_code == 200
    assert f"{run}-only-out.{format}" in answer.headers["content-disposition"]
    data = io.BytesIO(answer.content)
    if format == "parquet":
        assert pyarrow.parquet.read_table(data).equals(TABLE)
    elif format == "arrow":
        assert pa.ipc.open_stream(data).read_all().equals(TABLE)
    elif format == "csv":
        read = pyarrow.csv.read_csv(data, convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True))
        assert read.column("n").to_pylist() == list(range(1000))
        assert read.column("name").to_pylist() == TABLE.column("name").to_pylist()
    else:
        rows = answer.json() if format == "json" else [json.loads(line) for line in answer.content.splitlines()]
        assert [row["name"] for row in rows] == TABLE.column("name").to_pylist()


@pytest.mark.parametrize("format", ["csv", "parquet", "arrow", "json", "jsonl"])
async def test_an_empty_table_is_downloaded_with_its_columns(house: House, format: str) -> None:
    run = await table_run(house, TABLE.slice(0, 0))
    answer = await get(house, run, f"/download?format={format}&columns=n,name")
    assert answer.status_code == 200
    if format == "csv":
        assert answer.content == b'"n","name"\n'
    elif format == "parquet":
        assert pyarrow.parquet.read_table(io.BytesIO(answer.content)).column_names == ["n", "name"]
    elif format == "json":
        assert answer.json() == []


async def test_a_file_is_downloaded_as_it_is(house: House) -> None:
    data = os.urandom(3_000_000)
    file = (await house.client.put("/api/v1/files/report.pdf", content=data)).json()
    run = await house.finished(FileRef.model_validate(file))
    answer = await get(house, run, "/download")
    assert answer.content == data
    assert "report.pdf" in answer.headers["content-disposition"]


async def test_a_reference_that_was_spilled_is_followed(house: House) -> None:
    table = house.put_table("runs/t/1", TABLE)
    spilled = spill(house.objects, "runs/t/ref", table, limit_bytes=10)
    run = await house.finished(spilled)
    assert (await get(house, run, "?limit=1")).json()["total"] == 1000
    assert (await get(house, run, "/download?format=jsonl")).status_code == 200


async def test_data_that_is_gone_is_410(house: House) -> None:
    run = await table_run(house)
    house.objects.delete("runs/t/1")
    for rest in ("", "/download?format=csv"):
        answer = await get(house, run, rest)
        assert (answer.status_code, answer.json()["code"]) == (410, "object-missing")


async def test_damaged_data_is_a_problem_and_the_gateway_goes_on(house: House) -> None:
    table = pa.table({"words": ["one", "two", "three"] * 1000})
    reference = house.put_table("runs/t/1", table)
    assert isinstance(reference, DataRef)
    path = house.folder / "objects" / "objects" / "runs" / "t" / "1"
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    span = reference.fragments[0].groups[0].columns[0]
    for place in range(span.offset + 200, span.offset + span.length - 16):
        data[place] = 0xFF
    path.write_bytes(data)
    broken = await house.finished(reference)
    answer = await get(house, broken, "?offset=10&limit=100")
    assert answer.status_code in {422, 500}
    assert answer.json()["code"] in {"unreadable-data", "object-corrupt"}
    assert (await house.client.get("/healthz")).status_code == 200


async def test_a_long_answer_is_cut_and_says_so(house: House) -> None:
    table = pa.table({"text": ["x" * 100_000] * 1000})
    page = (await get(house, await table_run(house, table), "?limit=1000")).json()
    assert page["truncated"]
    assert 100 < len(page["rows"]) < 200


async def test_a_reader_that_is_killed_is_replaced(house: House) -> None:
    run = await table_run(house)
    assert (await get(house, run)).status_code == 200
    before = reader_pids(house)
    assert len(before) == 1
    os.kill(before[0], signal.SIGKILL)
    await wait_until(lambda: not children(house)[0].alive)
    assert (await get(house, run, "?limit=1")).status_code == 200
    assert reader_pids(house) != before


async def test_readers_end_with_the_gateway(house: House) -> None:
    run = await table_run(house)
    await get(house, run)
    pid = reader_pids(house)[0]
    await house.gateway.reader.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


class TestWithOneReader:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(reader_processes=1, reader_timeout_s=60)

    async def test_a_client_that_leaves_a_download_frees_its_reader(self, house: House) -> None:
        table = pa.table({"text": ["x" * 10_000] * 2000})  # its pipe is full when the client leaves
        run = await table_run(house, table)
        for begun in (True, False):
            found = await house.gateway.data.download(run, "only", "out", "csv", None)
            assert house.gateway.reading.lenders == {run}
            if begun:
                assert await anext(found.pieces)
            await found.pieces.aclose()
            assert house.gateway.reading.lenders == frozenset()
        assert (await get(house, run, "?limit=1")).status_code == 200


class TestWithLittle:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(reader_memory_bytes=200 * 1024 * 1024, reader_processes=2, reader_timeout_s=20)

    async def test_data_that_needs_more_memory_than_allowed_is_refused_and_the_next_answer_comes(
        self, house: House
    ) -> None:
        table = pa.table({"text": pa.array(["x" * 1000]).take(pa.array([0] * 100_000))})
        run = await table_run(house, table)
        reference = await house.gateway.data.output(run, "only", "out")
        with pytest.raises(ReaderFailure, match="needs more than the 209,715,200 bytes") as caught:
            await house.gateway.reader.ask(op="rows", reference=reference, offset=0, limit=50_000, limit_bytes=10**12)
        assert caught.value.code == "limit-exceeded"
        assert (await get(house, run, "?limit=1")).status_code == 200


class TestWithoutPatience:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(reader_timeout_s=0.5)

    async def test_a_reader_that_hangs_is_killed_and_replaced(self, house: House) -> None:
        run = await table_run(house)
        assert (await get(house, run)).status_code == 200  # its start is not counted
        (pid,) = reader_pids(house)
        os.kill(pid, signal.SIGSTOP)
        answer = await get(house, run, "?limit=1")
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "busy", "1")
        assert "somebody stopped it, or the machine has too much to do: try again" in answer.json()["detail"]
        assert pid not in reader_pids(house)


class TestIdle:
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(reader_idle_s=0.1)

    async def test_readers_that_nobody_uses_end(self, house: House) -> None:
        run = await table_run(house)
        assert (await get(house, run)).status_code == 200
        await wait_until(lambda: not children(house))
        assert (await get(house, run)).status_code == 200


def children(house: House) -> list[Any]:
    return list(house.gateway.reader._children)


def reader_pids(house: House) -> list[int]:
    return sorted(child.pid for child in house.gateway.reader._children)
