import gc
import io
import itertools
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugmesh.contracts.data import ColumnSpan, DataRef
from plugmesh.data.digest import content_hash
from plugmesh.data.schema import make_schema_ipc, schema_of
from plugmesh.data.table import read_batches, read_rows, read_table, write_table
from plugmesh.errors import Conflict, DataMismatch, ObjectCorrupt, ObjectMissing, StoreFull
from plugmesh.objects.local import LocalStore
from plugmesh.objects.port import Writer
from tests.unit.data.arrow_strategies import same, tables

keys = (f"k{number}" for number in itertools.count())


class CountingStore:
    """A store that remembers what was read."""

    def __init__(self, store: LocalStore) -> None:
        self.store, self.reads = store, list[tuple[str, int, int | None]]()
        self.create, self.delete, self.list = store.create, store.delete, store.list

    def read(self, key: str, offset: int = 0, length: int | None = None) -> memoryview:
        self.reads.append((key, offset, length))
        return self.store.read(key, offset, length)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return LocalStore(tmp_path_factory.mktemp("store"))


@pytest.fixture
def counting(store: LocalStore) -> CountingStore:
    return CountingStore(store)


def spans(ref: DataRef) -> Iterator[ColumnSpan]:
    return (span for fragment in ref.fragments for group in fragment.groups for span in group.columns)


def overwrite(store: LocalStore, key: str, data: bytes) -> None:
    store.delete(key)
    writer = store.create(key)
    writer.write(data)
    writer.commit()


@settings(max_examples=150)
@given(table=tables(), rows=st.integers(1, 6))
def test_any_table_comes_back(store: LocalStore, table: pa.Table, rows: int) -> None:
    ref = write_table(store, next(keys), table, max_rows_per_fragment=rows)
    assert ref.rows == table.num_rows == sum(fragment.rows for fragment in ref.fragments)
    assert DataRef.model_validate_json(ref.model_dump_json()) == ref
    assert same(read_table(store, ref, verify=True), table)
    assert same(read_batches(store, ref).read_all(), table)


@settings(max_examples=80)
@given(table=tables(), rows=st.integers(1, 6), offset=st.integers(0, 15), limit=st.integers(0, 15), data=st.data())
def test_any_rows_and_columns_come_back(
    store: LocalStore, table: pa.Table, rows: int, offset: int, limit: int, data: st.DataObject
) -> None:
    ref = write_table(store, next(keys), table, max_rows_per_fragment=rows)
    names = data.draw(st.lists(st.sampled_from(table.column_names), unique=True, min_size=1))
    assert same(read_rows(store, ref, offset, limit, names), table.select(names).slice(offset, limit))


@settings(max_examples=80)
@given(table=tables(), rows=st.integers(1, 6), cuts=st.lists(st.integers(0, 12), max_size=4))
def test_batches_make_the_same_table(store: LocalStore, table: pa.Table, rows: int, cuts: list[int]) -> None:
    edges = sorted({0, table.num_rows, *(cut for cut in cuts if cut < table.num_rows)})
    pieces = [table.slice(start, end - start) for start, end in itertools.pairwise(edges)] or [table]
    ref = write_table(store, next(keys), iter(pieces), max_rows_per_fragment=rows)
    assert all(fragment.rows <= rows for fragment in ref.fragments)
    assert same(read_table(store, ref, verify=True), table)


@given(st.lists(st.integers(0, 4), max_size=5), st.integers(1, 5))
def test_boundaries_are_kept_exactly(store: LocalStore, boundaries: list[int], batch: int) -> None:
    table = pa.table({"x": pa.array(range(sum(boundaries)), pa.int64())})
    for source in (table, table.to_reader(max_chunksize=batch)):
        ref = write_table(store, next(keys), source, boundaries=boundaries)
        assert [fragment.rows for fragment in ref.fragments] == boundaries
        assert same(read_table(store, ref), table)


@pytest.mark.parametrize("boundaries", [[2], [3, 1], []])
def test_boundaries_of_another_number_of_rows_are_refused(store: LocalStore, boundaries: list[int]) -> None:
    table = pa.table({"x": [1, 2, 3]})
    for source in (table, table.to_reader()):
        key = next(keys)
        with pytest.raises(DataMismatch, match="3 came"):
            write_table(store, key, source, boundaries=boundaries)
        with pytest.raises(ObjectMissing):
            store.read(key)


def test_column_is_an_aligned_arrow_stream_of_its_own(store: LocalStore) -> None:
    table = pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]})
    ref = write_table(store, "layout", table, max_rows_per_fragment=2)
    found = [
        (span.name, pa.ipc.open_stream(store.read("layout", span.offset, span.length)).read_all())
        for span in spans(ref)
    ]
    assert [(name, piece.to_pydict()) for name, piece in found] == [
        ("a", {"a": [1, 2]}),
        ("b", {"b": ["x", None]}),
        ("a", {"a": [3]}),
        ("b", {"b": ["z"]}),
    ]
    assert all(span.offset % 64 == 0 for span in spans(ref))
    assert all(span.hash == content_hash(store.read("layout", span.offset, span.length)) for span in spans(ref))


def test_large_column_has_the_hash_of_its_bytes(store: LocalStore) -> None:
    ref = write_table(store, "large-hash", pa.table({"x": np.arange(100_000), "s": ["text"] * 100_000}))
    for span in spans(ref):
        data = store.read("large-hash", span.offset, span.length)
        assert span.hash == content_hash(data)
        assert span.hash.startswith("xxh3:")
        assert len(span.hash) == 37


def test_only_the_named_columns_are_read(counting: CountingStore) -> None:
    table = pa.table({name: np.arange(20_000) for name in "abc"})
    ref = write_table(counting, "projected", table)
    assert read_table(counting, ref, ["c", "a"]).equals(table.select(["c", "a"]))
    wanted = [next(span for span in spans(ref) if span.name == name) for name in ("c", "a")]
    assert counting.reads == [("projected", span.offset, span.length) for span in wanted]


def test_small_columns_that_lie_beside_each_other_are_read_at_once(counting: CountingStore) -> None:
    ref = write_table(counting, "beside", pa.table({"a": [1], "b": ["x"], "c": [2.0]}))
    assert read_table(counting, ref, ["c", "a"]).to_pydict() == {"c": [2.0], "a": [1]}
    assert len(counting.reads) == 1


def test_only_the_needed_fragments_are_read(counting: CountingStore) -> None:
    ref = write_table(counting, "rows", pa.table({"x": list(range(10))}), max_rows_per_fragment=3)
    assert read_rows(counting, ref, 4, 3).to_pydict() == {"x": [4, 5, 6]}
    assert len(counting.reads) == 2
    assert read_rows(counting, ref, 10, 5).num_rows == 0
    assert len(counting.reads) == 2


def test_batches_are_read_as_they_are_reached(counting: CountingStore) -> None:
    ref = write_table(counting, "lazy", pa.table({"x": list(range(4))}), max_rows_per_fragment=1)
    reader = read_batches(counting, ref)
    assert counting.reads == []
    assert reader.read_next_batch().to_pydict() == {"x": [0]}
    assert len(counting.reads) < 4


def test_batches_are_of_bounded_size(store: LocalStore) -> None:
    ref = write_table(store, "bounded", pa.table({"x": np.zeros(600_000, np.int8)}))
    assert [batch.num_rows for batch in read_batches(store, ref)] == [262_144, 262_144, 75_712]


def test_table_is_read_without_a_copy(store: LocalStore) -> None:
    ref = write_table(store, "mapped", pa.table({"x": np.arange(500_000.0), "s": ["abc"] * 500_000}))
    before = pa.total_allocated_bytes()
    table = read_table(store, ref)
    assert pa.total_allocated_bytes() - before < 10_000
    values = table.column("x").chunk(0).to_numpy()
    assert not values.flags.writeable
    with pytest.raises(ValueError):
        values.flags.writeable = True


def test_table_outlives_its_object_and_its_store(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    table = pa.table({"x": np.arange(100_000)})
    read = read_table(store, write_table(store, "k", table))
    store.delete("k")
    del store
    gc.collect()
    assert read.equals(table)


def test_fragments_are_cut_by_bytes_too(store: LocalStore) -> None:
    table = pa.table({"s": ["x" * 1000] * 1000})
    for source in (table, iter(table.to_batches(max_chunksize=10)), iter(table.to_batches())):
        ref = write_table(store, next(keys), source, max_bytes_per_fragment=100_000)
        assert 10 <= len(ref.fragments) <= 12


def test_small_batches_are_gathered(store: LocalStore) -> None:
    batches = [pa.record_batch({"x": [number]}) for number in range(100)]
    ref = write_table(store, "gathered", batches)
    assert len(ref.fragments) == 1
    assert read_table(store, ref).column("x").num_chunks == 1


def test_stream_is_written_in_bounded_memory(store: LocalStore) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        for number in range(200):
            yield pa.record_batch({"x": np.full(50_000, number)})
            peaks.append(pa.total_allocated_bytes() - before)

    peaks: list[int] = []
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    ref = write_table(store, "stream", batches(), max_bytes_per_fragment=4_000_000)
    _, python_peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert ref.rows == 10_000_000
    assert max(peaks) < 20_000_000
    assert python_peak < 20_000_000
    store.delete("stream")


def test_no_rows_and_no_columns_make_no_object(store: LocalStore) -> None:
    empty = pa.table({"x": pa.array([], pa.decimal128(5, 2)), "d": pa.array([], pa.string()).dictionary_encode()})
    ref = write_table(store, "no-rows", empty)
    assert (ref.rows, ref.fragments) == (0, ())
    assert same(read_table(store, ref), empty)
    narrow = write_table(store, "no-columns", pa.table({"x": [1, 2]}).select([]))
    assert read_table(store, narrow).shape == (2, 0)
    assert not {"no-rows", "no-columns"} & {item.key for item in store.list("")}


@pytest.mark.parametrize("boundaries", [None, [2, 0, 3]])
def test_rows_are_counted_without_columns_too(store: LocalStore, boundaries: list[int] | None) -> None:
    bare = pa.table({"x": range(5)}).select([])
    for source in (bare, bare.to_batches(), [bare, bare.slice(0, 0)]):
        ref = write_table(store, "bare", source, max_rows_per_fragment=2, boundaries=boundaries)
        assert [fragment.rows for fragment in ref.fragments] == (boundaries or [2, 2, 1])
        assert read_table(store, ref).num_rows == 5
        assert read_rows(store, ref, 1, 3).num_rows == 3
        assert sum(batch.num_rows for batch in read_batches(store, ref)) == 5


def test_stream_without_batches_needs_a_schema(store: LocalStore) -> None:
    schema = pa.schema([("x", pa.int8())])
    assert schema_of(write_table(store, next(keys), [], schema=schema)) == schema
    assert schema_of(write_table(store, next(keys), pa.RecordBatchReader.from_batches(schema, []))) == schema
    with pytest.raises(DataMismatch, match="yield one empty batch"):
        write_table(store, next(keys), [])


def test_batches_that_differ_are_refused(store: LocalStore) -> None:
    batches = [pa.record_batch({"x": [1]}), pa.record_batch({"x": ["a"]})]
    with pytest.raises(DataMismatch, match=r"batch 1 .* column 'x' was int64, now string"):
        write_table(store, next(keys), batches)
    with pytest.raises(DataMismatch, match=r"batch 1 .* expected x; found y"):
        write_table(store, next(keys), [pa.record_batch({"x": [1]}), pa.record_batch({"y": [1]})])


def test_two_columns_of_one_name_are_refused(store: LocalStore) -> None:
    with pytest.raises(DataMismatch, match="more than one column called 'x'"):
        write_table(store, next(keys), pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]))


def test_existing_key_is_a_conflict(store: LocalStore) -> None:
    write_table(store, "twice", pa.table({"x": [1]}))
    with pytest.raises(Conflict):
        write_table(store, "twice", pa.table({"x": [2]}))


def test_failing_stream_leaves_nothing(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"x": np.arange(500_000)})
        yield pa.record_batch({"x": np.arange(500_000)})
        raise KeyError("the author's own error")

    with pytest.raises(KeyError, match="own error"):
        write_table(LocalStore(tmp_path), "k", batches(), max_rows_per_fragment=10_000)
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "boot"] == []


def test_full_store_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise StoreFull("no room")

    store = LocalStore(tmp_path)
    writer = type(store.create("probe"))
    monkeypatch.setattr(writer, "write", full)
    for rows in (1, 100_000):
        with pytest.raises(StoreFull):
            write_table(store, "k", pa.table({"x": np.arange(rows)}))
    assert [item.key for item in store.list("")] == []


def test_unknown_column_is_named_with_the_nearest(store: LocalStore) -> None:
    ref = write_table(store, next(keys), pa.table({"price": [1]}))
    with pytest.raises(DataMismatch, match="no column 'prize'; did you mean 'price'"):
        read_table(store, ref, ["prize"])
    with pytest.raises(ValueError, match="must not be negative"):
        read_rows(store, ref, -1, 5)


def test_flipped_byte_is_found_when_asked(store: LocalStore) -> None:
    ref = write_table(store, "flipped", pa.table({"x": np.arange(10_000), "y": np.arange(10_000)}))
    data = bytearray(store.read("flipped"))
    data[-100] ^= 1
    overwrite(store, "flipped", bytes(data))
    with pytest.raises(ObjectCorrupt, match="object flipped, column 'y': its bytes have hash") as found:
        read_table(store, ref, verify=True)
    assert found.value.code == "object-corrupt"
    assert read_table(store, ref, ["x"], verify=True).num_rows == 10_000


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_metadata_is_corrupt_and_never_another_error(store: LocalStore, data: st.DataObject) -> None:
    key = next(keys)
    ref = write_table(store, key, pa.table({"x": list(range(20)), "s": ["a", None] * 10}))
    content = bytearray(store.read(key))
    # Without hashes Arrow's own checks stand between damage and a crash; data bytes are not damage they can see.
    for position in data.draw(st.lists(st.integers(0, 250), min_size=1, max_size=4)):
        content[position] = data.draw(st.integers(0, 255))
    overwrite(store, key, bytes(content))
    try:
        read_table(store, ref)
    except ObjectCorrupt as error:
        assert key in str(error)  # noqa: PT017


@pytest.mark.parametrize("size", [0, 3, 100, 400])
def test_truncated_object_is_corrupt(store: LocalStore, size: int) -> None:
    key = next(keys)
    ref = write_table(store, key, pa.table({"x": list(range(100))}))
    data = bytes(store.read(key))
    overwrite(store, key, data[:size])
    with pytest.raises(ObjectCorrupt, match=key):
        read_table(store, ref)
    overwrite(store, key, data[:size] + b"garbage" * 1000)
    with pytest.raises(ObjectCorrupt, match=key):
        read_table(store, ref)


def test_reference_that_lies_about_rows_or_types_is_corrupt(store: LocalStore) -> None:
    ref = write_table(store, next(keys), pa.table({"x": [1, 2]}))
    short = ref.model_copy(update={"fragments": (ref.fragments[0].model_copy(update={"rows": 1}),)})
    with pytest.raises(ObjectCorrupt, match="says 1 rows of int64, the object has 2 rows of int64"):
        read_table(store, short)
    other = ref.model_copy(update={"schema_ipc": make_schema_ipc(pa.schema([("x", pa.string())]))})
    with pytest.raises(ObjectCorrupt, match="says 2 rows of string"):
        read_table(store, other)
    more = ref.model_copy(update={"schema_ipc": make_schema_ipc(pa.schema([("y", pa.int64())]))})
    with pytest.raises(ObjectCorrupt, match="column 'y' in its schema that a fragment lacks"):
        read_table(store, more)


@pytest.mark.parametrize("text", ["", "AAAA", "not base64!", "ü"])
def test_unreadable_schema_is_corrupt(text: str) -> None:
    with pytest.raises(ObjectCorrupt, match="schema in a reference"):
        schema_of(DataRef(schema_ipc=text, rows=0, fragments=()))


def test_missing_object_is_said_to_be_missing(store: LocalStore) -> None:
    ref = write_table(store, "gone", pa.table({"x": [1]}))
    store.delete("gone")
    with pytest.raises(ObjectMissing, match="gone"):
        read_table(store, ref)
    with pytest.raises(ObjectMissing, match="gone"):
        read_batches(store, ref).read_all()


def test_dictionaries_that_change_between_chunks_survive(store: LocalStore) -> None:
    chunks = [pa.array(values).dictionary_encode() for values in (["a", "b"], ["c", "a"], ["b"])]
    table = pa.table({"d": pa.chunked_array(chunks)})
    for rows in (1, 2, 100):
        ref = write_table(store, next(keys), table, max_rows_per_fragment=rows)
        assert read_table(store, ref).column("d").to_pylist() == ["a", "b", "c", "a", "b"]


def test_extension_types_and_field_metadata_survive(store: LocalStore) -> None:
    schema = pa.schema([pa.field("id", pa.uuid(), nullable=False, metadata={"unit": "none"})], {"note": "mine"})
    table = pa.Table.from_arrays([pa.array([b"0123456789abcdef"], pa.uuid())], schema=schema)
    assert read_table(store, write_table(store, next(keys), table)).schema.equals(schema, check_metadata=True)


def test_any_stream_object_of_arrow_is_written(store: LocalStore) -> None:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, pa.schema([("x", pa.int64())])) as writer:
        writer.write_batch(pa.record_batch({"x": [1, 2]}))
    reader = pa.ipc.open_stream(sink.getvalue())
    assert write_table(store, next(keys), reader).rows == 2


class HintedStore:
    """A store that remembers how many bytes it was told would come, and how many came."""

    def __init__(self, store: LocalStore) -> None:
        self.store, self.hints = store, list[int | None]()
        self.read, self.delete, self.list = store.read, store.delete, store.list

    def create(self, key: str, bytes: int | None = None) -> Writer:
        self.hints.append(bytes)
        return self.store.create(key, bytes)


def test_a_table_in_memory_is_one_fragment_with_each_column_in_one_piece(store: LocalStore) -> None:
    pieces = [pa.table({"x": np.arange(400_000) + number, "s": pa.array(["a", None] * 200_000)}) for number in range(4)]
    table = pa.concat_tables(pieces)
    ref = write_table(store, next(keys), table)
    assert [fragment.rows for fragment in ref.fragments] == [1_600_000]
    found = read_table(store, ref)
    assert found.equals(table)
    assert [column.num_chunks for column in found.columns] == [1, 1]


def test_columns_too_large_to_be_in_memory_twice_stay_in_pieces(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pa.concat_tables([pa.table({"x": np.arange(100_000)})] * 3)
    monkeypatch.setattr("plugmesh.data.columns._COMBINED_BYTES", 1_000_000)
    found = read_table(store, write_table(store, next(keys), table))
    assert found.equals(table)
    assert found.column(0).num_chunks == 3


def test_the_store_is_told_about_how_much_will_come(store: LocalStore) -> None:
    hinted = HintedStore(store)
    table = pa.table({f"c{number}": np.random.default_rng(number).random(50_000) for number in range(20)})
    for source in (table, table.slice(10_000, 20_000), pa.concat_tables([table] * 3), iter(table.to_batches())):
        key = next(keys)
        write_table(hinted, key, source)
        written = len(store.read(key))
        assert written <= (hinted.hints[-1] or 0) <= written * 1.05 or not isinstance(source, pa.Table)


def test_chunks_without_rows_and_bytes_are_put_together_with_others(store: LocalStore) -> None:
    empty = pa.Array.from_buffers(pa.float64(), 0, [None, pa.py_buffer(b"")], offset=1)
    table = pa.table({"x": pa.chunked_array([pa.array([1.0]), empty, pa.array([2.0])])})
    assert read_table(store, write_table(store, "data/1", table)).to_pydict() == {"x": [1.0, 2.0]}
