"""What a mesh costs that does nothing, and how long it takes to be there."""

from __future__ import annotations

import json
import time

from benchmarks.figures import Figure, figure
from benchmarks.mesh import cpu_us, pss_bytes, server


def idle(*, quick: bool) -> list[Figure]:
    """Memory (PSS) and CPU of server and built-in modules with nothing running."""
    seconds = 4 if quick else 15
    with server() as running:
        client = running.client()
        while not client.get("/api/v1/modules")["modules"]:
            time.sleep(0.05)
        time.sleep(2.0)  # start-up work is over
        family = running.family()
        before, begin = sum(cpu_us(pid) for pid in family), time.perf_counter()
        time.sleep(seconds)
        used = sum(cpu_us(pid) for pid in family) - before
        share = used / 1e4 / (time.perf_counter() - begin)
        memory = sum(pss_bytes(pid) for pid in family) / 1e6
        client.close()
    return [
        figure("idle", "builtins", "pss", "MB", [memory]),
        figure("idle", "builtins", "cpu", "%", [share]),
    ]


def start(*, quick: bool) -> list[Figure]:
    """From the command to the first accepted run."""
    body = json.dumps({"flow": {"flow": "bench/one", "nodes": {"only": {"module": "bench.nothing"}}}}).encode()
    times = []
    for _ in range(2 if quick else 5):
        begin = time.perf_counter()
        with server() as running:
            client = running.client()
            client.post("/api/v1/runs", body)
            times.append(time.perf_counter() - begin)
            client.close()
    return [figure("start", "first-run-accepted", "wall", "s", times)]
