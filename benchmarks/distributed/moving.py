"""How soon a module that is started gets work, and how soon a scheduler's shards have another owner."""

from __future__ import annotations

import json
import time
from pathlib import Path

from benchmarks.client import Client
from benchmarks.distributed.mesh import NOOP, Distributed, distributed
from benchmarks.figures import Figure, figure
from scripts.real_mesh import Member, RealMesh

NEWCOMER = Path(__file__).with_name("newcomer.py")
SHARDS = 32
_LOOK_EVERY_S = 0.02


def start(*, quick: bool) -> list[Figure]:
    """From starting a module's process to the end of the first step, for which a run has been waiting."""
    with distributed() as running:
        seconds = [_started(running) for _ in range(2 if quick else 7)]
    return [figure("start", "module-to-first-step", "wall", "s", seconds)]


def _started(running: Distributed) -> float:
    """The step fails its run if it does not work; who served it is gone before the next one starts."""
    mesh, client = running.mesh, running.client()
    run = _submit(client, "bench.newcomer")
    while not client.get(f"/api/v1/runs/{run}")["steps"]:
        time.sleep(_LOOK_EVERY_S)
    begin = time.perf_counter()
    member = mesh.python(NEWCOMER)
    _finish(client, run)
    seconds = time.perf_counter() - begin
    member.stop()
    mesh.until(lambda: "bench.newcomer" not in mesh.palette(), "the module is still there")
    client.close()
    return seconds


def take_over(*, quick: bool) -> list[Figure]:
    """From `kill -9` of one of two schedulers until the other one owns all shards, and until runs in all of them are done."""
    owned, done = [], []
    with distributed() as running:
        running.mesh.python(NOOP)
        running.mesh.wait_until_ready("bench.nothing")
        for _ in range(1 if quick else 5):
            found = _taken_over(running)
            owned.append(found[0])
            done.append(found[1])
    return [
        figure("take-over", "scheduler-killed", "shards", "s", owned),
        figure("take-over", "scheduler-killed", "last-of-100-runs", "s", done),
    ]


def _taken_over(running: Distributed) -> tuple[float, float]:
    mesh, client = running.mesh, running.client()
    victim, other = mesh.of("scheduler")
    victim.kill()
    begin = time.perf_counter()
    runs = [_submit(client, "bench.nothing") for _ in range(100)]
    _wait_for_all(mesh, other)
    owned = time.perf_counter() - begin
    for run in runs:
        _finish(client, run)
    done = time.perf_counter() - begin
    client.close()
    victim.start()
    mesh.wait_until_ready()
    return owned, done


def _wait_for_all(mesh: RealMesh, scheduler: Member) -> None:
    while mesh.shards(scheduler) < SHARDS:
        time.sleep(_LOOK_EVERY_S)


def _submit(client: Client, module: str) -> str:
    flow = {"flow": "bench/one", "nodes": {"only": {"module": module}}}
    return str(client.post("/api/v1/runs", json.dumps({"flow": flow}).encode())["id"])


def _finish(client: Client, run: str) -> None:
    while (state := client.get(f"/api/v1/runs/{run}?wait_s=30")["state"]) in {"queued", "running"}:
        continue
    if state != "succeeded":
        raise RuntimeError(f"run {run} is {state}")
