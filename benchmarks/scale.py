"""What grows with size: steps of one run, unfinished runs at a start, runs in the database."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, figure
from benchmarks.mesh import Mesh
from plugmesh.bus.embedded import HubBus
from plugmesh.contracts.flow import Flow, Node
from plugmesh.contracts.run import Submission
from plugmesh.hub.hub import Hub
from plugmesh.objects.local import LocalStore
from plugmesh.runtime import SystemRuntime
from plugmesh.state.records import Commit, EventRow, RunUpdate, StepRow
from plugmesh.state.runs import RunFilter, list_runs
from plugmesh.state.store import State
from registry.registry import Registry
from scheduler.engine import Engine

UNFINISHED = 10_000
STORED = 100_000
_SLICE = 1_000
_FLOW = Flow(name="one", namespace="bench", nodes={"only": Node(module="bench.absent")})
_LISTS = {
    "newest": RunFilter(),
    "namespace": RunFilter(namespace="bench"),
    "flow": RunFilter(flow="one"),
    "no-such-flow": RunFilter(flow="another"),
    "unfinished": RunFilter(states=("queued", "running")),
    "no-such-state": RunFilter(states=("timed_out",)),
    "label": RunFilter(labels={"number": "777"}),
    "two-labels": RunFilter(labels={"team": "ops", "number": "777"}),
    "times": RunFilter(since=STORED / 2, until=STORED / 2 + 10),
}


def steps(mesh: Mesh, variant: str, quick: bool) -> list[Figure]:
    """CPU µs a step of runs of 1,000 to 100,000 steps: nodes side by side (20,000 are possible), and mapped elements."""
    mapped = (1_000, 10_000) if quick else (1_000, 10_000, 100_000)
    wide = (1_000, 10_000) if quick else (1_000, 10_000, 20_000)
    _run(mesh, _mapped(1_000))
    figures = [
        found for count in mapped for found in _measure(mesh, f"mapped-{count}-{variant}", count, _mapped(count))
    ]
    return figures + [
        found for count in wide for found in _measure(mesh, f"wide-{count}-{variant}", count, _wide(count))
    ]


def _measure(mesh: Mesh, variant: str, count: int, flow: dict[str, Any]) -> list[Figure]:
    before, begin = mesh.cpu_us(), time.perf_counter()
    _run(mesh, flow)
    seconds, after = time.perf_counter() - begin, mesh.cpu_us()
    rate = figure("scale", variant, "rate", "steps/s", [count / seconds])
    used = [
        figure("scale", variant, f"cpu-{name}", "us/step", [(after[name] - before[name]) / count]) for name in after
    ]
    return [rate, *used]


def _run(mesh: Mesh, flow: dict[str, Any]) -> None:
    client = mesh.client()
    run = client.post("/api/v1/runs", json.dumps({"flow": flow}).encode())["id"]
    state = ""
    while state not in {"succeeded", "failed"}:
        state = client.get(f"/api/v1/runs/{run}?wait_s=60")["state"]
    client.close()
    if state != "succeeded":
        raise RuntimeError(f"run {run} is {state}")


def _wide(count: int) -> dict[str, Any]:
    return {"flow": "bench/wide", "nodes": {f"n{index}": {"module": "bench.nothing"} for index in range(count)}}


def _mapped(count: int) -> dict[str, Any]:
    return {"flow": "bench/mapped", "nodes": {"each": {"module": "bench.nothing", "map": list(range(count))}}}


def reload(*, quick: bool) -> list[Figure]:
    """From the start of an engine to its first cycle, with 10,000 unfinished runs in SQL."""
    found = []
    for step in ("queued", "parked", "ready"):
        times = [asyncio.run(_reload(step)) for _ in range(1 if quick else 5)]
        found.append(figure("reload", f"{UNFINISHED}-{step}", "wall", "s", [wall for wall, _ in times]))
        found.append(figure("reload", f"{UNFINISHED}-{step}", "cpu", "us/run", [cpu / UNFINISHED for _, cpu in times]))
    return found


async def _reload(step: str) -> tuple[float, float]:
    """Seconds, and CPU µs of this process."""
    with tempfile.TemporaryDirectory(prefix="plugmesh-bench-") as name:
        runtime, folder = SystemRuntime(), Path(name)
        state = await State.open(f"sqlite:///{folder}/state.db", runtime)
        await _fill(state, UNFINISHED, step)
        hub = Hub(runtime, mesh="bench", objects=f"file://{folder}/objects")
        bus, objects = HubBus(hub), LocalStore(folder / "objects", runtime)
        registry = Registry(runtime, hub.directory, objects, bus, state)
        await registry.start()
        engine = Engine(runtime, state, bus=bus, registry=registry, objects=objects, owner="bench")
        begin, cpu = time.perf_counter(), time.process_time()
        await engine.start()
        found = time.perf_counter() - begin, (time.process_time() - cpu) * 1e6
        if len(engine.board.runs) != UNFINISHED:
            raise RuntimeError(f"{len(engine.board.runs)} runs came back, not {UNFINISHED}")
        await engine.stop()
        await registry.stop()
        await bus.close()
        await hub.close()
        await state.close()
        return found


def lists(*, quick: bool) -> list[Figure]:
    """One page of 50 runs, by what is asked for, with 100,000 runs in the database."""
    return asyncio.run(_lists(20 if quick else 100))


async def _lists(repetitions: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="plugmesh-bench-") as name:
        state = await State.open(f"sqlite:///{name}/state.db?synchronous=normal", SystemRuntime())
        await _fill(state, STORED, None)
        figures = []
        for variant, wanted in _LISTS.items():
            times = []
            for _ in range(repetitions):
                begin = time.perf_counter()
                await state.read(list_runs, wanted, before=None, limit=51)
                times.append((time.perf_counter() - begin) * 1e3)
            figures.append(figure("lists", variant, "wall", "ms", times))
        await state.close()
        return figures


async def _fill(state: State, count: int, step: str | None) -> None:
    """Runs with one step each: queued ones without a row, or with a step in this state; `None`: runs that have ended."""
    shards = {lease.shard: (lease.term, None) for lease in await state.acquire("fill", 60.0)}
    for part in _slices(count):
        names = [f"run-{number:08}" for number in part]
        commit = Commit(owner="fill", positions=dict(shards), at=1.0)
        commit.inserts = [_submission(name, number) for name, number in zip(names, part, strict=True)]
        commit.events = [EventRow(name, 1, 1.0, "[]") for name in names]
        if step != "queued":
            ended = ("running", None) if step else ("succeeded", 2.0)
            commit.runs = [RunUpdate(name, ended[0], None, None, 1.0, ended[1]) for name in names]
            commit.steps = [_step(name, step or "succeeded") for name in names]
        await state.commit(commit)
    await state.release("fill", list(shards))


def _slices(count: int) -> Iterator[range]:
    return (range(start, min(start + _SLICE, count)) for start in range(0, count, _SLICE))


def _submission(name: str, number: int) -> Submission:
    labels = {"team": "ops", "number": str(number)}
    return Submission(run=name, namespace="bench", flow=_FLOW, submitted_at=float(number), labels=labels)


def _step(run: str, state: str) -> StepRow:
    row = StepRow(run, "only", state, None, 0, 0, 0, None, None, None, None, None, None, 1.0, None, None, None)
    return row._replace(wake_at=4e9) if state == "parked" else row
