"""One Arrow column as what pandas holds, and back.

To pandas: numbers, truth values and naive timestamps without nulls become NumPy views, dictionaries become
`category`, everything else `pd.ArrowDtype`. All of them are read-only, since the bytes below belong to all.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any

from plugmesh.errors import DataMismatch

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    Array = np.ndarray[Any, Any]

_FAST = "bfmM"
"""Kinds of NumPy types that pyarrow takes long for: truth values, and those with a value for none, NaN or NaT."""


def to_column(column: pa.ChunkedArray) -> Any:
    """What pandas holds of a column: an array of NumPy or of pandas."""
    import pandas as pd
    import pyarrow as pa

    if column.null_count == 0 and _has_numpy_type(column.type):
        return _to_numpy(column)
    if pa.types.is_dictionary(column.type):
        categorical = _to_categorical(column)
        if categorical is not None:
            return categorical
    if is_pandas_type(getattr(column.type, "extension_name", "").encode()):
        return column.type.to_pandas_dtype().__from_arrow__(column)
    return pd.arrays.ArrowExtensionArray(_without_views(column))


def is_pandas_type(name: bytes) -> bool:
    """Whether an Arrow extension type is one of pandas' own: periods and intervals."""
    return name.startswith(b"pandas.")


def to_arrow(name: str, series: pd.Series[Any]) -> pa.ChunkedArray:
    """Raises `DataMismatch` if a column has no Arrow type."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    try:
        if isinstance(series.dtype, pd.CategoricalDtype):
            array = _from_categorical(series.array)
        elif isinstance(series.dtype, pd.SparseDtype):
            array = pa.array(series.sparse.to_dense(), from_pandas=True)
        elif isinstance(series.dtype, np.dtype) and series.dtype.kind in _FAST:
            array = _from_numpy(np.ascontiguousarray(series.to_numpy()))
        else:
            array = pa.array(series, from_pandas=True)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise DataMismatch(
            f"column {name!r} of dtype {series.dtype} has no Arrow type: {error}. "
            f"Give it one type, e.g. df[{name!r}].astype('string'), or drop it"
        ) from error
    return array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])


def values_of(series: pd.Series[Any]) -> Any:
    """What a series holds, without a copy: an array of NumPy or of pandas."""
    import numpy as np

    return series.values if isinstance(series.dtype, np.dtype) else series.array


def bytes_of(values: Any) -> tuple[Hashable, pa.ChunkedArray] | None:
    """What the bytes of a column mean that is held like this, and the bytes; `None`: they are not in one piece."""
    import numpy as np
    import pandas as pd
    import pyarrow as pa

    if isinstance(values, pd.arrays.ArrowExtensionArray):
        return "arrow", values.__arrow_array__()
    if isinstance(values, pd.Categorical):
        codes = bytes_of(values.codes)
        return codes and ((id(values.categories), values.ordered), codes[1])
    if not isinstance(values, np.ndarray) or not values.flags.c_contiguous or values.dtype.kind == "O":
        return None
    buffer = pa.py_buffer(values.view(np.uint8))
    kind = pa.from_numpy_dtype(f"u{values.itemsize}")
    return values.dtype.str, pa.chunked_array([pa.Array.from_buffers(kind, len(values), [None, buffer])])


def _has_numpy_type(kind: pa.DataType) -> bool:
    from pyarrow import types

    naive = types.is_timestamp(kind) and kind.tz is None
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or naive)


def _to_numpy(column: pa.ChunkedArray) -> Array:
    import pyarrow as pa

    whole = (
        column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks or [pa.array([], column.type)])
    )
    return _sealed(whole.to_numpy(zero_copy_only=False))


def _sealed(array: Array) -> Array:
    """`array` in such a way that nobody can make it writable: what comes back is recognised by its place."""
    import numpy as np

    if not array.flags.owndata and not array.flags.writeable:
        return array
    kind = array.dtype
    plain = array.view(np.int64) if kind.kind in "mM" else array  # the buffer protocol has no times
    buffer: Any = plain.data.toreadonly()
    return np.frombuffer(buffer, plain.dtype).view(kind) if len(array) else array


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
    codes = [_codes(chunk.indices, len(values)) for chunk in unified.chunks]
    whole = codes[0] if len(codes) == 1 else np.concatenate(codes or [np.empty(0, np.int8)])
    categories = pd.Index(pd.arrays.ArrowExtensionArray(_without_views(pa.chunked_array([values]))))
    dtype = pd.CategoricalDtype(categories, ordered=column.type.ordered)
    # pandas keeps codes of this width as they are; Arrow's are within bounds, or nobody could read the column
    return pd.Categorical.from_codes(_sealed(whole), dtype=dtype, validate=False)


def _codes(indices: pa.Array, categories: int) -> Array:
    """Codes as wide as pandas wants them, -1 for null; a view where Arrow's are as wide."""
    import numpy as np
    import pyarrow as pa

    kind = next(kind for kind in (np.int8, np.int16, np.int32, np.int64) if categories < np.iinfo(kind).max)
    plain = pa.Array.from_buffers(indices.type, len(indices), [None, indices.buffers()[1]], 0, indices.offset)
    codes: Array = plain.to_numpy().astype(kind, copy=False)
    return codes if not indices.null_count else codes | -_nulls(indices).view(np.int8)


def _nulls(array: pa.Array) -> Array:
    """1 for each null, else 0; read from the bitmap, since Arrow's own way over truth values takes three times as long."""
    import numpy as np

    bits = np.frombuffer(array.buffers()[0], np.uint8)
    return 1 - np.unpackbits(bits, count=array.offset + len(array), bitorder="little")[array.offset :]


def _without_views(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """pandas cannot select rows of Arrow's view types."""
    import pyarrow as pa

    plain = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}.get(column.type)
    return column if plain is None else column.cast(plain)


def _from_numpy(values: Array) -> pa.Array:
    """Numbers or times without a copy, truth values as bits."""
    import numpy as np
    import pyarrow as pa

    if values.dtype.kind == "b":
        bits = pa.py_buffer(np.packbits(values, bitorder="little"))
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, bits])
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    is_missing = np.isnan if values.dtype.kind == "f" else np.isnat
    missing = is_missing(values) if _has_missing(values) else None
    return _with_nulls(pa.from_numpy_dtype(values.dtype), values, missing)


def _with_nulls(kind: pa.DataType, values: Array, missing: Array | None) -> pa.Array:
    """`values` and a bitmap of which are null: pyarrow takes long to make it."""
    import numpy as np
    import pyarrow as pa

    bitmap = None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))
    return pa.Array.from_buffers(kind, len(values), [bitmap, pa.py_buffer(values.view(np.uint8))])


def _has_missing(values: Array) -> bool:
    import numpy as np

    if not len(values):
        return False
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            return bool(np.isnan(values.min()))  # the least of numbers is NaN if one of them is
    return bool(values.view(np.int64).min() == np.iinfo(np.int64).min)  # NaT


def _from_categorical(values: Any) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    codes = np.ascontiguousarray(values.codes)
    missing = codes < 0 if len(codes) and codes.min() < 0 else None
    indices = _with_nulls(pa.from_numpy_dtype(codes.dtype), codes, missing)
    categories = pa.array(values.categories)
    if isinstance(categories, pa.ChunkedArray):
        categories = categories.combine_chunks()
    return pa.DictionaryArray.from_arrays(indices, categories, ordered=bool(values.ordered), safe=False)
