"""Filters and figures against what plain Python says about the same values."""

from __future__ import annotations

import json
import math
import struct
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.reader import answers
from plugmesh.data.table import write_table
from plugmesh.objects.local import LocalStore
from plugmesh.runtime import SystemRuntime

RUNTIME = SystemRuntime()


class Reader:
    """A store with tables, asked as a reader process is asked."""

    def __init__(self, store: LocalStore) -> None:
        self._store = store

    def ask(self, table: pa.Table, op: str, **question: Any) -> bytes:
        key = f"runs/t/{RUNTIME.new_id('data')}"
        reference = write_table(self._store, key, table, max_rows_per_fragment=4)
        found = answers.answer(self._store, {"op": op, "reference": reference.model_dump(mode="json"), **question})
        assert isinstance(found, bytes)
        return found

    def figures(self, array: pa.Array) -> dict[str, Any]:
        (column,) = json.loads(self.ask(pa.table({"x": array}), "stats", limit_columns=10))["columns"]
        return dict(column)

    def kept(self, table: pa.Table, filter: str, *sort: tuple[str, bool]) -> list[int]:
        found = self.ask(table, "order", filter=filter, sort=sort, limit_rows=100)
        numbers = memoryview(found)[8:].cast("I").tolist()
        assert struct.unpack_from("=Q", found) == (len(numbers),)
        return numbers


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(LocalStore(tmp_path_factory.mktemp("objects"), RUNTIME))


_wholes = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-3, 3))
_floats = st.one_of(st.none(), st.floats(), st.sampled_from([0.0, 1.0, 2.0]))
_texts = st.one_of(st.none(), st.text(max_size=3), st.sampled_from(["a", "b"]))
_some = settings(max_examples=25)


@_some
@given(st.lists(_wholes, max_size=14))
def test_figures_of_integers(reader: Reader, values: list[int | None]) -> None:
    found, there = reader.figures(pa.array(values, pa.int64())), [value for value in values if value is not None]
    assert (found["nulls"], found["distinct"]) == (values.count(None), len(set(there)))
    assert (found["min"], found["max"]) == (min(there, default=None), max(there, default=None))
    assert found["mean"] == (pytest.approx(sum(there) / len(there), rel=1e-9, abs=2e3) if there else None)
    assert sum(part["count"] for part in found["histogram"]) == len(there)


@_some
@given(st.lists(_floats, max_size=14))
def test_figures_of_floats(reader: Reader, values: list[float | None]) -> None:
    found = reader.figures(pa.array(values, pa.float64()))
    finite = [value for value in values if value is not None and math.isfinite(value)]
    assert found["nulls"] == values.count(None)
    assert found["nan"] == sum(value is not None and math.isnan(value) for value in values)
    assert found["infinite"] == sum(value is not None and math.isinf(value) for value in values)
    assert (found["min"], found["max"]) == (min(finite, default=None), max(finite, default=None))
    if finite:
        size = max(map(abs, finite))
        assert found["mean"] == pytest.approx(sum(value / len(finite) for value in finite), rel=1e-9, abs=size * 1e-9)
    assert sum(part["count"] for part in found["histogram"]) == len(finite)


@_some
@given(st.lists(_texts, max_size=14))
def test_figures_of_texts(reader: Reader, values: list[str | None]) -> None:
    found = reader.figures(pa.array(values, pa.string()))
    counts = Counter(value for value in values if value is not None)
    assert (found["nulls"], found["distinct"]) == (values.count(None), len(counts))
    keys = sorted(counts, key=str.encode)  # Arrow compares bytes
    assert (found["min"], found["max"]) == ((keys[0], keys[-1]) if keys else (None, None))
    assert {part["value"]: part["count"] for part in found["top"]}.items() <= counts.items()
    assert [part["count"] for part in found["top"]] == sorted(counts.values(), reverse=True)[:10]


@_some
@given(st.lists(st.tuples(_wholes, _texts), max_size=14), st.integers(-2, 2), st.booleans())
def test_what_a_filter_keeps_and_how_it_is_sorted(
    reader: Reader, rows: list[tuple[int | None, str | None]], least: int, down: bool
) -> None:
    wholes, texts = [row[0] for row in rows], [row[1] for row in rows]
    table = pa.table({"n": pa.array(wholes, pa.int64()), "t": pa.array(texts, pa.string())})
    found = reader.kept(table, f"n >= {least} OR t = 'a'", ("n", down))
    kept = [row for row, (n, t) in enumerate(rows) if (n is not None and n >= least) or t == "a"]
    assert found == sorted(kept, key=lambda row: _place(wholes[row], down))


def _place(value: int | None, down: bool) -> tuple[bool, int]:
    return value is None, 0 if value is None else -value if down else value


def test_the_mean_of_the_largest_floats_is_no_infinity(reader: Reader) -> None:
    assert reader.figures(pa.array([1.5e308, 1.5e308]))["mean"] == pytest.approx(1.5e308)
