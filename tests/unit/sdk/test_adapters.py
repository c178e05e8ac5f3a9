import collections.abc
import contextlib
import gc
import inspect
import subprocess
import sys
import typing
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from module_sdk.dataframes.adapters import adapter_for, from_native
from plugmesh.data.table import read_table, write_table
from plugmesh.errors import ContractError, DataMismatch
from plugmesh.objects.local import LocalStore
from tests.unit.sdk.arrow_types import EXAMPLES, NOW, REFUSED

FRAMES = ("pandas.DataFrame", "polars.DataFrame", "polars.LazyFrame")


def round_trip(frame: str, table: pa.Table) -> pa.Table:
    handed = adapter_for(frame).hand_over(table)
    return from_native(handed.native, given=[handed])


@settings(max_examples=60)
@given(st.data())
@pytest.mark.parametrize("frame", FRAMES)
def test_any_mix_of_columns_survives(frame: str, data: st.DataObject) -> None:
    known = sorted(EXAMPLES.keys() - REFUSED[frame].keys())
    names = data.draw(st.lists(st.sampled_from(known), unique=True, max_size=6))
    rows = data.draw(st.integers(0, 5))
    columns = {}
    for name in names:
        array = EXAMPLES[name]
        picks = data.draw(st.lists(st.integers(0, len(array) - 1), min_size=rows, max_size=rows))
        columns[name] = pa.chunked_array([array.slice(pick, 1) for pick in picks], array.type)
    table = pa.table(columns)
    back = round_trip(frame, table)
    assert back.schema == table.schema
    assert back.to_pylist() == table.to_pylist()


@pytest.mark.parametrize("frame", FRAMES)
def test_table_without_columns_keeps_its_rows(frame: str) -> None:
    table = pa.table({"x": [1, 2, 3]}).select([])
    assert round_trip(frame, table).num_rows == 3


@pytest.mark.parametrize("name", ["int64", "float64", "timestamp[us]", "string", "list", "decimal128"])
def test_pandas_shares_the_bytes_both_ways(name: str) -> None:
    array = EXAMPLES[name]
    table = pa.table({"x": array})
    frame = adapter_for(pd.DataFrame).to_native(table)
    back = from_native(frame).column("x").chunk(0)
    addresses = [[buffer and buffer.address for buffer in one.buffers()][-1] for one in (array, back)]
    assert addresses[0] == addresses[1]


@pytest.mark.parametrize("name", ["int64", "uint64", "float32", "float64", "bool", "timestamp[us]"])
def test_numbers_without_nulls_are_numpy_in_pandas(name: str) -> None:
    frame = adapter_for(pd.DataFrame).to_native(pa.table({"x": EXAMPLES[name]}))
    assert isinstance(frame.x.dtype, np.dtype)


@pytest.mark.parametrize(
    "name",
    ["int64 with nulls", "string", "timestamp[us, tz=Europe/Paris]", "decimal128", "duration[s]", "date32", "struct"],
)
def test_other_types_are_arrow_typed_in_pandas(name: str) -> None:
    frame = adapter_for(pd.DataFrame).to_native(pa.table({"x": EXAMPLES[name]}))
    assert frame.x.dtype == pd.ArrowDtype(EXAMPLES[name].type)


def test_dictionaries_are_categories_in_pandas() -> None:
    frame = adapter_for(pd.DataFrame).to_native(pa.table({"x": EXAMPLES["dictionary of text"]}))
    assert isinstance(frame.x.dtype, pd.CategoricalDtype)
    assert frame.sort_values("x").x.cat.categories.tolist() == ["a", "b"]
    assert (frame.x == "a").tolist() == [True, False, False, True]


WRITES: dict[str, Any] = {
    "loc": lambda frame: frame.loc.__setitem__((0, "x"), 9),
    "iloc": lambda frame: frame.iloc.__setitem__((0, 0), 9),
    "at": lambda frame: frame.at.__setitem__((0, "x"), 9),
    "mask": lambda frame: frame.loc.__setitem__((frame.x > 0, "x"), 9),
    "column": lambda frame: frame.__setitem__("x", 9),
    "in-place add": lambda frame: frame.__setitem__("x", frame.x.__iadd__(1)),
    "mask in place": lambda frame: frame.mask(frame.x > 0, 9, inplace=True),
    "values": lambda frame: frame.x.values.__setitem__(0, 9),
    "to_numpy": lambda frame: frame.x.to_numpy().__setitem__(0, 9),
    "array": lambda frame: frame.x.array.__setitem__(0, 9),
    "numpy out": lambda frame: np.add(frame.x.values, 1, out=frame.x.values),
    "frame values": lambda frame: frame[["x"]].values.__setitem__((0, 0), 9),
    "sort": lambda frame: frame.x.values.sort(),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("column", [pa.array([1, 2]), pa.array([1.5, 2.5]), pa.array([1, None, 3])])
def test_write_into_a_pandas_frame_never_reaches_the_input(tmp_path: Path, write: str, column: pa.Array) -> None:
    store = LocalStore(tmp_path)
    large = pa.table({"x": pa.concat_arrays([column] * 20_000)})  # large enough to be mapped
    ref = write_table(store, "k", large)
    table = read_table(store, ref)
    frame = adapter_for(pd.DataFrame).to_native(table)
    with contextlib.suppress(ValueError):  # which of them raise: the next test
        WRITES[write](frame)
    assert table.equals(large)
    assert read_table(store, ref, verify=True).equals(large)


@pytest.mark.parametrize("write", ["values", "to_numpy", "array", "numpy out", "sort"])
def test_write_past_pandas_is_a_value_error(write: str) -> None:
    frame = adapter_for(pd.DataFrame).to_native(pa.table({"x": [3, 2]}))
    with pytest.raises(ValueError, match="read-only"):
        WRITES[write](frame)


def test_write_into_a_polars_frame_never_reaches_the_input() -> None:
    table = pa.table({"x": [1, 2], "s": ["a", "b"]})
    frame = adapter_for(pl.DataFrame).to_native(table)
    frame[0, "x"] = 9
    assert not frame["x"].to_numpy().flags.writeable
    assert table.column("x").to_pylist() == [1, 2]


def test_wide_frame_takes_new_columns_without_advice_to_copy_it() -> None:
    frame = adapter_for(pd.DataFrame).to_native(pa.table({f"c{at}": [at] for at in range(150)}))
    frame["new"] = frame.c1 + frame.c149
    assert from_native(frame).num_columns == 151


def test_frame_may_outlive_everything_else(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    ref = write_table(store, "k", pa.table({"x": np.arange(100_000.0), "s": ["a"] * 100_000}))
    frame = adapter_for(pd.DataFrame).to_native(read_table(store, ref))
    store.delete("k")
    del store
    gc.collect()
    assert frame.x.sum() == 4999950000.0
    assert (frame.s == "a").all()


IN_PLACE: dict[str, dict[str, Any]] = {
    "pandas.DataFrame": {
        "new column": lambda frame: frame.__setitem__("new", 1),
        "value": lambda frame: frame.loc.__setitem__((0, "x"), 9),
        "text": lambda frame: frame.loc.__setitem__((0, "s"), "z"),
        "category": lambda frame: frame.loc.__setitem__((0, "c"), "b"),
        "null": lambda frame: frame.loc.__setitem__((0, "i"), None),
        "truth": lambda frame: frame.loc.__setitem__((0, "b"), False),
        "gone": lambda frame: frame.pop("x"),
        "name": lambda frame: setattr(frame, "columns", ["a", "b", "c", "d", "e"]),
        "index name": lambda frame: setattr(frame.index, "name", "row"),
        "order": lambda frame: frame.update(frame.iloc[::-1].set_axis([0, 1])),
    },
    "polars.DataFrame": {
        "new column": lambda frame: frame.insert_column(0, pl.Series("new", [1, 2])),
        "value": lambda frame: frame.__setitem__((0, "x"), 9.0),
        "gone": lambda frame: frame.drop_in_place("x"),
    },
}


def mixed() -> pa.Table:
    categories = pa.array(["a", "b"]).dictionary_encode()
    return pa.table({"x": [1.5, 2.5], "s": ["a", None], "c": categories, "i": [1, None], "b": [True, False]})


@pytest.mark.parametrize(
    ("frame", "change"), [(frame, name) for frame, changes in IN_PLACE.items() for name in changes]
)
def test_change_in_place_is_noticed(frame: str, change: str) -> None:
    adapter, table = adapter_for(frame), mixed()
    handed = adapter.hand_over(table)
    assert adapter.unchanged(handed)
    IN_PLACE[frame][change](handed.native)
    assert not adapter.unchanged(handed)


@pytest.mark.parametrize("frame", ["pandas.DataFrame", "polars.DataFrame"])
def test_untouched_frame_is_unchanged_whatever_its_types(frame: str) -> None:
    adapter = adapter_for(frame)
    for name, array in EXAMPLES.items():
        if frame == "polars.DataFrame" and (name == "map" or name in REFUSED[frame]):
            continue  # polars makes a map anew whenever it is asked for it
        table = pa.table({"x": pa.chunked_array([array, array])})
        assert adapter.unchanged(adapter.hand_over(table)), array.type


def test_default_index_is_dropped() -> None:
    assert from_native(pd.DataFrame({"x": [1, 2]})).column_names == ["x"]
    assert from_native(pd.DataFrame({"x": [1, 2, 3]}).query("x > 1")).column_names == ["x"]


def test_named_index_becomes_the_first_column() -> None:
    frame = pd.DataFrame({"k": ["a", "b", "a"], "x": [1, 2, 3]}).groupby("k").sum()
    assert from_native(frame).to_pydict() == {"k": ["a", "b"], "x": [4, 2]}


def test_multi_index_becomes_columns() -> None:
    index = pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["n", None])
    assert from_native(pd.DataFrame({"x": [5, 6]}, index=index)).to_pydict() == {
        "n": [1, 2],
        "level_1": ["a", "b"],
        "x": [5, 6],
    }


def test_zoned_index_keeps_its_zone() -> None:
    index = pd.DatetimeIndex([NOW], tz="Europe/Paris", name="at")
    assert from_native(pd.DataFrame({"x": [1]}, index=index)).schema.field("at").type == pa.timestamp(
        "us", "Europe/Paris"
    )


def test_nan_of_pandas_is_null() -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0]}).shift(1)
    assert from_native(frame).column("x").to_pylist() == [None, 1.0]


@pytest.mark.parametrize("values", [[1.0, float("nan")], [float("nan")], [], [float("inf"), 1.0], [-0.0, 5.0]])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_only_nan_becomes_null(values: list[float], dtype: str) -> None:
    column = from_native(pd.DataFrame({"x": np.array(values, dtype)})).column("x")
    assert column.to_pylist() == [None if value != value else value for value in values]


def test_every_second_row_of_a_matrix_is_taken_as_it_is() -> None:
    frame = pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=["a", "b", "c"]).iloc[::2]
    assert from_native(frame).to_pydict() == {"a": [0, 6], "b": [1, 7], "c": [2, 8]}


def test_periods_and_intervals_survive_in_a_process_that_had_not_imported_pandas(tmp_path: Path) -> None:
    frame = pd.DataFrame({"p": pd.period_range("2026-11", periods=2, freq="M"), "i": pd.interval_range(0, 2)})
    ref = write_table(LocalStore(tmp_path), "k", from_native(frame))
    script = (
        "import sys; from pathlib import Path; from plugmesh.contracts.data import DataRef\n"
        "from plugmesh.data.table import read_table; from plugmesh.objects.local import LocalStore\n"
        "from module_sdk.dataframes.adapters import adapter_for, from_native\n"
        "table = read_table(LocalStore(Path(sys.argv[1])), DataRef.model_validate_json(sys.argv[2]))\n"
        "frame = adapter_for('pd.DataFrame').to_native(table)\n"
        "print(*frame.dtypes, *(column.type.extension_name for column in from_native(frame).columns))"
    )
    call = [sys.executable, "-c", script, str(tmp_path), ref.model_dump_json()]
    done = subprocess.run(call, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    assert done.stdout.split() == ["period[M]", "interval[int64,", "right]", "pandas.period", "pandas.interval"]


PANDAS_VALUES: dict[str, tuple[Any, pa.DataType]] = {
    "str": (pd.Series(["a", None]), pa.large_string()),
    "Int64": (pd.Series([1, None], dtype="Int64"), pa.int64()),
    "boolean": (pd.Series([True, None], dtype="boolean"), pa.bool_()),
    "objects of one kind": (pd.Series([b"a", None], dtype=object), pa.binary()),
    "decimals": (pd.Series([Decimal("1.25"), None], dtype=object), pa.decimal128(3, 2)),
    "category": (pd.Series(["a", None], dtype="category"), pa.dictionary(pa.int8(), pa.large_string())),
    "sparse": (pd.Series(pd.arrays.SparseArray([0, 1])), pa.int64()),
    "zoned": (pd.Series(pd.DatetimeIndex([NOW, None], tz="UTC")), pa.timestamp("us", "UTC")),
    "nested": (pd.Series([[1], None], dtype=object), pa.list_(pa.int64())),
}


@pytest.mark.parametrize("name", PANDAS_VALUES)
def test_pandas_own_types_become_arrow(name: str) -> None:
    series, expected = PANDAS_VALUES[name]
    column = from_native(pd.DataFrame({"x": series})).column("x")
    assert column.type == expected
    assert column.null_count == int(series.isna().sum())


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, "a"], dtype=object),
        pd.Series([{"a": 1}, [1]], dtype=object),
        pd.Series([object()], dtype=object),
        pd.Series([1 + 2j]),
        pd.Series([2**70], dtype=object),
    ],
)
def test_column_without_an_arrow_type_is_named(values: Any) -> None:
    with pytest.raises(DataMismatch, match=r"column 'odd' of dtype .*: .*df\['odd'\]"):
        from_native(pd.DataFrame({"fine": [1] * len(values), "odd": values}))


def test_labels_that_are_no_text_are_refused() -> None:
    with pytest.raises(DataMismatch, match="column label 3 is no text"):
        from_native(pd.DataFrame({3: [1]}))


class Stream:
    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self.table.__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "make",
    [
        lambda table: table,
        lambda table: table.to_batches()[0],
        lambda table: table.to_reader(),
        Stream,
        lambda table: pd.DataFrame(table.to_pydict()),
        lambda table: pl.DataFrame(table.to_pydict()),
        lambda table: pl.LazyFrame(table.to_pydict()),
        lambda table: duckdb.connect().from_arrow(table),
        lambda table: type("Mine", (pd.DataFrame,), {})(table.to_pydict()),
    ],
)
def test_every_frame_is_taken_back(make: Any) -> None:
    table = pa.table({"x": [1, 2], "y": [1.5, None]})
    back = from_native(make(table))
    back = back.read_all() if isinstance(back, pa.RecordBatchReader) else back
    assert back.to_pydict() == table.to_pydict()


@pytest.mark.parametrize("value", [None, 1, "text", {}, [], [1], (), pd.Series([1]), pl.Series([1])])
def test_what_is_no_frame_is_refused(value: Any) -> None:
    with pytest.raises(DataMismatch, match=r"is no table: return one of pyarrow\.Table"):
        from_native(value)


def test_array_stream_is_no_table() -> None:
    class Odd:
        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return pa.chunked_array([[1]]).__arrow_c_stream__(requested_schema)

    with pytest.raises(DataMismatch, match="is no table"):
        from_native(Odd())


def test_type_that_the_author_changed_is_not_changed_back() -> None:
    table = pa.table({"t": pa.array([1, 2], pa.timestamp("us"))})
    handed = adapter_for(pl.DataFrame).hand_over(table)
    frame = handed.native.with_columns(pl.col("t").dt.cast_time_unit("ms"))
    assert from_native(frame, given=[handed]).schema.field("t").type == pa.timestamp("ms")


def test_values_that_the_old_type_cannot_hold_keep_the_new_one() -> None:
    table = pa.table({"t": pa.array([1, 2], pa.timestamp("s"))})
    handed = adapter_for(pl.DataFrame).hand_over(table)
    frame = handed.native.with_columns(pl.col("t") + pl.duration(milliseconds=1))
    assert from_native(frame, given=[handed]).schema.field("t").type == pa.timestamp("ms")


ANNOTATIONS: list[tuple[Any, str]] = [
    (None, "pyarrow.Table"),
    (inspect.Parameter.empty, "pyarrow.Table"),
    (Any, "pyarrow.Table"),
    (pa.Table, "pyarrow.Table"),
    ("pa.Table", "pyarrow.Table"),
    ("Table", "pyarrow.Table"),
    ("pyarrow.lib.Table", "pyarrow.Table"),
    (pa.RecordBatchReader, "pyarrow.RecordBatchReader"),
    (pa.RecordBatch, "pyarrow.RecordBatch"),
    (collections.abc.Iterator[pa.RecordBatch], "Iterator[pyarrow.RecordBatch]"),
    (typing.Iterable[pa.RecordBatch], "Iterator[pyarrow.RecordBatch]"),
    (collections.abc.Iterator, "Iterator[pyarrow.RecordBatch]"),
    ("Iterator[pa.RecordBatch]", "Iterator[pyarrow.RecordBatch]"),
    ("collections.abc.Iterable[pyarrow.RecordBatch]", "Iterator[pyarrow.RecordBatch]"),
    (collections.abc.Iterator[pd.DataFrame], "Iterator[pandas.DataFrame]"),
    (pd.DataFrame, "pandas.DataFrame"),
    ("pd.DataFrame", "pandas.DataFrame"),
    ("pandas.DataFrame", "pandas.DataFrame"),
    ("pd.DataFrame | None", "pandas.DataFrame"),
    ("None | pd.DataFrame", "pandas.DataFrame"),
    ("Optional[pd.DataFrame]", "pandas.DataFrame"),
    ("'pd.DataFrame'", "pandas.DataFrame"),
    (pd.DataFrame | None, "pandas.DataFrame"),
    (typing.Annotated[pl.DataFrame, "doc"], "polars.DataFrame"),
    ("Annotated[pl.DataFrame, 'doc']", "polars.DataFrame"),
    (pl.DataFrame, "polars.DataFrame"),
    ("pl.LazyFrame", "polars.LazyFrame"),
    ("LazyFrame", "polars.LazyFrame"),
    (pl.LazyFrame, "polars.LazyFrame"),
    (duckdb.DuckDBPyRelation, "duckdb.DuckDBPyRelation"),
    ("duckdb.DuckDBPyRelation", "duckdb.DuckDBPyRelation"),
]


@pytest.mark.parametrize(("annotation", "name"), ANNOTATIONS)
def test_annotation_chooses_the_adapter(annotation: Any, name: str) -> None:
    assert adapter_for(annotation).name == name


@pytest.mark.parametrize(
    "annotation",
    [
        int,
        "DataFrame",
        "np.ndarray",
        "no such thing",
        dict[str, int],
        pd.Series,
        int | str,
        "Iterator[int]",
        3,
        list[pa.Table],
    ],
)
def test_unknown_annotation_lists_what_is_possible(annotation: Any) -> None:
    with pytest.raises(ContractError, match=r"annotate .* pyarrow\.Table, .*pandas\.DataFrame, polars\.DataFrame"):
        adapter_for(annotation)


@pytest.mark.parametrize(("annotation", "kind"), [(pa.RecordBatch, pa.RecordBatch), (pd.DataFrame, pd.DataFrame)])
def test_stream_hands_over_one_batch_at_a_time(annotation: Any, kind: type) -> None:
    taken = 0

    def batches() -> Any:
        nonlocal taken
        for number in range(3):
            taken += 1
            yield pa.record_batch({"x": [number]})

    adapter = adapter_for(collections.abc.Iterator[annotation])
    assert adapter.streams
    native = adapter.to_native(pa.RecordBatchReader.from_batches(pa.schema([("x", pa.int64())]), batches()))
    assert isinstance(next(native), kind)
    assert taken < 3
    assert sum(1 for _ in native) == 2


def test_stream_over_a_table_has_batches_of_bounded_size() -> None:
    table = pa.table({"x": np.arange(600_000)})
    sizes = [batch.num_rows for batch in adapter_for("Iterator[pa.RecordBatch]").to_native(table)]
    assert sizes == [262_144, 262_144, 75_712]


def test_record_batch_of_chunked_and_of_empty_tables() -> None:
    adapter = adapter_for(pa.RecordBatch)
    assert adapter.to_native(pa.table({"x": pa.chunked_array([[1], [2]])})).to_pydict() == {"x": [1, 2]}
    assert adapter.to_native(pa.table({"x": pa.array([], pa.int8())})).schema == pa.schema([("x", pa.int8())])


def test_no_frame_library_is_imported_before_it_is_asked_for() -> None:
    script = (
        "import sys; from module_sdk.dataframes.adapters import adapter_for; adapter_for('pd.DataFrame'); adapter_for(None)\n"
        "print([name for name in ('pyarrow', 'pandas', 'numpy', 'polars', 'duckdb') if name in sys.modules])"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"
