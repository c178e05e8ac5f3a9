"""How soon a module in a container gets work: the mesh of compose/mesh.yml, on the machine's container engine."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from benchmarks.distributed.moving import NEWCOMER
from benchmarks.figures import Figure, figure
from scripts.real_containers.engine import status
from scripts.real_containers.images import build
from scripts.real_containers.places import Places
from scripts.real_containers.stack import Stack

_SERVICE, _MODULE = "newcomer", "bench.newcomer"
_FLOW = {"flow": "bench/newcomer", "nodes": {"only": {"module": _MODULE}}}


def start(*, quick: bool) -> list[Figure]:
    """From `docker compose up` of a module, with its image present, to the end of the first step, for which a run has been
    waiting. Raises SystemExit without an engine, Problem without the servers' programs (`scripts/servers install`)."""
    places = Places.of(os.environ)
    found = status(places)
    if not found.ready:
        raise SystemExit(found.why)
    build(places, found.environment)
    with (
        tempfile.TemporaryDirectory(prefix="plugmesh-bench-") as folder,
        Stack(Path(folder), {**os.environ, **found.environment}) as stack,
    ):
        stack.up()
        stack.until(lambda: stack.versions("table.sort"), "there are no built-in modules")
        tag = f"{stack.name}-{_SERVICE}:1.0.0"
        stack.image(NEWCOMER, tag)
        stack.add(_SERVICE, tag)
        seconds = [_started(stack) for _ in range(2 if quick else 7)]
        stack.docker("rmi", tag)
    return [figure("container", "module-to-first-step", "wall", "s", seconds)]


def _started(stack: Stack) -> float:
    """The container is gone before the next one starts."""
    run = stack.submit(_FLOW)
    stack.wait_for(run, "only", "parked")
    begin = time.perf_counter()
    stack.up(_SERVICE)
    stack.finish(run)
    seconds = time.perf_counter() - begin
    stack.compose("rm", "-s", "-f", _SERVICE)
    stack.until(lambda: not stack.versions(_MODULE), "the module is still there")
    return seconds
