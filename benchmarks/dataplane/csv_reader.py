"""One CSV reader alone in a process: `csv_reader.py polars|pyarrow|duckdb FILE COLUMN,...`. It reads the columns batch by batch,
keeps nothing, and prints the seconds and the number of rows as JSON."""

import importlib
import json
import sys
import time
from collections.abc import Iterator
from typing import Any


def polars(file: str, columns: list[str]) -> Iterator[int]:
    """`scan_csv().collect_batches()`; types from the first 100 lines."""
    import polars as pl

    return (batch.height for batch in pl.scan_csv(file).select(columns).collect_batches())


def pyarrow(file: str, columns: list[str]) -> Iterator[int]:
    """The streaming reader; types from the first block."""
    from pyarrow import csv

    reader = csv.open_csv(
        file,
        read_options=csv.ReadOptions(block_size=8 << 20),
        convert_options=csv.ConvertOptions(include_columns=columns),
    )
    return (batch.num_rows for batch in reader)


def duckdb(file: str, columns: list[str]) -> Iterator[int]:
    """A stream of batches; types from the first 20,480 lines."""
    import duckdb

    names = ", ".join(f'"{name}"' for name in columns)
    found: Any = duckdb.sql(f"SELECT {names} FROM read_csv(?)", params=[file])
    return (batch.num_rows for batch in found.to_arrow_reader(250_000))


READERS = {"polars": polars, "pyarrow": pyarrow, "duckdb": duckdb}

if __name__ == "__main__":
    importlib.import_module("pyarrow.csv" if sys.argv[1] == "pyarrow" else sys.argv[1])  # that is not reading
    begin = time.perf_counter()
    rows = sum(READERS[sys.argv[1]](sys.argv[2], sys.argv[3].split(",")))
    print(json.dumps({"seconds": time.perf_counter() - begin, "rows": rows}))
