from typing import Any

import pyarrow as pa
import pytest

from module_sdk import DataError
from module_sdk.testing import run
from modules.table_limit import limit
from modules.table_select import select

TABLE = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [1.0, 2.0, 3.0]})


def address(table: pa.Table, name: str) -> int:
    return int(table.column(name).chunk(0).buffers()[-1].address)


def test_columns_are_chosen_in_the_order_given() -> None:
    assert run(select, TABLE, columns=["c", "a"]).column_names == ["c", "a"]


def test_columns_are_dropped_and_renamed() -> None:
    out = run(select, TABLE, drop=["b"], rename={"a": "first"})
    assert out.to_pydict() == {"first": [1, 2, 3], "c": [1.0, 2.0, 3.0]}


def test_two_names_can_be_exchanged() -> None:
    assert run(select, TABLE, rename={"a": "b", "b": "a"}).column_names == ["b", "a", "c"]


def test_the_data_is_not_copied() -> None:
    out = run(select, TABLE, columns=["c", "b"], rename={"b": "text"})
    assert address(out, "c") == address(TABLE, "c")
    assert address(out, "text") == address(TABLE, "b")
    assert run(select, TABLE) is TABLE


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"columns": ["d"]}, "columns: the input 'table' has no column 'd'"),
        ({"columns": ["a", "a"]}, "named twice"),
        ({"drop": ["d"]}, "drop: "),
        ({"rename": {"d": "e"}}, "rename: "),
        ({"rename": {"a": "b"}}, "two columns would be called 'b'"),
        ({"columns": ["a"], "rename": {"b": "c"}}, "is not among those that are kept"),
    ],
)
def test_columns_that_do_not_fit_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(select, TABLE, **params)


@pytest.mark.parametrize(
    ("rows", "offset", "kept"), [(2, 0, [1, 2]), (2, 2, [3]), (0, 0, []), (5, 9, []), (9, 1, [2, 3]), (3, 0, [1, 2, 3])]
)
def test_limit_keeps_some_rows(rows: int, offset: int, kept: list[int]) -> None:
    assert run(limit, TABLE, rows=rows, offset=offset).column("a").to_pylist() == kept


def test_limit_hands_a_shorter_table_on_as_it_is() -> None:
    assert run(limit, TABLE, rows=3) is TABLE
    assert address(run(limit, TABLE, rows=2), "a") == address(TABLE, "a")
