"""A table of 6 GB through a step that takes and returns batches: GB/s, and what it needs of memory that is not mapped."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.dataplane.memory import Memory, peaks_of, peaks_while
from benchmarks.dataplane.two_processes import Processes, served_by
from benchmarks.figures import Figure, figure

ROWS, QUICK_ROWS = 125_000_000, 2_500_000
_BYTES_A_ROW = 48
_PROCESSES = (("large_modules.py", "source"), ("large_modules.py", "steps"))
_STEPS = {"one-step": "bench.added", "rowwise": "bench.added_in_pieces"}


def large(*, quick: bool) -> list[Figure]:
    """Once as one step, once as a node that may be cut into pieces. Needs 10 GB of disk; `--quick`: a fiftieth of the rows."""
    rows, rounds = (QUICK_ROWS, 1) if quick else (ROWS, 3)
    found = []
    for name, module in _STEPS.items():
        with served_by(*_PROCESSES) as mesh:
            _, peaks = peaks_while(mesh.named, partial(_once, mesh, module, rows))
            seconds = [_once(mesh, module, rows) for _ in range(rounds)]
        found += _figures(f"{rows * _BYTES_A_ROW / 1e9:g}GB-{name}", rows * _BYTES_A_ROW / 1e9, seconds, peaks)
    return found


def _once(mesh: Processes, module: str, rows: int) -> float:
    """Seconds from the end of the source to the end of the node that is measured."""
    run = mesh.run(flow_of(module, rows))
    ended = {step["id"]: float(step["ended_at"]) for step in run["steps"] if step["ended_at"] is not None}
    mesh.let_go(run["id"])
    return ended["added"] - ended["large"]


def flow_of(module: str, rows: int) -> dict[str, Any]:
    """The source, and the node that goes through it."""
    nodes = {"large": {"module": "bench.large", "params": {"rows": rows}}, "added": {"module": module, "in": "large"}}
    return {"flow": "bench/large-table", "nodes": nodes}


def _figures(variant: str, gigabytes: float, seconds: list[float], peaks: Mapping[str, Memory]) -> list[Figure]:
    return [
        figure("large", variant, "rate", "GB/s", [gigabytes / each for each in seconds]),
        figure("large", variant, "wall", "s", seconds),
        *peaks_of("large", variant, peaks),
    ]
