import itertools
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugmesh.contracts.data import (
    DataRef,
    FileRef,
    Fragment,
    JoinedRef,
    Reference,
    SpilledRef,
    ValueRef,
    kind_of,
    non_finite,
    referenced_keys,
    table_bytes,
)
from plugmesh.data.reference import attach, concat, cut, drop, join, rename, resolve, select, slice_ref, spill
from plugmesh.data.schema import find_columns, make_schema_ipc, schema_of
from plugmesh.data.table import read_batches, read_rows, read_table, write_table
from plugmesh.errors import DataMismatch, ObjectCorrupt, ObjectMissing
from plugmesh.objects.local import LocalStore
from tests.unit.data.arrow_strategies import same, tables

keys = (f"k{number}" for number in itertools.count())
TABLE = pa.table({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [1.5, 2.5, None]})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LocalStore:
    return LocalStore(tmp_path_factory.mktemp("store"))


def write(store: LocalStore, table: pa.Table, rows: int = 2) -> DataRef:
    return write_table(store, next(keys), table, max_rows_per_fragment=rows)


def rows_of(ref: DataRef) -> list[int]:
    return [fragment.rows for fragment in ref.fragments]


@given(table=tables(), rows=st.integers(1, 6), data=st.data())
def test_operations_on_references_are_the_operations_on_tables(
    store: LocalStore, table: pa.Table, rows: int, data: st.DataObject
) -> None:
    ref = write(store, table, rows)
    names = table.column_names
    chosen = data.draw(st.permutations(names))[: data.draw(st.integers(1, len(names)))]
    assert same(read_table(store, select(ref, chosen)), table.select(chosen))
    assert same(read_table(store, drop(ref, chosen[1:])), table.drop_columns(chosen[1:]))
    renamed = table.rename_columns(list(reversed(names))).replace_schema_metadata(table.schema.metadata)
    swapped = dict(zip(names, reversed(names), strict=True))
    assert same(read_table(store, rename(ref, swapped)), renamed)
    assert same(read_table(store, concat([ref, ref])), pa.concat_tables([table, table]))


@given(table=tables(), rows=st.integers(1, 6))
def test_columns_that_were_taken_away_can_be_attached_again(store: LocalStore, table: pa.Table, rows: int) -> None:
    ref = write(store, table, rows)
    names = table.column_names
    again = attach(select(ref, names[:1]), ref, names[1:])
    assert again == ref.model_copy(update={"schema_ipc": again.schema_ipc})
    assert same(read_table(store, again), table)


@given(table=tables(), rows=st.integers(1, 6), data=st.data())
def test_a_slice_of_a_reference_is_a_slice_of_the_table(
    store: LocalStore, table: pa.Table, rows: int, data: st.DataObject
) -> None:
    ref, names = write(store, table, rows), table.column_names
    number = st.integers(0, table.num_rows + 2)
    for _ in range(2):  # also a slice of a slice
        start, count = data.draw(number), data.draw(number)
        ref, table = slice_ref(ref, start, count), table.slice(start, count)
        assert ref.rows == table.num_rows == sum(rows_of(ref))
        assert same(read_table(store, ref, verify=True), table)
        assert same(read_rows(store, ref, 1, 2), table.slice(1, 2))
        assert same(read_table(store, select(ref, names[-1:])), table.select(names[-1:]))
        assert same(read_table(store, attach(select(ref, names[:1]), ref, names[1:])), table)
        assert same(read_table(store, concat([ref, ref])), pa.concat_tables([table, table]))
        assert DataRef.model_validate_json(ref.model_dump_json()) == ref
        assert pa.Table.from_batches(read_batches(store, ref), table.schema).to_pylist() == table.to_pylist()


def test_slices_put_together_are_the_table_and_say_how_much_of_it_they_are(store: LocalStore) -> None:
    table = pa.table({"x": list(range(1000)), "y": [str(number) for number in range(1000)]})
    ref = write(store, table, 400)
    parts = [slice_ref(ref, start, 128) for start in range(0, 1000, 128)]
    assert read_table(store, concat(parts)).equals(table)
    assert sum(table_bytes(part) for part in parts) == pytest.approx(table_bytes(ref), abs=50)
    assert table_bytes(ref, {"x"}) < table_bytes(ref)
    assert slice_ref(ref, 0, 1000) == ref, "whole fragments stay what they are"


def test_columns_of_other_parts_of_one_object_stay_apart(store: LocalStore) -> None:
    ref = write(store, TABLE, 3)
    both = attach(select(slice_ref(ref, 0, 2), ["a"]), slice_ref(ref, 1, 2), ["b"])
    assert read_table(store, both).to_pydict() == {"a": [1, 2], "b": ["y", "z"]}


def test_a_part_that_reaches_beyond_its_stream_is_corrupt(store: LocalStore) -> None:
    part = slice_ref(write(store, TABLE, 3), 1, 2).fragments[0]
    for update in ({"start": 2}, {"rows": 2, "start": 0}, {"rows": None}):
        groups = tuple(group.model_copy(update=update) for group in part.groups)
        broken = DataRef(schema_ipc=make_schema_ipc(TABLE.schema), rows=2, fragments=(Fragment(rows=2, groups=groups),))
        with pytest.raises(ObjectCorrupt, match="the reference says 2 rows"):
            read_table(store, broken)


@given(rows=st.lists(st.integers(0, 5), min_size=1, max_size=4), data=st.data())
def test_tables_are_joined_and_cut_unseen_where_they_are_spilled(
    store: LocalStore, rows: list[int], data: st.DataObject
) -> None:
    whole = pa.table({"x": pa.array(list(range(sum(rows))), pa.int64())})
    starts = itertools.accumulate(rows, initial=0)
    parts = [write(store, whole.slice(start, count)) for start, count in zip(starts, rows, strict=False)]
    hidden = [spill(store, next(keys), part, limit_bytes=0) if data.draw(st.booleans()) else part for part in parts]
    joined: Reference = join(hidden)
    if data.draw(st.booleans()):
        joined = spill(store, next(keys), joined, limit_bytes=0)
    assert isinstance(joined, DataRef | SpilledRef | JoinedRef)
    assert (joined.rows, kind_of(joined)) == (whole.num_rows, "table")
    number = st.integers(0, whole.num_rows + 2)
    for _ in range(2):
        assert isinstance(found := resolve(store, joined), DataRef)
        assert read_table(store, found).equals(whole)
        start, count = data.draw(number), data.draw(number)
        joined, whole = cut(joined, start, count), whole.slice(start, count)


def test_only_tables_can_be_joined_or_cut() -> None:
    for wrong in (ValueRef(value=1), FileRef(name="f", key="k", bytes=1, hash="h")):
        with pytest.raises(DataMismatch, match=wrong.kind):
            join([wrong, wrong])
        with pytest.raises(DataMismatch, match=wrong.kind):
            cut(wrong, 0, 1)


@pytest.mark.parametrize(("start", "rows"), [(-1, 2), (0, -1)])
def test_a_slice_with_negative_numbers_is_refused(store: LocalStore, start: int, rows: int) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        slice_ref(write(store, TABLE), start, rows)


def test_added_column_lies_in_its_own_object_and_the_others_where_they_were(store: LocalStore) -> None:
    old = write(store, TABLE)
    new = write_table(store, "added", pa.table({"d": [True, False, True]}), boundaries=rows_of(old))
    both = attach(old, new, ["d"])
    assert read_table(store, both, verify=True).equals(TABLE.append_column("d", [[True, False, True]]))
    assert referenced_keys(both) == referenced_keys(old) | {"added"}
    assert referenced_keys(select(both, ["d"])) == {"added"}
    assert referenced_keys(drop(both, ["d"])) == referenced_keys(old)


def test_rows_stay_when_all_columns_go(store: LocalStore) -> None:
    ref = drop(write(store, TABLE), ["a", "b", "c"])
    assert read_table(store, ref).shape == (3, 0)
    assert read_table(store, concat([ref, ref])).num_rows == 6
    assert referenced_keys(ref) == set()


def test_schema_metadata_is_kept(store: LocalStore) -> None:
    ref = write(store, TABLE.replace_schema_metadata({"note": "mine"}))
    other = write(store, pa.table({"d": [1, 2, 3]}))
    for changed in (select(ref, ["a"]), drop(ref, ["a"]), rename(ref, {"a": "z"}), attach(ref, other, ["d"])):
        assert schema_of(changed).metadata == {b"note": b"mine"}


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (lambda ref: select(ref, ["aa"]), "no column 'aa'; did you mean 'a'"),
        (lambda ref: select(ref, ["a", "a"]), "selected twice"),
        (lambda ref: drop(ref, ["zzzz"]), "no column 'zzzz'; the columns are: a, b, c"),
        (lambda ref: rename(ref, {"x9": "y"}), "no column 'x9'"),
        (lambda ref: rename(ref, {"a": "b"}), "two columns 'b'"),
        (lambda ref: attach(ref, ref, ["b"]), "'b' is in both tables"),
        (lambda ref: attach(ref, ref, ["q"]), "no column 'q'"),
        (lambda ref: concat([]), "nothing to put together"),
        (
            lambda ref: concat([ref, select(ref, ["a"])]),
            "table 1 .* expected a: int64, b: string, c: double; found a: int64",
        ),
    ],
)
def test_what_does_not_fit_is_named(store: LocalStore, operation: object, message: str) -> None:
    with pytest.raises(DataMismatch, match=message):
        operation(write(store, TABLE))  # type: ignore[operator]


def test_other_fragments_cannot_be_attached(store: LocalStore) -> None:
    with pytest.raises(DataMismatch, match=r"3 rows in 2 fragments and 3 rows in 1; write .* boundaries"):
        attach(write(store, TABLE), write(store, pa.table({"d": [1, 2, 3]}), rows=9), ["d"])


def test_tables_whose_schemas_differ_in_metadata_only_are_put_together(store: LocalStore) -> None:
    both = concat([write(store, TABLE), write(store, TABLE.replace_schema_metadata({"a": "b"}))])
    assert read_table(store, both).equals(pa.concat_tables([TABLE, TABLE]))


def test_short_reference_is_not_spilled(store: LocalStore) -> None:
    for ref in (write(store, TABLE), ValueRef(value=[1]), FileRef(name="f", key="k", bytes=1, hash="h")):
        assert spill(store, "unused", ref) is ref
        assert resolve(store, ref) is ref


def test_long_reference_is_spilled_and_found_again(store: LocalStore) -> None:
    ref = write(store, pa.table({"x": list(range(200))}), rows=1)
    spilled = spill(store, "spilled", ref)
    assert isinstance(spilled, SpilledRef)
    assert (spilled.of, spilled.rows, spilled.key) == ("table", 200, "spilled")
    assert len(spilled.model_dump_json()) < 300
    assert resolve(store, spilled) == ref
    assert spill(store, "again", spilled) is spilled


def test_every_kind_of_reference_can_be_spilled(store: LocalStore) -> None:
    file = FileRef(name="f", key="k", bytes=1, hash="h")
    for ref in (file, ValueRef(value={"a": [1, None]})):
        spilled = spill(store, next(keys), ref, limit_bytes=10)
        assert isinstance(spilled, SpilledRef)
        assert resolve(store, spilled) == ref


def test_damaged_or_missing_spilled_reference_is_an_error(store: LocalStore) -> None:
    spilled = spill(store, "damaged", ValueRef(value="x" * 50), limit_bytes=10)
    assert isinstance(spilled, SpilledRef)
    wrong = spilled.model_copy(update={"hash": "xxh3:0"})
    with pytest.raises(ObjectCorrupt, match="object damaged"):
        resolve(store, wrong)
    with pytest.raises(ObjectCorrupt, match="kind value, not table"):
        resolve(store, spilled.model_copy(update={"of": "table"}))
    store.delete("damaged")
    with pytest.raises(ObjectMissing):
        resolve(store, spilled)


def test_long_names_are_cut_in_messages() -> None:
    with pytest.raises(DataMismatch) as caught:
        find_columns(["x" * 5000, "y" * 5000], ["z" * 5000])
    assert "x" * 99 + "…, " in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"a": [1.5, {"b": float("nan")}]}, "NaN"),
        ([float("inf"), float("nan")], "Infinity"),
        (float("-inf"), "-Infinity"),
        ({"a": [1.5, None, "NaN", True]}, None),
    ],
)
def test_numbers_that_json_cannot_hold_are_found_wherever_they_are(value: Any, found: str | None) -> None:
    assert non_finite(value) == found
