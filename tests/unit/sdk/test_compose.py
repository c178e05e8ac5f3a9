"""Columns of several references beside each other, also of parts of them: nothing is copied, nothing is mixed up."""

import itertools

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from module_sdk.executor.compose import Lane, bytes_of, compose
from plugmesh.data.reference import slice_ref
from plugmesh.data.table import read_table, write_table
from plugmesh.objects.local import LocalStore

keys = (f"k{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return LocalStore(tmp_path_factory.mktemp("store"))


@given(start=st.integers(0, 20), rows=st.integers(0, 20), most=st.integers(1, 8))
def test_new_columns_stand_beside_a_part_of_another_table(store: LocalStore, start: int, rows: int, most: int) -> None:
    table = pa.table({"a": list(range(20)), "b": [str(number) for number in range(20)]})
    part = slice_ref(write_table(store, next(keys), table, max_rows_per_fragment=most), start, rows)
    edges = [fragment.rows for fragment in part.fragments]
    made = pa.table({"c": pa.array([number * 2 for number in range(part.rows)], pa.int64())})
    new = write_table(store, next(keys), made, boundaries=edges)
    schema = pa.schema([table.schema.field("b"), made.schema.field("c"), table.schema.field("a").with_name("z")])
    theirs, ours = Lane.whole(part), Lane.whole(new)
    both = compose(
        schema, {"b": (theirs, "b"), "c": (ours, "c"), "z": (theirs, "a")}, list(itertools.accumulate(edges))
    )
    expected = table.slice(start, rows)
    expected = pa.table([expected["b"], made["c"], expected["a"]], schema)
    assert read_table(store, both, verify=True).equals(expected)


def test_bytes_of_a_part_are_a_part_of_the_bytes(store: LocalStore) -> None:
    ref = write_table(store, next(keys), pa.table({"a": list(range(1000))}))
    assert bytes_of(slice_ref(ref, 250, 500)) == bytes_of(ref) // 2


def test_columns_of_other_rows_of_one_object_stay_apart(store: LocalStore) -> None:
    ref = write_table(store, next(keys), pa.table({"a": [1, 2, 3], "b": [4, 5, 6]}))
    one, other = Lane.whole(slice_ref(ref, 0, 2)), Lane.whole(slice_ref(ref, 1, 2))
    both = compose(pa.schema({"a": pa.int64(), "b": pa.int64()}), {"a": (one, "a"), "b": (other, "b")}, [2])
    assert read_table(store, both).to_pydict() == {"a": [1, 2], "b": [5, 6]}


@given(
    ranges=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 19), st.integers(0, 20)), max_size=4),
    most=st.integers(1, 8),
    more=st.lists(st.integers(1, 80), max_size=3),
)
def test_rows_from_anywhere_are_put_together(
    store: LocalStore, ranges: list[tuple[int, int, int]], most: int, more: list[int]
) -> None:
    tables = [pa.table({"a": list(range(20))}), pa.table({"a": list(range(100, 130))})]
    refs = [write_table(store, next(keys), one, max_rows_per_fragment=most) for one in tables]
    ranges = [(source, start, min(rows, 20 - start)) for source, start, rows in ranges]
    lane = Lane(tuple((refs[source], start, rows) for source, start, rows in ranges))
    expected = [row for source, start, rows in ranges for row in tables[source]["a"].to_pylist()[start : start + rows]]
    assert lane.rows == len(expected)
    cuts = sorted({*lane.cuts(), *(cut for cut in more if cut < len(expected))} - {0})
    both = compose(pa.schema({"z": pa.int64()}), {"z": (lane, "a")}, cuts)
    assert both.rows == len(expected)
    assert read_table(store, both, verify=True)["z"].to_pylist() == expected
