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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.client import Client

_NOOP = Path(__file__).with_name("noop.py")
_READY_S = 30.0
Start = Callable[..., "subprocess.Popen[bytes]"]
"""Starts a command in the folder of a benchmark."""


class Measured(Protocol):
    """What the workloads need of a mesh, whatever it consists of."""

    @property
    def port(self) -> int:
        """Of the gateway."""
        ...

    def client(self) -> Client:
        """A new connection."""
        ...

    def cpu_us(self) -> dict[str, float]:
        """CPU time so far of each kind of process, in µs."""
        ...


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
    with place() as (folder, port, start):
        process = up(folder, port, start)
        yield Mesh(port, folder, process.pid, process.pid)


@contextmanager
def mesh(*, synchronous: str = "full") -> Iterator[Mesh]:
    """Start a mesh, wait until the no-op modules are on it, and end it afterwards."""
    with place() as (folder, port, start):
        process = up(folder, port, start, "--synchronous", synchronous, "--no-builtins")
        modules = start(sys.executable, "-P", str(_NOOP))
        wait(lambda: b"bench.nothing" in answers(port, "/api/v1/modules"), folder, modules)
        yield Mesh(port, folder, process.pid, modules.pid)


def up(folder: Path, port: int, start: Start, *options: str) -> subprocess.Popen[bytes]:
    """Start a server on the folder's data, and wait until it is ready."""
    command = ("up", "--port", str(port), "--data", str(folder / "data"), *options)
    process = start(str(Path(sys.executable).with_name("plugmesh")), *command)
    wait(lambda: answers(port, "/readyz"), folder, process)
    return process


@contextmanager
def place(variables: Mapping[str, str] | None = None) -> Iterator[tuple[Path, int, Start]]:
    """A folder, a free port, and a function that starts a command there, with these environment variables besides; all that
    was started is ended afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="plugmesh-bench-"))
    port = _free_port()
    environment = {**os.environ, **(variables or {}), "PLUGMESH_URL": f"http://127.0.0.1:{port}"}
    log = (folder / "log.txt").open("wb")
    processes: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
        processes.append(process)
        return process

    try:
        yield folder, port, start
    finally:
        for process in reversed(processes):
            _end(process)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait(ready: Callable[[], object], folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until something is so that the process brings about. Raises `RuntimeError` with its log if it does not."""
    deadline = time.monotonic() + _READY_S
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the mesh did not start:\n{(folder / 'log.txt').read_text()[-4000:]}")
        time.sleep(0.005)


def answers(port: int, path: str) -> bytes:
    """What the server says, decoded and made text; nothing as long as there is none."""
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
