"""Columns that came back as they went in are recognised, in whatever pieces; anything else is not."""

from __future__ import annotations

import itertools
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from module_sdk.executor.untouched import Places, Run, is_read_only, place_of

COLUMNS: dict[str, pa.Array] = {
    "numbers": pa.array([1, 2, None, 4]),
    "text": pa.array(["a", None, "c", "dd"]),
    "views": pa.array(["a", None, "c", "a text that is not short"], pa.string_view()),
    "codes": pa.array(["a", "b", "a", "b"]).dictionary_encode(),
    "lists": pa.array([[1], [], None, [2, 3]]),
    "structs": pa.array([{"a": 1, "b": "x"}, {"a": 2, "b": None}, None, {"a": 4, "b": "y"}]),
    "maps": pa.array([[("k", 1)], [], None, [("l", 2)]], pa.map_(pa.string(), pa.int64())),
    "fixed": pa.array([[1, 2], [3, 4], [5, 6], [7, 8]], pa.list_(pa.int64(), 2)),
    "flags": pa.array([True, False, None, True]),
    "deep": pa.array([{"a": [{"b": 1}], "c": 1}, None, {"a": [], "c": 2}, {"a": None, "c": 3}]),
    "uuids": pa.array([bytes(range(16))] * 4, pa.uuid()),
}


def stored(table: pa.Table) -> pa.Table:
    """The same over bytes that nobody can write to."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_stream(pa.py_buffer(sink.getvalue().to_pybytes())).read_all()


TABLE = stored(pa.table(COLUMNS))
PLACES = Places((TABLE,))


def copy_of(array: pa.Array) -> pa.Array:
    return pa.concat_arrays([array.slice(0, 2), array.slice(2)])


def runs_of(column: Any, name: str = "", places: Places = PLACES, field: pa.Field | None = None) -> Any:
    if not isinstance(column, pa.ChunkedArray):
        column = pa.chunked_array([column])
    return places.runs(name, column, field or pa.field(name, column.type))


@pytest.mark.parametrize("name", COLUMNS)
def test_the_same_column_is_recognised_under_any_name(name: str) -> None:
    for called in ("other", name):
        runs = runs_of(TABLE[name], called)
        assert runs == (Run(0, name, 0, 4),)
        assert PLACES.is_whole(runs)
        assert PLACES.proves_rows(runs)


@pytest.mark.parametrize("name", sorted(set(COLUMNS) - {"views"}))
def test_an_equal_copy_is_another_column(name: str) -> None:
    copied = copy_of(TABLE[name].chunk(0))
    assert copied.equals(TABLE[name].chunk(0))
    assert runs_of(copied) is None


@pytest.mark.parametrize("name", COLUMNS)
@given(cuts=st.lists(st.integers(0, 4), max_size=3))
def test_a_column_that_was_cut_and_put_together_again_is_the_same(name: str, cuts: list[int]) -> None:
    ends = [0, *sorted(cuts), 4]
    pieces = [TABLE[name].slice(start, end - start) for start, end in itertools.pairwise(ends)]
    assert runs_of(pa.concat_tables([pa.table({"x": piece}) for piece in pieces])["x"]) == (Run(0, name, 0, 4),)


@pytest.mark.parametrize("name", COLUMNS)
@given(start=st.integers(0, 3), length=st.integers(1, 4))
def test_a_slice_is_a_run_of_rows(name: str, start: int, length: int) -> None:
    rows = min(length, 4 - start)
    runs = runs_of(TABLE[name].slice(start, length))
    assert runs == (Run(0, name, start, rows),)
    assert PLACES.is_whole(runs) == PLACES.proves_rows(runs) == (rows == 4)


def test_pieces_in_another_order_are_other_rows() -> None:
    numbers = TABLE["numbers"]
    swapped = pa.chunked_array([*numbers.slice(2).chunks, *numbers.slice(0, 2).chunks])
    runs = runs_of(swapped)
    assert runs == (Run(0, "numbers", 2, 2), Run(0, "numbers", 0, 2))
    assert not PLACES.is_whole(runs)


def test_the_bytes_of_one_fragment_for_several_prove_no_order_of_rows() -> None:
    chunk = TABLE["numbers"].chunk(0)
    places = Places((pa.table({"x": pa.chunked_array([chunk, chunk])}),))
    runs = runs_of(pa.chunked_array([chunk, chunk]), "x", places)
    assert places.is_whole(runs)
    assert not places.proves_rows(runs)


def test_rows_of_two_tables_one_after_another_are_two_runs() -> None:
    other = stored(pa.table(COLUMNS))
    places = Places((TABLE, other))
    both = pa.concat_tables([other, TABLE])
    assert runs_of(both["text"], "text", places) == (Run(1, "text", 0, 4), Run(0, "text", 0, 4))


def test_moved_children_are_another_column() -> None:
    child = stored(pa.table({"x": [0, 1, 2, 3, 4]}))["x"].chunk(0)
    one = pa.StructArray.from_arrays([child.slice(0, 4)], ["a"])
    two = pa.StructArray.from_arrays([child.slice(1, 4)], ["a"])
    assert place_of(one) != place_of(two)


def test_another_type_over_the_same_bytes_is_another_column() -> None:
    viewed = TABLE["numbers"].chunk(0).view(pa.timestamp("us"))
    assert runs_of(viewed) is None


def test_another_dictionary_is_another_column() -> None:
    codes = stored(pa.table({"x": pa.array([0, 1], pa.int8())}))["x"].chunk(0)
    one, two = (stored(pa.table({"x": texts}))["x"].chunk(0) for texts in (["a", "b"], ["c", "d"]))
    places = Places((pa.table({"x": pa.DictionaryArray.from_arrays(codes, one)}),))
    assert runs_of(pa.DictionaryArray.from_arrays(codes, one), places=places) is not None
    assert runs_of(pa.DictionaryArray.from_arrays(codes, two), places=places) is None


def test_other_nulls_over_the_same_values_are_another_column() -> None:
    values = TABLE["numbers"].chunk(0).buffers()[1]
    assert runs_of(pa.Array.from_buffers(pa.int64(), 4, [None, values])) is None


def test_an_extension_that_only_metadata_name_must_be_the_same() -> None:
    named = pa.field("x", pa.int64(), metadata={"ARROW:extension:name": "a.b"})
    places = Places((pa.table([TABLE["numbers"]], schema=pa.schema([named])),))
    assert runs_of(TABLE["numbers"], "x", places, named) is not None
    assert runs_of(TABLE["numbers"], "x", places, pa.field("x", pa.int64())) is None
    assert runs_of(TABLE["numbers"], "x", places, named.with_metadata({**named.metadata, "more": "1"})) is not None


def test_bytes_that_can_be_written_to_prove_nothing() -> None:
    for name, array in COLUMNS.items():
        assert not is_read_only(array), name
        assert is_read_only(TABLE[name].chunk(0)), name
        writable = pa.table({name: array})
        assert runs_of(writable[name], name, Places((writable,))) is None
        assert runs_of(writable[name], name, Places((writable,), trusted=True)) is not None


@pytest.mark.parametrize("chunks", [[pa.nulls(4)], []])
def test_a_column_without_bytes_proves_nothing(chunks: list[Any]) -> None:
    column = pa.chunked_array(chunks, pa.null())
    assert runs_of(column, "x", Places((pa.table({"x": column}),))) is None
    assert runs_of(TABLE["numbers"].slice(0, 0)) is None
