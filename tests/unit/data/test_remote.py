"""Tables in a store on another machine: few bytes make no object, what crossed a host is checked."""

from pathlib import Path

import pyarrow as pa
import pytest

from module_sdk.executor.compose import Lane, compose
from plugmesh.contracts.data import INLINE_LIMIT_BYTES, DataRef, referenced_keys
from plugmesh.data.named import NOTHING, named_in
from plugmesh.data.reference import attach, concat, rename, resolve, select, slice_ref, spill
from plugmesh.data.table import read_rows, read_table, write_table
from plugmesh.errors import ObjectCorrupt
from plugmesh.objects.local import LocalStore
from tests.unit.data.arrow_strategies import same
from tests.unit.data.remote import RemoteStore

SMALL = pa.table({"x": [1, 2], "word": ["a", "b"]})
LARGE = pa.table({"number": pa.array(range(40_000)), "word": ["abc"] * 40_000})


@pytest.fixture
def store(tmp_path: Path) -> RemoteStore:
    return RemoteStore(tmp_path)


def test_a_few_bytes_are_in_the_reference_and_nowhere_else(store: RemoteStore) -> None:
    ref = write_table(store, "data/small", SMALL)
    assert same(read_table(store, ref), SMALL)
    assert (store.created, store.asked) == ([], [])
    assert referenced_keys(ref) == set()
    assert named_in(ref.model_dump_json()) == NOTHING


def test_more_bytes_are_an_object(store: RemoteStore) -> None:
    ref = write_table(store, "data/large", pa.table({"x": [b"x" * INLINE_LIMIT_BYTES]}))
    assert referenced_keys(ref) == {"data/large"}
    assert store.created == ["data/large"]


def test_in_a_store_of_files_every_table_is_an_object(tmp_path: Path) -> None:
    ref = write_table(LocalStore(tmp_path), "data/small", SMALL)
    assert referenced_keys(ref) == {"data/small"}


def test_a_stream_of_few_bytes_is_no_object_and_keeps_its_fragments(store: RemoteStore) -> None:
    ref = write_table(store, "data/small", iter(SMALL.to_batches(max_chunksize=1)), max_rows_per_fragment=1)
    assert (store.created, [fragment.rows for fragment in ref.fragments]) == ([], [1, 1])
    assert same(read_rows(store, ref, 1, 1), SMALL.slice(1, 1))


def test_what_is_in_a_reference_goes_where_the_reference_goes(store: RemoteStore) -> None:
    ref = write_table(store, "data/one", SMALL)
    more = write_table(store, "data/two", pa.table({"y": [3, 4]}))
    both = attach(rename(select(ref, ["word"]), {"word": "text"}), more, ["y"])
    twice = slice_ref(concat([both, both]), 1, 2)
    assert read_table(store, twice).to_pydict() == {"text": ["b", "a"], "y": [4, 3]}
    assert store.created == []


def test_columns_of_a_reference_are_composed_with_columns_of_objects(store: RemoteStore) -> None:
    ref = write_table(store, "data/one", SMALL)
    large = write_table(store, "data/two", pa.table({"y": ["y" * 5000, "z"]}))
    schema = pa.schema([("word", pa.string()), ("y", pa.string())])
    composed = compose(schema, {"word": (Lane.whole(ref), "word"), "y": (Lane.whole(large), "y")}, [2])
    assert read_table(store, composed).column("word").to_pylist() == ["a", "b"]
    assert referenced_keys(composed) == {"data/two"}


def test_a_reference_that_is_spilled_takes_its_bytes_along(store: RemoteStore) -> None:
    ref = write_table(store, "data/one", SMALL)
    back = resolve(store, spill(store, "data/ref", ref, limit_bytes=10))
    assert isinstance(back, DataRef)
    assert same(read_table(store, back), SMALL)


def test_bytes_in_a_reference_are_checked(store: RemoteStore) -> None:
    ref = write_table(store, "data/one", SMALL)
    text = ref.model_dump_json()
    data = ref.fragments[0].groups[0].data or ""
    for wrong in (data[:-8] + "AAAA" + data[-4:], "%" + data[1:], data[: len(data) // 8 * 4]):
        with pytest.raises(ObjectCorrupt, match="reference"):
            read_table(store, DataRef.model_validate_json(text.replace(data, wrong)))


def test_wrong_bytes_are_read_again(store: RemoteStore) -> None:
    ref = write_table(store, "data/large", LARGE)
    store.damaged = 1
    assert same(read_table(store, ref), LARGE)
    assert store.asked == ["read", "read again", "read"]


def test_bytes_that_stay_wrong_are_an_error_that_says_where(store: RemoteStore) -> None:
    ref = write_table(store, "data/large", LARGE)
    store.damaged = 2
    with pytest.raises(
        ObjectCorrupt, match=r"data/large in s3://bucket at http://there, column 'number'.*its bytes have hash"
    ):
        read_table(store, ref)
    store.damaged = 2
    with pytest.raises(ObjectCorrupt, match=r"data/ref in s3://bucket at http://there, a reference"):
        resolve(store, spill(store, "data/ref", ref, limit_bytes=10))
