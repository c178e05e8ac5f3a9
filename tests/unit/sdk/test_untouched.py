"""Columns that came back as they went in are recognised; anything else is not."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from module_sdk.executor.untouched import place_of, untouched

COLUMNS: dict[str, pa.Array] = {
    "numbers": pa.array([1, 2, None, 4]),
    "text": pa.array(["a", None, "c", "dd"]),
    "codes": pa.array(["a", "b", "a", "b"]).dictionary_encode(),
    "lists": pa.array([[1], [], None, [2, 3]]),
    "structs": pa.array([{"a": 1, "b": "x"}, {"a": 2, "b": None}, None, {"a": 4, "b": "y"}]),
    "maps": pa.array([[("k", 1)], [], None, [("l", 2)]], pa.map_(pa.string(), pa.int64())),
    "fixed": pa.array([[1, 2], [3, 4], [5, 6], [7, 8]], pa.list_(pa.int64(), 2)),
    "flags": pa.array([True, False, None, True]),
}
TABLE = pa.table(COLUMNS)


def copy_of(array: pa.Array) -> pa.Array:
    return pa.concat_arrays([array.slice(0, 2), array.slice(2)])


@pytest.mark.parametrize("name", COLUMNS)
def test_the_same_column_is_recognised_under_any_name(name: str) -> None:
    table = pa.table({"other": TABLE[name], name: TABLE[name]})
    assert untouched(table, TABLE, TABLE.column_names) == {"other": name, name: name}


@pytest.mark.parametrize("name", COLUMNS)
def test_an_equal_copy_is_another_column(name: str) -> None:
    table = pa.table({name: copy_of(COLUMNS[name])})
    assert table[name].equals(TABLE[name])
    assert untouched(table, TABLE, TABLE.column_names) == {}


@pytest.mark.parametrize("name", COLUMNS)
@given(start=st.integers(0, 3), length=st.integers(0, 4))
def test_a_slice_is_another_column_unless_it_is_all_of_it(name: str, start: int, length: int) -> None:
    column = TABLE[name].slice(start, length)
    same = place_of(column) == place_of(TABLE[name])
    assert same == (len(column) == 4)


def test_moved_children_are_another_column() -> None:
    child = pa.array([0, 1, 2, 3, 4])
    one = pa.StructArray.from_arrays([child.slice(0, 4)], ["a"])
    two = pa.StructArray.from_arrays([child.slice(1, 4)], ["a"])
    assert place_of(pa.chunked_array([one])) != place_of(pa.chunked_array([two]))


def test_another_type_over_the_same_bytes_is_another_column() -> None:
    numbers = pa.array([1, 2, 3])
    viewed = numbers.view(pa.timestamp("us"))
    assert place_of(pa.chunked_array([numbers])) != place_of(pa.chunked_array([viewed]))


def test_another_dictionary_is_another_column() -> None:
    codes = pa.array([0, 1], pa.int8())
    one = pa.DictionaryArray.from_arrays(codes, pa.array(["a", "b"]))
    two = pa.DictionaryArray.from_arrays(codes, pa.array(["c", "d"]))
    assert place_of(pa.chunked_array([one])) != place_of(pa.chunked_array([two]))


@pytest.mark.parametrize("chunks", [[pa.nulls(4)], []])
def test_a_column_without_bytes_proves_nothing(chunks: list[Any]) -> None:
    assert place_of(pa.chunked_array(chunks, pa.null())) is None
    empty = TABLE.slice(0, 0)
    assert untouched(empty, empty, empty.column_names) == {}


def test_only_columns_that_were_handed_over_count() -> None:
    assert untouched(TABLE, TABLE, ["numbers"]) == {"numbers": "numbers"}
