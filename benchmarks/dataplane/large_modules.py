"""The modules of the large table: `large_modules.py source` makes it, `large_modules.py steps` goes through it in batches."""

import sys
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from module_sdk import module, serve

_BATCH_ROWS = 250_000
_COLUMNS = tuple(f"c{index}" for index in range(6))


@module("bench.large")
def large(*, rows: int) -> Iterator[pa.RecordBatch]:
    """Six columns of float64, as they come: the same batch again and again, since making numbers is not what is measured."""
    batch = pa.record_batch({name: pc.random(_BATCH_ROWS, initializer=at) for at, name in enumerate(_COLUMNS)})
    for start in range(0, rows, _BATCH_ROWS):
        yield batch.slice(0, min(_BATCH_ROWS, rows - start))


def added(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The sum of the six columns, batch by batch."""
    for batch in batches:
        total = batch[0]
        for index in range(1, len(_COLUMNS)):
            total = pc.add(total, batch[index])
        yield pa.record_batch({"sum": total})


_OUT = {"out": {"sum": "float64"}}
in_one = module("bench.added", outputs=_OUT, rows="same")(added)
in_pieces = module("bench.added_in_pieces", outputs=_OUT, rows="same", rowwise=True)(added)

if __name__ == "__main__":
    if sys.argv[1] == "source":
        serve(large, slots=1)
    serve(in_one, in_pieces, slots=2)
