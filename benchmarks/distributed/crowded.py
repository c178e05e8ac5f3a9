"""What a hundred instances and a thousand runs in line cost: requests to the registry, and CPU time of each kind of process."""

from __future__ import annotations

import json
import time
import urllib.request
from functools import partial
from typing import Any

from benchmarks.client import Client
from benchmarks.crowd import Crowd
from benchmarks.distributed.mesh import Distributed, distributed
from benchmarks.figures import Figure, figure
from benchmarks.mesh import pss_bytes
from benchmarks.queued import HOLDING
from scripts.real_mesh import RealMesh

INSTANCES, RUNS = 100, 1000
_AT_ONCE = 10
"""Started beside each other: a hundred at once would only wait for the processors."""
_SETTLED_S = 15.0
_JOIN_S = 900.0
_INTERVAL_S = 10.0
"""Over which Consul counts."""


def crowd(*, quick: bool) -> list[Figure]:
    """Instances that wait, then instances of which each has a step and a thousand runs wait. `--quick`: a tenth of each."""
    instances, runs = (INSTANCES // 10, RUNS // 10) if quick else (INSTANCES, RUNS)
    seconds = 10.0 if quick else 60.0
    with distributed() as running:
        joined = _join(running.mesh, instances)
        memory = [pss_bytes(member.pid) / 1e6 for member in running.mesh.of("modules")]
        idle = _while(running, f"{instances}-instances", seconds)
        _submit(running, instances, hold=True)
        _wait_until_all_work(running, instances)
        _submit(running, runs, hold=False)
        queued = _while(running, f"{instances}-instances-{runs}-queued", seconds)
    return [
        figure("crowd", f"{instances}-instances", "all-joined", "s", [joined]),
        figure("crowd", f"{instances}-instances", "pss-each", "MB", memory),
        *idle,
        *queued,
    ]


def _join(mesh: RealMesh, instances: int) -> float:
    begin = time.perf_counter()
    for number in range(1, instances + 1):
        mesh.python(HOLDING)
        if number % _AT_ONCE == 0 or number == instances:
            mesh.until(partial(_are_there, mesh, number), f"{number} instances are not there", _JOIN_S)
    return time.perf_counter() - begin


def _are_there(mesh: RealMesh, least: int) -> bool:
    return len(_instances(mesh)) >= least


def _instances(mesh: RealMesh) -> list[dict[str, Any]]:
    answer = mesh.ask("/api/v1/instances") or {"instances": []}
    return list(answer["instances"])


def _submit(running: Distributed, count: int, *, hold: bool) -> None:
    """Runs of one step; the first ones hold every instance for an hour, so that the others stay in line."""
    node: dict[str, Any] = {"module": "bench.hold", "params": {"seconds": 3600.0 if hold else 0.0}}
    crowd = Crowd(running.port, 4)
    body = json.dumps({"flow": {"flow": "bench/queued", "nodes": {"only": node}}}).encode()
    crowd.post("/api/v1/runs", body, count)
    crowd.close()


def _wait_until_all_work(running: Distributed, instances: int) -> None:
    client = running.client()
    running.mesh.until(lambda: _at_work(client) >= instances, "not every instance has a step", _JOIN_S)
    client.close()


def _at_work(client: Client) -> int:
    return len(client.get("/api/v1/runs?state=running&limit=500")["runs"])


def _while(running: Distributed, variant: str, seconds: float) -> list[Figure]:
    time.sleep(_SETTLED_S)
    before, begin = running.cpu_us(), time.perf_counter()
    rates = []
    while time.perf_counter() - begin < seconds:
        time.sleep(_INTERVAL_S)
        rates.append(_requests_a_second(running.servers["consul"].address))
    took = time.perf_counter() - begin
    after = running.cpu_us()
    shares = {name: (after[name] - before[name]) / 1e4 / took for name in after}
    return [
        figure("crowd", variant, "registry-requests", "1/s", rates),
        *(figure("crowd", variant, f"cpu-{name}", "% of a core", [share]) for name, share in shares.items()),
    ]


def _requests_a_second(address: str) -> float:
    """What Consul counted in its last whole interval; this question is one of them."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{address}/v1/agent/metrics") as answer:
        samples = json.loads(answer.read())["Samples"]
    return float(sum(one["Count"] for one in samples if one["Name"] == "consul.api.http") / _INTERVAL_S)
