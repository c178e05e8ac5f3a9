"""Downloads: safe from formulas, within the limits of each format, and cut off when a reader dies."""

from __future__ import annotations

import io
import os
import signal
import zipfile
from typing import Any

import httpx2
import pyarrow as pa
import pytest

from gateway.errors import Busy
from plugmesh.contracts.data import DataRef
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import House

RISKY = pa.table({"=cmd": ["=1+1", "-2", "fine", None], "n": [-1, 2, 3, 4]})


@pytest.fixture
def settings() -> Settings:
    return Settings(reader_timeout_s=60)


async def table_run(house: House, table: pa.Table = RISKY) -> str:
    return await house.finished(house.put_table("runs/t/1", table))


async def download(house: House, run: str, **query: Any) -> httpx2.Response:
    return await house.client.get(f"/api/v1/runs/{run}/steps/only/outputs/out/download", params=query)


async def test_csv_is_safe_from_formulas_unless_they_are_to_be_kept(house: House) -> None:
    run = await table_run(house)
    safe = await download(house, run, format="csv")
    assert safe.text.splitlines() == ['"\'=cmd","n"', '"\'=1+1",-1', '"-2",2', '"fine",3', ",4"]
    assert safe.headers["x-plugmesh-formulas"] == "marked"
    kept = await download(house, run, format="csv", formulas="keep")
    assert kept.text.splitlines()[:2] == ['"=cmd","n"', '"=1+1",-1']
    assert kept.headers["x-plugmesh-formulas"] == "kept"
    empty = await house.finished(house.put_table("runs/t/2", RISKY.slice(0, 0)))
    assert (await download(house, empty, format="csv")).text == '"\'=cmd","n"\n'
    assert (await download(house, run, formulas="no")).status_code == 422


async def test_a_table_is_downloaded_as_a_workbook(house: House) -> None:
    answer = await download(house, await table_run(house), format="xlsx", columns="n")
    assert answer.headers["content-type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    assert ".xlsx" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
    assert '<c r="A1" t="inlineStr"><is><t>n</t></is></c>' in sheet
    assert '<row r="2"><c r="A2"><v>-1</v></c></row>' in sheet


async def test_what_a_workbook_cannot_hold_is_refused_before_anything_is_sent(house: House) -> None:
    table = house.put_table("runs/t/1", pa.table({"n": pa.arange(0, 1_048_576).cast(pa.int8(), safe=False)}))
    assert isinstance(table, DataRef)
    answer = await download(house, await house.finished(table), format="xlsx")
    assert (answer.status_code, answer.json()["code"]) == (413, "limit-exceeded")
    assert "at most 1,048,575 rows below the names, not 1,048,576" in answer.json()["detail"]
    assert "format=csv, parquet or arrow" in answer.json()["detail"]


async def test_parquet_says_which_columns_it_has_no_form_for(house: House) -> None:
    table = pa.table({"a": [1], "span": pa.array([(1, 2, 3)], pa.month_day_nano_interval())})
    answer = await download(house, await table_run(house, table), format="parquet")
    assert answer.status_code == 422
    assert "Parquet has no form for a column of this table" in answer.json()["detail"]


async def test_an_unknown_format_is_refused(house: House) -> None:
    answer = await download(house, await table_run(house), format="pdf")
    assert answer.status_code == 422
    assert "'csv'" in answer.json()["detail"]


@pytest.mark.full
async def test_a_reader_killed_in_the_middle_breaks_the_download_off_and_lets_go_of_the_run(house: House) -> None:
    run = await table_run(house, pa.table({"text": ["x" * 10_000] * 5000}))
    found = await house.gateway.data.download(run, "only", "out", "csv", None)
    assert await anext(found.pieces)
    for child in tuple(house.gateway.reader._children):
        os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(Busy, match=r"ended from outside \(signal 9\)"):
        async for _ in found.pieces:
            pass
    assert house.gateway.reading.lenders == frozenset()
    assert (await download(house, run, format="parquet")).status_code == 200
