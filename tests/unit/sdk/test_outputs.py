"""What an attempt writes and what it borrows, by reference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from module_sdk import Expression, module
from module_sdk.decorator import Module
from module_sdk.executor.answer import spilled
from module_sdk.invoke import WrongReturn
from plugmesh.contracts.data import MESSAGE_LIMIT_BYTES, ColumnGroup, DataRef, Fragment
from plugmesh.data.reference import resolve, spill
from tests.unit.sdk.inprocess import InProcess

ORDERS = pa.table({"who": ["ada", "bob", "cy", "di"], "price": [1.0, 2.0, 3.0, 4.0], "qty": [4, 3, 2, 1]})
ABOVE_ONE = Expression("price > 1")
QTY: dict[str, Any] = {"inputs": {"orders": {"qty": "int64"}}, "outputs": {"out": {"...": "orders"}}}


@pytest.fixture
def here(tmp_path: Path) -> InProcess:
    return InProcess(tmp_path)


@module("o.add")
def add(rows: pa.Table) -> pa.Table:
    return rows.append_column("z", pc.add(rows["x"], 1))


@module("o.seen", inputs={"rows": {"x": "int64"}}, outputs={"out": {"...": "rows", "z": "int64"}}, rows="same")
def seen(rows: pa.Table) -> pa.Table:
    assert rows.column_names == ["x"]
    return rows.append_column("z", pc.add(rows["x"], 1))


@module("o.renamed")
def renamed(rows: pa.Table) -> pa.Table:
    return rows.rename_columns([f"{name}_" for name in rows.column_names])


@module("o.both")
def both(left: pa.Table, right: pa.Table) -> pa.Table:
    return pa.table({"a": left["a"], "b": right["b"], "c": pc.add(left["a"], right["b"])})


@module("o.union")
def union(*tables: pa.Table) -> pa.Table:
    return pa.concat_tables(tables)


@module("o.tail")
def tail(rows: pa.Table, *, start: int) -> pa.Table:
    return rows.slice(start)


@module("o.duck")
def duck(rows: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    return rows.project("x, y, x + 1 AS z")


@module("o.copied")
def copied(rows: pa.Table) -> pa.Table:
    return rows.set_column(0, "f", pa.array(rows["f"].to_pylist(), rows["f"].type))


@module("o.signs")
def signs(rows: pa.Table) -> pa.Table:
    return rows.set_column(0, "f", pc.abs(rows["f"]))


@module("o.sorted", **QTY)
def in_order(orders: pd.DataFrame) -> pd.DataFrame:
    assert list(orders.columns) == ["qty"]
    return orders.sort_values("qty")


@module("o.cheap", **QTY)
def cheap(orders: pd.DataFrame) -> pd.DataFrame:
    return orders[orders.qty <= 2]


@module("o.new_index", **QTY)
def new_index(orders: pd.DataFrame) -> pd.DataFrame:
    return orders.sort_values("qty").reset_index(drop=True)


@module("o.promised", inputs=QTY["inputs"], outputs=QTY["outputs"], rows="same")
def promised(orders: pd.DataFrame) -> pd.DataFrame:
    return orders.sort_values("qty")


@module("o.none", **QTY)
def none(orders: pd.DataFrame) -> pd.DataFrame:
    return orders[orders.qty > 100].reset_index(drop=True)


@module("o.polars", **QTY)
def of_polars(orders: pl.DataFrame) -> pl.DataFrame:
    assert orders.columns == ["who", "price", "qty"]
    return orders.sort("qty")


@module("o.where_qty", inputs={"orders": {"qty": "int64"}}, outputs={"out": {"names": "string"}})
def where_qty(orders: pa.Table, *, keep: Expression = ABOVE_ONE) -> pa.Table:
    return pa.table({"names": [" ".join(orders.column_names)]})


@module("o.batches")
def batches(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from rows


def many_fragments(here: InProcess, fragments: int) -> DataRef:
    """Of one row each, all in one object."""
    ref = here.put(pa.table({"x": range(fragments), "y": range(fragments)}))
    group = ref.fragments[0].groups[0]
    parts = (ColumnGroup(key=group.key, columns=group.columns, start=row, rows=fragments) for row in range(fragments))
    return ref.model_copy(update={"fragments": tuple([Fragment(rows=1, groups=(part,)) for part in parts])})


def written(here: InProcess, before: set[str]) -> int:
    return len(here.keys() - before)


def test_columns_of_two_inputs_stay_where_they_are_though_their_fragments_end_elsewhere(here: InProcess) -> None:
    left = here.put(pa.table({"a": range(100)}), max_rows_per_fragment=30)
    right = here.put(pa.table({"b": range(100)}), max_rows_per_fragment=45)
    done = here.run(both, {"left": [left], "right": [right]})
    assert done.stats.written == {"out": ("c",)}
    assert done.stats.passed == {"out": ("a", "b")}
    assert here.read(done.outputs["out"]).to_pydict() == {
        "a": list(range(100)),
        "b": list(range(100)),
        "c": list(range(0, 200, 2)),
    }


def test_tables_put_one_after_another_are_written_no_more(here: InProcess) -> None:
    tables = [pa.table({"a": range(start, start + 10)}) for start in (0, 10, 20)]
    refs = [here.put(table, max_rows_per_fragment=4) for table in tables]
    before = here.keys()
    done = here.run(union, {"tables": refs})
    assert here.read(done.outputs["out"])["a"].to_pylist() == list(range(30))
    assert (done.stats.bytes_written, written(here, before)) == (0, 0)


@pytest.mark.parametrize(("start", "is_borrowed"), [(10, True), (95, False)])
def test_a_part_is_borrowed_if_it_is_much_of_what_is_kept_for_it(
    here: InProcess, start: int, is_borrowed: bool
) -> None:
    ref = here.put(pa.table({"a": range(100)}))
    done = here.run(tail, {"rows": [ref]}, params={"start": start})
    assert here.read(done.outputs["out"])["a"].to_pylist() == list(range(start, 100))
    assert (done.stats.bytes_written == 0) is is_borrowed


def test_values_that_came_back_in_other_bytes_are_not_written(here: InProcess) -> None:
    ref = here.put(pa.table({"x": range(1000), "y": ["a", None] * 500}), max_rows_per_fragment=400)
    done = here.run(duck, {"rows": [ref]})
    assert done.stats.written == {"out": ("z",)}
    floats = here.put(pa.table({"f": [0.5, None, float("nan")]}))
    assert here.run(copied, {"rows": [floats]}).stats.bytes_written == 0


def test_minus_zero_is_another_value(here: InProcess) -> None:
    done = here.run(signs, {"rows": [here.put(pa.table({"f": [-0.0, 1.0]}))]})
    assert str(here.read(done.outputs["out"])["f"].to_pylist()) == "[0.0, 1.0]"


def test_the_rest_follows_the_rows_of_a_pandas_frame(here: InProcess) -> None:
    orders = here.put(ORDERS, max_rows_per_fragment=3)
    done = here.run(in_order, {"orders": [orders]})
    assert here.read(done.outputs["out"]).equals(ORDERS.take([3, 2, 1, 0]))
    assert here.read(here.run(cheap, {"orders": [orders]}).outputs["out"]).equals(ORDERS.slice(2))
    assert here.read(here.run(none, {"orders": [orders]}).outputs["out"]).equals(ORDERS.slice(0, 0))


def test_without_a_proof_the_ways_out_are_named(here: InProcess) -> None:
    with pytest.raises(
        WrongReturn, match=r"who, price of 'orders' must pass through the output 'out'.* three ways out"
    ):
        here.run(new_index, {"orders": [here.put(ORDERS)]})


def test_a_frame_that_shows_other_rows_breaks_the_promise_of_the_same(here: InProcess) -> None:
    with pytest.raises(WrongReturn, match=r'promises rows="same", but .* in another order, or not all of them'):
        here.run(promised, {"orders": [here.put(ORDERS)]})


def test_a_library_that_cannot_tell_rows_is_handed_all_columns(here: InProcess) -> None:
    done = here.run(of_polars, {"orders": [here.put(ORDERS)]}, columns={"orders": ("qty",)})
    assert here.read(done.outputs["out"]).equals(ORDERS.take([3, 2, 1, 0]))


@pytest.mark.parametrize(
    ("params", "names"),
    [({}, "price qty"), ({"keep": "\"WHO\" = 'x'"}, "who qty"), ({"keep": "COLUMNS('p.*') > 1"}, "who price qty")],
)
def test_columns_that_an_expression_names_are_handed_over(here: InProcess, params: dict[str, str], names: str) -> None:
    done = here.run(where_qty, {"orders": [here.put(ORDERS)]}, params=params)
    assert here.read(done.outputs["out"])["names"].to_pylist() == [names]


def test_bytes_that_were_not_handed_over_are_counted(here: InProcess) -> None:
    stats = here.run(cheap, {"orders": [here.put(ORDERS)]}).stats
    assert stats.bytes_whole is not None
    assert 0 < stats.bytes_read < stats.bytes_whole


@pytest.mark.parametrize("one", [seen, pytest.param(renamed, marks=pytest.mark.full)])
def test_a_reference_to_very_many_columns_makes_short_messages(here: InProcess, one: Module[..., Any]) -> None:
    ref = spill(
        here.store, "in/wide", here.put(pa.table({"x": [1], **{f"c{number}": [number] for number in range(9_999)}}))
    )
    before = here.keys()
    done, text = here.text(one, {"rows": [ref]})
    assert len(text) < MESSAGE_LIMIT_BYTES
    table = here.read(done.outputs["out"])
    assert table.num_columns == 10_000 + (one is seen)
    assert written(here, before) == 1 + (one is seen)  # the reference, and what was made
    assert done.stats.read is None or len(done.stats.read["rows"]) == 1


@pytest.mark.parametrize("fragments", [1_000, pytest.param(100_000, marks=pytest.mark.full)])
def test_a_reference_to_very_many_fragments_makes_short_messages(here: InProcess, fragments: int) -> None:
    ref = spill(here.store, "in/many", many_fragments(here, fragments))
    done, text = here.text(seen, {"rows": [ref]})
    assert len(text) < MESSAGE_LIMIT_BYTES
    made = resolve(here.store, done.outputs["out"])
    assert isinstance(made, DataRef)
    assert len(made.fragments) == fragments
    assert done.stats.bytes_written < 20 * fragments + 1000  # one column, in one piece
    assert here.read(made.model_copy(update={"fragments": made.fragments[-2:], "rows": 2})).to_pylist() == [
        {"x": row, "y": row, "z": row + 1} for row in (fragments - 2, fragments - 1)
    ]


@pytest.mark.full
def test_a_hundred_thousand_fragments_are_a_short_reference(here: InProcess) -> None:
    ref = many_fragments(here, 100_000)
    short = spilled(here.store, "refs/{}".format, "out", ref)
    assert len(short.model_dump_json()) < 1000
    assert resolve(here.store, short) == ref
