import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest

from module_sdk import DataError
from module_sdk.testing import run
from modules.table_derive import derive

TABLE = pa.table(
    {
        "a": pa.array([7, None, 9], pa.int64()),
        "b": pa.array([2, 3, 0], pa.int32()),
        "s": pa.array(["x", "y", None]).dictionary_encode(),
        "at": pa.array([dt.datetime(2026, 1, 1, 23, tzinfo=dt.UTC)] * 3, pa.timestamp("ms", "America/New_York")),
        "d": pa.array([Decimal("1.50")] * 3, pa.decimal128(10, 2)),
    }
)


def test_new_columns_follow_the_others_and_a_known_name_replaces_in_place() -> None:
    out = run(derive, TABLE, columns={"total": "a * b", "b": "b + 1"})
    assert out.column_names == ["a", "b", "s", "at", "d", "total"]
    assert out.column("total").to_pylist() == [14, None, 0]
    assert out.column("b").to_pylist() == [3, 4, 1]


def test_expressions_see_the_columns_as_they_came_in() -> None:
    assert run(derive, TABLE, columns={"a": "0", "c": "a + 1"}).column("c").to_pylist() == [8, None, 10]


def test_untouched_columns_are_the_same_objects_in_memory() -> None:
    out = run(derive, TABLE, columns={"x": "a + 1"})
    for name in TABLE.column_names:
        ours, theirs = TABLE.column(name).chunk(0).buffers(), out.column(name).chunk(0).buffers()
        assert [b and b.address for b in ours] == [b and b.address for b in theirs]


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("a / b", pa.float64()),
        ("a // nullif(b, 0)", pa.int64()),
        ("a > 1", pa.bool_()),
        ("s", pa.string()),
        ("upper(s)", pa.string()),
        ('hour("at")', pa.int64()),
        ('"at" + INTERVAL 1 DAY', pa.timestamp("us", "UTC")),
        ('CAST("at" AS date)', pa.date32()),
        ("d", pa.decimal128(10, 2)),
        ("CAST(a AS hugeint)", pa.int64()),
        ("list_sum([a, b])", pa.int64()),
        ("[a, b]", pa.list_(pa.int64())),
        ("{'a': a}", pa.struct({"a": pa.int64()})),
        ("to_json([a])", pa.string()),
        ("NULL", pa.null()),
        ("1", pa.int32()),
    ],
)
def test_results_have_exact_types(expression: str, kind: pa.DataType) -> None:
    out = run(derive, TABLE, columns={"x": expression})
    assert out.schema.field("x").type == kind
    assert out.num_rows == TABLE.num_rows


def test_division_by_zero_is_infinite_with_a_slash_and_null_with_try() -> None:
    out = run(derive, TABLE, columns={"float": "a / b", "integer": "TRY(a // b)"})
    assert out.column("float").to_pylist() == [3.5, None, float("inf")]
    assert out.column("integer").to_pylist() == [3, None, None]


def test_a_constant_has_a_value_for_each_row_also_of_no_row() -> None:
    assert run(derive, TABLE, columns={"x": "'k'"}).column("x").to_pylist() == ["k"] * 3
    assert run(derive, TABLE.slice(0, 0), columns={"x": "'k'"}).column("x").to_pylist() == []


def test_names_may_be_anything() -> None:
    table = pa.table({'we"ird; --': [1, 2], "result": [3, 4], "row_number_": [5, 6]})
    out = run(derive, table, columns={"SELECT 1; --": '"we""ird; --" + result + row_number_'})
    assert out.column("SELECT 1; --").to_pylist() == [9, 12]


def test_the_failing_expression_is_named() -> None:
    with pytest.raises(DataError, match=r"^columns\.bad: the expression 'a // b': Division by zero"):
        run(derive, TABLE, columns={"good": "a + b", "bad": "a // b"})


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("CAST(a AS hugeint) * 9223372036854775807 * 2", "an integer over 64 bits"),
        ("CAST(a AS variant)", "gives the type VARIANT"),
        ("count(*)", "aggregates many rows"),
    ],
)
def test_results_that_are_no_column_are_refused(expression: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(derive, TABLE, columns={"x": expression})


def test_a_column_called_like_a_word_of_sql_is_written_in_quotes() -> None:
    with pytest.raises(DataError, match='if at is meant as a column, write "at" in double quotes'):
        run(derive, TABLE, columns={"x": "hour(at)"})


def test_a_column_needs_a_name() -> None:
    with pytest.raises(DataError, match="a column needs a name"):
        run(derive, TABLE, columns={"": "1"})
