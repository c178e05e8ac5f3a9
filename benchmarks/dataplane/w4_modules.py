"""The modules of W4, one for each kind of frame: `w4_modules.py even` serves the source and steps 1 and 3, `w4_modules.py odd`
steps 0, 2 and 4 and the sum, so that each step gets what another process wrote.

A step is handed the two columns that it reads. The others pass on without it: the contract says so, and that the first of
the two does not. No frame library is imported before a step asks for it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.dataplane import chain_table
from benchmarks.dataplane.chain_table import Columns
from module_sdk import Column, module, serve
from module_sdk.decorator import Module

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

VARIANTS = {"pa.Table": "table", "polars": "polars", "pandas": "pandas", "pandas-arrow": "pandas_arrow"}
"""The variants, and what their modules are called."""


def source(*, rows: int) -> dict[str, Any]:
    """The table, when it was ready (Unix seconds), and the sums of `f0`, `f1` and `f2`."""
    table = chain_table.make(rows)
    sums = [pc.sum(table[f"f{index}"]).as_py() for index in range(3)]
    return {"out": table, "sums": sums, "ready_at": time.time()}


def table(data: pa.Table, *, a: Column, b: Column, into: str) -> pa.Table:
    """`a * 0.5 + b`, in Arrow."""
    return chain_table.step_on(data, Columns(a, b, into))


def polars(data: pl.DataFrame, *, a: Column, b: Column, into: str) -> pl.DataFrame:
    """The same in polars."""
    import polars as pl

    return data.with_columns((pl.col(a) * 0.5 + pl.col(b)).alias(into)).drop(a)


def pandas(data: pd.DataFrame, *, a: Column, b: Column, into: str) -> pd.DataFrame:
    """The same in pandas, with NumPy below it."""
    return data.assign(**{into: data[a] * 0.5 + data[b]}).drop(columns=a)


def pandas_arrow(data: pa.Table, *, a: Column, b: Column, into: str) -> pd.DataFrame:
    """The same in pandas, with Arrow below it, as whoever wants that asks pyarrow for it."""
    import pandas as pd

    return pandas(data.to_pandas(types_mapper=pd.ArrowDtype), a=a, b=b, into=into)


def total(data: pa.Table, *, column: Column) -> float:
    """The sum of a column."""
    found: float = pc.sum(data[column]).as_py()
    return found


def _both(step: Callable[..., Any]) -> tuple[Module[..., Any], Module[..., Any]]:
    """`bench.even.<variant>` and `bench.odd.<variant>`: the same step in the one and in the other process."""
    even, odd = [
        module(
            f"bench.{seat}.{step.__name__}",
            inputs={"data": {"${params.a}": "float64", "${params.b}": "float64"}},
            outputs={"out": {"...": "data", "${params.into}": "float64", "${params.a}": False}},
            rows="same",
        )(step)
        for seat in ("even", "odd")
    ]
    return even, odd


made = module("bench.source", outputs={"out": "table", "sums": "value", "ready_at": "value"})(source)
summed = module("bench.total", outputs={"out": "value"})(total)
even_table, odd_table = _both(table)
even_polars, odd_polars = _both(polars)
even_pandas, odd_pandas = _both(pandas)
even_pandas_arrow, odd_pandas_arrow = _both(pandas_arrow)

if __name__ == "__main__":
    if sys.argv[1] == "even":
        serve(made, even_table, even_polars, even_pandas, even_pandas_arrow, slots=1)
    serve(odd_table, odd_polars, odd_pandas, odd_pandas_arrow, summed, slots=1)
