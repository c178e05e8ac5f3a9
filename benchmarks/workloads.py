"""W1 chain, W2 fan-out, W3a latency, W3b burst: each on a real server and real module processes."""

from __future__ import annotations

import json
import time
from typing import Any

from benchmarks.client import Client
from benchmarks.crowd import Crowd
from benchmarks.figures import Figure, figure, percentile
from benchmarks.mesh import Measured

CHAIN = 200
Figures = list[Figure]


def chain(mesh: Measured, variant: str, quick: bool) -> Figures:
    """W1: one-row table through 200 no-op steps, one after another."""
    seconds, cpu = _whole_runs(mesh, _chain(), CHAIN, reps=5 if quick else 15)
    wall = [each * 1e3 / CHAIN for each in seconds]
    return [figure("w1", variant, "wall", "ms/step", wall), *_cpu("w1", variant, cpu)]


def warm_up(mesh: Measured, quick: bool) -> None:
    """Chains that are not counted: a server that compiles what is hot has done so then."""
    _whole_runs(mesh, _chain(), CHAIN, reps=1 if quick else 20)


def fan_outs(mesh: Measured, variant: str, quick: bool) -> Figures:
    """W2: 2,000 independent no-op nodes in one run, then 500."""
    return [found for width in (2000, 500) for found in _fan_out(mesh, f"{width}-{variant}", width, quick)]


def _fan_out(mesh: Measured, variant: str, width: int, quick: bool) -> Figures:
    body = _body({"flow": "bench/wide", "nodes": {f"n{index}": {"module": "bench.nothing"} for index in range(width)}})
    seconds, cpu = _whole_runs(mesh, body, width, reps=3 if quick else 9)
    return [figure("w2", variant, "rate", "steps/s", [width / each for each in seconds]), *_cpu("w2", variant, cpu)]


def latency(mesh: Measured, variant: str, quick: bool) -> Figures:
    """W3a: POST of a one-step run, then GET with wait_s, on one kept connection."""
    client, body = mesh.client(), _one_step()
    _one(client, body)
    for _ in range(30):
        _one(client, body)
    count = 150 if quick else 500
    before = mesh.cpu_us()
    times = [_one(client, body) * 1e3 for _ in range(count)]
    after = mesh.cpu_us()
    client.close()
    p50s = [percentile(times[start::3], 0.5) for start in range(3)]
    return [
        figure("w3a", variant, "p50", "ms", p50s),
        figure("w3a", variant, "p99", "ms", [percentile(times, 0.99)]),
        *_cpu("w3a", variant, [_per(before, after, count)]),
    ]


def burst(mesh: Measured, variant: str, quick: bool) -> Figures:
    """W3b: 1,000 one-step runs by 1,000 POSTs over 16 connections, until all have finished."""
    count, connections = 1000, 16
    rates, cpu = [], []
    for _ in range(2 if quick else 7):
        before, begin = mesh.cpu_us(), time.perf_counter()
        _burst_once(mesh, count, connections)
        rates.append(count / (time.perf_counter() - begin))
        cpu.append(_per(before, mesh.cpu_us(), count))
    return [figure("w3b", variant, "rate", "runs/s", rates), *_cpu("w3b", variant, cpu)]


def _burst_once(mesh: Measured, count: int, connections: int) -> None:
    crowd = Crowd(mesh.port, connections)
    crowd.post("/api/v1/runs", _one_step(), count)
    crowd.close()
    client = mesh.client()
    while client.get("/api/v1/runs?state=queued&state=running&limit=1")["runs"]:
        time.sleep(0.002)
    client.close()


def _chain() -> bytes:
    nodes: dict[str, Any] = {"n0": {"module": "bench.one_row"}}
    for index in range(1, CHAIN + 1):
        nodes[f"n{index}"] = {"module": "bench.same", "in": f"n{index - 1}"}
    return _body({"flow": "bench/chain", "nodes": nodes})


def _whole_runs(mesh: Measured, body: bytes, steps: int, *, reps: int) -> tuple[list[float], list[dict[str, float]]]:
    """Seconds of each run, and CPU µs a step by process; one run is not counted, it warms up."""
    client = mesh.client()
    _one(client, body)
    seconds, cpu = [], []
    for _ in range(reps):
        before = mesh.cpu_us()
        seconds.append(_one(client, body))
        cpu.append(_per(before, mesh.cpu_us(), steps))
    client.close()
    return seconds, cpu


def _one(client: Client, body: bytes) -> float:
    """Submit, wait for the end, check that it succeeded; the seconds that took."""
    begin = time.perf_counter()
    run = client.post("/api/v1/runs", body)["id"]
    answer = client.get(f"/api/v1/runs/{run}?wait_s=60")
    seconds = time.perf_counter() - begin
    if answer["state"] != "succeeded":
        raise RuntimeError(f"run {run} is {answer['state']}: {answer.get('reason')}")
    return seconds


def _per(before: dict[str, float], after: dict[str, float], steps: int) -> dict[str, float]:
    return {name: (after[name] - before[name]) / steps for name in after}


def _cpu(workload: str, variant: str, samples: list[dict[str, float]]) -> Figures:
    return [
        figure(workload, variant, f"cpu-{name}", "us/step", [sample[name] for sample in samples]) for name in samples[0]
    ]


def _one_step() -> bytes:
    return _body({"flow": "bench/one", "nodes": {"only": {"module": "bench.nothing"}}})


def _body(flow: dict[str, Any]) -> bytes:
    return json.dumps({"flow": flow}).encode()
