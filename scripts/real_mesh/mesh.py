"""The processes of a mesh, by name: gateways, schedulers, built-in modules and the modules of files."""

import os
import random
import signal
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Self

from scripts.real_mesh.asked import LOOK_EVERY_S, PLUGMESH, Asked
from scripts.real_mesh.member import Ended, Member
from scripts.real_mesh.room import Urls
from scripts.real_servers.ports import HIGHEST, LOWEST, is_free

MARK = "PLUGMESH_TEST_REAL_MESH"
SHARDS = 32


class RealMesh(Asked):
    """Processes with one data folder (tokens, keys) and one set of backends. A context: at its end all of them are ended.

    Files: `FOLDER/data`, and `FOLDER/NAME.log` for each process. `variables` are added to everybody's environment. Without
    a bus in `urls` the others join the first gateway, which must be added first.
    """

    def __init__(self, folder: Path, urls: Urls, variables: Mapping[str, str] | None = None) -> None:
        self.folder, self.data, self.urls = folder, folder / "data", urls
        self.members: dict[str, Member] = {}
        self._mark = uuid.uuid4().hex
        self.environment = {**os.environ, **urls.environment(), MARK: self._mark, "COLUMNS": "200", **(variables or {})}
        self.environment.pop("PLUGMESH_URL", None)

    # -- processes -----------------------------------------------------------------------------------------------------

    def gateway(self, *options: str, name: str = "") -> Member:
        """One more `plugmesh serve gateway`, on a port of its own."""
        return self._serve("gateway", name, *options)

    def scheduler(self, *options: str, name: str = "") -> Member:
        """One more `plugmesh serve scheduler`; health and metrics on a port of its own."""
        return self._serve("scheduler", name, *options)

    def builtins(self, *options: str, name: str = "", slots: int = 1) -> Member:
        """One more `plugmesh serve builtins`."""
        command = ("serve", "builtins", "--data", str(self.data), "--slots", str(slots), *options)
        return self._add("builtins", name, PLUGMESH, *command)

    def modules(self, file: str | Path, *options: str, name: str = "", slots: int = 1) -> Member:
        """One more process that serves the modules of a file: `plugmesh module serve`."""
        return self._add("modules", name, PLUGMESH, "module", "serve", str(file), "--slots", str(slots), *options)

    def python(self, file: str | Path, *arguments: str, name: str = "") -> Member:
        """One more process that serves the modules of a file which calls `serve` itself."""
        return self._add("modules", name, sys.executable, "-P", str(file), *arguments)

    def _serve(self, role: str, name: str, *options: str) -> Member:
        port = free_port()
        command = ("serve", role, "--port", str(port), "--data", str(self.data), *options)
        return self._add(role, name, PLUGMESH, *command, port=port)

    def _add(self, role: str, name: str, *command: str, port: int = 0) -> Member:
        count = len(self.of(role)) + 1
        name = name or f"{role}-{count}"
        assert name not in self.members, f"{name} is there already"
        known = {} if self.urls.bus or not self.members else {"PLUGMESH_URL": self.url}
        member = Member(name, role, command, port, self.folder / f"{name}.log", {**self.environment, **known})
        self.members[name] = member
        member.start()
        return member

    def of(self, role: str) -> list[Member]:
        """Those of a role (`gateway`, `scheduler`, `builtins`, `modules`), in the order in which they were added."""
        return [member for member in self.members.values() if member.role == role]

    # -- asking --------------------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Of the first gateway that runs, or of the first one. Raises Ended if there is none."""
        gateways = self.of("gateway")
        if not gateways:
            raise Ended("the mesh has no gateway")
        return f"http://127.0.0.1:{next((one for one in gateways if one.running), gateways[0]).port}"

    def shards(self, scheduler: Member) -> int:
        """How many it owns; 0 as long as it does not answer."""
        return int(self.figure(scheduler, "plugmesh_engine_shards") or 0)

    def shared_out(self) -> bool:
        """Whether all shards are shared out evenly between the schedulers that run."""
        shares = [self.shards(one) for one in self.of("scheduler") if one.running]
        return sum(shares) == SHARDS and max(shares) - min(shares) <= 1

    # -- waiting -------------------------------------------------------------------------------------------------------

    def wait_until_answers(self) -> None:
        """Until the gateway is there; it takes runs before there is a scheduler."""
        self.until(lambda: self.ask("/healthz"), "the gateway does not answer")

    def wait_until_ready(self, *modules: str) -> None:
        """Until gateways and schedulers are ready, each scheduler has its share of the shards, and these modules are there."""
        servers = [*self.of("gateway"), *self.of("scheduler")]
        self.until(lambda: all(self.ask("/readyz", one, 5.0) for one in servers), "not everybody is ready")
        if self.of("scheduler"):
            self.until(self.shared_out, "not every scheduler has its share of the shards")
        if modules:
            self.until(lambda: self.palette() >= set(modules), f"nobody serves all of {modules}")

    def gone(self) -> list[str]:
        gone = [one for one in self.members.values() if one.wanted and not one.running]
        return [f"{one.name} ended with {one.process.returncode}" for one in gone]

    def said(self) -> str:
        """How all logs end."""
        return "\n".join(member.last_words() for member in self.members.values())

    # -- the end -------------------------------------------------------------------------------------------------------

    def family(self) -> list[int]:
        """Every live process that a member is or has started."""
        wanted = f"{MARK}={self._mark}".encode()
        return [pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if wanted in _environment(pid)]

    def close(self) -> list[str]:
        """End everybody, in order: module processes first, so that they can say goodbye. What did not end as it should."""
        problems = []
        for roles in (("modules", "builtins"), ("scheduler",), ("gateway",)):
            alive = [one for one in self.members.values() if one.role in roles and one.running]
            for member in alive:
                member.resume()
                member.terminate()
            for member in alive:
                problems += _problems(member)
        left = self._left()
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return problems + [f"process {pid} was left over and was killed" for pid in left]

    def _left(self) -> list[int]:
        deadline = time.monotonic() + 15.0
        while (left := self.family()) and time.monotonic() < deadline:
            time.sleep(LOOK_EVERY_S)
        return left

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _problems(member: Member) -> list[str]:
    try:
        code = member.wait()
    except Ended as ended:
        return [str(ended)]
    return [f"{member.name} ended with {code}\n{member.last_words()}"] if code else []


def free_port() -> int:
    """One that nobody listens on, below those of outgoing connections: a process that is restarted finds it free."""
    while not is_free(port := random.SystemRandom().randint(LOWEST, HIGHEST)):
        continue
    return port


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
