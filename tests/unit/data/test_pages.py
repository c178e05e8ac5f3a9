"""A stream does not keep what it has passed in memory, and what it passed can be read all the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from plugmesh.contracts.data import DataRef
from plugmesh.data.reference import slice_ref
from plugmesh.data.table import read_batches, read_table, write_table
from plugmesh.objects.local import LocalStore

ROWS, BATCHES = 250_000, 40
SIZE = ROWS * BATCHES * 8


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return LocalStore(tmp_path_factory.mktemp("store"), keep_free_bytes=0)


@pytest.fixture(scope="module")
def streamed(store: LocalStore) -> DataRef:
    """80 MB in two fragments."""
    batch = pa.record_batch({"x": np.arange(ROWS, dtype="int64")})
    return write_table(store, "streamed", (batch for _ in range(BATCHES)), schema=batch.schema)


@pytest.fixture(scope="module")
def in_one(store: LocalStore) -> DataRef:
    """80 MB in one fragment."""
    return write_table(store, "in_one", pa.table({"x": np.arange(ROWS * BATCHES, dtype="int64")}))


def mapped() -> int:
    """Bytes of files that this process has in memory."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("RssFile"))


@pytest.mark.parametrize("name", ["streamed", "in_one"])
def test_what_a_stream_has_passed_is_not_kept(store: LocalStore, name: str, request: pytest.FixtureRequest) -> None:
    before, most, total = mapped(), 0, 0
    for batch in read_batches(store, request.getfixturevalue(name)):
        total += int(batch.column(0).to_numpy().sum())
        most = max(most, mapped() - before)
    assert total > 0
    assert most < SIZE // 2


def test_batches_that_were_kept_hold_what_they_held(store: LocalStore, streamed: DataRef) -> None:
    kept = list(read_batches(store, streamed))
    assert pa.Table.from_batches(kept).equals(read_table(store, streamed))


def test_a_part_of_a_table_is_streamed_too(store: LocalStore, in_one: DataRef) -> None:
    part = slice_ref(in_one, 1_000_001, 3_000_000)
    column = np.concatenate([batch.column(0).to_numpy() for batch in read_batches(store, part)])
    assert column.tolist()[:3] == [1_000_001, 1_000_002, 1_000_003]
    assert len(column) == 3_000_000


def test_small_and_empty_tables_are_streamed_as_they_are(store: LocalStore) -> None:
    for number, rows in enumerate((0, 1, 3)):
        ref = write_table(store, f"small/{number}", pa.table({"x": list(range(rows)), "y": ["a"] * rows}))
        assert sum(batch.num_rows for batch in read_batches(store, ref)) == rows
