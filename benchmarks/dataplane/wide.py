"""A table of 1,000 columns: what a step that uses three of them is handed, and what ten that only select and rename write."""

from __future__ import annotations

from typing import Any

from benchmarks.dataplane.memory import peaks_of, peaks_while
from benchmarks.dataplane.two_processes import Processes, served_by
from benchmarks.figures import Figure, figure

COLUMNS = 1_000
ROWS, QUICK_ROWS = 100_000, 1_000
_CHAIN = 10
_LESS = 50
_PROCESSES = ("wide_modules.py",)


def wide(*, quick: bool) -> list[Figure]:
    """Both; `--quick`: a hundredth of the rows."""
    rows = QUICK_ROWS if quick else ROWS
    variant = f"{COLUMNS}x{rows}"
    with served_by(_PROCESSES) as mesh:
        _, peaks = peaks_while(mesh.named, lambda: _once(mesh, rows))
        rounds = [_once(mesh, rows) for _ in range(1 if quick else 3)]
    return [
        figure("wide", variant, "three-handed-over", "%", [one["handed_percent"] for one in rounds]),
        figure("wide", variant, "three-wall", "ms", [one["three_ms"] for one in rounds]),
        figure("wide", variant, "renamed-written", "bytes", [one["written"] for one in rounds]),
        figure("wide", variant, "renamed-objects", "objects", [one["objects"] for one in rounds]),
        figure("wide", variant, "renamed-references", "bytes", [one["references"] for one in rounds]),
        figure("wide", variant, "renamed-wall", "ms/step", [one["renamed_ms"] for one in rounds]),
        *peaks_of("wide", variant, peaks),
    ]


def flow_of(rows: int) -> dict[str, Any]:
    """The source, the step that uses three columns, and beside it the chain."""
    made = {"module": "bench.wide", "params": {"columns": COLUMNS, "rows": rows}}
    nodes: dict[str, Any] = {"wide": made, "three": {"module": "bench.three", "in": "wide"}}
    before = "wide"
    for number in range(_CHAIN):
        params = {"less": _LESS, "prefix": f"step{number}_"}
        nodes[f"renamed{number}"] = {"module": "bench.narrower", "in": before, "params": params}
        before = f"renamed{number}"
    nodes["left"] = {"module": "bench.left", "in": before}
    return {"flow": "bench/wide-table", "nodes": nodes}


def _once(mesh: Processes, rows: int) -> dict[str, float]:
    """One run, and what its steps say that they did. Raises `RuntimeError` if the chain has another number of columns left."""
    run = mesh.run(flow_of(rows))["id"]
    steps = mesh.steps(run)
    whole = steps["wide"]["stats"]["bytes_written"]
    three, chain = steps["three"]["stats"], [steps[f"renamed{number}"]["stats"] for number in range(_CHAIN)]
    left = steps["left"]["outputs"]["out"]["value"]
    if left != COLUMNS - _CHAIN * _LESS:
        raise RuntimeError(f"{left} columns are left of {COLUMNS}")
    objects = mesh.objects(run, "renamed")
    mesh.let_go(run)
    return {
        "handed_percent": 100 * three["bytes_read"] / whole,
        "three_ms": three["wall_s"] * 1e3,
        "written": float(sum(each["bytes_written"] for each in chain)),
        "objects": float(len(objects)),
        "references": float(sum(objects)),
        "renamed_ms": sum(each["wall_s"] for each in chain) * 1e3 / _CHAIN,
    }
