"""Arrow tables as polars frames and back. What comes back untouched is the column of the input again.

polars shares the bytes of numbers and times, and makes its own of text, nested types and what it has no type for. So
a returned column is compared with what polars gives out for the frame that was handed over, not with the input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from module_sdk.handed import Handed, Origin, Returned
from module_sdk.same_bytes import Held
from plugmesh.errors import DataMismatch

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


def to_polars(table: pa.Table) -> pl.DataFrame:
    """A frame over the bytes of `table` as far as polars can. Raises `DataMismatch` for a type that it cannot hold."""
    import polars as pl

    columns = [to_series(name, table.column(index)) for index, name in enumerate(table.column_names)]
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=table.num_rows)


def to_series(name: str, column: pa.ChunkedArray) -> pl.Series:
    """One column. Raises `DataMismatch` if polars has no type for it."""
    import polars as pl
    import pyarrow as pa

    problem = _no_type(column.type)
    if problem is not None:
        raise _unknown_type(name, column.type, problem)
    if pa.types.is_fixed_size_list(column.type):
        column = _unsliced(column)
    try:
        return pl.from_arrow(pa.table([column], [name]), rechunk=False).to_series()  # type: ignore[union-attr]
    except (pl.exceptions.PolarsError, pa.ArrowException, TypeError, ValueError) as error:
        raise _unknown_type(name, column.type, str(error)) from error


def columns_of(frame: pl.DataFrame | pl.LazyFrame, given: Sequence[Handed] = ()) -> Iterator[Returned]:
    """The frame's columns."""
    import polars as pl

    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if not frame.width:
        return
    held = _held(given)
    for series in frame:
        found = held.find(series.name, series.dtype, _bytes(series)) if frame.height else None
        yield found or Returned(series.name, series.to_frame().to_arrow().column(0))


def _held(given: Sequence[Handed]) -> Held:
    """What polars gives out for the columns that were handed over."""
    import polars as pl

    held = Held()
    for handed in given:
        if isinstance(handed.before, pl.DataFrame):
            for series in handed.before:
                held.add(Origin(handed, series.name), series.dtype, _bytes(series))
    return held


def _bytes(series: pl.Series) -> pa.ChunkedArray:
    """A series in polars' own layout, without a copy; of categories the codes, which stand for the same text in all
    series of one dtype."""
    import polars as pl
    import pyarrow as pa

    return pa.chunked_array(series.to_physical() if isinstance(series.dtype, pl.Categorical | pl.Enum) else series)


def _unsliced(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A copy where a chunk is a slice: polars 2.1 refuses slices of fixed-size lists that hold nulls."""
    import pyarrow as pa

    chunks = [pa.concat_arrays([chunk, chunk.slice(0, 0)]) if chunk.offset else chunk for chunk in column.chunks]
    return pa.chunked_array(chunks, column.type)


def _no_type(kind: pa.DataType) -> str | None:
    """Why polars cannot hold a type, where it would panic instead of saying so."""
    import pyarrow as pa

    if pa.types.is_decimal256(kind):
        return "it has at most 38 digits"
    inner = [kind.field(index).type for index in range(kind.num_fields)] if pa.types.is_nested(kind) else []
    return next((problem for problem in map(_no_type, inner) if problem is not None), None)


def _unknown_type(name: str, kind: pa.DataType, problem: str) -> DataMismatch:
    return DataMismatch(
        f"column {name!r} of type {kind} cannot be handed over as a polars frame: {problem}. Annotate the parameter with "
        "pa.Table or pd.DataFrame, or declare the columns that are read, without this one"
    )
