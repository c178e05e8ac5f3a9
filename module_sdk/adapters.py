"""Which frame a module gets for each annotation, and Arrow from whatever frame it returns.

The table is `_adapters()`. No frame library, and not pyarrow either, is imported before a module asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from module_sdk.frame_names import kind_of, name_of, shown
from module_sdk.pandas_frames import from_pandas, still_holds, to_pandas
from plugmesh.errors import ContractError, DataMismatch

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 256 * 1024
"""Most rows of a batch that a module gets which asked for a stream."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one kind of frame is handed over.

    `to_native` takes a `pa.Table`, or, where `streams` is set, a `pa.RecordBatchReader` too, and then needs memory
    for one batch only. `unchanged(native, table)` tells whether `native`, made from `table`, was not changed in place
    since: a module that returns the very frame it got may have written into it.
    """

    name: str
    to_native: Callable[[Any], Any]
    unchanged: Callable[[Any, pa.Table], bool]
    streams: bool = False


def adapter_for(annotation: Any) -> Adapter:
    """The adapter for an annotation: a class, its name as text, or none (a `pa.Table`).

    Raises `ContractError`, with the list of what is possible, for anything else.
    """
    table = _adapters()
    name = name_of(annotation, table)
    if name in table:
        return table[name]
    inner = name.removeprefix("Iterator[").removesuffix("]")
    if name.startswith("Iterator[") and inner in table and not table[inner].streams:
        return _stream_of(name, table[inner])
    raise ContractError(
        f"a table cannot be handed over as {shown(annotation)}: annotate the parameter with one of "
        f"{', '.join(table)}, an Iterator of one of them, or nothing (pyarrow.Table)"
    )


def from_native(value: Any, *, given: Sequence[pa.Table] = ()) -> pa.Table | pa.RecordBatchReader:
    """Arrow from a frame of any of these libraries, or from anything with `__arrow_c_stream__`.

    `given` are the tables that the module got. A column of the same name whose type the frame's library cannot have
    (polars has no `timestamp[s]`) gets its type back. Raises `DataMismatch` if `value` is no frame, or one of its
    columns has no Arrow type.
    """
    import pyarrow as pa

    if isinstance(value, pa.Table | pa.RecordBatchReader):
        return value
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    kind = kind_of(type(value), _adapters())
    if kind in _FROM:
        return _with_types_back(_FROM[kind](value), given, _adapters()[kind].to_native, _FROM[kind])
    if hasattr(value, "__arrow_c_stream__") and kind not in {"pandas.Series", "polars.Series"}:
        return _from_stream(value)
    hint = "; a Series becomes one by .to_frame()" if kind.endswith(".Series") else ""
    raise DataMismatch(
        f"an object of type {type(value).__module__}.{type(value).__qualname__} is no table: return one of "
        f"{', '.join(_adapters())}, or anything with __arrow_c_stream__{hint}"
    )


def _adapters() -> dict[str, Adapter]:
    rows = (
        Adapter("pyarrow.Table", _to_table, _always),
        Adapter("pyarrow.RecordBatchReader", _to_reader, _never, streams=True),
        Adapter("pyarrow.RecordBatch", _to_batch, _always),
        Adapter("pandas.DataFrame", to_pandas, still_holds),
        Adapter("polars.DataFrame", _to_polars, _polars_still_holds),
        Adapter("polars.LazyFrame", _to_lazy, _always),
        Adapter("duckdb.DuckDBPyRelation", _to_relation, _always),
    )
    return {adapter.name: adapter for adapter in rows}


def _always(_: Any, __: pa.Table) -> bool:
    return True


def _never(_: Any, __: pa.Table) -> bool:
    return False


def _to_table(table: pa.Table) -> pa.Table:
    return table


def _to_reader(source: pa.Table | pa.RecordBatchReader) -> pa.RecordBatchReader:
    return source.to_reader(max_chunksize=BATCH_ROWS) if hasattr(source, "to_reader") else source


def _to_batch(table: pa.Table) -> pa.RecordBatch:
    import pyarrow as pa

    batches = table.combine_chunks().to_batches()
    if len(batches) > 1:
        raise DataMismatch(
            f"{table.num_rows} rows do not fit one pa.RecordBatch: annotate with pa.Table or Iterator[pa.RecordBatch]"
        )
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _to_polars(table: pa.Table) -> Any:
    import polars as pl
    import pyarrow as pa

    for index, field in enumerate(table.schema):
        if pa.types.is_fixed_size_list(field.type):
            table = table.set_column(index, field, _unsliced(table.column(index)))
    return pl.from_arrow(table, rechunk=False)


def _unsliced(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A copy where a chunk is a slice: polars 2.1 refuses slices of fixed-size lists that hold nulls."""
    import pyarrow as pa

    chunks = [pa.concat_arrays([chunk, chunk.slice(0, 0)]) if chunk.offset else chunk for chunk in column.chunks]
    return pa.chunked_array(chunks, column.type)


def _to_lazy(table: pa.Table) -> Any:
    return _to_polars(table).lazy()


def _from_polars(frame: Any) -> pa.Table:
    return frame.to_arrow()


def _from_lazy(frame: Any) -> pa.Table:
    return frame.collect().to_arrow()


def _polars_still_holds(frame: Any, table: pa.Table) -> bool:
    before = _to_polars(table)
    return bool(frame.schema == before.schema and frame.equals(before, null_equal=True))


def _to_relation(table: pa.Table) -> Any:
    import duckdb

    return duckdb.connect().from_arrow(table)


def _from_relation(relation: Any) -> pa.Table:
    return relation.to_arrow_table()


_FROM: dict[str, Callable[[Any], Any]] = {
    "pandas.DataFrame": from_pandas,
    "polars.DataFrame": _from_polars,
    "polars.LazyFrame": _from_lazy,
    "duckdb.DuckDBPyRelation": _from_relation,
}


def _from_stream(value: Any) -> pa.RecordBatchReader:
    import pyarrow as pa

    try:
        return pa.RecordBatchReader.from_stream(value)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataMismatch(
            f"the Arrow stream of a {type(value).__module__}.{type(value).__qualname__} is no table: {error}"
        ) from error


def _stream_of(name: str, one: Adapter) -> Adapter:
    def to_native(source: pa.Table | pa.RecordBatchReader) -> Iterator[Any]:
        import pyarrow as pa

        if one.name == "pyarrow.RecordBatch":
            return iter(_to_reader(source))
        return (one.to_native(pa.Table.from_batches([batch])) for batch in _to_reader(source))

    return Adapter(name, to_native, _never, streams=True)


def _with_types_back(
    table: pa.Table, given: Sequence[pa.Table], to_native: Callable[[Any], Any], back: Callable[[Any], Any]
) -> pa.Table:
    """`table` with the types of `given` where only the library's lack of a type changed them."""
    before: dict[str, Any] = {}
    for one in given:
        for field in one.schema:
            before.setdefault(field.name, field)
    for index, field in enumerate(table.schema):
        original = before.get(field.name)
        if original is not None and original.type != field.type:
            cast = _cast_back(table.column(index), original, to_native, back)
            if cast is not None:
                table = table.set_column(index, field.with_type(original.type), cast)
    return table


def _cast_back(
    column: pa.ChunkedArray, original: pa.Field, to_native: Callable[[Any], Any], back: Callable[[Any], Any]
) -> pa.ChunkedArray | None:
    import pyarrow as pa

    try:
        image = back(to_native(pa.schema([original]).empty_table())).schema.field(0).type
        same_kind = image == column.type or (
            # the width of the codes says nothing: it follows from the number of categories
            pa.types.is_dictionary(image)
            and pa.types.is_dictionary(column.type)
            and (image.value_type, image.ordered) == (column.type.value_type, column.type.ordered)
        )
        return column.cast(original.type) if same_kind else None
    except pa.ArrowException:  # values that the old type cannot hold: it was changed after all
        return None
