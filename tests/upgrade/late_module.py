"""A module that nobody served when the mesh was killed."""

import pyarrow as pa

from module_sdk import module, serve


@module("late.end")
def end(rows: pa.Table) -> pa.Table:
    """Pass on."""
    return rows


if __name__ == "__main__":
    serve(end)
