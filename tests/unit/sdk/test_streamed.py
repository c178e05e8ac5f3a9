"""Streams are written as they come; what an input has already is borrowed, batch by batch, and never more than that."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from module_sdk.executor.inputs import Given
from module_sdk.executor.streamed import Streamed, write_stream
from plugmesh.contracts.data import DataRef, referenced_keys
from plugmesh.data.reference import slice_ref
from plugmesh.data.table import read_batches, read_table, write_table
from plugmesh.objects.local import LocalStore

ROWS = 400_000
keys = (f"k{number}" for number in itertools.count())
TABLE = pa.table(
    {
        "x": np.arange(ROWS),
        "y": np.arange(ROWS) / 7,
        "t": pc.cast(pa.array(np.arange(ROWS) % 1000), pa.string()),
        "n": pa.array(np.arange(ROWS), mask=np.arange(ROWS) % 3 == 0),
    }
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return LocalStore(tmp_path_factory.mktemp("store"), keep_free_bytes=0)


@pytest.fixture(scope="module")
def ref(store: LocalStore) -> DataRef:
    return write_table(store, "input", TABLE, max_rows_per_fragment=150_000)


def handed(store: LocalStore, ref: DataRef) -> Given:
    """A stream of all columns."""
    reader = read_batches(store, ref)
    return Given(ref, ref, reader, tuple(reader.schema.names))


def write(store: LocalStore, given: Sequence[Given], batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Streamed:
    return write_stream(store, next(keys), pa.RecordBatchReader.from_batches(schema, batches), given, None)


def own_keys(streamed: Streamed, ref: DataRef) -> set[str]:
    return referenced_keys(streamed.ref) - referenced_keys(ref)


def test_a_column_beside_those_that_came_is_all_that_is_written(store: LocalStore, ref: DataRef) -> None:
    one = handed(store, ref)
    schema = TABLE.schema.append(pa.field("z", pa.int64()))
    batches = (batch.append_column("z", pc.multiply(batch.column(0), 2)) for batch in one.value)
    streamed = write(store, [one], batches, schema)
    assert (streamed.written, streamed.passed) == (("z",), ("x", "y", "t", "n"))
    assert streamed.bytes_written < ROWS * 9
    expected = TABLE.append_column("z", pc.multiply(TABLE["x"], 2))
    assert read_table(store, streamed.ref, verify=True).equals(expected)


def test_batches_that_come_back_as_they_are_make_no_object(store: LocalStore, ref: DataRef) -> None:
    one = handed(store, ref)
    streamed = write(store, [one], iter(one.value), TABLE.schema)
    assert own_keys(streamed, ref) == set()
    assert (streamed.written, streamed.bytes_written) == ((), 0)
    assert read_table(store, streamed.ref, verify=True).equals(TABLE)


def test_a_part_of_a_table_is_borrowed_from_where_it_begins(store: LocalStore, ref: DataRef) -> None:
    part = slice_ref(ref, 100_001, 200_000)
    one = handed(store, part)
    streamed = write(store, [one], (batch.select(["y", "x"]) for batch in one.value), TABLE.select(["y", "x"]).schema)
    assert own_keys(streamed, ref) == set()
    assert read_table(store, streamed.ref).equals(TABLE.select(["y", "x"]).slice(100_001, 200_000))


def test_other_values_of_the_same_name_are_written(store: LocalStore, ref: DataRef) -> None:
    one = handed(store, ref)
    doubled = (batch.set_column(0, "x", pc.multiply(batch.column(0), 2)) for batch in one.value)
    streamed = write(store, [one], doubled, TABLE.schema)
    assert streamed.written == ("x",)
    assert read_table(store, streamed.ref).equals(TABLE.set_column(0, "x", pc.multiply(TABLE["x"], 2)))


def test_a_column_that_changes_now_and_then_is_written_where_it_does(store: LocalStore, ref: DataRef) -> None:
    one = handed(store, ref)

    def batches() -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(one.value):
            yield batch if number else batch.set_column(1, "y", pc.negate(batch.column(1)))

    streamed = write(store, [one], batches(), TABLE.schema)
    found = read_table(store, streamed.ref)
    assert found.select(["x", "t", "n"]).equals(TABLE.select(["x", "t", "n"]))
    assert pc.sum(pc.less(found["y"], 0)).as_py() > 0
    assert pc.all(pc.equal(pc.abs(found["y"]), TABLE["y"])).as_py()


def test_few_rows_of_a_long_table_are_written_so_that_it_need_not_be_kept(store: LocalStore) -> None:
    long = write_table(store, next(keys), pa.table({"x": np.arange(4_000_000)}))
    one = handed(store, long)
    last = (batch for batch in one.value if batch.column(0)[0].as_py() >= 3_800_000)
    streamed = write(store, [one], last, pa.schema({"x": pa.int64()}))
    assert referenced_keys(streamed.ref).isdisjoint(referenced_keys(long))


def test_nothing_that_could_be_written_to_is_borrowed(store: LocalStore) -> None:
    table = pa.table({"x": np.arange(ROWS)})
    own = write_table(store, next(keys), table)
    one = Given(own, own, table, ("x",))  # handed over from memory that somebody else can reach
    streamed = write(store, [one], iter(table.to_batches()), table.schema)
    assert (
        referenced_keys(streamed.ref).isdisjoint(referenced_keys(own))
        == table.column(0).chunk(0).buffers()[1].is_mutable
    )
    assert read_table(store, streamed.ref).equals(table)


@settings(max_examples=25)
@given(data=st.data(), cuts=st.lists(st.integers(0, ROWS), max_size=5))
def test_whatever_is_done_with_the_batches_the_table_is_what_was_yielded(
    store: LocalStore, ref: DataRef, data: st.DataObject, cuts: list[int]
) -> None:
    one = handed(store, ref)
    pieces = list(one.value)
    edges = sorted({0, ROWS, *cuts})
    whole = pa.Table.from_batches(pieces)
    parts = [whole.slice(start, end - start) for start, end in itertools.pairwise(edges)]
    parts = [part for index in data.draw(st.permutations(range(len(parts)))) for part in [parts[index]]]
    if data.draw(st.booleans()):
        parts = [part.filter(pc.greater(part["y"], 1000.0)) if data.draw(st.booleans()) else part for part in parts]
    expected = pa.concat_tables(parts)
    batches = (batch for part in parts for batch in part.to_batches())
    streamed = write(store, [one], batches, TABLE.schema)
    assert read_table(store, streamed.ref, verify=True).equals(expected)
