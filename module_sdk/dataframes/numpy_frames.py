"""Tables from what is no frame: NumPy arrays with names, a dict of columns, a list of rows.

NaN in an array of NumPy is a number, and stays one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from module_sdk.dataframes.handed import Returned
from plugmesh.errors import DataMismatch

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa


def columns_of_array(array: np.ndarray[Any, Any]) -> Iterator[Returned]:
    """The fields of a structured array of one dimension. Raises `DataMismatch` for any other array."""
    names = array.dtype.names
    if names is None or array.ndim != 1:
        part = "[:, {}]" if array.ndim > 1 else ""
        named = ", ".join(f"{name!r}: array{part.format(at)}" for at, name in enumerate("ab"))
        what = f"an array of {array.ndim} dimensions" if names is None else f"{array.ndim} dimensions of records"
        raise DataMismatch(f"{what} has no names for its columns: return a dict of arrays, e.g. {{{named}, …}}")
    return (Returned(name, _column(name, array[name])) for name in names)


def columns_of_dict(columns: Mapping[Any, Any]) -> Iterator[Returned]:
    """A column for each entry. Raises `DataMismatch` for one that is none, or has other rows than the first."""
    rows: int | None = None
    for name, values in columns.items():
        if not isinstance(name, str):
            raise DataMismatch(f"the column name {name!r} is no text")
        column = _column(name, values)
        rows = len(column) if rows is None else rows
        if len(column) != rows:
            raise DataMismatch(f"column {name!r} has {len(column)} rows, the first column has {rows}")
        yield Returned(name, column)


def columns_of_rows(rows: Sequence[Mapping[Any, Any]]) -> Iterator[Returned]:
    """A column for each key, in the order in which they appear; null where a row does not have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    yield from columns_of_dict({name: [row.get(name) for row in rows] for name in names})


def _column(name: str, values: Any) -> pa.ChunkedArray:
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        return values
    try:
        if hasattr(values, "__arrow_c_stream__"):
            return pa.chunked_array(values)
        if isinstance(values, list | tuple | pa.Array) or hasattr(values, "__arrow_c_array__"):
            return pa.chunked_array([pa.array(values)])
        if getattr(values, "ndim", None) == 1:
            return pa.chunked_array([pa.array(values)])
        if getattr(values, "ndim", None) == 2 and values.shape[1]:
            flat = pa.array(values.reshape(-1))
            return pa.chunked_array([pa.FixedSizeListArray.from_arrays(flat, values.shape[1])])
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise DataMismatch(
            f"column {name!r} has no Arrow type: {error}. Give it values of one type, or leave it out"
        ) from error
    kind = type(values)
    raise DataMismatch(
        f"the entry {name!r} of the dict is an object of type {kind.__module__}.{kind.__qualname__}, expected a column: an "
        "array or a list; several outputs are declared in outputs="
    )
