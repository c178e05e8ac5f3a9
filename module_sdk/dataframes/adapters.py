"""Which frame a module gets for each annotation, and Arrow from whatever frame it returns.

The table is `_ADAPTERS`. No frame library, and not pyarrow either, is imported before a module asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from module_sdk.dataframes import arrow_frames, duckdb_frames, numpy_frames, pandas_frames, polars_frames
from module_sdk.dataframes.handed import Handed, Returned
from module_sdk.dataframes.names import kind_of, name_of, shown
from module_sdk.dataframes.types_back import TypesBack
from plugmesh.errors import ContractError, DataMismatch

if TYPE_CHECKING:
    import pyarrow as pa

    from module_sdk.dataframes.pandas_frames import RowIndex

LARGE_BYTES = 1024**3
"""What a lazy frame or a relation computes from a larger table is taken from it part by part."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """How one kind of frame is handed over.

    `hand` makes the frame from a `pa.Table`, or, where `streams` is set, from a `pa.RecordBatchReader` too, and then
    needs memory for one batch only; with it comes what `Handed.before` keeps. `picks_rows`: it takes a `RowIndex`, by
    which the rows of what comes back are known again. `lasts`: what was handed over cannot be changed in place.
    """

    name: str
    hand: Callable[[Any, RowIndex | None], tuple[Any, Any]]
    streams: bool = False
    picks_rows: bool = False
    lasts: bool = True

    def to_native(self, source: pa.Table | pa.RecordBatchReader) -> Any:
        """The frame alone."""
        return self.hand(source, None)[0]

    def hand_over(self, source: Any, port: str = "", index: int = 0, rows: RowIndex | None = None) -> Handed:
        """The frame, and by what it is known again."""
        native, before = self.hand(source, rows)
        return Handed(port, index, source, native, before, rows)

    def unchanged(self, handed: Handed) -> bool:
        """Whether the very frame that was handed over still holds what it held then."""
        if self.streams:
            return False
        if self.lasts:
            return True
        columns = list(_LIBRARIES[self.name](handed.native, (handed,)))
        if [one.name for one in columns] != handed.table.column_names:
            return False
        if handed.table.num_rows:
            return all(one.origin is not None and one.origin.name == one.name and one.whole for one in columns)
        return bool(from_native(handed.native, given=[handed]).schema.equals(handed.table.schema))


def adapter_for(annotation: Any) -> Adapter:
    """The adapter for an annotation: a class, its name as text, or none (a `pa.Table`).

    Raises `ContractError`, with the list of what is possible, for anything else.
    """
    table = _ADAPTERS
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


def from_native(value: Any, *, given: Sequence[Handed] = (), part: bool = False) -> pa.Table | pa.RecordBatchReader:
    """Arrow from a frame of any of these libraries, from anything with `__arrow_c_stream__`, from a structured NumPy
    array, a dict of columns or a list of dicts.

    `given` is what the module got. A column that came back from there untouched is the column of the input, of the same
    bytes; a changed one of the same name whose type the frame's library cannot have (polars has no `timestamp[s]`) gets
    its type back, except in a `part` of a stream, since a later part may not fit it.
    Raises `DataMismatch` if `value` is no table, or one of its columns has no Arrow type.
    """
    import pyarrow as pa

    if isinstance(value, pa.Table | pa.RecordBatchReader):
        return value
    if isinstance(value, pa.RecordBatch):
        return pa.Table.from_batches([value])
    kind = kind_of(type(value), {*_ADAPTERS, _ARRAY})
    if kind in _LIBRARIES:
        return _assembled(value, _ADAPTERS[kind], given, part)
    columns = _columns_of_no_frame(kind, value)
    if columns is not None:
        return pa.table({one.name: one.column for one in columns})
    if hasattr(value, "__arrow_c_stream__") and kind not in {"pandas.Series", "polars.Series"}:
        return arrow_frames.from_stream(value)
    hint = "; a Series becomes one by .to_frame()" if kind.endswith(".Series") else ""
    raise DataMismatch(
        f"an object of type {type(value).__module__}.{type(value).__qualname__} is no table: return one of "
        f"{', '.join(_ADAPTERS)}, anything with __arrow_c_stream__, a dict of columns, or a list of dicts{hint}"
    )


def _columns_of_no_frame(kind: str, value: Any) -> Iterable[Returned] | None:
    if kind == _ARRAY:
        return numpy_frames.columns_of_array(value)
    if isinstance(value, Mapping) and value:
        return numpy_frames.columns_of_dict(value)
    if isinstance(value, list | tuple) and value and all(isinstance(row, Mapping) for row in value):
        return numpy_frames.columns_of_rows(value)
    return None


_LIBRARIES: dict[str, Callable[[Any, Sequence[Handed]], Iterable[Returned]]] = {
    "pandas.DataFrame": pandas_frames.columns_of,
    "polars.DataFrame": polars_frames.columns_of,
    "polars.LazyFrame": polars_frames.columns_of,
    "duckdb.DuckDBPyRelation": duckdb_frames.columns_of,
}


_IN_PARTS: dict[str, Callable[[Any], Iterator[list[Returned]]]] = {
    "polars.LazyFrame": polars_frames.batches_of,
    "duckdb.DuckDBPyRelation": duckdb_frames.batches_of,
}
_ARRAY = "numpy.ndarray"


def _assembled(frame: Any, adapter: Adapter, given: Sequence[Handed], part: bool) -> pa.Table | pa.RecordBatchReader:
    """The table of a frame's columns, with the types of `given`; what is computed from a large table comes in parts."""
    import pyarrow as pa

    in_parts = adapter.name in _IN_PARTS and any(_is_large(one.table) for one in given)
    schemas = [one.table.schema for one in given]
    to_native = adapter.to_native
    if adapter.name == "duckdb.DuckDBPyRelation":
        to_native = partial(_relation_beside, given)
    back = TypesBack(to_native, _LIBRARIES[adapter.name], schemas, layouts_only=part or in_parts)
    if in_parts:
        return _in_parts(map(back.table, _IN_PARTS[adapter.name](frame)))
    if adapter.name == "polars.LazyFrame":
        frame = frame.collect()
    table = back.table(_LIBRARIES[adapter.name](frame, given))
    return table if table.num_columns else pa.table({"": pa.nulls(len(frame))}).select([])


def _relation_beside(given: Sequence[Handed], table: pa.Table) -> Any:
    """A relation in the database of one that was handed over, if there is one."""
    databases = (one.before for one in given if hasattr(one.before, "from_arrow"))
    return duckdb_frames.to_relation(table, next(databases, None))[0]


def _in_parts(tables: Iterator[pa.Table]) -> pa.RecordBatchReader:
    import pyarrow as pa

    schema = next(tables).schema
    return pa.RecordBatchReader.from_batches(
        schema, (batch for table in tables for batch in _of_schema(table, schema).to_batches())
    )


def _of_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    try:
        return table.cast(schema)
    except pa.ArrowException as error:
        raise DataMismatch(f"a later part of the result has other types than the first: {error}") from error


def _is_large(table: Any) -> bool:
    return hasattr(table, "to_reader") and table.get_total_buffer_size() > LARGE_BYTES


def _by(to_native: Callable[[Any], Any]) -> Callable[[Any, RowIndex | None], tuple[Any, Any]]:
    return lambda source, _: (to_native(source), None)


def _hand_table(table: pa.Table, _: RowIndex | None) -> tuple[pa.Table, None]:
    return table, None


def _hand_polars(table: pa.Table, _: RowIndex | None) -> tuple[Any, Any]:
    frame = polars_frames.to_polars(table)
    return frame, frame.clone()


def _hand_lazy(table: pa.Table, _: RowIndex | None) -> tuple[Any, Any]:
    scanned = polars_frames.Scanned(table, in_batches=_is_large(table))
    return scanned.frame(), scanned


def _hand_relation(table: pa.Table, _: RowIndex | None) -> tuple[Any, Any]:
    return duckdb_frames.to_relation(table)


def _stream_of(name: str, one: Adapter) -> Adapter:
    def to_native(source: pa.Table | pa.RecordBatchReader) -> Iterator[Any]:
        import pyarrow as pa

        if one.name == "pyarrow.RecordBatch":
            return iter(arrow_frames.to_reader(source))
        return (one.to_native(pa.Table.from_batches([batch])) for batch in arrow_frames.to_reader(source))

    return Adapter(name, _by(to_native), streams=True)


_ADAPTERS = {
    adapter.name: adapter
    for adapter in (
        Adapter("pyarrow.Table", _hand_table),
        Adapter("pyarrow.RecordBatchReader", _by(arrow_frames.to_reader), streams=True),
        Adapter("pyarrow.RecordBatch", _by(arrow_frames.to_batch)),
        Adapter("pandas.DataFrame", pandas_frames.to_pandas, picks_rows=True, lasts=False),
        Adapter("polars.DataFrame", _hand_polars, lasts=False),
        Adapter("polars.LazyFrame", _hand_lazy),
        Adapter("duckdb.DuckDBPyRelation", _hand_relation),
    )
}

FRAMES = tuple(_ADAPTERS)
"""What a table may be annotated as."""
