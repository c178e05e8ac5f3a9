"""Modules that go through a table batch by batch, as an author would write them."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from module_sdk import module


def _sum(batch: pa.RecordBatch) -> pa.Array:
    total = batch.column(0)
    for column in batch.columns[1:]:
        total = pc.add(total, column)
    return total


@module("s.sums", outputs={"out": {"total": "float64"}}, rows="same")
def sums(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """One column from all."""
    for batch in rows:
        yield pa.record_batch({"total": _sum(batch)})


@module("s.adds", outputs={"out": {"...": "rows", "total": "float64"}}, rows="same")
def adds(rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """All columns and one more."""
    for batch in rows:
        yield batch.append_column("total", _sum(batch))


@module("s.keeps", outputs={"out": {"...": "rows"}})
def keeps(rows: Iterator[pa.RecordBatch], *, most: float) -> pa.RecordBatchReader:
    """The rows of which the first column is below `most`."""
    first = next(rows)

    def kept() -> Iterator[pa.RecordBatch]:
        yield first.filter(pc.less(first.column(0), most))
        for batch in rows:
            yield batch.filter(pc.less(batch.column(0), most))

    return pa.RecordBatchReader.from_batches(first.schema, kept())


@module(
    "s.beside", inputs={"rows": {"c0": "float64"}}, outputs={"out": {"...": "rows", "twice": "float64"}}, rows="same"
)
def beside(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """A column beside those that it never got."""
    for batch in rows:
        yield batch.append_column("twice", pc.multiply(batch.column(0), 2.0))


@module("s.loses", outputs={"out": {"c0": "float64"}}, rows="same")
def loses(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Breaks its promise."""
    for batch in rows:
        yield batch.select(["c0"]).slice(1)
