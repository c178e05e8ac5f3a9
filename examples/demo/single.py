"""The demo's mesh on one machine: one server, and modules that were started by hand."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

from examples.demo.mesh import HERE, PLUGMESH, Mesh


class SingleMesh(Mesh):
    """A folder, a port and `plugmesh up`."""

    killing = "kill -9 of the server"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._port = _free_port()
        self._modules: list[subprocess.Popen[bytes]] = []
        self._server: subprocess.Popen[bytes] | None = None
        self._log = (folder / "log.txt").open("ab")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def up(self) -> str:
        self._server = self._start("up", "--port", str(self._port), "--data", str(self.folder / "data"))
        self.until(lambda: "io.read" in self.palette(), "the mesh did not start")
        return f"plugmesh up: a mesh answers at {self.url}, with {len(self.palette())} modules on its palette"

    def serve(self, file: str) -> None:
        self._modules.append(self._start("module", "serve", str(HERE / file), "--slots", "1"))

    def kill_in_the_middle(self) -> None:
        assert self._server is not None
        self._server.kill()
        self._server.wait()
        self._server = None

    def come_back(self) -> str:
        self.up()
        return "plugmesh up: {seconds} s later it is back; the modules have worked on and joined again"

    def close(self) -> None:
        """The server ends its built-in modules itself."""
        for process in self._modules:
            process.terminate()
        if self._server is not None:
            self._server.terminate()
        for process in [*self._modules, *([self._server] if self._server else [])]:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._server is None or self._server.returncode != 0:
            self._end_builtins()
        self._log.close()

    def last_words(self) -> str:
        return (self.folder / "log.txt").read_text()[-4000:]

    def has_ended(self) -> bool:
        return self._server is not None and self._server.poll() is not None

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "PLUGMESH_URL": self.url}
        return subprocess.Popen(
            [*PLUGMESH, *arguments], env=environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )

    def _end_builtins(self) -> None:
        record = self.folder / "data" / "run" / "builtins.json"
        if record.exists():
            for process in json.loads(record.read_text())["processes"]:
                try:
                    os.kill(process["pid"], signal.SIGKILL)
                except ProcessLookupError:
                    continue


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
