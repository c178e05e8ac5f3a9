"""What runs on bad days: a table that is made, one that is made of it, and the sum of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ROWS = 20_000
"""Of one column: too many to travel in a reference."""
MODULES = """
import os
import time

import numpy as np
import pyarrow as pa
from module_sdk import module


@module("days.make")
def make(*, rows: int, ms: int = 50, held: str = "") -> pa.Table:
    while held and os.path.exists(held):
        time.sleep(0.02)
    time.sleep(ms / 1000)
    return pa.table({"a": np.random.default_rng(rows).integers(0, 1000, rows)})


@module("days.add")
def add(table: pa.Table, *, ms: int = 50) -> pa.Table:
    time.sleep(ms / 1000)
    return pa.table({"a": table["a"].to_numpy() + 1})


@module("days.total")
def total(table: pa.Table) -> int:
    return int(table["a"].to_numpy().sum())
"""
NAMES = ("days.make", "days.add", "days.total")


def flow(ms: int, held: str = "") -> dict[str, Any]:
    """Three steps of which two take so long. The first one does not end as long as there is a file `held`."""
    return {
        "flow": "faults/days",
        "nodes": {
            "make": {"module": "days.make", "params": {"rows": ROWS, "ms": ms, "held": held}},
            "add": {"module": "days.add", "in": {"table": "make"}, "params": {"ms": ms}},
            "total": {"module": "days.total", "in": {"table": "add"}},
        },
        "outputs": {"total": "total"},
    }


def expected() -> int:
    """What every run comes to."""
    import numpy as np  # only where it is needed: days are read by tests that skip, too

    return int((np.random.default_rng(ROWS).integers(0, 1000, ROWS) + 1).sum())


def result_of(shown: Mapping[str, Any]) -> Any:
    """The value of the run's output."""
    made = shown["outputs"]["total"]
    step = next(step for step in shown["steps"] if step["id"] == made["step"])
    return step["outputs"][made["port"]]["value"]
