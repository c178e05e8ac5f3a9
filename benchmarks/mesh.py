"""A mesh for a benchmark: a server and one module process, in a folder of its own, on a free port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import Client

_NOOP = Path(__file__).with_name("noop.py")
_READY_S = 30.0


@dataclass(frozen=True, slots=True)
class Mesh:
    """A running mesh. `server` and `supervisor` are process ids; executors are the supervisor's children."""

    port: int
    folder: Path
    server: int
    supervisor: int

    def client(self) -> Client:
        """A new connection."""
        return Client(self.port)

    def cpu_us(self) -> dict[str, float]:
        """CPU time so far of each kind of process, in µs."""
        executors = children(self.supervisor)
        return {
            "server": cpu_us(self.server),
            "supervisor": cpu_us(self.supervisor),
            "executors": sum(cpu_us(pid) for pid in executors),
        }

    def family(self) -> list[int]:
        """The server and every process below it."""
        return [self.server, *children(self.server)]


@contextmanager
def server() -> Iterator[Mesh]:
    """A server alone, with its built-in modules, as `plugmesh up` starts it; ready to accept runs."""
    with _folder() as (place, port, start):
        up = ("up", "--port", str(port), "--data", str(place / "data"))
        process = start(str(Path(sys.executable).with_name("plugmesh")), *up)
        _wait(lambda: _answers(port, "/readyz"), place, process)
        yield Mesh(port, place, process.pid, process.pid)


@contextmanager
def mesh(*, synchronous: str = "full") -> Iterator[Mesh]:
    """Start a mesh, wait until the no-op modules are on it, and end it afterwards."""
    with _folder() as (place, port, start):
        up = ("up", "--port", str(port), "--data", str(place / "data"), "--synchronous", synchronous)
        process = start(str(Path(sys.executable).with_name("plugmesh")), *up, "--no-builtins")
        _wait(lambda: _answers(port, "/readyz"), place, process)
        modules = start(sys.executable, "-P", str(_NOOP))
        _wait(lambda: b"bench.nothing" in _answers(port, "/api/v1/modules"), place, modules)
        yield Mesh(port, place, process.pid, modules.pid)


_Start = Callable[..., "subprocess.Popen[bytes]"]


@contextmanager
def _folder() -> Iterator[tuple[Path, int, _Start]]:
    place = Path(tempfile.mkdtemp(prefix="plugmesh-bench-"))
    port = _free_port()
    environment = {**os.environ, "PLUGMESH_URL": f"http://127.0.0.1:{port}"}
    log = (place / "log.txt").open("wb")
    processes: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=place)
        processes.append(process)
        return process

    try:
        yield place, port, start
    finally:
        for process in reversed(processes):
            _end(process)
        log.close()
        shutil.rmtree(place, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait(ready: Callable[[], object], place: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _READY_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the mesh did not start:\n{(place / 'log.txt').read_text()[-4000:]}")
        time.sleep(0.005)


def _answers(port: int, path: str) -> bytes:
    try:
        client = Client(port)
    except OSError:
        return b""
    try:
        return str(client.get(path)).encode()
    except (OSError, RuntimeError):
        return b""
    finally:
        client.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *children(int(child))]
    return found


def cpu_us(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") * 1e6


def pss_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(text.partition("Pss:")[2].split()[0]) * 1024
