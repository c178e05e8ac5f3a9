"""Which figures `scripts/bench --distributed` measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks import workloads
from benchmarks.distributed import contained, crowded, floor, moving, w4
from benchmarks.distributed.mesh import Distributed, with_no_ops
from benchmarks.figures import Figure

_ON_A_MESH: dict[str, Callable[[Distributed, str, bool], list[Figure]]] = {
    "w1": workloads.chain,
    "w2": workloads.fan_outs,
    "w3a": workloads.latency,
    "w3b": workloads.burst,
}
_ALONE = {
    "w4": w4.chain,
    "start": moving.start,
    "container": contained.start,
    "take-over": moving.take_over,
    "crowd": crowded.crowd,
}
NAMES = (*_ON_A_MESH, *_ALONE)


def measure(names: list[str], *, quick: bool) -> Iterator[Figure]:
    """Every figure of the workloads called `names`; with the first four the floor of the same servers."""
    on_a_mesh = [name for name in _ON_A_MESH if name in names]
    if on_a_mesh:
        with with_no_ops() as running:
            workloads.warm_up(running, quick)
            for name in on_a_mesh:
                yield from _ON_A_MESH[name](running, "distributed", quick)
            yield from floor.measure(running, quick=quick)
    for name, workload in _ALONE.items():
        if name in names:
            yield from workload(quick=quick)
