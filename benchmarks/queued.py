"""What a million steps cost that wait for an instance: the memory of each process."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.client import Client
from benchmarks.crowd import Crowd
from benchmarks.figures import Figure, figure
from benchmarks.mesh import children, cpu_us, place, pss_bytes, up, wait

HOLDING = Path(__file__).with_name("holding.py")
STEPS = 1_000_000
_A_RUN = 1_000
"""Steps of each run, where there are many runs."""
_A_LIST = 200_000
"""Elements of each list: a flow has at most 250,000 keys and values."""
_IDLE_S = 0.5
_RESTED_S = 3.0


def queued(*, quick: bool) -> list[Figure]:
    """A million steps that are ready in 1,000 runs, and as elements of 5 lists. `--quick`: a tenth of that."""
    steps = STEPS // 10 if quick else STEPS
    elements = min(steps, _A_LIST)
    ready = _Load("ready", _wide(_A_RUN), steps // _A_RUN)
    mapped = _Load("mapped", {"each": {"module": "bench.hold", "map": list(range(elements))}}, steps // elements)
    return [found for load in (ready, mapped) for found in load.measured(steps)]


class _Load:
    """Runs of one flow. Their only instance does one step for an hour, so that the others stay in line."""

    def __init__(self, name: str, nodes: dict[str, Any], runs: int) -> None:
        self._name, self._runs = name, runs
        self._body = json.dumps({"flow": {"flow": f"bench/{name}", "nodes": nodes}}).encode()

    def measured(self, steps: int) -> list[Figure]:
        """The highest PSS of each process while the runs are taken in, and PSS when all is quiet again."""
        with place() as (folder, port, start):
            server = up(folder, port, start, "--no-builtins", "--drain-s", "0.1")
            instance = start(sys.executable, "-P", str(HOLDING))
            client = Client(port)
            wait(lambda: client.get("/api/v1/modules")["modules"], folder, instance)
            begin = time.perf_counter()
            peak, rest = self._submit(port, server.pid)
            seconds = time.perf_counter() - begin
            others = [instance.pid, *children(instance.pid)]
            client.close()
            variant = f"queued-{steps}-{self._name}"
            return [
                figure("recovery", variant, "pss-server-peak", "MB", [peak / 1e6]),
                figure("recovery", variant, "pss-server-at-rest", "MB", [rest / 1e6]),
                figure("recovery", variant, "pss-other", "MB", [max(map(pss_bytes, others)) / 1e6]),
                figure("recovery", variant, "taken-in", "s", [seconds]),
            ]

    def _submit(self, port: int, server: int) -> tuple[int, int]:
        crowd = Crowd(port, 1)
        peak = 0
        for _ in range(self._runs):
            crowd.post("/api/v1/runs", self._body, 1)
            peak = max(peak, pss_bytes(server))
        crowd.close()
        quiet_since, used = time.monotonic(), cpu_us(server)
        while time.monotonic() - quiet_since < _RESTED_S:
            time.sleep(_IDLE_S)
            peak = max(peak, pss_bytes(server))
            now = cpu_us(server)
            if now - used > 0.2 * _IDLE_S * 1e6:  # it still works
                quiet_since = time.monotonic()
            used = now
        return peak, pss_bytes(server)


def _wide(count: int) -> dict[str, Any]:
    return {f"n{index}": {"module": "bench.hold"} for index in range(count)}
