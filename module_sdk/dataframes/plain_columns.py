"""Layouts of a column that libraries beside pyarrow do not know, as ones that they do: the same values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugmesh.errors import DataMismatch

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_DIGITS = 38


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """List views as lists, runs as values, decimals of tens and hundreds as whole ones; any other column as it is.

    Raises `pa.ArrowInvalid` for values that do not fit.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_run_end_encoded(kind):
        chunks = [pc.run_end_decode(chunk) for chunk in column.chunks]
        return pa.chunked_array(chunks, kind.value_type)
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        flat = pa.list_ if pa.types.is_list_view(kind) else pa.large_list
        return pa.chunked_array([_as_list(chunk) for chunk in column.chunks], flat(kind.value_type))
    if pa.types.is_decimal(kind) and kind.scale < 0:
        return column.cast(pa.decimal128(min(kind.precision - kind.scale, _MOST_DIGITS), 0))
    return column


def _as_list(views: pa.Array) -> pa.Array:
    """pyarrow 26 makes an array of too few offsets of list views with nulls."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths = pc.fill_null(pc.list_value_length(views), 0)
    offsets = pa.concat_arrays([pa.array([0], lengths.type), pc.cumulative_sum(lengths)])
    flat = pa.ListArray if lengths.type == pa.int32() else pa.LargeListArray
    return flat.from_arrays(offsets, views.flatten(), mask=views.is_null())


def no_type(name: str, kind: pa.DataType, frame: str, problem: object) -> DataMismatch:
    """What is said of a column that `frame` has no type for."""
    return DataMismatch(
        f"column {name!r} of type {kind} cannot be handed over as {frame}: {problem}. Annotate the parameter with pa.Table "
        "or pd.DataFrame, or declare the columns that are read, without this one"
    )
