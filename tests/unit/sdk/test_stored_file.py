"""Files from another machine are fetched whole and compared with their hash before anybody sees a byte."""

from pathlib import Path

import pytest

from module_sdk.stored_file import StoredSource
from plugmesh.contracts.data import FileRef
from plugmesh.data.digest import content_hash
from plugmesh.errors import ObjectCorrupt
from tests.unit.data.remote import RemoteStore

CONTENT = b"a,b\n1,2\n"


def source(folder: Path, store: RemoteStore) -> StoredSource:
    writer = store.create("files/f")
    writer.write(CONTENT)
    writer.commit()
    ref = FileRef(name="f.csv", key="files/f", bytes=len(CONTENT), hash=content_hash(CONTENT))
    return StoredSource(store, ref, lambda: folder)


def test_a_file_comes_back(tmp_path: Path) -> None:
    there = source(tmp_path, RemoteStore(tmp_path / "store"))
    with there.open() as stream:
        assert stream.read() == CONTENT
    assert there.path().read_bytes() == CONTENT


def test_wrong_bytes_are_fetched_again(tmp_path: Path) -> None:
    store = RemoteStore(tmp_path / "store")
    there = source(tmp_path, store)
    store.damaged = 1
    with there.open() as stream:
        assert stream.read() == CONTENT


def test_bytes_that_stay_wrong_are_not_handed_out(tmp_path: Path) -> None:
    store = RemoteStore(tmp_path / "store")
    there = source(tmp_path, store)
    store.damaged = 2
    with pytest.raises(ObjectCorrupt, match=r"f\.csv.*files/f in s3://bucket"):
        there.open()
    assert list(tmp_path.glob("f*")) == []
