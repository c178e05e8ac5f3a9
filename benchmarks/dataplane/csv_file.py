"""A CSV file of so many bytes: 20 columns of numbers, words, times, dates and truth values, without nulls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

USED = ("shop", "amount_3", "count_2")
"""The three columns that are used: a few words, a float, an integer."""
_BATCH_ROWS = 100_000


def make(path: Path, least_bytes: int) -> int:
    """Write at least so many bytes; the number of rows."""
    rows = 0
    with path.open("wb") as file, csv.CSVWriter(file, next(_batches()).schema) as writer:
        for batch in _batches():
            writer.write_batch(batch)
            rows += batch.num_rows
            if file.tell() >= least_bytes:
                break
    return rows


def _batches() -> Iterator[pa.RecordBatch]:
    start = 0
    while True:
        yield _batch(start)
        start += _BATCH_ROWS


def _batch(start: int) -> pa.RecordBatch:
    number, chance = pa.arange(start, start + _BATCH_ROWS), pc.random(_BATCH_ROWS, initializer=start)

    def whole(below: float, kind: pa.DataType) -> pa.Array:
        return pc.cast(pc.floor(pc.multiply(chance, below)), kind)

    seconds = pc.add(pc.multiply(number, 61), 1_700_000_000).cast(pa.timestamp("s"))
    columns = {
        "id": number,
        "at": seconds,
        "day": seconds.cast(pa.date32()),
        "paid": pc.less(chance, 0.8),
        "shop": pc.binary_join_element_wise("shop", whole(40.0, pa.int32()).cast(pa.string()), " "),
        "item": pc.binary_join_element_wise("item", whole(90_000.0, pa.int32()).cast(pa.string()), " "),
        "note": pc.binary_join_element_wise("said on line", number.cast(pa.string()), " "),
    }
    columns |= {f"amount_{index}": pc.round(pc.multiply(chance, 997.0 + index), 4) for index in range(7)}
    columns |= {f"count_{index}": whole(7.0 * 10**index, pa.int64()) for index in range(6)}
    return pa.record_batch(columns)
