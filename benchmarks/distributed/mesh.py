"""A mesh of separate processes on new servers, for a benchmark: a gateway, two schedulers, and who serves the modules."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import Client
from benchmarks.mesh import children, cpu_us
from scripts.real_mesh import Member, RealMesh, addresses_of, new_servers, room
from scripts.real_servers.own_server import OwnServer

NOOP = Path(__file__).parents[1] / "noop.py"


@dataclass(frozen=True, slots=True)
class Distributed:
    """The mesh and its servers."""

    mesh: RealMesh
    servers: Mapping[str, OwnServer]

    @property
    def port(self) -> int:
        """Of the gateway."""
        return self.mesh.of("gateway")[0].port

    def client(self) -> Client:
        """A new connection."""
        return Client(self.port)

    def cpu_us(self) -> dict[str, float]:
        """CPU time so far of each kind of process, in µs."""
        modules = self.mesh.of("modules")
        return {
            "gateway": _of_all(self.mesh.of("gateway")),
            "schedulers": _of_all(self.mesh.of("scheduler")),
            "supervisors": _of_all(modules),
            "executors": sum(cpu_us(pid) for member in modules for pid in children(member.pid)),
            **{name: _of_family(server.pid) for name, server in self.servers.items()},
        }


@contextmanager
def distributed(*, schedulers: int = 2) -> Iterator[Distributed]:
    """Servers, a gateway and schedulers, all new; who serves modules is added by the benchmark. All is ended afterwards.

    PostgreSQL waits for the disk at each commit and Kafka's Java compiles what is hot, as they do unless they are told
    otherwise; tests tell them otherwise.
    """
    folder = Path(tempfile.mkdtemp(prefix="plugmesh-bench-"))
    try:
        with (
            new_servers(folder, measured=True) as servers,
            room(addresses_of(servers), cache=str(folder / "cache")) as urls,
            RealMesh(folder / "mesh", urls) as mesh,
        ):
            mesh.gateway()
            for _ in range(schedulers):
                mesh.scheduler()
            mesh.wait_until_ready()
            yield Distributed(mesh, servers)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def with_no_ops() -> Iterator[Distributed]:
    """One process that serves the modules of the workloads in two executors, as on one machine."""
    with distributed() as running:
        running.mesh.python(NOOP)
        running.mesh.wait_until_ready("bench.nothing")
        yield running


def _of_all(members: list[Member]) -> float:
    return sum(cpu_us(member.pid) for member in members)


def _of_family(pid: int) -> float:
    return sum(map(cpu_us, (pid, *children(pid))))
