"""Which conditions reach a source: only those that every row must meet, and that mean the same everywhere."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugmesh.contracts.plan import Predicate
from plugmesh.planner.conditions import conditions_in
from tests.unit.planner.flows import filtering, node, planned, sink, source

COLUMNS = {"a": "int64", "b": "float64", "c": "string", "d": "date32", "t": "timestamp[us]"}


def told(condition: Predicate) -> str:
    return f"{condition.column} {condition.op} {condition.value!r}"


@pytest.mark.parametrize(
    ("expression", "conditions"),
    [
        ("a > 5", ["a > 5"]),
        ("5 <= a AND c <> 'it''s'", ["a >= 5", 'c != "it\'s"']),
        ("a BETWEEN -1 AND 2 AND b = -0.5", ["a >= -1", "a <= 2", "b = -0.5"]),
        ("a IN (1, -2, 3)", ["a in [1, -2, 3]"]),
        ('"c" IS NOT NULL AND a is null', ["c not_null None", "a is_null None"]),
        ("((a > 1) AND (a < 9 AND (b < 1)))", ["a > 1", "a < 9", "b < 1"]),
        ("flag = TRUE", ["flag = True"]),
        ("a > 1 OR c = 'x'", []),
        ("a > 1 AND (b < 1 OR c = 'x')", ["a > 1"]),
        ("NOT a > 1 AND b < 1", ["b < 1"]),
        ("a + 1 > 5 AND b < 1", ["b < 1"]),
        ("a > b", []),
        ("a > 1 -- AND b < 1", []),
        ("a > date '2020-01-01'", []),
        ("a::int > 1 AND b < 2", ["b < 2"]),
        ("a NOT BETWEEN 1 AND 2 AND b < 2", ["b < 2"]),
        ("a NOT IN (1) AND b < 2", ["b < 2"]),
        ("c LIKE 'x%' AND b < 2", ["b < 2"]),
        ("CASE WHEN a > 1 AND b < 2 THEN true END", []),
        ("a > 1_000", []),
        ("", []),
    ],
)
def test_simple_conditions_joined_by_and_are_found(expression: str, conditions: list[str]) -> None:
    assert [told(one) for one in conditions_in(expression)] == conditions


LEAVES = st.sampled_from(
    [
        "a > 1",
        "a = 2",
        "3 > b",
        "a IS NULL",
        "b BETWEEN 1 AND 2",
        "a IN (1, 2)",
        "a + 1 = 3",
        "b < -1",
        "a <> b",
        "c = 'x'",
    ]
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR", "and"]), inner).map(" ".join),
        inner.map(lambda text: f"({text})"),
        inner.map(lambda text: f"NOT {text}"),
        inner.map(lambda text: f"({text}) IS NULL"),
    ),
    max_leaves=6,
)
ROWS = [(a, b, c) for a in (None, 0, 1, 2, 3) for b in (None, -2, 1, 2, 5) for c in (None, "x", "y")]
_MEANS = {
    "=": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "in": lambda one, other: one in other,
}


@pytest.fixture(scope="module")
def rows() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("CREATE TABLE t (a BIGINT, b BIGINT, c VARCHAR)")
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", ROWS)
        yield connection


@settings(max_examples=80, deadline=None)
@given(EXPRESSIONS)
def test_every_row_that_an_expression_keeps_meets_the_conditions(
    rows: duckdb.DuckDBPyConnection, expression: str
) -> None:
    for row in rows.execute(f"SELECT * FROM t WHERE {expression}").fetchall():
        named = dict(zip("abc", row, strict=True))
        assert all(_holds(condition, named) for condition in conditions_in(expression))


def _holds(condition: Predicate, row: dict[str, object]) -> bool:
    value = row[condition.column]
    if condition.op in ("is_null", "not_null"):
        return (value is None) == (condition.op == "is_null")
    return value is not None and _MEANS[condition.op](value, condition.value)


def pushed(*wheres: str, outputs: dict[str, str] | None = None) -> list[str]:
    """What the source is told when each of these filters stands right behind it."""
    filters = {f"f{number}": node("filtering", "s", params={"where": where}) for number, where in enumerate(wheres)}
    nodes = {name: (filtering(), one) for name, one in filters.items()}
    found = planned({"s": (source(**COLUMNS), node("src")), **nodes}, outputs)
    return [told(one) for one in found.nodes["s"].filters.get("out", ())]


def test_the_conditions_of_the_only_filter_are_pushed() -> None:
    assert pushed("a > 5 AND lower(c) = 'x' AND d >= '2020-01-01'") == ["a > 5", "d >= '2020-01-01'"]


def test_of_several_filters_only_what_all_of_them_demand() -> None:
    assert pushed("a > 5 AND b < 1", "a > 5 AND c = 'x'") == ["a > 5"]


def test_a_consumer_that_is_no_filter_keeps_all_rows() -> None:
    end = sink(a="int64")
    nodes = {
        "s": (source(**COLUMNS), node("src")),
        "f": (filtering(), node("filtering", "s", params={"where": "a > 5"})),
        "end": (end, node(end, "s")),
    }
    assert planned(nodes).nodes["s"].filters == {}


def test_an_output_of_the_flow_keeps_all_rows() -> None:
    assert pushed("a > 5", outputs={"all": "s"}) == []


def test_filters_one_behind_the_other_are_pushed_together() -> None:
    nodes = {
        "s": (source(**COLUMNS), node("src")),
        "f": (filtering(), node("filtering", "s", params={"where": "a > 5"})),
        "g": (filtering(), node("filtering", "f", params={"where": "b < 1"})),
    }
    assert [told(one) for one in planned(nodes).nodes["s"].filters["out"]] == ["a > 5", "b < 1"]


def test_names_are_those_of_the_source_whatever_the_case() -> None:
    assert pushed("A > 5") == ["a > 5"]


def test_a_bound_column_is_called_as_in_the_flow() -> None:
    bound = node("filtering", "s", params={"where": "x > 5"}, bind={"x": "a"})
    found = planned({"s": (source(**COLUMNS), node("src")), "f": (filtering(), bound)})
    assert [told(one) for one in found.nodes["s"].filters["out"]] == ["a > 5"]


def test_a_bound_column_is_found_whatever_the_case() -> None:
    swapped = node("filtering", "s", params={"where": "A > 5"}, bind={"a": "z", "z": "a"})
    found = planned({"s": (source(a="int64", z="int64"), node("src")), "f": (filtering(), swapped)})
    assert [told(one) for one in found.nodes["s"].filters["out"]] == ["z > 5"]


@pytest.mark.parametrize(
    "where",
    ["b > 5", "b != 1", "a > 1.5", "a > '5'", "c > 5", "t > '2020'", "d > 'soon'", "a > 9223372036854775808", "z > 5"],
)
def test_what_could_mean_another_thing_elsewhere_is_not_pushed(where: str) -> None:
    assert pushed(where) == []


def test_rows_that_a_filter_rejects_are_not_dropped_before() -> None:
    nodes = {
        "s": (source(**COLUMNS), node("src")),
        "f": (filtering(), node("filtering", "s", params={"where": "a > 5"})),
        "letters": (sink(), node("sink", "f.rejected")),
    }
    assert planned(nodes).nodes["s"].filters == {}
