"""Frames that are read and made part by part: lazy frames, relations, readers, iterators."""

from collections.abc import Iterator
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from module_sdk import module
from module_sdk.dataframes import adapters
from module_sdk.dataframes.adapters import adapter_for, from_native
from module_sdk.dataframes.handed import Handed
from module_sdk.dataframes.polars_frames import Scanned
from module_sdk.testing import run

TABLE = pa.table(
    {"i": range(1000), "s": [str(at) for at in range(1000)], "t": pa.array(range(1000), pa.timestamp("s"))}
)


def scanned(table: pa.Table = TABLE) -> tuple[pl.LazyFrame, Scanned]:
    handed: Handed = adapter_for(pl.LazyFrame).hand_over(table)
    return handed.native, handed.before


QUERIES: dict[str, tuple[Any, set[str], list[int]]] = {
    "one column": (lambda f: f.select("i"), {"i"}, list(range(1000))),
    "filter": (lambda f: f.filter(pl.col("i") > 997).select("i"), {"i"}, [998, 999]),
    "filter by another": (lambda f: f.filter(pl.col("s") == "7").select("i"), {"i", "s"}, [7]),
    "head": (lambda f: f.head(2).select("i"), {"i"}, [0, 1]),
    "head of some": (lambda f: f.filter(pl.col("i") > 5).head(2).select("i"), {"i"}, [6, 7]),
    "some of a head": (lambda f: f.head(3).filter(pl.col("i") > 1).select("i"), {"i"}, [2]),
    "tail": (lambda f: f.tail(2).select("i"), {"i"}, [998, 999]),
    "slice": (lambda f: f.slice(5, 2).select("i"), {"i"}, [5, 6]),
    "sum": (lambda f: f.select(pl.col("i").sum()), {"i"}, [499_500]),
    "twice": (lambda f: pl.concat([f, f]).select(pl.col("i").sum()), {"i"}, [999_000]),
    "join": (lambda f: f.join(f, on="i").select("i").sort("i").head(2), {"i"}, [0, 1]),
}


@pytest.mark.parametrize("name", QUERIES)
@pytest.mark.parametrize("engine", ["in-memory", "streaming"])
def test_query_reads_the_columns_that_it_asks_for(name: str, engine: Any) -> None:
    query, columns, rows = QUERIES[name]
    frame, source = scanned()
    assert query(frame).collect(engine=engine).to_series().to_list() == rows
    assert source.columns.keys() == columns


def test_query_of_nothing_but_rows() -> None:
    frame, _ = scanned()
    assert frame.select(pl.len()).collect().item() == 1000
    assert scanned(TABLE.select([]))[0].collect().height == 1000


def test_schema_of_a_lazy_frame_needs_no_data() -> None:
    frame, source = scanned()
    assert frame.collect_schema() == pl.DataFrame(TABLE).schema
    assert not source.columns


@pytest.fixture
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "LARGE_BYTES", 0)


LARGE: dict[str, tuple[Any, Any]] = {
    "lazy": (pl.LazyFrame, lambda f: f.filter(pl.col("i") >= 10).with_columns(pl.col("t") + pl.duration(hours=1))),
    "relation": (
        duckdb.DuckDBPyRelation,
        lambda r: r.filter("i >= 10").project("* replace (t + interval 1 hour as t)"),
    ),
}


@pytest.mark.usefixtures("everything_is_large")
@pytest.mark.parametrize("name", LARGE)
def test_result_of_a_large_table_comes_in_parts(name: str) -> None:
    frame, query = LARGE[name]
    handed = adapter_for(frame).hand_over(TABLE)
    reader = from_native(query(handed.native), given=[handed])
    assert isinstance(reader, pa.RecordBatchReader)
    table = reader.read_all()
    assert table.num_rows == 990
    assert sorted(table["i"].to_pylist()) == list(range(10, 1000))
    assert table.schema.field("s").type == pa.string()


@pytest.mark.usefixtures("everything_is_large")
@pytest.mark.parametrize("frame", [pl.LazyFrame, duckdb.DuckDBPyRelation])
def test_large_query_without_rows_has_its_columns(frame: Any) -> None:
    handed = adapter_for(frame).hand_over(TABLE)
    empty = handed.native.filter(pl.col("i") < 0) if frame is pl.LazyFrame else handed.native.filter("i < 0")
    reader = from_native(empty, given=[handed])
    assert reader.schema.names == TABLE.column_names
    assert reader.read_all().num_rows == 0


@pytest.mark.usefixtures("everything_is_large")
def test_large_table_is_scanned_in_batches() -> None:
    frame, source = scanned(pa.concat_tables([TABLE] * 600))
    sums = frame.group_by(pl.col("i") % 2).agg(pl.len()).sort("i").collect(engine="streaming")
    assert sums["len"].to_list() == [300_000, 300_000]
    assert not source.columns


PARTS = pa.table({"i": TABLE["i"], "s": TABLE["s"], "l": pa.array([[str(at)] for at in range(1000)])})


def doubled(one: Any) -> Any:
    if isinstance(one, pa.RecordBatch):
        return one
    return one.copy() if isinstance(one, pd.DataFrame) else one.with_columns(pl.col("i") * 2)


@pytest.mark.parametrize("frame", [pa.RecordBatch, pd.DataFrame, pl.DataFrame])
def test_stream_of_frames_keeps_types(frame: Any) -> None:
    def double(rows: Iterator[frame]) -> Iterator[frame]:
        for one in rows:
            yield doubled(one)

    double.__annotations__["rows"] = Iterator[frame]
    table = run(module("a.double")(double), PARTS)
    assert table.schema == PARTS.schema
    assert table.num_rows == 1000


def test_reader_is_taken_and_given_back() -> None:
    @module("a.reader")
    def reader(rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(rows.schema, (batch.slice(1) for batch in rows))

    assert run(reader, TABLE).num_rows == 999
