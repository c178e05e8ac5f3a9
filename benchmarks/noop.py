"""The modules of the workloads: they do nothing, so that what is measured is the mesh."""

import pyarrow as pa

from module_sdk import module, serve


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


if __name__ == "__main__":
    serve(one_row, same, nothing, slots=2)
