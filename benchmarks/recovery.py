"""How soon a mesh is itself again: after `kill -9` and SIGSTOP of an instance, and after `kill -9` of its server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.client import Client
from benchmarks.crowd import Crowd
from benchmarks.figures import Figure, figure
from benchmarks.mesh import Start, children, cpu_us, place, up, wait
from benchmarks.queued import HOLDING, queued

UNFINISHED = 10_000
_PATIENCE_S = 60.0


def recovery(*, quick: bool) -> list[Figure]:
    """All of it, and what a million queued steps cost; `--quick`: one round each, and a tenth of the queued steps."""
    return [*_instances(quick), *_server(quick), *queued(quick=quick)]


# -- instances ---------------------------------------------------------------------------------------------------------


def _instances(quick: bool) -> list[Figure]:
    killed, stopped = (1, 1) if quick else (9, 5)
    with _mesh() as mesh:
        by_death = [mesh.taken_over(_kill) for _ in range(killed)]
        by_death_cold = [mesh.taken_over(_kill, warm=False) for _ in range(killed)]
        by_silence = [mesh.taken_over(_stop) for _ in range(stopped)]
    return [
        figure("recovery", "instance-killed", "wall", "s", by_death),
        figure("recovery", "instance-killed-next-one-cold", "wall", "s", by_death_cold),
        figure("recovery", "instance-silent", "wall", "s", by_silence),
    ]


def _kill(instance: subprocess.Popen[bytes]) -> None:
    instance.kill()


def _stop(instance: subprocess.Popen[bytes]) -> None:
    for pid in (instance.pid, *children(instance.pid)):
        os.kill(pid, signal.SIGSTOP)


@dataclass(slots=True)
class _Mesh:
    """A server, and two instances of which either can do a step."""

    port: int
    folder: Path
    start: Start
    client: Client
    instances: list[subprocess.Popen[bytes]]

    def taken_over(self, strike: Callable[[subprocess.Popen[bytes]], None], *, warm: bool = True) -> float:
        """Seconds from what happens to the instance at work until another one is at work on its step. `warm`: that one
        has run a step before; else it starts its executor first."""
        self._wait_for_two()
        if warm:
            self._finish([self._submit(0.5) for _ in self.instances])
        run = self._submit()
        first = self._at_work(run, "")
        victim = self._process(first)
        begin = time.perf_counter()
        strike(victim)
        self._at_work(run, first)
        seconds = time.perf_counter() - begin
        self._replace(victim)
        self.client.post(f"/api/v1/runs/{run}/cancel", b"{}")
        self._finish([run])
        return seconds

    def _finish(self, runs: list[str]) -> None:
        for run in runs:
            while self.client.get(f"/api/v1/runs/{run}?wait_s=30")["state"] not in {"succeeded", "cancelled"}:
                pass

    def _submit(self, seconds: float = 3600.0) -> str:
        flow = {"flow": "bench/hold", "nodes": {"only": {"module": "bench.hold", "params": {"seconds": seconds}}}}
        return str(self.client.post("/api/v1/runs", json.dumps({"flow": flow}).encode())["id"])

    def _at_work(self, run: str, but: str) -> str:
        """The instance that runs the step, when it is another one than `but`."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            step = self._step(run)
            if step.get("state") == "running" and step["instance"] != but:
                return str(step["instance"])
            time.sleep(0.005)
        raise RuntimeError(f"nobody took the step over in {_PATIENCE_S:g} s: {self._step(run)}")

    def _step(self, run: str) -> dict[str, Any]:
        steps = self.client.get(f"/api/v1/runs/{run}")["steps"]
        return dict(steps[0]) if steps else {}

    def _process(self, instance: str) -> subprocess.Popen[bytes]:
        pid = next(one["pid"] for one in self._listed() if one["id"] == instance)
        return next(process for process in self.instances if process.pid == pid)

    def _listed(self) -> list[dict[str, Any]]:
        return list(self.client.get("/api/v1/instances")["instances"])

    def _replace(self, victim: subprocess.Popen[bytes]) -> None:
        for pid in (victim.pid, *children(victim.pid)):
            os.kill(pid, signal.SIGKILL)
        victim.wait()
        self.instances.remove(victim)
        self.instances.append(self.start(sys.executable, "-P", str(HOLDING)))

    def _wait_for_two(self) -> None:
        pids = {process.pid for process in self.instances}
        wait(lambda: pids <= self._usable(), self.folder, self.instances[-1])

    def _usable(self) -> set[int]:
        return {int(one["pid"]) for one in self._listed() if one["usable"]}


@contextmanager
def _mesh() -> Iterator[_Mesh]:
    with place() as (folder, port, start):
        up(folder, port, start, "--no-builtins")
        instances = [start(sys.executable, "-P", str(HOLDING)) for _ in range(2)]
        client = Client(port)
        try:
            yield _Mesh(port, folder, start, client, instances)
        finally:
            client.close()


# -- the server --------------------------------------------------------------------------------------------------------


def _server(quick: bool) -> list[Figure]:
    """From the start of the next server to its first accepted run, after `kill -9` of one with 10,000 unfinished runs."""
    times, cpu = [], []
    body = json.dumps({"flow": {"flow": "bench/one", "nodes": {"only": {"module": "bench.absent"}}}}).encode()
    with place() as (folder, port, start):
        server = up(folder, port, start, "--no-builtins")
        crowd = Crowd(port, 16)
        crowd.post("/api/v1/runs", body, UNFINISHED)
        crowd.close()
        for _ in range(1 if quick else 5):
            server.kill()
            server.wait()
            begin = time.perf_counter()
            server = up(folder, port, start, "--no-builtins")
            client = Client(port)
            client.post("/api/v1/runs", body)
            times.append(time.perf_counter() - begin)
            cpu.append(cpu_us(server.pid) / 1e6)
            client.close()
    variant = f"server-killed-{UNFINISHED}-unfinished"
    return [figure("recovery", variant, "wall", "s", times), figure("recovery", variant, "cpu-server", "s", cpu)]
