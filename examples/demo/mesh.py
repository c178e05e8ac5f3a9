"""The demo's mesh: real processes in a temporary folder, all started here and all ended here."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
HERE = Path(__file__).parent
PLUGMESH = [sys.executable, "-P", "-m", "plugmesh"]
PATIENCE_S = 60.0


class Failed(Exception):
    """Something did not happen as it should; the message says what."""


class Mesh:
    """A folder, a port, a server, and modules that were started by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._environment = {**os.environ, "PLUGMESH_URL": self.url}
        self._modules: list[subprocess.Popen[bytes]] = []
        self._server: subprocess.Popen[bytes] | None = None
        self._log = (folder / "log.txt").open("ab")

    def up(self) -> None:
        """Start the server; returns when the built-in modules are on the palette."""
        self._server = self._start("up", "--port", str(self.port), "--data", str(self.folder / "data"))
        self.until(lambda: "io.read" in self.palette(), "the mesh did not start")

    def serve(self, file: str) -> subprocess.Popen[bytes]:
        """Start the modules of a file of the demo."""
        self._modules.append(self._start("module", "serve", str(HERE / file), "--slots", "1"))
        return self._modules[-1]

    def kill_server(self) -> None:
        """`kill -9`."""
        assert self._server is not None
        self._server.kill()
        self._server.wait()
        self._server = None

    def close(self) -> None:
        """End every process that was started here; the server ends its built-in modules itself."""
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

    # -- the command -------------------------------------------------------------------------------------------------

    def plugmesh(self, *arguments: str) -> str:
        """Run a command to its end. Raises Failed with what it said."""
        done = subprocess.run(
            [*PLUGMESH, *arguments], env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            said = f"{done.stdout}{done.stderr}\nThe mesh said:\n{self._last_words()}"
            raise Failed(f"plugmesh {' '.join(arguments)} exited with {done.returncode}\n{said}")
        return done.stdout

    def ask(self, *arguments: str) -> Any:
        """What a command answers with --json."""
        return json.loads(self.plugmesh(*arguments, "--json"))

    def submit(self, flow: str, *arguments: str) -> str:
        """Submit a flow of the demo; the run's id."""
        return str(self.ask("run", str(HERE / flow), *arguments)["id"])

    def palette(self) -> set[str]:
        """The modules that somebody serves; none while there is no mesh."""
        try:
            return {module["name"] for module in self.ask("modules") if module["live"]}
        except Failed:
            return set()

    def step(self, run: str, name: str) -> dict[str, Any]:
        """One step of a run."""
        steps: list[dict[str, Any]] = self.ask("show", run)["steps"]
        return next(step for step in steps if step["id"] == name)

    def wait_for(self, run: str, name: str, state: str) -> dict[str, Any]:
        """Wait until a step is in a state."""

        def there() -> dict[str, Any] | None:
            step = self.step(run, name)
            if step["state"] == "failed":
                raise Failed(f"{name} failed: {step['error']}")
            return step if step["state"] == state else None

        found = self.until(there, f"{name} of {run} is not {state}")
        assert found is not None
        return found

    def until(self, predicate: Callable[[], T], message: str) -> T:
        """Wait until it is so. Raises Failed with the mesh's log."""
        deadline = time.monotonic() + PATIENCE_S
        while not (answer := predicate()):
            if time.monotonic() > deadline or (self._server is not None and self._server.poll() is not None):
                raise Failed(f"{message}\nThe mesh said:\n{self._last_words()}")
            time.sleep(0.02)
        return answer

    def _last_words(self) -> str:
        return (self.folder / "log.txt").read_text()[-4000:]

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*PLUGMESH, *arguments], env=self._environment, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
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
