"""One table with a column of every type Arrow has, in several fragments: looked at and downloaded over HTTP."""

from __future__ import annotations

import datetime
import io
import json
import math
from decimal import Decimal
from typing import Any

import httpx2
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from plugmesh.data.table import make_schema_ipc, write_table
from plugmesh.settings.settings import Settings
from tests.integration.gateway.house import House

_UTC = datetime.UTC
_SOMEWHERE = pa.timestamp("us", "Europe/Paris")

COLUMNS: dict[str, tuple[pa.Array, list[Any]]] = {
    "whole": (pa.array([2**63 - 1, None, -5]), [2**63 - 1, None, -5]),
    "unsigned": (pa.array([2**64 - 1, None, 0], pa.uint64()), [2**64 - 1, None, 0]),
    "half": (pa.array([1.5, None, math.nan], pa.float16()), [1.5, None, "NaN"]),
    "float": (pa.array([math.inf, None, -math.inf]), ["Infinity", None, "-Infinity"]),
    "truth": (pa.array([True, None, False]), [True, None, False]),
    "nothing": (pa.nulls(3), [None, None, None]),
    "text": (pa.array(["=1+1", None, ""]), ["=1+1", None, ""]),
    "view": (pa.array(["a", None, "b" * 20], pa.string_view()), ["a", None, "b" * 20]),
    "word": (pa.array(["x", None, "y"]).dictionary_encode(), ["x", None, "y"]),
    "bytes": (pa.array([b"\xff\x00", None, b""]), ["/wA=", None, ""]),
    "decimal": (pa.array([Decimal("1.10"), None, Decimal("-2.00")], pa.decimal128(38, 2)), ["1.10", None, "-2.00"]),
    "long": (pa.array([Decimal("1.10"), None, Decimal(-2)], pa.decimal256(76, 2)), ["1.10", None, "-2.00"]),
    "day": (pa.array([datetime.date(2026, 1, 2), None, datetime.date(1, 1, 1)]), ["2026-01-02", None, "0001-01-01"]),
    "clock": (pa.array([datetime.time(1, 2, 3), None, datetime.time()], pa.time32("s")), ["01:02:03", None, "00:00:00"]),
    "moment": (
        pa.array([datetime.datetime(2026, 7, 1, 12, tzinfo=_UTC), None, datetime.datetime(2026, 1, 1, tzinfo=_UTC)], _SOMEWHERE),
        ["2026-07-01T12:00:00.000000Z", None, "2026-01-01T00:00:00.000000Z"],
    ),
    "span": (pa.array([1500, None, -1], pa.duration("ms")), [1500, None, -1]),
    "list": (pa.array([[1, None], None, []]), [[1, None], None, []]),
    "struct": (
        pa.array([{"a": Decimal("1.1")}, None, {"a": None}], pa.struct([("a", pa.decimal128(4, 1))])),
        [{"a": "1.1"}, None, {"a": None}],
    ),
    "map": (pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())), [[{"key": "k", "value": 1}], None, []]),
    "id": (pa.array([b"\x12" * 16, None, b"\x00" * 16], pa.uuid()), ["-".join(["12" * n for n in (4, 2, 2, 2, 6)]), None,
        "-".join(["00" * n for n in (4, 2, 2, 2, 6)])]),
    "json": (pa.array(['{"a":1}', None, "[]"], pa.json_()), ['{"a":1}', None, "[]"]),
    "a, comma": (pa.array([1, None, 2]), [1, None, 2]),
    "-minus": (pa.array([1, None, 2]), [1, None, 2]),
    'a "quote"': (pa.array([1, None, 2]), [1, None, 2]),
    "número 😀": (pa.array([1, None, 2]), [1, None, 2]),
}  # fmt: skip
TABLE = pa.table({name: array for name, (array, _) in COLUMNS.items()})
ROWS = [dict(zip(COLUMNS, values, strict=True)) for values in zip(*(each for _, each in COLUMNS.values()), strict=True)]
UNORDERED = {"list", "struct", "map"}


@pytest.fixture
def settings() -> Settings:
    return Settings(reader_timeout_s=60, reader_processes=2)


async def put(house: House, table: pa.Table = TABLE) -> str:
    return await house.finished(write_table(house.objects, "runs/t/1", table, max_rows_per_fragment=1))


async def get(house: House, run: str, rest: str, **query: Any) -> httpx2.Response:
    return await house.client.get(f"/api/v1/runs/{run}/steps/only/outputs/out{rest}", params=query)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def test_every_type_is_shown_sorted_filtered_and_measured(house: House) -> None:
    run = await put(house)
    assert (await get(house, run, "/rows")).json()["rows"] == ROWS
    found = (await get(house, run, "/schema")).json()
    assert [column["type"] for column in found["columns"]] == [str(field.type) for field in TABLE.schema]
    figures = (await get(house, run, "/stats")).json()["columns"]
    for column, (name, (array, _)) in zip(figures, COLUMNS.items(), strict=True):
        assert (column["name"], column["nulls"], "message" in column) == (name, array.null_count, False)
    for name in COLUMNS:
        kept = await get(house, run, "/rows", filter=f"{quoted(name)} IS NOT NULL", columns="whole")
        assert [row["whole"] for row in kept.json()["rows"]] == ([2**63 - 1, -5] if name != "nothing" else [])
        up = await get(house, run, "/rows", sort=quoted(name), limit=3)
        assert up.status_code == (422 if name in UNORDERED else 200), up.text
        if name in UNORDERED:
            assert f"rows cannot be sorted by {name!r}" in up.json()["detail"]
        else:
            assert up.json()["rows"][-1][name] is None


async def test_every_type_is_downloaded(house: House) -> None:
    run = await put(house)
    arrow = (await get(house, run, "/download", format="arrow")).content
    assert pa.ipc.open_stream(arrow).read_all().drop(["half"]).equals(TABLE.drop(["half"]))  # NaN equals nothing
    parquet = (await get(house, run, "/download", format="parquet")).content
    read = pyarrow.parquet.read_table(io.BytesIO(parquet))
    assert read.select(["whole", "decimal", "moment", "list"]).equals(
        TABLE.select(["whole", "decimal", "moment", "list"])
    )
    assert (await get(house, run, "/download", format="json")).json() == ROWS
    lines = (await get(house, run, "/download", format="jsonl")).text.splitlines()
    assert [json.loads(line) for line in lines] == ROWS
    text = (await get(house, run, "/download", format="csv", columns='whole,text,"a, comma",list')).text
    assert text.splitlines() == [
        '"whole","text","a, comma","list"', '9223372036854775807,"\'=1+1",1,"[1,null]"', ",,,", '-5,"",2,"[]"'
    ]  # fmt: skip
    whole = pyarrow.csv.read_csv(io.BytesIO((await get(house, run, "/download", format="csv")).content))
    assert (whole.num_rows, whole.column_names[:2]) == (3, ["whole", "unsigned"])
    assert (await get(house, run, "/download", format="xlsx")).content[:2] == b"PK"


async def test_columns_that_were_handed_through_are_shown_beside_new_ones(house: House) -> None:
    first = write_table(house.objects, "runs/t/1", pa.table({"a": [1, 2, 3]}), max_rows_per_fragment=2)
    second = write_table(house.objects, "runs/t/2", pa.table({"b": ["x", "y", "z"]}), boundaries=[2, 1])
    fragments = tuple(
        one.model_copy(update={"groups": (*one.groups, *other.groups)})
        for one, other in zip(first.fragments, second.fragments, strict=True)
    )
    schema = pa.schema([("a", pa.int64()), ("b", pa.string())])
    both = first.model_copy(update={"fragments": fragments, "schema_ipc": make_schema_ipc(schema)})
    run = await house.finished(both)
    page = (await get(house, run, "/rows", sort="-b", filter="a > 1")).json()
    assert page["rows"] == [{"a": 3, "b": "z"}, {"a": 2, "b": "y"}]
    assert [column["distinct"] for column in (await get(house, run, "/stats")).json()["columns"]] == [3, 3]


@pytest.mark.full
async def test_a_table_of_ten_thousand_columns_is_downloaded(house: House) -> None:
    run = await house.finished(house.put_table("runs/t/1", pa.table({f"c{n}": [n, n + 1] for n in range(10_000)})))
    assert (await get(house, run, "/download", format="csv")).text.splitlines()[2].endswith(",9999,10000")
    arrow = (await get(house, run, "/download", format="arrow")).content
    assert pa.ipc.open_stream(arrow).read_all().num_columns == 10_000
