"""The table of W4, and what its steps do to it: shared with the peers, so it needs pyarrow only.

`id int64, f0..f2 float64, ts timestamp[us], tag dictionary<int32, string>`, 44 bytes a row. Step k adds
`f(k+3) = f(k) * 0.5 + f(k+1)` and drops `f(k)`, k = 0..4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

ROWS = 10_000_000
STEPS = 5
LAST = f"f{STEPS + 2}"
"""The column that the last step adds, whose sum is checked."""
_TAGS = 64
_BYTES_A_ROW = 44


@dataclass(frozen=True, slots=True)
class Columns:
    """What one step works on: it reads `a` and `b`, adds `into`, and drops `a`."""

    a: str
    b: str
    into: str


def columns(step: int) -> Columns:
    """The columns of step 0 to 4."""
    return Columns(f"f{step}", f"f{step + 1}", f"f{step + 3}")


def make(rows: int) -> pa.Table:
    """The table, with the same values each time."""
    number = pa.arange(0, rows)
    words = pa.array([f"tag {index}" for index in range(_TAGS)])
    codes = pc.cast(pc.floor(pc.multiply(pc.random(rows, initializer=3), float(_TAGS))), pa.int32())
    return pa.table(
        {
            "id": number,
            **{f"f{index}": pc.random(rows, initializer=index) for index in range(3)},
            "ts": pc.multiply(number, 1_000_000).cast(pa.timestamp("us")),
            "tag": pa.DictionaryArray.from_arrays(codes, words),
        }
    )


def step_on(table: pa.Table, on: Columns) -> pa.Table:
    """One step, in Arrow."""
    made = pc.add(pc.multiply(table[on.a], 0.5), table[on.b])
    return table.append_column(on.into, made).drop_columns([on.a])


def megabytes(rows: int) -> float:
    """The size of the table."""
    return rows * _BYTES_A_ROW / 1e6


def sum_of_last(sums: list[float]) -> float:
    """What the last column sums up to, from the sums of `f0`, `f1` and `f2`: each step is linear."""
    every = list(sums)
    for step in range(STEPS):
        every.append(every[step] * 0.5 + every[step + 1])
    return every[-1]


def check(found: float, sums: list[float]) -> None:
    """Raises `RuntimeError` if the last column has another sum than the first three imply (rounding apart)."""
    wanted = sum_of_last(sums)
    if not math.isclose(found, wanted, rel_tol=1e-9):
        raise RuntimeError(f"the last column sums up to {found!r}, but the first three imply {wanted!r}")
