import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from module_sdk import DataError
from module_sdk.testing import run
from modules.table_aggregate import aggregate

FLIGHTS = pa.table(
    {
        "carrier": pa.array(["UA", "AA", "UA", None, "AA"]).dictionary_encode(),
        "day": pa.array([dt.datetime(2026, 1, 1, tzinfo=dt.UTC)] * 5, pa.timestamp("s", "America/New_York")),
        "delay": pa.array([10, None, 20, 5, 7], pa.int16()),
        "fare": pa.array([Decimal("1.50")] * 5, pa.decimal128(5, 2)),
    }
)

rows = st.lists(
    st.fixed_dictionaries(
        {
            "k": st.none() | st.integers(0, 2),
            "g": st.none() | st.sampled_from("xy"),
            "v": st.none() | st.integers(-9, 9),
        }
    ),
    max_size=40,
)


def test_groups_stand_in_order_of_first_appearance_and_null_is_one() -> None:
    out = run(aggregate, FLIGHTS, by=["carrier"], measures={"n": "count(*)", "mean": "avg(delay)"})
    assert out.to_pydict() == {"carrier": ["UA", "AA", None], "n": [2, 2, 1], "mean": [15.0, 7.0, 5.0]}


def test_group_columns_keep_their_types_and_measures_have_exact_ones() -> None:
    measures = {
        "n": "count(delay)",
        "total": "sum(delay)",
        "mean": "avg(delay)",
        "most": "max(delay)",
        "fares": "sum(fare)",
        "all": "list(delay)",
    }
    out = run(aggregate, FLIGHTS, by=["day", "carrier"], measures=measures)
    assert out.schema.field("day").type == FLIGHTS.schema.field("day").type
    assert out.schema.field("carrier").type == FLIGHTS.schema.field("carrier").type
    assert [out.schema.field(name).type for name in measures] == [
        pa.int64(),
        pa.int64(),
        pa.float64(),
        pa.int16(),
        pa.decimal128(38, 2),
        pa.list_(pa.int16()),
    ]


def test_without_by_there_is_one_row_also_of_no_rows() -> None:
    out = run(aggregate, FLIGHTS.slice(0, 0), measures={"n": "count(*)", "total": "sum(delay)"})
    assert out.to_pylist() == [{"n": 0, "total": None}]


def test_with_by_no_rows_make_no_groups() -> None:
    out = run(aggregate, FLIGHTS.slice(0, 0), by=["carrier"], measures={"n": "count(*)"})
    assert out.num_rows == 0
    assert out.schema.field("carrier").type == FLIGHTS.schema.field("carrier").type


def test_without_measures_it_gives_the_distinct_groups() -> None:
    assert run(aggregate, FLIGHTS, by=["carrier"], measures={}).to_pydict() == {"carrier": ["UA", "AA", None]}


def test_measures_may_filter_order_be_distinct_and_use_group_columns() -> None:
    measures = {
        "late": "count(*) FILTER (WHERE delay > 7)",
        "kinds": "count(DISTINCT fare)",
        "sorted": "list(delay ORDER BY delay DESC)",
        "named": "carrier || ':' || count(*)",
    }
    first = run(aggregate, FLIGHTS, by=["carrier"], measures=measures).to_pylist()[0]
    assert first == {"carrier": "UA", "late": 2, "kinds": 1, "sorted": [20, 10], "named": "UA:2"}


def test_values_of_a_group_are_taken_in_the_order_of_the_rows() -> None:
    table = pa.table({"g": [index % 7 for index in range(10_000)], "v": list(range(10_000))})
    out = run(aggregate, table, by=["g"], measures={"first": "first(v)", "last": "last(v)", "all": "list(v)"})
    assert out.column("first").to_pylist() == list(range(7))
    assert out.column("last").to_pylist() == [9996, 9997, 9998, 9999, 9993, 9994, 9995]
    assert out.column("all").to_pylist() == [list(range(group, 10_000, 7)) for group in range(7)]


def test_names_may_be_anything() -> None:
    table = pa.table({'g";--': ["x", "x"], "first_row": [1, 2], "m0": [3, 4]})
    out = run(aggregate, table, by=['g";--', "m0"], measures={"ALL": "sum(first_row)", "m1": "sum(m0)"})
    assert out.to_pylist() == [{'g";--': "x", "m0": 3, "ALL": 1, "m1": 3}, {'g";--': "x", "m0": 4, "ALL": 2, "m1": 4}]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"by": ["carier"], "measures": {}}, r"by: .* no column 'carier' \(did you mean 'carrier'\?\)"),
        ({"by": ["carrier", "carrier"], "measures": {}}, "named twice"),
        ({"measures": {}}, "nothing to compute"),
        ({"by": ["carrier"], "measures": {"carrier": "count(*)"}}, "cannot be called 'carrier'"),
        ({"measures": {"ok": "count(*)", "bad": "sum(carrier)"}}, r"^measures\.bad: the expression 'sum\(carrier\)'"),
        ({"measures": {"x": "sum(delay) + fare"}}, "must be in `by`"),
        ({"measures": {"x": "delay"}}, "has no aggregate function"),
        ({"measures": {"x": "sum(sum(delay))"}}, "nested"),
        ({"measures": {"x": "sum(CAST(delay AS hugeint) * 9223372036854775807)"}}, "an integer over 64 bits"),
    ],
)
def test_what_does_not_fit_is_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(aggregate, FLIGHTS, **params)


@given(rows)
def test_it_computes_what_python_computes(given_rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(given_rows, pa.schema({"k": pa.int32(), "g": pa.string(), "v": pa.int64()}))
    groups: dict[tuple[Any, Any], list[int | None]] = {}
    for row in given_rows:
        groups.setdefault((row["g"], row["k"]), []).append(row["v"])
    wanted = []
    for (g, k), values in groups.items():
        known = [value for value in values if value is not None]
        total = sum(known) if known else None
        mean = sum(known) / len(known) if known else None
        wanted.append({"g": g, "k": k, "n": len(values), "known": len(known), "total": total, "mean": mean})
    measures = {"n": "count(*)", "known": "count(v)", "total": "sum(v)", "mean": "avg(v)"}
    assert run(aggregate, table, by=["g", "k"], measures=measures).to_pylist() == wanted
