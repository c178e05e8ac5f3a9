"""The processes of a run of chaos: whoever ends is started again after a short while, as a service manager would."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from plugmesh.cli.server.process import ProcessId
from plugmesh.runtime_loader import VARIABLE as RUNTIME
from scheduler.invariants.folder import check_folder, open_database
from tests.chaos.plan import Role
from tests.chaos.recovery import Remains, attempts, lost
from tests.chaos.slow_disk_runtime import VARIABLE as DISK
from tests.chaos.wire import ask
from tests.e2e.real_mesh import RealMesh
from tests.waiting import wait_until_sync

_HERE = Path(__file__).parent
MODULES = _HERE / "modules"
STEPS, EFFECTS, BUILT_IN = "chaos.start", "chaos.note", "table.derive"
READY_S = 60.0
STOP_S = 60.0
"""All draining and ending at the end; the drain of the server's own modules may take ten seconds of it."""
PORTS = range(20_000, 32_000)
"""Below those that the system gives to whoever connects: one of them could take the server's place while it is away."""
RESTART_S = (0.1, 1.5)


@dataclass(slots=True)
class Service:
    """A command that is to run, its process, and when it is to be started again (monotonic) if that has ended."""

    name: str
    command: tuple[str, ...]
    process: subprocess.Popen[bytes]
    due: float | None = None
    starts: int = 1


class ChaosMesh:
    """A server, its built-in modules, two processes that serve the same steps, and one with the sink."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._dice = random.Random(f"{seed} restarts")
        self.slow_disk = folder / "slow-disk"
        variables = {RUNTIME: f"{_HERE / 'slow_disk_runtime.py'}:make", DISK: str(self.slow_disk)}
        self.mesh = RealMesh(folder, free_port(self._dice), variables)
        self.port = self.mesh.port
        self.ports = [self.port]
        self.services: list[Service] = []

    def up(self) -> None:
        """Start everything, and wait until all modules are there."""
        self._add("server", "up", "--port", str(self.port), "--data", str(self.mesh.data))
        for name, file in (("steps-1", "steps"), ("steps-2", "steps"), ("effects", "effects")):
            self._add(name, "module", "serve", str(MODULES / f"{file}.py"), "--slots", "2")
        wait_until_sync(self._is_ready, READY_S, 0.1, message=f"the mesh is not ready{self.mesh.said()}")

    def _add(self, name: str, *command: str) -> None:
        self.services.append(Service(name, command, self.mesh.start(*command)))

    def _is_ready(self) -> bool:
        self.tend()
        _, answer = ask(self.port, "GET", "/api/v1/modules")
        return {STEPS, EFFECTS, BUILT_IN} <= {one["name"] for one in (answer or {}).get("modules", ()) if one["live"]}

    def tend(self) -> None:
        """Start again whoever has been away for long enough. To be called often."""
        now = time.monotonic()
        for service in self.services:
            if service.due is None and service.process.poll() is not None:
                service.due = now + self._dice.uniform(*RESTART_S)
            elif service.due is not None and now >= service.due:
                service.process, service.due = self.mesh.start(*service.command), None
                service.starts += 1

    # -- whom a fault can hit ------------------------------------------------------------------------------------------

    def living(self, role: Role) -> list[ProcessId]:
        """The processes of a role that are there now, always in the same order."""
        match role:
            case Role.SERVER:
                return self._services(own=False)
            case Role.SUPERVISOR:
                builtins = self.mesh.child("builtins")
                return self._services(own=True) + ([builtins] if builtins is not None else [])
            case _:
                found = [ProcessId.of(pid) for one in self.living(Role.SUPERVISOR) for pid in children(one.pid)]
                return [one for one in found if one is not None and runs_program(one.pid, b"module_sdk.executor")]

    def hit(self, role: Role, victim: ProcessId, number: signal.Signals) -> None:
        """Send a signal."""
        victim.send(number)

    def _services(self, *, own: bool) -> list[ProcessId]:
        wanted = [one for one in self.services if (one.name != "server") is own and one.process.poll() is None]
        found = [ProcessId.of(one.process.pid) for one in wanted]
        return [one for one in found if one is not None]

    # -- the end -------------------------------------------------------------------------------------------------------

    def stop(self) -> list[str]:
        """End everybody in order; what did not end as it should, and who is left over (and is killed then)."""
        server = self.services[0]
        for service in self.services:
            service.process.send_signal(signal.SIGTERM)
        wrong = [text for service in self.services if (text := _ended_badly(service))]
        try:
            wait_until_sync(lambda: not self.mesh.family(), STOP_S, 0.2)
        except AssertionError:
            wrong.append(f"processes are left over: {[_command(pid) for pid in self.mesh.family()]}")
            self.kill()
        return (
            wrong if server.process.returncode == 0 else [*wrong, f"the server ended with {server.process.returncode}"]
        )

    def remains(self) -> Remains:
        """What is on the disk when nobody works any more."""
        data = self.mesh.data
        with open_database(data) as connection:
            return Remains(
                [str(found) for found in check_folder(data).violations],
                sum(512 * path.stat().st_blocks for path in data.rglob("*")),
                attempts(connection),
                lost(connection),
            )

    def kill(self) -> None:
        """End everybody at once, and whoever was being started meanwhile."""
        while family := self.mesh.family():
            for process in map(ProcessId.of, family):
                if process is not None:
                    process.send(signal.SIGKILL)
            for service in self.services:
                service.process.wait()


def _ended_badly(service: Service) -> str:
    try:
        service.process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        return f"{service.name} did not end within {STOP_S:g} s of SIGTERM"
    return ""


def free_port(dice: random.Random) -> int:
    """A port of this machine that nothing listens on."""
    while True:
        port = dice.choice(PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def children(pid: int) -> list[int]:
    """Of one process, in their order."""
    found: list[int] = []
    with suppress(OSError):  # it may end at any moment
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return sorted(found)


def runs_program(pid: int, word: bytes) -> bool:
    """Whether its command has the word in it."""
    try:
        return word in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _command(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return str(pid)
    return f"{pid}: {b' '.join(words).decode(errors='replace')}"
