"""What was written before the machine was started is compared with its hash before it is used."""

import os
import time
from pathlib import Path

import pyarrow as pa
import pytest

from module_sdk.stored_file import StoredSource
from plugmesh.contracts.data import DataRef, FileRef
from plugmesh.data.digest import content_hash
from plugmesh.data.table import read_table, write_table
from plugmesh.errors import ObjectCorrupt
from plugmesh.objects.local import LocalStore
from plugmesh.objects.port import is_older


def damaged(root: Path) -> DataRef:
    """A table of which one value was changed on the disk."""
    ref = write_table(LocalStore(root, keep_free_bytes=0), "data/t", pa.table({"x": pa.array(range(1000), pa.int64())}))
    path = root / "objects/data/t"
    content = path.read_bytes()
    path.write_bytes(content.replace((777).to_bytes(8, "little"), (778).to_bytes(8, "little")))
    return ref


def test_a_damaged_object_of_an_earlier_boot_is_corrupt(tmp_path: Path) -> None:
    ref = damaged(tmp_path)
    os.utime(tmp_path / "objects/data/t", (1_000_000, 1_000_000))
    store = LocalStore(tmp_path, keep_free_bytes=0)
    with pytest.raises(ObjectCorrupt, match="object data/t, column 'x': its bytes have hash"):
        read_table(store, ref)
    assert is_older(store, "data/t")


def test_one_of_this_boot_is_not_hashed_again(tmp_path: Path) -> None:
    """Whoever can change it behind the mesh's back can do anything; a damage by itself needs a loss of power."""
    store = LocalStore(tmp_path, keep_free_bytes=0, booted_at=time.time() - 60)
    assert read_table(store, damaged(tmp_path)).column("x")[777].as_py() == 778
    assert not is_older(store, "data/t")


def test_a_damaged_file_of_an_earlier_boot_is_corrupt(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, keep_free_bytes=0, booted_at=time.time() + 60)
    writer = store.create("files/f")
    writer.write(b"a,b\n1,2\n")
    writer.commit()

    def source(content: bytes) -> StoredSource:
        ref = FileRef(name="f.csv", key="files/f", bytes=8, hash=content_hash(content))
        return StoredSource(store, ref, lambda: tmp_path)

    with source(b"a,b\n1,2\n").open() as stream:
        assert stream.read() == b"a,b\n1,2\n"
    with pytest.raises(ObjectCorrupt, match=r"^file 'f.csv' \(object files/f\): its bytes have hash"):
        source(b"a,b\n1,3\n").open()
    with pytest.raises(ObjectCorrupt, match=r"^file 'f.csv'"):
        source(b"a,b\n1,3\n").descriptor()


def test_a_whole_object_of_an_earlier_boot_is_read(tmp_path: Path) -> None:
    table = pa.table({"x": [1, 2, 3], "y": ["a", None, "c"]})
    ref = write_table(LocalStore(tmp_path, keep_free_bytes=0), "data/t", table)
    assert read_table(LocalStore(tmp_path, booted_at=time.time() + 60), ref).equals(table)
