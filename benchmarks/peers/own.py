"""Plugmesh's side of the comparison: the workloads of `scripts/bench`, on a fresh mesh as the peers are fresh."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import version

from benchmarks import workloads
from benchmarks.dataplane import w4
from benchmarks.dataplane.two_processes import served_by
from benchmarks.figures import Figure, figure
from benchmarks.mesh import Mesh, mesh
from benchmarks.peers.environment import Skipped, last_line
from benchmarks.peers.protocol import TABLE_ROWS, UNITS, Answer

_VARIANT = "full"  # every commit is on the disk before its effect
_HEADLINES: dict[str, tuple[Callable[[Mesh, str, bool], list[Figure]], str, str]] = {
    "W1": (workloads.chain, _VARIANT, "wall"),
    "W2-2000": (workloads.fan_outs, f"2000-{_VARIANT}", "rate"),
    "W2-500": (workloads.fan_outs, f"500-{_VARIANT}", "rate"),
    "W3a": (workloads.latency, _VARIANT, "p50"),
    "W3b": (workloads.burst, _VARIANT, "rate"),
}
_WARM = 5


def measure(workload: str) -> Answer:
    """The headline of the workload. Raises `Skipped` if the mesh cannot do it, so that the peers' figures are not lost."""
    try:
        found = _table() if workload == "W4" else _headline(workload)
    except RuntimeError as error:
        raise Skipped(last_line(str(error))) from error
    versions = {"python": platform.python_version(), "plugmesh": version("plugmesh")}
    return Answer(workload, found.median, UNITS[workload], found.reps, versions)


def _headline(workload: str) -> Figure:
    run, variant, metric = _HEADLINES[workload]
    with mesh() as running:
        if workload == "W3b":
            workloads.latency(running, _VARIANT, True)  # it has no warm-up of its own
        return next(each for each in run(running, _VARIANT, True) if (each.variant, each.metric) == (variant, metric))


def _table() -> Figure:
    """W4 in Arrow, as the peers do it: two runs warm it up."""
    with served_by(*w4.PROCESSES) as running:
        flow = w4.flow_of("pa.Table", TABLE_ROWS)
        walls = [w4.once(running, flow).wall_s for _ in range(2 + _WARM)]
    return figure("w4", "pa.Table", "wall", "s", walls[2:])
