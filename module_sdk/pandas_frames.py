"""Arrow tables as pandas frames and back, with every type kept and hardly a byte copied.

To pandas: numbers, truth values and naive timestamps without nulls become NumPy views, dictionaries become
`category`, everything else `pd.ArrowDtype`. The views are read-only, since the bytes below belong to all; pandas'
own copy-on-write copies a column when it is written to, and a write past it (`df.x.values[0] = 1`) is a ValueError.

From pandas: NaN in a NumPy float column is how pandas marks a missing value, and becomes null. A default or unnamed
index is dropped; a named one and a MultiIndex become the first columns.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from plugmesh.errors import DataMismatch

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """A frame over the bytes of `table`, which has no two columns of one name."""
    import pandas as pd

    table = _with_pandas_types(table)
    columns = {name: _to_column(table.column(index)) for index, name in enumerate(table.column_names)}
    owner = pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows), copy=False)
    frame = owner.copy(deep=False)
    # As long as another frame shares the bytes, pandas copies a column before it writes to it.
    weakref.finalize(frame, _let_go, owner).atexit = False
    return frame


def from_pandas(frame: pd.DataFrame) -> pa.Table:
    """A table of the frame's columns. Raises `DataMismatch` naming the column that has no Arrow type."""
    import pyarrow as pa

    names: list[str] = []
    arrays: list[pa.ChunkedArray] = []
    for label, series in (*_index_columns(frame.index), *frame.items()):
        if not isinstance(label, str):
            raise DataMismatch(
                f"column label {label!r} is no text: name the columns, e.g. df.columns = [str(c) for c in df.columns]"
            )
        names.append(label)
        arrays.append(_to_arrow(label, series))
    if not arrays:
        return pa.table({"": pa.nulls(len(frame))}).select([])
    return pa.Table.from_arrays(arrays, names=names)


def still_holds(frame: pd.DataFrame, table: pa.Table) -> bool:
    """True if `frame`, once made by `to_pandas(table)`, was not changed in place since."""
    import pandas as pd

    if list(frame.columns) != table.column_names or not frame.index.equals(pd.RangeIndex(table.num_rows)):
        return False
    if frame.index.name is not None:
        return False
    pairs = zip(frame.items(), table.columns, strict=True)
    return all(_same_column(series, column) for (_, series), column in pairs)


def _let_go(owner: pd.DataFrame) -> None:
    """The last use of `owner`: until the frame is gone it is held for this call."""


def _to_column(column: pa.ChunkedArray) -> Any:
    import pandas as pd
    import pyarrow as pa

    if column.null_count == 0 and _has_numpy_type(column.type):
        return _to_numpy(column)
    if pa.types.is_dictionary(column.type):
        categorical = _to_categorical(column)
        if categorical is not None:
            return categorical
    if _is_pandas_type(getattr(column.type, "extension_name", "").encode()):
        return column.type.to_pandas_dtype().__from_arrow__(column)
    return pd.arrays.ArrowExtensionArray(_without_views(column))


def _with_pandas_types(table: pa.Table) -> pa.Table:
    """`table` with the extension types for periods and intervals, which Arrow knows only once pandas has used them."""
    import pandas as pd
    import pyarrow as pa

    if not any(_is_pandas_type((field.metadata or {}).get(b"ARROW:extension:name", b"")) for field in table.schema):
        return table
    for dtype in (pd.PeriodDtype("D"), pd.IntervalDtype("int64")):
        pa.array(pd.array([], dtype=dtype))  # registers the type
    return pa.RecordBatchReader.from_stream(table).read_all()


def _is_pandas_type(name: bytes) -> bool:
    return name.startswith(b"pandas.")


def _has_numpy_type(kind: pa.DataType) -> bool:
    from pyarrow import types

    naive = types.is_timestamp(kind) and kind.tz is None
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or naive)


def _to_numpy(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    whole = column.chunk(0) if column.num_chunks == 1 else column  # several chunks are copied into one array
    array: np.ndarray[Any, Any] = whole.to_numpy(zero_copy_only=False)
    array.flags.writeable = False
    return array


def _to_categorical(column: pa.ChunkedArray) -> pd.Categorical | None:
    """`None` where pandas cannot have such categories: nulls or repetitions among them."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    if any(chunk.dictionary.null_count for chunk in column.chunks):
        return None
    unified = column.unify_dictionaries()
    values = unified.chunk(0).dictionary if unified.num_chunks else pa.array([], column.type.value_type)
    if len(values.unique()) != len(values):
        return None
    codes = pa.chunked_array([chunk.indices for chunk in unified.chunks], column.type.index_type)
    filled = codes.cast(pa.int64()).fill_null(-1).to_numpy() if len(codes) else np.empty(0, np.int64)
    categories = pd.Index(pd.arrays.ArrowExtensionArray(_without_views(pa.chunked_array([values]))))
    return pd.Categorical.from_codes(filled, categories=categories, ordered=column.type.ordered)


def _without_views(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """pandas cannot select rows of Arrow's view types."""
    import pyarrow as pa

    plain = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}.get(column.type)
    return column if plain is None else column.cast(plain)


def _index_columns(index: pd.Index[Any]) -> Iterator[tuple[Any, Any]]:
    import pandas as pd

    if isinstance(index, pd.MultiIndex):
        for level, name in enumerate(index.names):
            yield f"level_{level}" if name is None else name, pd.Series(index.get_level_values(level))
    elif index.name is not None:
        yield index.name, pd.Series(index)


def _to_arrow(name: str, series: pd.Series[Any]) -> pa.ChunkedArray:
    import pandas as pd
    import pyarrow as pa

    try:
        if isinstance(series.dtype, pd.CategoricalDtype):
            array = _from_categorical(series.array)
        elif isinstance(series.dtype, pd.SparseDtype):
            array = pa.array(series.sparse.to_dense(), from_pandas=True)
        elif _is_float_without_nan(series):
            array = pa.array(series.to_numpy())  # no copy, and eight times as fast as pyarrow's own search for NaN
        else:
            array = pa.array(series, from_pandas=True)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise DataMismatch(
            f"column {name!r} of dtype {series.dtype} has no Arrow type: {error}. "
            f"Give it one type, e.g. df[{name!r}].astype('string'), or drop it"
        ) from error
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def _is_float_without_nan(series: pd.Series[Any]) -> bool:
    import numpy as np

    if not isinstance(series.dtype, np.dtype) or series.dtype.kind != "f" or not len(series):
        return False
    with np.errstate(invalid="ignore"):
        return not np.isnan(series.to_numpy().min())  # the least of numbers is NaN if one of them is


def _from_categorical(values: Any) -> pa.Array:
    import pyarrow as pa

    codes = pa.array(values.codes, mask=values.codes < 0)
    categories = pa.array(values.categories)
    if isinstance(categories, pa.ChunkedArray):
        categories = categories.combine_chunks()
    return pa.DictionaryArray.from_arrays(codes, categories, ordered=bool(values.ordered))


def _same_column(series: pd.Series[Any], column: pa.ChunkedArray) -> bool:
    import numpy as np
    import pandas as pd

    before = pd.Series(_to_column(column), copy=False)
    if series.dtype != before.dtype:
        return False
    if isinstance(series.dtype, np.dtype):
        one, two = series.to_numpy(), before.to_numpy()
        same_place = one.ctypes.data == two.ctypes.data and one.strides == two.strides
        return same_place or bool(np.array_equal(one.view(np.uint8), two.view(np.uint8)))
    if isinstance(series.dtype, pd.CategoricalDtype):
        return bool(np.array_equal(series.array.codes, before.array.codes))
    return bool(_to_arrow("", series).equals(_to_arrow("", before)))
