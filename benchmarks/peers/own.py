"""Plugmesh's side of the comparison: the workloads of `scripts/bench`, on a fresh mesh as the peers are fresh."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import version

from benchmarks import workloads
from benchmarks.figures import Figure
from benchmarks.mesh import Mesh, mesh
from benchmarks.peers.environment import Skipped, last_line
from benchmarks.peers.protocol import UNITS, Answer

_VARIANT = "full"  # every commit is on the disk before its effect
_HEADLINES: dict[str, tuple[Callable[[Mesh, str, bool], list[Figure]], str, str]] = {
    "W1": (workloads.chain, _VARIANT, "wall"),
    "W2-2000": (workloads.fan_outs, f"2000-{_VARIANT}", "rate"),
    "W2-500": (workloads.fan_outs, f"500-{_VARIANT}", "rate"),
    "W3a": (workloads.latency, _VARIANT, "p50"),
    "W3b": (workloads.burst, _VARIANT, "rate"),
}


def measure(workload: str) -> Answer:
    """The headline of the workload. Raises `Skipped` if the mesh cannot do it, so that the peers' figures are not lost."""
    try:
        found = _headline(workload)
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
