"""Attempts that were told by a plan what they are handed, and what of their outputs anybody uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from module_sdk import module
from tests.unit.sdk.inprocess import InProcess

TABLE = pa.table({"a": [1, 2, 3, 4], "b": [1.0, 2.0, 3.0, 4.0], "C": list("wxyz"), "d": [None, 1, 2, 3]})
PASSES = {"out": {"...": "table"}}


@pytest.fixture
def here(tmp_path: Path) -> InProcess:
    return InProcess(tmp_path)


@module("t.arrow", outputs=PASSES)
def arrow(table: pa.Table, *, least: int) -> pa.Table:
    """Keeps rows."""
    assert table.column_names == ["a", "C"]
    return table.filter(pc.greater_equal(table["a"], least))


@module("t.returned", outputs=PASSES)
def returned(table: pa.Table, *, least: int) -> pa.Table:
    """Returns the very table where all rows are kept."""
    return table if least <= 1 else table.filter(pc.greater_equal(table["a"], least))


@module("t.pandas", inputs={"table": {"a": "int64"}}, outputs=PASSES)
def frames(table: pd.DataFrame, *, least: int) -> pd.DataFrame:
    """Keeps rows of a frame."""
    return table[table.a >= least]


@module("t.polars", outputs=PASSES)
def polars(table: pl.DataFrame, *, least: int) -> pl.DataFrame:
    """Keeps rows of a frame."""
    return table.filter(pl.col("a") >= least)


@module("t.same", inputs={"table": {"a": "int64"}}, outputs={"out": {"...": "table", "e": "int64"}}, rows="same")
def same(table: pa.Table) -> pa.Table:
    """Adds a column."""
    assert table.column_names == ["a"]
    return table.append_column("e", pc.add(table["a"], 1))


def run(here: InProcess, of: Any, columns: Any, wanted: Any, **params: Any) -> tuple[pa.Table, Any]:
    told = {"columns": None if columns is None else {"table": columns}, "wanted": {"out": wanted}}
    done = here.run(of, {"table": [here.put(TABLE)]}, params=params, **told)
    return here.read(done.outputs["out"]), done.stats


@pytest.mark.parametrize("of", [arrow, returned, frames, polars], ids=lambda of: of.contract.name)
@pytest.mark.parametrize("least", [1, 3])
def test_whatever_rows_are_kept_the_output_has_what_is_wanted(here: InProcess, of: Any, least: int) -> None:
    """Also where the module returns what it was handed: pieces of one node must have the same columns."""
    table, _ = run(here, of, ("a", "c"), ("c",), least=least)
    assert table.to_pydict() == {"C": TABLE["C"].to_pylist()[least - 1 :]}


def test_a_step_is_handed_what_the_plan_says_whatever_the_case(here: InProcess) -> None:
    _, stats = run(here, arrow, ("A", "c", "lower"), ("A", "c"), least=2)
    assert stats.read == {"table": ("a", "C")}
    assert 0 < stats.bytes_read < stats.bytes_whole


def test_without_the_word_that_others_are_unwanted_a_step_is_handed_all_that_passes(here: InProcess) -> None:
    done = here.run(returned, {"table": [here.put(TABLE)]}, params={"least": 3}, columns={"table": ("a",)})
    assert here.read(done.outputs["out"]).column_names == ["a", "b", "C", "d"]


def test_columns_that_nobody_uses_are_not_put_beside_an_output(here: InProcess) -> None:
    table, stats = run(here, same, None, ("d", "e"))
    assert table.to_pydict() == {"d": [None, 1, 2, 3], "e": [2, 3, 4, 5]}
    assert stats.read == {"table": ("a",)}


def test_a_column_that_was_made_and_that_nobody_uses_is_not_in_the_output(here: InProcess) -> None:
    table, _ = run(here, same, None, ("b",))
    assert table.to_pydict() == {"b": [1.0, 2.0, 3.0, 4.0]}


def test_of_an_output_whose_columns_nobody_uses_the_rows_stay(here: InProcess) -> None:
    table, _ = run(here, returned, ("a",), (), least=3)
    assert table.num_rows == 2
