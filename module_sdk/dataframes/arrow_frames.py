"""Tables, batches and streams of Arrow itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugmesh.errors import DataMismatch

if TYPE_CHECKING:
    import pyarrow as pa

BATCH_ROWS = 256 * 1024
"""Most rows of a batch that a module gets which asked for a stream."""


def to_reader(source: pa.Table | pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Batches of at most `BATCH_ROWS` rows."""
    return source.to_reader(max_chunksize=BATCH_ROWS) if hasattr(source, "to_reader") else source


def to_batch(table: pa.Table) -> pa.RecordBatch:
    """All rows in one. Raises `DataMismatch` where they do not fit."""
    import pyarrow as pa

    batches = table.combine_chunks().to_batches()
    if len(batches) > 1:
        raise DataMismatch(
            f"{table.num_rows} rows do not fit one pa.RecordBatch: annotate with pa.Table or Iterator[pa.RecordBatch]"
        )
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def from_stream(value: Any) -> pa.RecordBatchReader:
    """A reader over anything with `__arrow_c_stream__`. Raises `DataMismatch` if it is no table."""
    import pyarrow as pa

    try:
        return pa.RecordBatchReader.from_stream(value)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise DataMismatch(
            f"the Arrow stream of a {type(value).__module__}.{type(value).__qualname__} is no table: {error}"
        ) from error
