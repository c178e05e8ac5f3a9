"""Tables from what is no frame: records of NumPy, dicts of columns, lists of dicts."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from module_sdk import module
from module_sdk.dataframes.adapters import from_native
from module_sdk.testing import run
from plugmesh.errors import ContractError, DataMismatch


def test_fields_of_records_are_columns() -> None:
    records = np.array([(1, 1.5, "a"), (2, float("nan"), "b")], [("n", "i4"), ("x", "f8"), ("s", "U3")])
    table = from_native(records)
    assert table.schema == pa.schema([("n", pa.int32()), ("x", pa.float64()), ("s", pa.string())])
    assert table["n"].to_pylist() == [1, 2]
    assert table["x"].null_count == 0  # NaN is a number in NumPy
    assert from_native(records.view(np.recarray)).schema == table.schema
    assert from_native(records[::2])["s"].to_pylist() == ["a"]


def test_field_of_several_values_is_a_list() -> None:
    records = np.array([((1, 2),), ((3, 4),)], [("point", "i8", 2)])
    assert from_native(records).column("point").to_pylist() == [[1, 2], [3, 4]]


class Stranger:
    """Of no library."""


COLUMNS: dict[str, tuple[Any, pa.DataType]] = {
    "int": (np.array([1, 2], "i2"), pa.int16()),
    "bool": (np.array([True, False]), pa.bool_()),
    "text": (np.array(["a", "b"]), pa.string()),
    "objects": (np.array(["a", None], object), pa.string()),
    "day": (np.array(["2026-11-03", "NaT"], "M8[D]"), pa.date32()),
    "time": (np.array([1, 2], "M8[us]"), pa.timestamp("us")),
    "span": (np.array([1, 2], "m8[s]"), pa.duration("s")),
    "strided": (np.arange(8.0)[::4], pa.float64()),
    "matrix": (np.arange(4).reshape(2, 2), pa.list_(pa.int64(), 2)),
    "masked": (np.ma.masked_array([1, 2], [False, True]), pa.int64()),
    "arrow": (pa.array([1, None], pa.int8()), pa.int8()),
    "chunks": (pa.chunked_array([[1], [2]]), pa.int64()),
    "pandas": (pd.Series([1, 2], dtype="int64[pyarrow]"), pa.int64()),
    "polars": (pl.Series([1, 2]), pa.int64()),
    "list": ([dt.date(2026, 11, 3), None], pa.date32()),
    "tuple": ((1.5, 2), pa.float64()),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_entries_of_a_dict_are_columns(name: str) -> None:
    values, kind = COLUMNS[name]
    table = from_native({"first": np.arange(2), name: values})
    assert table.column_names == ["first", name]
    assert table.schema.field(name).type == kind
    assert table.num_rows == 2


def test_arrays_are_not_copied() -> None:
    array = np.arange(100_000.0)
    assert from_native({"x": array}).column("x").chunk(0).buffers()[1].address == array.ctypes.data


def test_rows_are_columns_in_order_of_appearance() -> None:
    table = from_native([{"a": 1}, {"b": "x", "a": None}, {"c": [1.5]}])
    assert table.column_names == ["a", "b", "c"]
    assert table.to_pylist() == [
        {"a": 1, "b": None, "c": None},
        {"a": None, "b": "x", "c": None},
        {"a": None, "b": None, "c": [1.5]},
    ]


WRONG: dict[str, tuple[Any, str]] = {
    "matrix": (np.zeros((2, 3)), r"2 dimensions has no names .*\{'a': array\[:, 0\], 'b': array\[:, 1\], …\}"),
    "vector": (np.zeros(2), r"1 dimensions has no names .*\{'a': array, "),
    "records in two dimensions": (np.zeros((2, 2), [("a", "f8")]), "2 dimensions of records"),
    "rows that differ": ({"a": np.zeros(2), "b": np.zeros(3)}, "column 'b' has 3 rows, the first column has 2"),
    "cube": ({"a": np.zeros((2, 2, 2))}, r"the entry 'a' of the dict is an object of type numpy\.ndarray"),
    "scalar": ({"a": 1}, r"the entry 'a' of the dict is an object of type builtins\.int"),
    "frames": ({"a": object()}, "several outputs are declared in outputs="),
    "name": ({1: [1]}, "the column name 1 is no text"),
    "complex": ({"a": np.zeros(2, complex)}, "column 'a' has no Arrow type"),
    "kinds": ([{"a": 1}, {"a": "x"}], "column 'a' has no Arrow type"),
    "no rows": ([], "is no table"),
    "a row that is none": ([{"a": 1}, 2], "is no table"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_table_is_said(name: str) -> None:
    value, words = WRONG[name]
    with pytest.raises(DataMismatch, match=words):
        from_native(value)


def test_module_may_return_any_of_them() -> None:
    @module("a.arrays")
    def arrays(rows: pa.Table) -> Any:
        return {"x": rows["x"].to_numpy() * 2, "y": rows["x"]}

    @module("a.rows")
    def one_by_one(rows: pa.Table) -> Any:
        for row in rows.to_pylist():
            yield [{"x": row["x"]}, {"x": -row["x"]}]

    assert run(arrays, {"x": [1, 2]}).to_pydict() == {"x": [2, 4], "y": [1, 2]}
    assert run(one_by_one, {"x": [1, 2]})["x"].to_pylist() == [1, -1, 2, -2]


@pytest.mark.parametrize("annotation", [np.ndarray, pd.Series, "np.ndarray", pd.DataFrame | pl.DataFrame, Stranger])
def test_annotation_that_nothing_can_serve_is_said_at_once(annotation: Any) -> None:
    def take(rows: Any) -> Any:
        return rows

    take.__annotations__["rows"] = annotation
    with pytest.raises(
        ContractError, match=r"pyarrow\.Table, .*pandas\.DataFrame, polars\.DataFrame, polars\.LazyFrame"
    ):
        module("a.wrong")(take)


def records_of(rows: pa.Table) -> np.ndarray[Any, Any]:
    return np.array([(row["x"] + 1,) for row in rows.to_pylist()], [("x", "i8")])


def test_records_may_be_annotated_as_what_is_returned() -> None:
    assert run(module("a.records")(records_of), {"x": [1]}).to_pydict() == {"x": [2]}
