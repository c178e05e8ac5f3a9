"""A table of 6 GB through a step that takes and returns batches: GB/s, and what it needs of memory that is not mapped."""

from __future__ import annotations

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
    rows, rounds = (QUICK_ROWS, 2) if quick else (ROWS, 4)
    found = []
    for name, module in _STEPS.items():
        with served_by(*_PROCESSES) as mesh:
            runs = [_once(mesh, module, rows) for _ in range(rounds)]
        found += _figures(f"{rows * _BYTES_A_ROW / 1e9:g}GB-{name}", runs[1:], [peaks for _, peaks in runs])
    return found


def _once(mesh: Processes, module: str, rows: int) -> tuple[float, dict[str, Memory]]:
    """Seconds from the end of the source to the end of the node that is measured, and the peaks of all processes (they are
    looked at in each round: it is too long to be disturbed by that)."""
    run, peaks = peaks_while(mesh.named, lambda: mesh.run(flow_of(module, rows)))
    ended = {step["id"]: float(step["ended_at"]) for step in run["steps"] if step["ended_at"] is not None}
    mesh.let_go(run["id"])
    return ended["added"] - ended["large"], peaks


def flow_of(module: str, rows: int) -> dict[str, Any]:
    """The source, and the node that goes through it."""
    nodes = {"large": {"module": "bench.large", "params": {"rows": rows}}, "added": {"module": module, "in": "large"}}
    return {"flow": "bench/large-table", "nodes": nodes}


def _figures(variant: str, warm: list[tuple[float, dict[str, Memory]]], peaks: list[dict[str, Memory]]) -> list[Figure]:
    most: dict[str, Memory] = {}
    for one in peaks:
        most |= {name: peak.most(most.get(name, Memory())) for name, peak in one.items()}
    size = float(variant.partition("GB")[0])
    return [
        figure("large", variant, "rate", "GB/s", [size / seconds for seconds, _ in warm]),
        figure("large", variant, "wall", "s", [seconds for seconds, _ in warm]),
        *peaks_of("large", variant, most),
    ]
