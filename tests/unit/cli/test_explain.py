"""A plan, and what a run saved, as people read them."""

from __future__ import annotations

from typing import Any

import pytest

from plugmesh.cli.commands.explain import plan_rows, planned_text, type_lines

COLUMNS = [{"name": name, "type": "int64"} for name in ("a", "b", "c")]


def node(**fields: Any) -> dict[str, Any]:
    known = {"node": "late", "module": "t.filter@1.0.0", "inputs": [], "outputs": [], "filters": []}
    return {**known, "exact": True, "unknown": [], **fields}


def taken(
    reads: list[str] | None, needs: list[str] | None, columns: Any = COLUMNS, port: str = "table"
) -> dict[str, Any]:
    return {"port": port, "columns": columns, "reads": reads, "needs": needs}


def given(wanted: list[str] | None, columns: Any = COLUMNS) -> dict[str, Any]:
    return {"port": "out", "columns": columns, "wanted": wanted}


def test_a_node_says_how_many_columns_of_how_many_it_uses() -> None:
    (row,) = plan_rows(node(inputs=[taken(["a"], ["a", "b"])], outputs=[given(["b"])]))
    assert row == ("late", "t.filter@1.0.0", "1 of 3: a", "2 of 3: a, b", "1 of 3: b", "")


def test_everything_and_unknown_columns_are_said_as_such() -> None:
    (row,) = plan_rows(node(inputs=[taken(None, ["a"], None)], outputs=[given(None)], exact=False))
    assert row[2:] == ("all", "1: a", "all 3", "not all is known")


def test_several_inputs_are_told_apart() -> None:
    rows = plan_rows(
        node(inputs=[taken(["a"], ["a"], port="left"), taken([], [], port="right")], outputs=[given(None)])
    )
    assert [row[2] for row in rows] == ["left: 1 of 3: a", "right: 0 of 3"]
    assert rows[1][:2] == ("", "")


def test_many_names_are_counted() -> None:
    names = [f"column_{number}" for number in range(30)]
    (row,) = plan_rows(node(outputs=[given(names, None)]))
    assert row[4].endswith("column_5 and 24 more")


def test_conditions_of_a_source_are_shown() -> None:
    (row,) = plan_rows(node(outputs=[given(None)], filters=["a > 1", "b < 2"]))
    assert row[5] == "rows where a > 1 AND b < 2"


@pytest.mark.parametrize(
    ("port", "line"),
    [
        (given(["A", "c"]), "late.out: a int64, (b int64), c int64"),
        (given(None), "late.out: a int64, b int64, c int64"),
        (given(["a"], None), "late.out: not known before the run"),
    ],
)
def test_columns_that_nobody_uses_stand_in_brackets(port: dict[str, Any], line: str) -> None:
    assert type_lines(node(outputs=[port])) == [line]


def test_what_a_run_was_told_is_said_in_words() -> None:
    told = {"wanted": {"out": ["a", "b"]}, "widths": {"out": 19}, "filters": ["a > 1"]}
    assert planned_text(told) == "2 of 19 columns: a, b; rows where a > 1"
    assert planned_text({"wanted": {}, "widths": {}, "filters": []}) == ""
