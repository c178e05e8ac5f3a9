"""A mesh of containers: compose files brought up under a name and ports of their own, and asked through the gateway."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tests.waiting import wait_until_sync

COMPOSE = Path(__file__).parent.parent.parent / "compose"
UP_S, COMMAND_S, PATIENCE_S = 600, 300, 300
"""Only bound how long a broken test takes."""
T = TypeVar("T")
ENDED = frozenset({"succeeded", "failed", "cancelled", "timed_out"})


class Stack:
    """`docker compose` with these files. `folder` is for what the test writes; `port` is where the gateway listens."""

    def __init__(
        self, folder: Path, name: str, files: Sequence[str], environment: Mapping[str, str], port: int
    ) -> None:
        self.folder, self.name, self.url = folder, name, f"http://127.0.0.1:{port}"
        self._files = list(files)
        secrets = subprocess.run([COMPOSE / "new-secrets"], capture_output=True, text=True, check=True).stdout
        self._secrets = folder / "secrets"
        self._secrets.write_text(secrets)
        self.token = next(line.partition("=")[2] for line in secrets.splitlines() if line.startswith("MESH_TOKEN="))
        listening = {"MESH_LISTEN": f"127.0.0.1:{port}", "PROMETHEUS_LISTEN": "127.0.0.1:0"}
        self._environment = {**environment, **listening, "PLUGMESH_URL": self.url, "PLUGMESH_TOKEN": self.token}

    # -- the engine ----------------------------------------------------------------------------------------------------

    def add(self, name: str, text: str) -> None:
        """One more compose file, as an author would drop in."""
        path = self.folder / name
        path.write_text(text)
        self._files += ["-f", str(path)]

    def compose(self, *arguments: str, within_s: float = COMMAND_S) -> str:
        """`docker compose` with all files; what it printed."""
        options = ["-p", self.name, "--env-file", str(self._secrets), *self._files]
        return self._run(["docker", "compose", *options, *arguments], within_s)

    def docker(self, *arguments: str) -> str:
        """`docker`; what it printed."""
        return self._run(["docker", *arguments], COMMAND_S)

    def up(self, *services: str) -> None:
        """Start services and what they need; returns when they are started."""
        self.compose("up", "-d", "--no-build", *services, within_s=UP_S)

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers that run."""
        named = f"label=com.docker.compose.project={self.name}"
        of = f"label=com.docker.compose.service={service}"
        return self.docker("ps", "-q", "--no-trunc", "--filter", named, "--filter", of).split()

    def close(self) -> None:
        """Everything of it is gone afterwards, also what is paused."""
        mine = f"label=com.docker.compose.project={self.name}"
        for container in self.docker("ps", "-q", "--filter", "status=paused", "--filter", mine).split():
            self.docker("unpause", container)
        self.compose("down", "-v", "-t", "5", "--remove-orphans")

    def until(self, predicate: Callable[[], T], message: str) -> T:
        """Wait until it is so; what it was then. A failure shows what the containers said."""
        try:
            return wait_until_sync(predicate, PATIENCE_S, every_s=0.1, message=message)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.said()}") from None

    def said(self) -> str:
        """How the containers' logs end."""
        return self.compose("logs", "--no-color", "--tail", "30")

    # -- the mesh ------------------------------------------------------------------------------------------------------

    def plugmesh(self, *arguments: str) -> str:
        """The command, on this host, against the gateway."""
        return self._run([sys.executable, "-P", "-m", "plugmesh", *arguments], COMMAND_S)

    def ask(self, path: str) -> Any:
        """What the gateway answers; None if it does not."""
        return self._request(urllib.request.Request(f"{self.url}{path}"))

    def submit(self, flow: Mapping[str, Any], **params: Any) -> str:
        """The run's id."""
        body = json.dumps({"flow": flow, "params": params}).encode()
        headers = {"content-type": "application/json"}
        answer = self._request(urllib.request.Request(f"{self.url}/api/v1/runs", body, headers))
        assert answer, f"the run was not accepted\n{self.said()}"
        return str(answer["id"])

    def run_flow(self, file: Path, *arguments: str) -> str:
        """Submit a flow's file with the command; the run's id."""
        return str(json.loads(self.plugmesh("run", str(file), *arguments, "--json"))["id"])

    def finish(self, run: str) -> Any:
        """The run, which must succeed."""

        def ended() -> Any:
            shown = self.ask(f"/api/v1/runs/{run}?wait_s=2")
            return shown if shown and shown["state"] in ENDED else None

        shown = self.until(ended, f"{run} does not end")
        assert shown["state"] == "succeeded", f"{shown}\n{self.said()}"
        return shown

    def is_open(self, run: str) -> bool:
        """Whether the gateway says that it has not ended."""
        shown = self.ask(f"/api/v1/runs/{run}")
        return bool(shown) and shown["state"] not in ENDED

    def value(self, shown: Mapping[str, Any], output: str) -> Any:
        """What a run came to, where that is no table."""
        made = shown["outputs"][output]
        step = next(step for step in shown["steps"] if step["id"] == made["step"])
        return step["outputs"][made["port"]]["value"]

    def step(self, run: str, name: str) -> Any:
        """One step of a run."""
        shown = self.ask(f"/api/v1/runs/{run}")
        return next(
            (step for step in (shown or {"steps": ()})["steps"] if step["id"] == name), {"state": "", "epoch": 0}
        )

    def versions(self, module: str) -> list[str]:
        """Those that somebody serves."""
        modules = (self.ask("/api/v1/modules") or {"modules": ()})["modules"]
        return next((one["live_versions"] for one in modules if one["name"] == module), [])

    def container_of(self, instance: str) -> str:
        """The container in which an instance lives: its host is the first part of the container's id."""
        instances = (self.ask("/api/v1/instances") or {"instances": ()})["instances"]
        return str(next(one["host"] for one in instances if one["id"] == instance))

    def wait_for(self, run: str, name: str, state: str) -> Any:
        """The step, when it is in that state."""

        def there() -> Any:
            step = self.step(run, name)
            return step if step["state"] == state else None

        return self.until(there, f"{name} of {run} is not {state}")

    def _request(self, request: urllib.request.Request) -> Any:
        request.add_header("authorization", f"Bearer {self.token}")
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            if error.code < 500:
                raise AssertionError(f"{request.full_url}: {error.code} {error.read().decode()}") from error
            return None
        except OSError:
            return None

    def _run(self, command: Sequence[str], within_s: float) -> str:
        done = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=within_s, check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout
