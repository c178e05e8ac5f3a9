"""The servers of a mesh: new ones that may be hurt, or those that are running."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from scripts.real_servers import catalog, life
from scripts.real_servers.folders import Folders
from scripts.real_servers.kafka import BRIEF, Kafka
from scripts.real_servers.own_server import OwnServer
from scripts.real_servers.postgres import Postgres
from scripts.real_servers.problem import Problem

NAMES = ("kafka", "postgres", "consul", "minio")


class _DurablePostgres(Postgres):
    """With the settings that PostgreSQL has by itself: a commit outlives the machine."""

    def command(self, ports: Mapping[str, int]) -> Sequence[str]:
        return [*super().command(ports), "-c", "fsync=on", "-c", "full_page_writes=on"]


class _WarmKafka(Kafka):
    """With both of Java's compilers: what runs for hours gets faster with the time."""

    def command(self, ports: Mapping[str, int]) -> Sequence[str]:
        return [word for word in super().command(ports) if word != BRIEF]


_AS_ONE_RUNS_THEM = {"postgres": _DurablePostgres, "kafka": _WarmKafka}


@contextmanager
def new_servers(
    folder: Path, names: Sequence[str] = NAMES, *, measured: bool = False
) -> Iterator[dict[str, OwnServer]]:
    """Start new servers with their data in `folder`, by their names; they are gone at the end. What is missing is
    installed first. `measured`: with the settings of servers that run for long, not of tests. Raises Problem."""
    folders = Folders(Folders.of(os.environ).cache, folder / "servers")
    own = {server.name: OwnServer(server) for server in catalog.servers(names, folders)}
    if measured:
        own |= {name: OwnServer(kind(folders)) for name, kind in _AS_ONE_RUNS_THEM.items() if name in own}
    try:
        with ThreadPoolExecutor(len(own)) as threads:
            list(threads.map(OwnServer.start, own.values()))
        yield own
    finally:
        for server in own.values():
            server.stop(wipe=True)


def addresses_of(servers: Mapping[str, OwnServer]) -> dict[str, str]:
    """Name to address, for `room`."""
    return {name: server.address for name, server in servers.items()}


def running_servers(names: Sequence[str] = NAMES) -> dict[str, str]:
    """The addresses of servers that `scripts/servers start` has started, or that PLUGMESH_TEST_… name.

    Raises Problem if one of them is not there."""
    found = {}
    for server in catalog.servers(names, Folders.of(os.environ)):
        given = os.environ.get(f"PLUGMESH_TEST_{server.name.upper()}")
        if not given and not life.status(server).ready:
            raise Problem(f"no {server.name} here: scripts/servers start {server.name}")
        found[server.name] = given or next(iter(server.urls().values()))
    return found
