"""Figures of columns: right for every type, and never an error."""

from __future__ import annotations

import datetime
import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.reader import answers
from gateway.reader.histogram import BINS, bins_of
from plugmesh.data.table import write_table
from plugmesh.objects.local import LocalStore
from plugmesh.runtime import SystemRuntime


class Views:
    """A store with tables, asked as a reader process asks it."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalStore(folder, SystemRuntime())
        self._tables = 0

    def stats(self, table: pa.Table, rows_per_fragment: int = 2, **request: Any) -> dict[str, Any]:
        self._tables += 1
        reference = write_table(self.store, f"runs/t/{self._tables}", table, max_rows_per_fragment=rows_per_fragment)
        question = {"op": "stats", "reference": reference.model_dump(mode="json"), "limit_columns": 100, **request}
        answer = answers.answer(self.store, question)
        assert isinstance(answer, bytes)
        found: dict[str, Any] = json.loads(answer)
        return found

    def column(self, array: pa.Array) -> dict[str, Any]:
        (column,) = self.stats(pa.table({"x": array}))["columns"]
        return column  # type: ignore[no-any-return]


@pytest.fixture
def views(tmp_path: Path) -> Views:
    return Views(tmp_path)


def test_numbers_have_range_mean_distinct_and_histogram(views: Views) -> None:
    column = views.column(pa.array([3, 1, None, 2, 3], pa.int64()))
    assert column == {
        "name": "x",
        "type": "int64",
        "nulls": 1,
        "distinct": 3,
        "distinct_exact": True,
        "min": 1,
        "max": 3,
        "mean": 2.25,
        "histogram": [
            {"from": 1, "to": 2, "count": 1},
            {"from": 2, "to": 3, "count": 1},
            {"from": 3, "to": 3, "count": 2},
        ],
    }


def test_nan_and_infinities_are_counted_and_nothing_else_counts_them_in(views: Views) -> None:
    column = views.column(pa.array([math.nan, math.inf, -math.inf, 1.0, 2.0, None]))
    assert (column["nan"], column["infinite"], column["nulls"]) == (1, 2, 1)
    assert (column["min"], column["max"], column["mean"]) == (1.0, 2.0, 1.5)
    assert sum(part["count"] for part in column["histogram"]) == 2


def test_a_column_of_nothing_but_nan_has_no_range(views: Views) -> None:
    column = views.column(pa.array([math.nan, None]))
    assert (column["nan"], column["min"], column["mean"], column["histogram"]) == (1, None, None, [])


def test_text_has_its_most_frequent_values_and_long_ones_are_cut(views: Views) -> None:
    column = views.column(pa.array(["b", "a", "b", None, "x" * 1000]))
    assert column["top"][0] == {"value": "b", "count": 2}
    assert (column["distinct"], column["min"], column["max"]) == (3, "a", "x" * 199 + "…")


@pytest.mark.parametrize("kind", [pa.dictionary(pa.int8(), pa.string()), pa.string_view(), pa.large_string()], ids=str)
def test_text_of_any_kind_is_text(views: Views, kind: pa.DataType) -> None:
    column = views.column(pa.array(["a", "b", None, "a"], kind))
    assert column["top"] == [{"value": "a", "count": 2}, {"value": "b", "count": 1}]
    assert (column["nulls"], column["type"]) == (1, str(kind))


def test_times_have_a_range_and_a_histogram_in_their_own_form(views: Views) -> None:
    at = [datetime.datetime(2026, 1, day, tzinfo=datetime.UTC) for day in (1, 11)]
    column = views.column(pa.array(at, pa.timestamp("s", "Europe/Paris")))
    assert (column["min"], column["max"]) == ("2026-01-01T00:00:00Z", "2026-01-11T00:00:00Z")
    assert (column["histogram"][0]["from"], column["histogram"][-1]["to"]) == (column["min"], column["max"])
    assert (column["mean"], sum(part["count"] for part in column["histogram"])) == (None, 2)


def test_lists_maps_and_bytes_have_lengths(views: Views) -> None:
    for array in (
        pa.array([[1], None, [1, 2, 3]]),
        pa.array([[("a", 1)], None, [("a", 1), ("b", 2), ("c", 3)]], pa.map_(pa.string(), pa.int8())),
        pa.array([b"a", None, b"abc"]),
    ):
        column = views.column(array)
        assert (column["nulls"], column["lengths"]) == (1, {"min": 1, "max": 3, "mean": 2.0})
    assert views.column(pa.array([{"a": 1}, None]))["nulls"] == 1


KINDS: list[tuple[pa.DataType, Any]] = [
    (pa.null(), None),
    (pa.bool_(), True),
    (pa.uint64(), 2**64 - 1),
    (pa.int64(), -(2**63)),
    (pa.float16(), 1.0),
    (pa.float32(), math.nan),
    (pa.decimal32(5, 2), Decimal("1.10")),
    (pa.decimal128(38, 2), Decimal("1.10")),
    (pa.decimal256(76, 2), Decimal("1.10")),
    (pa.date32(), datetime.date(1, 1, 1)),
    (pa.date64(), datetime.date(9999, 1, 1)),
    (pa.time32("ms"), datetime.time(1)),
    (pa.time64("ns"), datetime.time(1)),
    (pa.timestamp("ns", "Asia/Tokyo"), -(2**63) + 1),
    (pa.duration("us"), -5),
    (pa.month_day_nano_interval(), (1, 2, 3)),
    (pa.binary_view(), b"\xff"),
    (pa.binary(2), b"ab"),
    (pa.list_(pa.int8(), 2), [1, 2]),
    (pa.list_view(pa.int8()), [1]),
    (pa.struct([("a", pa.int8())]), {"a": 1}),
    (pa.uuid(), b"0" * 16),
]


@pytest.mark.parametrize(("kind", "value"), KINDS, ids=lambda part: str(part)[:30])
def test_no_type_is_an_error(views: Views, kind: pa.DataType, value: Any) -> None:
    for values in ([value, None, value], [None], []):
        column = views.column(pa.array(values, kind))
        assert "message" not in column
        assert column["nulls"] == values.count(None)
    if "distinct_exact" in column:
        assert views.column(pa.array([value, None, value], kind))["distinct"] == 1


def test_an_empty_table_and_one_without_columns_have_figures(views: Views) -> None:
    assert views.stats(pa.table({"x": pa.array([], pa.int64())}))["columns"][0]["histogram"] == []
    nothing = views.stats(pa.table({"x": [1, 2]}).select([]))
    assert (nothing["rows"], nothing["columns"]) == (2, [])


def test_many_distinct_values_are_estimated_and_frequent_ones_still_found(views: Views) -> None:
    table = pa.table({"x": pa.concat_arrays([pa.arange(0, 60_000).cast(pa.string()), pa.array(["often"] * 9_000)])})
    (column,) = views.stats(table, 30_000)["columns"]
    assert not column["distinct_exact"]
    assert 45_000 < column["distinct"] < 80_000
    assert column["top"][0] == {"value": "often", "count": 9_000}


def test_of_a_wide_table_the_first_columns_are_measured(views: Views) -> None:
    found = views.stats(pa.table({f"c{n}": [n] for n in range(10_000)}), limit_columns=3)
    assert [column["name"] for column in found["columns"]] == ["c0", "c1", "c2"]
    assert found["columns_left_out"] == 9_997
    assert found["message"] == "the first 3 of 10,000 columns are measured: name others with columns=a,b"
    named = views.stats(pa.table({f"c{n}": [n] for n in range(10)}), columns=["c9"])
    assert [column["max"] for column in named["columns"]] == [9]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=50))
def test_integers_are_in_the_bin_whose_edges_hold_them(values: list[int]) -> None:
    bins = bins_of(pa.scalar(min(values), pa.int64()), pa.scalar(max(values), pa.int64()))
    bins.add(pa.chunked_array([pa.array(values, pa.int64())]))
    edges, counts = bins.edges(), bins.counts()
    assert len(edges) == len(counts) + 1 <= BINS + 1
    assert (edges[0], edges[-1]) == (min(values), max(values))
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        last = high == edges[-1]
        assert count == sum(low <= value < high or (last and value == high) for value in values)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_every_float_is_in_some_bin(values: list[float]) -> None:
    bins = bins_of(pa.scalar(min(values)), pa.scalar(max(values)))
    bins.add(pa.chunked_array([pa.array(values, pa.float64())]))
    assert sum(bins.counts()) == len(values)
    assert all(math.isfinite(edge) for edge in bins.edges())
