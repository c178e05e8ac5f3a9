"""What it costs to hand a table over in each kind of frame, and to take back what comes.

`python -m benchmarks.dataplane.adapters` prints milliseconds, the best of some rounds, for one step on the table of W4:
beside the step itself, which is the library's own. `whole`: all columns are handed over; `two`: only those that the step
reads.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa

from benchmarks.dataplane import chain_table, w4_modules
from module_sdk.dataframes.adapters import adapter_for, from_native

ROUNDS = 5
STEPS: dict[str, tuple[Any, Callable[..., Any]]] = {
    "pa.Table": (pa.Table, w4_modules.table),
    "pd.DataFrame": (pd.DataFrame, w4_modules.pandas),
    "pl.DataFrame": (pl.DataFrame, w4_modules.polars),
    "pl.LazyFrame": (pl.LazyFrame, w4_modules.polars),
    "DuckDB relation": (duckdb.DuckDBPyRelation, lambda data, *, a, b, into: _in_sql(data, a, b, into)),
}


def _in_sql(data: duckdb.DuckDBPyRelation, a: str, b: str, into: str) -> duckdb.DuckDBPyRelation:
    return data.project(f'* exclude ("{a}"), "{a}" * 0.5 + "{b}" as "{into}"')


def best_ms(call: Callable[[], Any]) -> tuple[float, Any]:
    """The shortest of some rounds, and what the last one gave."""
    shortest, result = float("inf"), None
    for _ in range(ROUNDS):
        result = None
        gc.collect()
        begin = time.perf_counter()
        result = call()
        shortest = min(shortest, time.perf_counter() - begin)
    return shortest * 1000, result


def row(name: str, table: pa.Table) -> tuple[float, float, float]:
    """To hand `table` over, to do the step, to take its result back; a lazy step is done while it is taken back."""
    kind, step = STEPS[name]
    adapter = adapter_for(kind)
    on = chain_table.columns(0)
    hand, handed = best_ms(lambda: adapter.hand_over(table))
    compute, made = best_ms(lambda: step(handed.native, a=on.a, b=on.b, into=on.into))
    back, _ = best_ms(lambda: from_native(made, given=[handed]))
    return hand, compute, back


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    rows = parser.parse_args().rows
    table = chain_table.make(rows)
    on = chain_table.columns(0)
    print(f"{rows:,} rows, {table.nbytes / 1e6:.0f} MB; ms to hand over, compute, take back")
    for part, columns in {"whole": table.column_names, "two": [on.a, on.b], "one row": table.column_names}.items():
        given = table.slice(0, 1) if part == "one row" else table.select(columns)
        for name in STEPS:
            hand, compute, back = row(name, given)
            print(f"{part:8} {name:16} {hand:8.2f} {compute:8.2f} {back:8.2f}")


if __name__ == "__main__":
    main()
