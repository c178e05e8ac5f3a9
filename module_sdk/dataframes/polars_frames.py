"""Arrow tables as polars frames and back. What comes back untouched is the column of the input again.

polars shares the bytes of numbers and times, and makes its own of text, nested types and what it has no type for. So
a returned column is compared with what polars gives out for the frame that was handed over, not with the input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from module_sdk.dataframes.arrow_frames import BATCH_ROWS
from module_sdk.dataframes.handed import Handed, Origin, Returned
from module_sdk.dataframes.plain_columns import no_type, plain
from module_sdk.dataframes.same_bytes import Held

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa


def to_polars(table: pa.Table) -> pl.DataFrame:
    """A frame over the bytes of `table` as far as polars can. Raises `DataMismatch` for a type that it cannot hold."""
    import polars as pl

    columns = [_to_series(name, table.column(index)) for index, name in enumerate(table.column_names)]
    return pl.DataFrame(columns) if columns else pl.DataFrame(height=table.num_rows)


class Scanned:
    """A table as a `LazyFrame`: only the columns that a query asks for are made into polars' own, and only once."""

    def __init__(self, table: pa.Table, *, in_batches: bool) -> None:
        self._table, self._in_batches = table, in_batches
        self.columns: dict[str, pl.Series] = {}

    def frame(self) -> pl.LazyFrame:
        """Raises `DataMismatch` for a type that polars cannot hold."""
        from polars.io.plugins import register_io_source

        if not self._table.num_columns:
            return to_polars(self._table).lazy()
        schema = to_polars(self._table.slice(0, 0)).schema
        return register_io_source(self._read, schema=schema, is_pure=True, explain_name="table of the mesh")

    def _read(
        self, names: list[str] | None, predicate: pl.Expr | None, rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        names = self._table.column_names if names is None else names
        for frame in self._frames(names, rows):
            yield frame if predicate is None else frame.filter(predicate)

    def _frames(self, names: list[str], rows: int | None) -> Iterator[pl.DataFrame]:
        """The first `rows` rows: all at once, or batch by batch, of which none is kept."""
        import polars as pl
        import pyarrow as pa

        if self._in_batches:
            for batch in self._table.select(names).slice(0, rows).to_batches(max_chunksize=BATCH_ROWS):
                yield to_polars(pa.Table.from_batches([batch]))
            return
        for name in names:
            if name not in self.columns:
                self.columns[name] = _to_series(name, self._table.column(name))
        frame = pl.DataFrame([self.columns[name] for name in names])
        yield frame if rows is None else frame.head(rows)


def columns_of(frame: pl.DataFrame | pl.LazyFrame, given: Sequence[Handed] = ()) -> Iterator[Returned]:
    """The frame's columns."""
    import polars as pl

    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    held = _held(given)
    for series in frame:
        found = held.find(series.name, series.dtype, _bytes(series)) if frame.height else None
        yield found or Returned(series.name, series.to_frame().to_arrow().column(0))


def batches_of(frame: pl.LazyFrame) -> Iterator[list[Returned]]:
    """The result's columns part by part, computed as they are read; at least one part."""
    import polars as pl

    nothing = pl.DataFrame(schema=frame.collect_schema())
    yield list(columns_of(nothing))
    for part in frame.collect_batches(chunk_size=BATCH_ROWS):
        yield list(columns_of(part))


def _held(given: Sequence[Handed]) -> Held:
    """What polars gives out for the columns that were handed over."""
    import polars as pl

    held = Held()
    for handed in given:
        before = handed.before
        if isinstance(before, pl.DataFrame | Scanned):
            for series in before if isinstance(before, pl.DataFrame) else before.columns.values():
                held.add(Origin(handed, series.name), series.dtype, _bytes(series))
    return held


def _bytes(series: pl.Series) -> pa.ChunkedArray:
    """A series in polars' own layout, without a copy; of categories the codes, which stand for the same text in all
    series of one dtype."""
    import polars as pl
    import pyarrow as pa

    return pa.chunked_array(series.to_physical() if isinstance(series.dtype, pl.Categorical | pl.Enum) else series)


def _to_series(name: str, column: pa.ChunkedArray) -> pl.Series:
    """One column. Raises `DataMismatch` if polars has no type for it."""
    import polars as pl
    import pyarrow as pa

    kind = column.type
    problem = _why_not(kind)
    if problem is not None:
        raise no_type(name, kind, "a polars frame", problem)
    try:
        column = plain(column)
        if pa.types.is_fixed_size_list(kind):
            column = _unsliced(column)
        enum = _enum_of(column) if pa.types.is_dictionary(kind) and kind.ordered else None
        series = pl.from_arrow(pa.table([column], [name]), rechunk=False).to_series()  # type: ignore[union-attr]
        return series if enum is None else series.cast(enum)
    except (pl.exceptions.PolarsError, pa.ArrowException, TypeError, ValueError) as error:
        raise no_type(name, kind, "a polars frame", error) from error


def _enum_of(column: pa.ChunkedArray) -> pl.Enum | None:
    """polars' type for ordered categories, where it has one: it is for text, and every word once."""
    import polars as pl
    import pyarrow as pa

    chunks = column.unify_dictionaries().chunks
    words = chunks[0].dictionary if chunks else pa.array([], column.type.value_type)
    is_text = pa.types.is_string(words.type) or pa.types.is_large_string(words.type)
    if not is_text or words.null_count or len(words.unique()) != len(words):
        return None
    return pl.Enum(words.to_pylist())


def _unsliced(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A copy where a chunk is a slice: polars 2.1 refuses slices of fixed-size lists that hold nulls."""
    import pyarrow as pa

    chunks = [pa.concat_arrays([chunk, chunk.slice(0, 0)]) if chunk.offset else chunk for chunk in column.chunks]
    return pa.chunked_array(chunks, column.type)


def _why_not(kind: pa.DataType) -> str | None:
    """Why polars cannot hold a type, where it would panic or give a riddle instead of saying so."""
    import pyarrow as pa

    if pa.types.is_decimal256(kind):
        return "a decimal has at most 38 digits there"
    if kind == pa.month_day_nano_interval():
        return "it has no intervals of months"
    if pa.types.is_union(kind):
        return "it has no unions"
    if pa.types.is_timestamp(kind) and kind.tz is not None and kind.tz[:1] in "+-":
        return "it knows zones by name only, e.g. Europe/Paris"
    inner = [kind.field(index).type for index in range(kind.num_fields)] if pa.types.is_nested(kind) else []
    return next((problem for problem in map(_why_not, inner) if problem is not None), None)
