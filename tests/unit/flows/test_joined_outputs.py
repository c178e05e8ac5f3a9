"""What a node that was done in pieces gives: one table, if the pieces fit together."""

from pathlib import Path

import pyarrow as pa
import pytest

from plugmesh.contracts.data import Reference
from plugmesh.data.reference import cut, resolve, spill
from plugmesh.data.table import read_table, write_table
from plugmesh.errors import DataMismatch
from plugmesh.flows.feeding import joined_outputs
from plugmesh.objects.local import LocalStore


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def piece(store: LocalStore, name: str, values: list[object], *, spilled: bool) -> Reference:
    ref = write_table(store, name, pa.table({"x": values}))
    return spill(store, f"spilled-{name}", ref, limit_bytes=1) if spilled else ref


@pytest.mark.parametrize("spilled", [(True, True), (True, False), (False, True), (False, False)])
def test_pieces_of_other_types_do_not_fit_though_nobody_reads_their_references(
    store: LocalStore, spilled: tuple[bool, bool]
) -> None:
    one = piece(store, "one", [1], spilled=spilled[0])
    two = piece(store, "two", [1.5], spilled=spilled[1])
    with pytest.raises(DataMismatch):
        joined_outputs([{"out": one}, {"out": two}])


@pytest.mark.parametrize("spilled", [(True, True), (True, False), (False, True)])
def test_pieces_that_were_spilled_or_cut_are_one_table(store: LocalStore, spilled: tuple[bool, bool]) -> None:
    one = cut(piece(store, "one", [1, 2, 3], spilled=spilled[0]), 1, 2)
    two = piece(store, "two", [4], spilled=spilled[1])
    joined = joined_outputs([{"out": one}, {"out": two}])["out"]
    table = read_table(store, resolve(store, joined))  # type: ignore[arg-type]
    assert table.column("x").to_pylist() == [2, 3, 4]
