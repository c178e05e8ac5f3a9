"""The floor of W4: the same five steps in one process, on a frame that is there. Nothing is written or handed over."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from benchmarks.dataplane import chain_table, w4_modules


def seconds(variants: Sequence[str], rows: int, rounds: int) -> dict[str, list[float]]:
    """By variant, the seconds of each round, in a process of its own; two rounds before them warm it up."""
    command = (sys.executable, "-P", "-m", "benchmarks.dataplane.alone", str(rows), str(rounds), *variants)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def _measured(variant: str, rows: int, rounds: int) -> list[float]:
    frame, step, total = _parts(variant, chain_table.make(rows))
    sums = [total(frame, f"f{index}") for index in range(3)]
    taken = []
    for _ in range(rounds + 2):
        gc.collect()
        begin = time.perf_counter()
        last = _five(frame, step)
        taken.append(time.perf_counter() - begin)
        chain_table.check(total(last, chain_table.LAST), sums)
    return taken[2:]


def _five(frame: Any, step: Callable[..., Any]) -> Any:
    for number in range(chain_table.STEPS):
        on = chain_table.columns(number)
        frame = step(frame, a=on.a, b=on.b, into=on.into)
    return frame


def _parts(variant: str, table: pa.Table) -> tuple[Any, Callable[..., Any], Callable[[Any, str], float]]:
    """The table in the variant's library, a step on it, and the sum of a column of it."""
    if variant == "pa.Table":
        return table, w4_modules.table, lambda frame, column: w4_modules.total(frame, column=column)
    if variant == "polars":
        import polars as pl

        return pl.from_arrow(table), w4_modules.polars, _sum
    import pandas as pd

    types = pd.ArrowDtype if variant == "pandas-arrow" else None
    return table.to_pandas(types_mapper=types), w4_modules.pandas, _sum


def _sum(frame: Any, column: str) -> float:
    return float(frame[column].sum())


if __name__ == "__main__":
    print(json.dumps({name: _measured(name, int(sys.argv[1]), int(sys.argv[2])) for name in sys.argv[3:]}))
