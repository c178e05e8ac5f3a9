"""The modules of the workloads: they do nothing, so that what is measured is the mesh. One makes a table to look at."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from module_sdk import module, serve

_BATCH_ROWS = 500_000


@module("bench.one_row")
def one_row() -> pa.Table:
    """A table with one row."""
    return pa.table({"x": [1]})


@module("bench.same")
def same(table: pa.Table) -> pa.Table:
    """The very table that came in: its reference is passed on, nothing is written."""
    return table


@module("bench.nothing", outputs={})
def nothing() -> None:
    """No input, no output."""


@module("bench.orders")
def orders(*, rows: int) -> Iterator[pa.RecordBatch]:
    """Six columns, as they come: a number, a price with nulls, an integer, few words, a time, many words."""
    for start in range(0, rows, _BATCH_ROWS):
        count = min(_BATCH_ROWS, rows - start)
        number, chance = pa.arange(start, start + count), pc.random(count, initializer=start)
        price = pc.multiply(chance, 100.0)
        yield pa.record_batch(
            {
                "id": number,
                "price": pc.if_else(pc.less(chance, 0.01), pa.scalar(None, pa.float64()), price),
                "qty": pc.cast(pc.ceil(price), pa.int32()),
                "country": pc.binary_join_element_wise("country", pc.cast(pc.floor(price), pa.string()), " "),
                "at": pc.multiply(number, 60_000_000).cast(pa.timestamp("us", "UTC")),
                "item": pc.cast(pc.floor(pc.multiply(chance, 200_000.0)), pa.string()),
            }
        )


if __name__ == "__main__":
    serve(one_row, same, nothing, orders, slots=2)
