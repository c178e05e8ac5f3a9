"""The demo's mesh of several processes, on new servers: Kafka, PostgreSQL, Consul and MinIO."""

from contextlib import ExitStack
from pathlib import Path

from examples.demo.mesh import HERE, Failed, Mesh
from scripts.real_mesh import NotReady, RealMesh, addresses_of, new_servers, room
from scripts.real_servers.problem import Problem

SHARDS = 32


class DistributedMesh(Mesh):
    """A gateway, two schedulers, built-in modules, and the processes of modules. The servers start with it and end with it."""

    killing = "kill -9 of the gateway and of one of the two schedulers"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._stack = ExitStack()
        self._mesh: RealMesh

    @property
    def url(self) -> str:
        return self._mesh.url

    def up(self) -> str:
        try:
            servers = self._stack.enter_context(new_servers(self.folder))
        except Problem as problem:
            raise Failed(str(problem)) from problem
        urls = self._stack.enter_context(room(addresses_of(servers), cache=str(self.folder / "cache")))
        self._mesh = self._stack.enter_context(RealMesh(self.folder / "mesh", urls))
        self._mesh.gateway()
        for _ in range(2):
            self._mesh.scheduler()
        self._mesh.builtins()
        self._wait_until_ready()
        return (
            f"{', '.join(servers)} are running, and on them a gateway at {self.url}, two schedulers with 16 shards each, and "
            f"{len(self.palette())} modules"
        )

    def _wait_until_ready(self) -> None:
        try:
            self._mesh.wait_until_ready("io.read")
        except NotReady as error:
            raise Failed(str(error)) from error

    def serve(self, file: str) -> None:
        self._mesh.modules(HERE / file)

    def kill_in_the_middle(self) -> None:
        self._mesh.members["gateway-1"].kill()
        self._mesh.members["scheduler-1"].kill()

    def come_back(self) -> str:
        other = self._mesh.members["scheduler-2"]
        self.until(lambda: self._mesh.shards(other) == SHARDS, "nobody took the shards over")
        self._mesh.members["gateway-1"].start()
        self.until(lambda: "io.read" in self.palette(), "the gateway did not come back")
        return (
            "{seconds} s later the other scheduler has all shards, and the gateway is back; the modules have worked on"
        )

    def close(self) -> None:
        self._stack.close()

    def last_words(self) -> str:
        return self._mesh.said()

    def has_ended(self) -> bool:
        """One of the mesh's own processes; modules are killed on purpose."""
        return any(one.wanted and not one.running and one.role != "modules" for one in self._mesh.members.values())
