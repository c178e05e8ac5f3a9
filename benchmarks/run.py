"""`scripts/bench [NAME...] [--distributed] [--quick] [--json FILE]`: runs workloads and prints one JSON object a line."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import floor, idle, recovery, scale, views, workloads
from benchmarks.dataplane import csv_gigabyte, demo, large, w4, wide
from benchmarks.distributed import run as distributed
from benchmarks.figures import Figure
from benchmarks.mesh import Mesh, mesh

_ON_A_MESH: dict[str, Callable[[Mesh, str, bool], list[Figure]]] = {
    "w1": workloads.chain,
    "w2": workloads.fan_outs,
    "w3a": workloads.latency,
    "w3b": workloads.burst,
    "scale": scale.steps,
    "views": views.look,
}
_ALONE = {
    "w4": w4.chain,
    "wide": wide.wide,
    "demo": demo.demo,
    "csv": csv_gigabyte.gigabyte,
    "large": large.large,
    "idle": idle.idle,
    "start": idle.start,
    "reload": scale.reload,
    "lists": scale.lists,
    "recovery": recovery.recovery,
}
NAMES = (*_ON_A_MESH, *_ALONE, "floor")
_SIZES = frozenset({"scale", "reload", "lists", "views", "recovery", "csv", "large", "crowd", "container"})
"""What grows with size, has to be waited for or needs a container engine is only measured when it is named."""


def main() -> int:
    """Parse the command line, measure, print; the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    known = f"what to measure: {', '.join(NAMES)}; with --distributed: {', '.join(distributed.NAMES)}"
    parser.add_argument("names", nargs="*", metavar="NAME", help=known)
    parser.add_argument(
        "--distributed", action="store_true", help="on Kafka, PostgreSQL, Consul and MinIO, with several processes"
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions; ends within 50 seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the lines to FILE")
    options = parser.parse_args()
    known_names = distributed.NAMES if options.distributed else NAMES
    unknown = set(options.names) - set(known_names)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(known_names)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended and removed then too
    lines = []
    names = options.names or [name for name in known_names if name not in _SIZES]
    for figure in (distributed.measure if options.distributed else measure)(names, quick=options.quick):
        lines.append(figure.line())
        print(lines[-1], flush=True)
    if options.json is not None:
        options.json.write_text("\n".join(lines) + "\n")
    return 0


def measure(names: list[str], *, quick: bool) -> Iterator[Figure]:
    """Every figure of the workloads called `names`, and the floor of the same run."""
    on_a_mesh = [name for name in _ON_A_MESH if name in names]
    if on_a_mesh:
        with mesh() as running:
            for name in on_a_mesh:
                yield from _ON_A_MESH[name](running, "full", quick)
    if "w1" in names and not quick:
        with mesh(synchronous="normal") as running:
            yield from workloads.chain(running, "normal", quick)
    for name, workload in _ALONE.items():
        if name in names:
            yield from workload(quick=quick)
    yield from floor.measure(quick=quick)


if __name__ == "__main__":
    sys.exit(main())
