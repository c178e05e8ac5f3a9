import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from module_sdk import DataError
from module_sdk.testing import run
from modules.table_filter import filter_rows

MIXED = pa.table(
    {
        "carrier": pa.array(["UA", "AA", None, "UA"]).dictionary_encode(),
        "price": pa.array([Decimal("1.10"), Decimal("2.20"), None, Decimal("4.40")], pa.decimal128(10, 2)),
        "at": pa.array(
            [dt.datetime(2026, 1, 1, hour, tzinfo=dt.UTC) for hour in range(4)], pa.timestamp("ns", "America/New_York")
        ),
        "tags": pa.array([["a"], [], None, ["b", None]], pa.list_(pa.large_string())),
        "half": pa.array([1.0, 2.0, None, 4.0], pa.float16()),
    }
)

rows = st.lists(
    st.fixed_dictionaries({"a": st.none() | st.integers(-3, 3), "b": st.none() | st.sampled_from(["x", "y"])}),
    max_size=30,
)


def test_rows_for_which_the_condition_is_true_are_kept() -> None:
    kept = run(filter_rows, {"table": {"a": [1, None, 3, 4], "b": ["x", "y", "y", None]}}, where="a > 2 AND b = 'y'")
    assert kept.to_pydict() == {"a": [3], "b": ["y"]}


def test_untouched_columns_keep_their_types_also_those_that_sql_does_not_have() -> None:
    kept = run(filter_rows, MIXED, where="carrier = 'UA'")
    assert kept.schema.equals(MIXED.schema)
    assert kept.equals(MIXED.take([0, 3]))


def test_a_word_that_a_dictionary_does_not_have_is_no_error() -> None:
    assert run(filter_rows, MIXED, where="carrier = 'ZZ'").num_rows == 0


def test_where_every_row_stays_the_very_table_is_handed_on() -> None:
    assert run(filter_rows, MIXED, where="price IS NULL OR price > 0") is MIXED


def test_a_table_without_rows_stays_one() -> None:
    assert run(filter_rows, MIXED.slice(0, 0), where="price > 1").schema.equals(MIXED.schema)


def test_a_table_in_several_chunks_is_one_table() -> None:
    chunked = pa.concat_tables([pa.table({"a": [1, 2]}), pa.table({"a": [3]}), pa.table({"a": [4, 5]})])
    assert run(filter_rows, chunked, where="a % 2 = 1").to_pydict() == {"a": [1, 3, 5]}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("a", "gives int64 values, not true or false"),
        ("b", "gives string values, not true or false"),
        ("a // 0 = 1", "Division by zero"),
        ("b > 1", "an explicit cast is required"),
        ("lower(a) = 'x'", "it takes lower"),
        ("CAST(b AS int) = 1", "Could not convert string 'x'"),
        ("abs(a * 9223372036854775807) > 0", "Overflow"),
        ("regexp_matches(b, '(')", "missing )"),
        ("CAST(a AS no_type) = 1", "no_type"),
        ("a.field = 1", "Cannot extract field"),
        ("lambda x: x", "lambda"),
    ],
)
def test_what_cannot_be_computed_names_the_expression(where: str, message: str) -> None:
    with pytest.raises(DataError) as failed:
        run(filter_rows, {"table": {"a": [1, 2], "b": ["x", "y"]}}, where=where)
    assert str(failed.value).startswith(f"where: the expression {where!r}")
    assert message in str(failed.value)
    assert "\n" not in str(failed.value)
    assert failed.value.__cause__ is None


def test_a_column_that_sql_does_not_have_can_stay_but_not_be_named() -> None:
    assert run(filter_rows, MIXED, where="price > 4").num_rows == 1
    with pytest.raises(DataError, match="'half > 1'"):
        run(filter_rows, MIXED, where="half > 1")


@given(rows)
def test_it_keeps_what_python_keeps_in_order(given_rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(given_rows, pa.schema({"a": pa.int64(), "b": pa.string()}))
    wanted = [row for row in given_rows if row["b"] == "x" or (row["a"] is not None and row["a"] > 0)]
    assert run(filter_rows, table, where="b = 'x' OR a > 0").to_pylist() == wanted
