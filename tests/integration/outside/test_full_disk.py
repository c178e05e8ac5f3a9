"""A disk without room: what is being written fails with the reason, nothing half-written is seen, and later it works."""

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from plugmesh.contracts.data import DataRef
from plugmesh.data.outside.job import DecodeLimits, Job
from plugmesh.data.outside.outside import Decodings, Outside
from plugmesh.data.table import read_table, write_table
from plugmesh.errors import StoreFull
from plugmesh.objects.local import LocalStore
from tests.e2e.tmpfs import SmallDisk, small_disk

MIB = 1024**2


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 48 * MIB) as disk:
        yield disk


def table(mib: int, seed: int = 0) -> pa.Table:
    return pa.table({"x": np.random.default_rng(seed).integers(0, 2**60, mib * MIB // 8)})


def batches(mib: int) -> Iterator[pa.RecordBatch]:
    for number in range(mib):
        yield from table(1, number).to_batches()


def store_on(disk: SmallDisk, keep_free_bytes: int = 0) -> LocalStore:
    return LocalStore(disk.path / "objects", keep_free_bytes=keep_free_bytes)


def visible(store: LocalStore) -> list[str]:
    return [one.key for one in store.list("")]


@pytest.mark.parametrize("keep_free_bytes", [0, 8 * MIB])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_table_that_does_not_fit_leaves_nothing(disk: SmallDisk, keep_free_bytes: int, streamed: bool) -> None:
    store = store_on(disk, keep_free_bytes)
    kept = write_table(store, "data/kept", table(4))
    with pytest.raises(StoreFull, match="make room on that disk"):
        write_table(store, "data/large", batches(60) if streamed else table(60))
    assert visible(store) == ["data/kept"]
    assert os.listdir(disk.path / "objects/tmp") == []
    assert read_table(store, kept, verify=True).equals(table(4))
    again = write_table(store, "data/large", table(8))  # what was half-written takes no room any more
    assert read_table(store, again, verify=True).equals(table(8))


def test_files_that_lie_free_are_given_up_first(disk: SmallDisk) -> None:
    store = store_on(disk)
    for number in range(3):
        write_table(store, f"data/{number}", table(10))
    for number in range(3):
        store.delete(f"data/{number}")
    ref = write_table(store, "data/large", table(36))
    assert read_table(store, ref, verify=True).num_rows == 36 * MIB // 8


def test_a_file_that_is_written_again_on_a_full_disk_is_no_bus_error(disk: SmallDisk) -> None:
    store = store_on(disk)
    write_table(store, "data/old", table(10))
    store.delete("data/old")
    disk.fill()
    refs: list[DataRef] = []
    for number in range(4):
        try:
            refs.append(write_table(store, f"data/{number}", table(10, number)))
        except StoreFull:
            continue
    assert len(refs) <= 1
    for number, ref in enumerate(refs):
        assert read_table(store, ref, verify=True).equals(table(10, number))
    disk.make_room()
    assert read_table(store, write_table(store, "data/then", table(10)), verify=True).equals(table(10))


def test_what_a_file_holds_finds_no_room_while_it_is_decoded(disk: SmallDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(disk.path))
    outside = Outside()
    limits = DecodeLimits(memory_bytes=512 * MIB, cpu_s=30, output_bytes=512 * MIB)
    job = Job("tests.integration.outside.decoders:numbers", "large.csv", limits, {"batches": 40, "rows": 8 * MIB // 8})
    try:
        with open(__file__, "rb") as file, pytest.raises(StoreFull, match="no room for what a file holds") as caught:
            list(Decodings(outside).decode(job, file.fileno(), lambda _: None))
        assert caught.value.error_class == "transient"
        del caught  # it holds what was decoded until then
    finally:
        outside.close()
    gc.collect()
    assert disk.free_bytes() > 40 * MIB
