from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from module_sdk import DataError
from module_sdk.testing import run
from modules.table_sort import SortKey, sort

rows = st.lists(st.tuples(st.none() | st.integers(0, 3), st.none() | st.sampled_from("abC")), max_size=30)


def test_the_first_key_counts_most_and_a_minus_turns_it_round() -> None:
    table = {"a": [1, 2, 1, 2], "b": ["x", "y", "z", "w"]}
    assert run(sort, {"table": table}, by=["-a", "b"]).to_pydict() == {"a": [2, 2, 1, 1], "b": ["w", "y", "x", "z"]}


def test_nulls_come_last_in_both_directions_and_nan_just_before() -> None:
    table = pa.table({"x": [2.0, None, float("nan"), 1.0]})
    assert str(run(sort, table, by=["x"]).column("x").to_pylist()) == "[1.0, 2.0, nan, None]"
    assert str(run(sort, table, by=["-x"]).column("x").to_pylist()) == "[2.0, 1.0, nan, None]"


def test_a_name_that_starts_with_a_minus_has_a_long_form() -> None:
    table = pa.table({"-x": [1, 2]})
    assert run(sort, table, by=[{"column": "-x", "descending": True}]).to_pydict() == {"-x": [2, 1]}


def test_every_column_keeps_its_type() -> None:
    table = pa.table({"s": pa.array(["b", "a"]).dictionary_encode(), "l": pa.array([[1], None], pa.list_(pa.int8()))})
    assert run(sort, table, by=["s"]).schema.equals(table.schema)
    assert run(sort, table, by=["s"]).column("s").to_pylist() == ["a", "b"]


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (["y"], "no column 'y'"),
        (["x", "-x"], "named twice"),
        (["l"], r"cannot be sorted by 'l' \(list"),
    ],
)
def test_what_cannot_be_sorted_by_is_refused(by: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(sort, pa.table({"x": [1], "l": [[1]]}), by=by)


@given(rows, st.booleans(), st.booleans())
def test_it_is_stable_and_sorts_as_python_does(given_rows: list[Any], first_down: bool, second_down: bool) -> None:
    table = pa.table(
        {
            "a": pa.array([a for a, _ in given_rows], pa.int32()),
            "b": pa.array([b for _, b in given_rows], pa.string()),
            "n": pa.array(range(len(given_rows)), pa.int64()),
        }
    )
    order = list(range(len(given_rows)))
    for column, down in ((1, second_down), (0, first_down)):  # the least important key first: Python's sort is stable
        known = [index for index in order if given_rows[index][column] is not None]
        nulls = [index for index in order if given_rows[index][column] is None]
        groups: dict[Any, list[int]] = {}
        for index in known:
            groups.setdefault(given_rows[index][column], []).append(index)
        order = [index for key in sorted(groups, reverse=down) for index in groups[key]] + nulls
    by = [SortKey(column="a", descending=first_down), SortKey(column="b", descending=second_down)]
    assert run(sort, table, by=by).column("n").to_pylist() == order
