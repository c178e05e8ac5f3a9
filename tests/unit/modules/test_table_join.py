import datetime as dt
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from module_sdk import DataError
from module_sdk.testing import run
from modules.table_join import join

LEFT = pa.table({"carrier": ["UA", "ZZ", None, "UA"], "n": [1, 2, 3, 4]})
RIGHT = pa.table({"carrier": ["AA", "UA", None, "UA"], "name": ["American", "United", "nobody", "again"]})

keys = st.none() | st.integers(0, 3)
sides = st.lists(keys, max_size=12)


def joined(how: str, **params: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = run(join, {"left": LEFT, "right": RIGHT}, on="carrier", how=how, **params).to_pylist()
    return rows


def test_an_inner_join_has_the_matches_in_the_order_of_left_then_right() -> None:
    assert joined("inner") == [
        {"carrier": "UA", "n": 1, "name": "United"},
        {"carrier": "UA", "n": 1, "name": "again"},
        {"carrier": "UA", "n": 4, "name": "United"},
        {"carrier": "UA", "n": 4, "name": "again"},
    ]


def test_a_left_join_keeps_rows_of_left_without_a_match_and_null_matches_nothing() -> None:
    assert [(row["n"], row["name"]) for row in joined("left")] == [
        (1, "United"),
        (1, "again"),
        (2, None),
        (3, None),
        (4, "United"),
        (4, "again"),
    ]


def test_a_right_join_appends_rows_of_right_with_their_keys() -> None:
    assert joined("right")[4:] == [
        {"carrier": "AA", "n": None, "name": "American"},
        {"carrier": None, "n": None, "name": "nobody"},
    ]


def test_a_full_join_has_all_rows() -> None:
    assert [row["name"] for row in joined("full")] == [
        "United",
        "again",
        None,
        None,
        "United",
        "again",
        "American",
        "nobody",
    ]


def test_semi_and_anti_joins_split_left_and_have_its_columns_only() -> None:
    assert joined("semi") == [{"carrier": "UA", "n": 1}, {"carrier": "UA", "n": 4}]
    assert joined("anti") == [{"carrier": "ZZ", "n": 2}, {"carrier": None, "n": 3}]


def test_columns_keep_their_types() -> None:
    left = pa.table(
        {
            "k": pa.array(["a", "b"]).dictionary_encode(),
            "at": pa.array([dt.datetime(2026, 1, 1, tzinfo=dt.UTC)] * 2, pa.timestamp("ns", "Asia/Tokyo")),
        }
    )
    right = pa.table(
        {"k": pa.array(["b", "c"], pa.large_string()), "tags": pa.array([["x"], None], pa.list_(pa.string()))}
    )
    for how in ("inner", "left", "right", "full"):
        out = run(join, {"left": left, "right": right}, on="k", how=how)
        assert out.schema.field("at").type == left.schema.field("at").type
        assert out.schema.field("tags").type == right.schema.field("tags").type
        assert out.schema.field("k").type == left.schema.field("k").type
    assert out.column("k").to_pylist() == ["a", "b", "c"]


def test_where_each_row_of_left_stays_in_place_its_columns_are_not_copied() -> None:
    out = run(
        join, {"left": LEFT, "right": pa.table({"carrier": ["UA"], "name": ["United"]})}, on="carrier", how="left"
    )
    assert out.column("n").chunk(0).buffers()[1].address == LEFT.column("n").chunk(0).buffers()[1].address


def test_keys_may_have_different_names_and_be_several() -> None:
    left = pa.table({"a": [1, 1, 2], "b": ["x", "y", "x"]})
    right = pa.table({"k": pa.array([1, 2], pa.int16()), "b": ["y", "x"], "c": [10, 20]})
    out = run(join, {"left": left, "right": right}, on={"a": "k", "b": "b"})
    assert out.to_pylist() == [{"a": 1, "b": "y", "c": 10}, {"a": 2, "b": "x", "c": 20}]


def test_names_that_both_have_get_a_suffix() -> None:
    right = pa.table({"carrier": ["ZZ"], "n": [9]})
    assert run(join, {"left": LEFT, "right": right}, on="carrier").column_names == ["carrier", "n", "n_right"]
    out = run(join, {"left": LEFT, "right": right}, on="carrier", suffix="2")
    assert out.column_names == ["carrier", "n", "n2"]


@pytest.mark.parametrize("how", ["inner", "left", "right", "full", "semi", "anti"])
def test_sides_without_rows_keep_their_columns(how: str) -> None:
    full = run(join, {"left": LEFT, "right": RIGHT}, on="carrier", how=how)
    empty = run(join, {"left": LEFT.slice(0, 0), "right": RIGHT.slice(0, 0)}, on="carrier", how=how)
    assert empty.num_rows == 0
    assert empty.schema.equals(full.schema)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"on": "carier"}, r"the input 'left' has no column 'carier' \(did you mean 'carrier'\?\)"),
        ({"on": {"carrier": "nam"}}, r"the input 'right' has no column 'nam' \(did you mean 'name'\?\)"),
        ({"on": []}, "at least one column"),
        ({"on": ["carrier", "carrier"]}, "named twice"),
        ({"on": {"n": "name"}}, "'n' of 'left' is int64, but 'name' of 'right' is string"),
    ],
)
def test_keys_that_do_not_fit_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(join, {"left": LEFT, "right": RIGHT}, **params)


def test_a_suffix_that_makes_a_name_twice_is_refused() -> None:
    left = pa.table({"k": [1], "v": [1], "v_right": [1]})
    with pytest.raises(DataError, match="would be called 'v_right'"):
        run(join, {"left": left, "right": pa.table({"k": [1], "v": [2]})}, on="k")


def test_keys_of_right_that_left_s_type_cannot_hold_are_refused() -> None:
    left, right = pa.table({"k": pa.array([1], pa.int8())}), pa.table({"k": [1000]})
    with pytest.raises(DataError, match="do not fit the type of 'left'"):
        run(join, {"left": left, "right": right}, on="k", how="full")


def model(left: list[int | None], right: list[int | None], how: str) -> list[tuple[int | None, int | None, int | None]]:
    """Key, row number in left, row number in right."""
    pairs = [[j for j, key in enumerate(right) if key is not None and key == mine] for mine in left]
    out: list[tuple[int | None, int | None, int | None]] = []
    for i, matches in enumerate(pairs):
        out += [(left[i], i, j) for j in matches]
        if not matches and how in ("left", "full"):
            out.append((left[i], i, None))
    if how in ("right", "full"):
        matched = {j for matches in pairs for j in matches}
        out += [(key, None, j) for j, key in enumerate(right) if j not in matched]
    return out


@given(sides, sides, st.sampled_from(["inner", "left", "right", "full"]))
def test_it_joins_what_python_joins(left: list[int | None], right: list[int | None], how: Any) -> None:
    ours = pa.table({"k": pa.array(left, pa.int64()), "i": pa.array(range(len(left)), pa.int64())})
    theirs = pa.table({"k": pa.array(right, pa.int64()), "j": pa.array(range(len(right)), pa.int64())})
    out = run(join, {"left": ours, "right": theirs}, on="k", how=how)
    assert [(row["k"], row["i"], row["j"]) for row in out.to_pylist()] == model(left, right, how)
