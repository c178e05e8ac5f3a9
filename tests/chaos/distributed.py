"""The mesh of chaos as separate processes on real servers, which are hurt as well: whoever ends is started again."""

from __future__ import annotations

import os
import random
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

from plugmesh.cli.server.process import ProcessId
from plugmesh.objects.open import open_store
from plugmesh.runtime import SystemRuntime
from plugmesh.runtime_loader import VARIABLE as RUNTIME
from plugmesh.state.snapshot import reading
from scheduler.invariants.places import check_places
from scripts.real_mesh import Member, RealMesh, addresses_of, new_servers, room
from scripts.real_servers.own_server import OwnServer
from tests.chaos.mesh import BUILT_IN, EFFECTS, MODULES, RESTART_S, STEPS, children, runs_program
from tests.chaos.plan import Role
from tests.chaos.recovery import Remains, attempts, lost
from tests.chaos.slow_disk_runtime import VARIABLE as DISK
from tests.chaos.slow_disk_runtime import __file__ as SLOW_DISK

SERVERS = {Role.BROKER: "kafka", Role.DATABASE: "postgres", Role.REGISTRY: "consul", Role.STORE: "minio"}
_MEMBERS = {
    Role.GATEWAY: ("gateway",), Role.SCHEDULER: ("scheduler",), Role.SUPERVISOR: ("modules", "builtins"),
}  # fmt: skip


class DistributedChaosMesh:
    """Two gateways, two schedulers, built-in modules, two processes that serve the same steps, one with the sink, and the
    four servers."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._dice = random.Random(f"{seed} restarts")
        self.slow_disk = folder / "slow-disk"
        self._stack = ExitStack()
        self._threads = ThreadPoolExecutor(len(SERVERS))
        self._servers: dict[str, OwnServer] = {}
        self._starting: dict[str, Future[None]] = {}
        self._due: dict[str, float] = {}
        self.mesh: RealMesh

    @property
    def ports(self) -> list[int]:
        """Of the gateways."""
        return [member.port for member in self.mesh.of("gateway")]

    @property
    def services(self) -> list[Member]:
        """Everybody but the servers."""
        return list(self.mesh.members.values())

    def up(self) -> None:
        """Start everything, and wait until all modules are there."""
        self._servers = self._stack.enter_context(new_servers(self._folder))
        urls = self._stack.enter_context(room(addresses_of(self._servers), cache=str(self._folder / "cache")))
        variables = {RUNTIME: f"{SLOW_DISK}:make", DISK: str(self.slow_disk)}
        self.mesh = self._stack.enter_context(RealMesh(self._folder / "mesh", urls, variables))
        for _ in range(2):
            self.mesh.gateway()
            self.mesh.scheduler()
        self.mesh.builtins(slots=2)
        for name, file in (("steps-1", "steps"), ("steps-2", "steps"), ("effects", "effects")):
            self.mesh.modules(MODULES / f"{file}.py", name=name, slots=2)
        self.mesh.wait_until_ready(STEPS, EFFECTS, BUILT_IN)

    def tend(self) -> None:
        """Start again whoever has been away for long enough. To be called often."""
        for member in self.services:
            if not member.running and self._is_time(member.name):
                member.start()
        for name, server in self._servers.items():
            under_way = self._starting.get(name)
            if under_way is not None and under_way.done():
                del self._starting[name]  # it may have failed: what it was before is not quite gone yet
            if name not in self._starting and not _is_there(server) and self._is_time(name):
                self._starting[name] = self._threads.submit(server.start)

    def _is_time(self, name: str) -> bool:
        """Whether somebody who is away has been for long enough; the first question only notes it down."""
        due = self._due.setdefault(name, time.monotonic() + self._dice.uniform(*RESTART_S))
        if time.monotonic() < due:
            return False
        del self._due[name]
        return True

    # -- whom a fault can hit ------------------------------------------------------------------------------------------

    def living(self, role: Role) -> list[ProcessId]:
        """The processes of a role that are there now, always in the same order."""
        if role in SERVERS:
            name = SERVERS[role]
            pids = [self._servers[name].pid] if name not in self._starting and _is_there(self._servers[name]) else []
        elif role is Role.EXECUTOR:
            pids = [pid for one in self.living(Role.SUPERVISOR) for pid in children(one.pid)]
            pids = [pid for pid in pids if runs_program(pid, b"module_sdk.executor")]
        else:
            members = [one for name in _MEMBERS[role] for one in self.mesh.of(name)]
            pids = [member.pid for member in members if member.running]
        found = map(ProcessId.of, pids)
        return [one for one in found if one is not None]

    def hit(self, role: Role, victim: ProcessId, number: signal.Signals) -> None:
        """Send a signal; to all processes of a server at once, as what happens to a machine does."""
        if role not in SERVERS:
            victim.send(number)
        elif victim.alive:
            with suppress(ProcessLookupError):
                os.killpg(victim.pid, number)

    # -- the end -------------------------------------------------------------------------------------------------------

    def stop(self) -> list[str]:
        """End everybody but the servers, in order; what did not end as it should."""
        return self.mesh.close()

    def remains(self) -> Remains:
        """What the servers hold when nobody works any more."""
        urls, runtime = self.mesh.urls, SystemRuntime()
        report = check_places(urls.state, urls.objects, runtime)
        store = open_store(urls.objects, runtime)
        with reading(urls.state) as connection:
            return Remains(
                [str(found) for found in report.violations],
                sum(one.bytes for prefix in ("data/", "files/") for one in store.list(prefix)),
                attempts(connection),
                lost(connection),
            )

    def kill(self) -> None:
        """End everybody at once, the servers as well."""
        for pid in self.mesh.family():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for future in list(self._starting.values()):
            future.exception()
        self._threads.shutdown()
        for server in self._servers.values():
            server.resume()
            if not _is_there(server):
                server.start()  # so that what it has can be cleared away
        self._stack.close()


def _is_there(server: OwnServer) -> bool:
    try:
        return server.pid > 0
    except AssertionError:
        return False
