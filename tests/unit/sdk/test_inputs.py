"""What a module is handed: the columns that it reads, looked up once for each schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from module_sdk import Column, module
from module_sdk.executor.inputs import Given, Inputs
from module_sdk.invoke import Caller
from plugmesh.contracts.data import DataRef
from plugmesh.contracts.messages import Assign
from plugmesh.data.check import ColumnMismatch
from plugmesh.data.reference import rename, select, slice_ref
from plugmesh.data.table import write_table
from plugmesh.objects.local import LocalStore


@module("u.typed", inputs={"rows": {"x": "int64"}})
def typed(rows: pa.Table) -> pa.Table:
    return rows


@module("u.named", inputs={"rows": {"k": "int64"}})
def named(rows: pa.Table, *, by: Column) -> pa.Table:
    return rows


class Bench:
    """One executor's inputs."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalStore(folder, keep_free_bytes=0)
        self.inputs = Inputs(self.store)
        self._made = 0

    def hand(self, caller: Caller, columns: dict[str, list[Any]], **params: Any) -> Given:
        """What the module is handed of a table."""
        self._made += 1
        return self.hand_ref(caller, write_table(self.store, f"in/{self._made}", pa.table(columns)), **params)

    def hand_ref(self, caller: Caller, ref: DataRef, **params: Any) -> Given:
        """What it is handed of a reference."""
        contract = caller.module.contract
        assign = Assign(
            instance="i", shard=0, term=1, run="r", step="s", epoch=1, namespace="default", module=contract.name,
            version=contract.version, digest=contract.digest, prefix="p", inputs={"rows": (ref,)}, params=params,
        )  # fmt: skip
        return self.inputs.load(assign, caller)["rows"][0]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_only_declared_columns_are_handed_over_time_and_again(bench: Bench) -> None:
    caller = Caller(typed)
    for _ in range(3):
        given = bench.hand(caller, {"x": [1], "y": [2]})
        assert (given.columns, given.partial) == (("x",), True)


def test_a_table_of_declared_columns_alone_is_handed_on_whole(bench: Bench) -> None:
    given = bench.hand(Caller(typed), {"x": [1]})
    assert (given.columns, given.partial) == (("x",), False)


def test_parts_of_one_small_table_are_told_apart(bench: Bench) -> None:
    caller = Caller(typed)
    ref = write_table(bench.store, "small", pa.table({"x": [1, 2, 3, 4]}))
    for _ in range(2):
        for start in range(3):
            given = bench.hand_ref(caller, slice_ref(ref, start, 2))
            assert given.value.to_pydict() == {"x": [start + 1, start + 2]}


def test_columns_of_a_small_table_that_swapped_their_names_are_told_apart(bench: Bench) -> None:
    caller = Caller(typed)
    ref = write_table(bench.store, "small", pa.table({"x": [1, 2], "y": [3, 4]}))
    swapped = select(rename(ref, {"x": "y", "y": "x"}), ["x", "y"])
    assert bench.hand_ref(caller, ref).value.to_pydict() == {"x": [1, 2]}
    assert bench.hand_ref(caller, swapped).value.to_pydict() == {"x": [3, 4]}


def test_another_schema_is_checked_anew(bench: Bench) -> None:
    caller = Caller(typed)
    bench.hand(caller, {"x": [1]})
    for wrong in ({"x": ["text"]}, {"y": [1]}):
        with pytest.raises(ColumnMismatch):
            bench.hand(caller, wrong)
    assert bench.hand(caller, {"x": [1]}).columns == ("x",)


def test_columns_that_a_param_names_follow_the_param(bench: Bench) -> None:
    caller = Caller(named)
    table = {"k": [0], "a": [1], "b": [2]}
    assert bench.hand(caller, table, by="a").columns == ("k", "a")
    assert bench.hand(caller, table, by="b").columns == ("k", "b")
    with pytest.raises(ColumnMismatch):
        bench.hand(caller, table, by="c")


def test_many_schemas_do_not_pile_up(bench: Bench) -> None:
    caller = Caller(typed)
    for number in range(40):
        bench.hand(caller, {"x": [1], f"c{number}": [2]})
    assert len(bench.inputs._checked) <= 16
