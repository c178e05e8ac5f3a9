"""The order of rows: what Python's own stable sort gives, nulls last, and only the rows that a filter keeps."""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import RequestInvalid
from gateway.reader.order import order
from gateway.reader.tables import take
from plugmesh.contracts.data import DataRef
from plugmesh.data.table import write_table
from plugmesh.objects.local import LocalStore
from plugmesh.runtime import SystemRuntime

RUNTIME = SystemRuntime()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return LocalStore(tmp_path_factory.mktemp("objects"), RUNTIME)


def stored(store: LocalStore, table: pa.Table) -> DataRef:
    return write_table(store, f"runs/t/{RUNTIME.new_id('data')}", table, max_rows_per_fragment=3)


def numbers(answer: bytes) -> list[int]:
    (matched,) = struct.unpack_from("=Q", answer)
    found = memoryview(answer)[8:].cast("I").tolist()
    assert len(found) == matched
    return found


def rows_of(store: LocalStore, table: pa.Table, filter: str | None, *sort: tuple[str, bool]) -> list[int]:
    return numbers(order(store, stored(store, table), filter, sort, 100))


_small = st.one_of(st.none(), st.integers(0, 3))


@given(st.lists(st.tuples(_small, _small), max_size=12), st.booleans(), st.booleans())
def test_rows_are_sorted_by_several_columns_stably_with_nulls_last(
    store: LocalStore, rows: list[tuple[int | None, int | None]], first_down: bool, second_down: bool
) -> None:
    table = pa.table(
        {"a": pa.array([row[0] for row in rows], pa.int8()), "b": pa.array([row[1] for row in rows], pa.int8())}
    )

    def key(place: int) -> Any:
        pairs = zip(rows[place], (first_down, second_down), strict=True)
        return [(value is None, 0 if value is None else -value if down else value) for value, down in pairs]

    found = rows_of(store, table, None, ("a", first_down), ("b", second_down))
    assert found == sorted(range(len(rows)), key=key)


@pytest.mark.parametrize("down", [False, True])
def test_nan_comes_after_all_numbers_and_before_nulls(store: LocalStore, down: bool) -> None:
    found = rows_of(store, pa.table({"x": [None, math.nan, 1.0, 2.0]}), None, ("x", down))
    assert found == ([3, 2, 1, 0] if down else [2, 3, 1, 0])


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["b", "a", None, "c"]).dictionary_encode(),
        pa.array(["b", "a", None, "c"], pa.string_view()),
        pa.array([b"b", b"a", None, b"c"]),
        pa.array([2.0, 1.0, None, 3.0], pa.float16()),
        pa.array([Decimal(2), Decimal(1), None, Decimal(3)], pa.decimal32(5, 2)),
        pa.array([2, 1, None, 3], pa.duration("s")),
    ],
    ids=lambda array: str(array.type)[:20],
)
def test_every_type_with_an_order_can_be_sorted(store: LocalStore, array: pa.Array) -> None:
    assert rows_of(store, pa.table({"x": array}), None, ("x", False)) == [1, 0, 3, 2]


def test_what_has_no_order_is_refused(store: LocalStore) -> None:
    with pytest.raises(
        RequestInvalid, match=r"sort: rows cannot be sorted by 'x': values of type list<.*> have no order"
    ):
        rows_of(store, pa.table({"x": [[1], [2]]}), None, ("x", False))


TABLE = pa.table({"price": [5.0, 1.0, None, 9.0, 7.0], "name": ["a", "b", "c", "d", "e"]})
TABLE = TABLE.append_column("many", pa.array([Decimal(10) ** 60] * 5, pa.decimal256(76, 2)))


def test_only_rows_for_which_the_filter_is_true_are_kept(store: LocalStore) -> None:
    assert rows_of(store, TABLE, "price > 4") == [0, 3, 4]
    assert rows_of(store, TABLE, "price > 4 AND name <> 'd'", ("name", True)) == [4, 0]
    assert rows_of(store, TABLE, "price IS NULL") == [2]
    assert rows_of(store, TABLE, "1 = 1") == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("filter", "message"),
    [
        (
            "pric > 4",
            "filter: the expression 'pric > 4', at character 1: there is no column 'pric' .did you mean 'price'",
        ),
        ("price >", "cannot be read: it ends too early"),
        ("price + 1", "gives double values, not true or false: compare it"),
        ("sum(price) > 1", "aggregates many rows"),
        ("price > (SELECT 1)", "a subquery is not possible"),
        ("read_text('/etc/passwd') = ''", "there is no function 'read_text' here"),
        ("CAST(name AS integer) > 1", "Could not convert string 'a' to INT32"),
        ("many > 1", "names a column that expressions cannot compute with"),
    ],
)
def test_a_filter_that_cannot_be_used_says_why(store: LocalStore, filter: str, message: str) -> None:
    with pytest.raises(RequestInvalid, match=message):
        rows_of(store, TABLE, filter)


def test_columns_to_sort_by_are_checked(store: LocalStore) -> None:
    with pytest.raises(RequestInvalid, match=r"sort: there is no column 'nam' \(did you mean 'name'\?\)"):
        rows_of(store, TABLE, None, ("nam", False))
    with pytest.raises(RequestInvalid, match="sort: the column 'name' is named twice"):
        rows_of(store, TABLE, None, ("name", False), ("name", True))


def test_only_the_first_row_numbers_are_given_but_all_are_counted(store: LocalStore) -> None:
    reference = stored(store, TABLE)
    answer = order(store, reference, None, [("price", True)], 2)
    assert struct.unpack_from("=Q", answer) == (5,)
    assert memoryview(answer)[8:].cast("I").tolist() == [3, 4]


@pytest.mark.parametrize(
    "array",
    [
        pa.array([2.0, 1.0, None], pa.float16()),
        pa.array([Decimal(2000), Decimal(1000), None], pa.decimal128(5, -3)),
        pa.array([Decimal(2), Decimal(1), None], pa.decimal256(76, 2)),
        pa.array([2.0, 1.0, None], pa.float16()).dictionary_encode(),
        pa.RunEndEncodedArray.from_arrays([1, 2, 3], pa.array([2, 1, None])),
    ],
    ids=lambda array: str(array.type)[:20],
)
def test_types_that_the_expressions_do_not_have_can_be_filtered(store: LocalStore, array: pa.Array) -> None:
    assert rows_of(store, pa.table({"x": array}), "x > 1 AND x <> 1000") == [0]


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["a", None, "c" * 20], pa.string_view()),
        pa.array([b"a", None, b"c" * 20], pa.binary_view()),
        pa.RunEndEncodedArray.from_arrays([1, 2, 3], pa.array([5, None, 6])),
        pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])]),
    ],
    ids=lambda array: str(array.type)[:20],
)
def test_rows_of_types_that_arrow_cannot_take_are_taken(store: LocalStore, array: pa.Array) -> None:
    values = array.to_pylist()
    reference = write_table(store, f"runs/t/{RUNTIME.new_id('data')}", pa.table({"x": array}))
    assert take(store, reference, [2, 0, 2], ["x"]).column(0).to_pylist() == [values[2], values[0], values[2]]
    assert take(store, reference, [], ["x"]).num_rows == 0


@settings(max_examples=40)
@given(st.lists(st.integers(0, 19), max_size=30))
def test_rows_are_taken_in_any_order_from_any_fragment(store: LocalStore, at: list[int]) -> None:
    reference = stored(store, pa.table({"x": pa.arange(0, 20), "y": [str(n) for n in range(20)]}))
    found = take(store, reference, at, ["y", "x"])
    assert found.to_pylist() == [{"y": str(n), "x": n} for n in at]
