"""The modules of the wide table: one makes it, one uses three of its columns, one selects and renames."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from module_sdk import module, serve

_BATCH_ROWS = 10_000
_USED = ("c7", "c500", "c999")


@module("bench.wide")
def wide(*, columns: int, rows: int) -> Iterator[pa.RecordBatch]:
    """`c0`, `c1`, … of float64, as they come."""
    for start in range(0, rows, _BATCH_ROWS):
        count = min(_BATCH_ROWS, rows - start)
        yield pa.record_batch({f"c{index}": pc.random(count, initializer=start + index) for index in range(columns)})


@module(
    "bench.three",
    inputs={"data": dict.fromkeys(_USED, "float64")},
    outputs={"out": {"...": "data", "sum": "float64"}},
    rows="same",
)
def three(data: pa.Table) -> pa.Table:
    """Adds the sum of three columns."""
    first, second, third = (data[name] for name in _USED)
    return data.append_column("sum", pc.add(pc.add(first, second), third))


@module("bench.narrower")
def narrower(data: pa.Table, *, less: int, prefix: str) -> pa.Table:
    """Leaves the first `less` columns out and gives all others a new name."""
    kept = data.select(data.column_names[less:])
    return kept.rename_columns([f"{prefix}{index}" for index in range(kept.num_columns)])


@module("bench.left", outputs={"out": "value"})
def left(data: pa.Table) -> int:
    """How many columns there are."""
    return len(data.column_names)


if __name__ == "__main__":
    serve(wide, three, narrower, left, slots=2)
