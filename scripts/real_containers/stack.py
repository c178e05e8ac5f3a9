"""A mesh of containers: compose files brought up under a name and ports of their own, and asked through the gateway."""

import json
import os
import secrets
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from scripts.real_containers.images import COMPOSE, compose_files
from scripts.real_containers.places import Places
from scripts.real_mesh.asked import Asked, Refused
from scripts.real_mesh.mesh import free_port

UP_S, COMMAND_S = 600, 300


class Stack(Asked):
    """`docker compose` with the files of a mesh. `folder` is for what is written; `environment` is the engine's.

    A context: at its end nothing of it is left. Raises Refused where a command is not carried out.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder, self.name = folder, f"plugmesh-test-{secrets.token_hex(3)}"
        self._url = f"http://127.0.0.1:{free_port()}"
        self._files = compose_files(Places.of(os.environ))
        made = subprocess.run([COMPOSE / "new-secrets"], capture_output=True, text=True, check=True).stdout
        self._secrets = folder / "secrets"
        self._secrets.write_text(made)
        self.token = next(line.partition("=")[2] for line in made.splitlines() if line.startswith("MESH_TOKEN="))
        listening = {"MESH_LISTEN": self._url.removeprefix("http://"), "PROMETHEUS_LISTEN": "127.0.0.1:0"}
        self.environment = {**environment, **listening, "PLUGMESH_TOKEN": self.token}

    @property
    def url(self) -> str:
        return self._url

    # -- the engine ----------------------------------------------------------------------------------------------------

    def add(self, service: str, image: str, *command: str, replicas: int = 1) -> None:
        """One more compose file, as an author would drop in: a service that has of the mesh what the built-in modules have.

        Without a command it is the image's own.
        """
        described = {
            "extends": {"file": str(COMPOSE / "mesh.yml"), "service": "builtins"},
            "image": image,
            "command": list(command),
            "deploy": {"replicas": replicas},
        }
        path = self.folder / f"{service}-{image.rpartition(':')[2]}.yml"
        path.write_text(json.dumps({"services": {service: described}}))  # which is YAML as well
        self._files += ["-f", str(path)]

    def compose(self, *arguments: str, within_s: float = COMMAND_S) -> str:
        """`docker compose` with all files; what it printed."""
        options = ["-p", self.name, "--env-file", str(self._secrets), *self._files]
        return self.docker("compose", *options, *arguments, within_s=within_s)

    def docker(self, *arguments: str, within_s: float = COMMAND_S) -> str:
        """`docker`; what it printed."""
        done = subprocess.run(
            ["docker", *arguments], env=self.environment, capture_output=True, text=True, timeout=within_s, check=False
        )
        if done.returncode:
            raise Refused(f"docker {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def up(self, *services: str) -> None:
        """Start services and what they need; returns when they are started."""
        self.compose("up", "-d", "--no-build", *services, within_s=UP_S)

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers that run."""
        named = f"label=com.docker.compose.project={self.name}"
        of = f"label=com.docker.compose.service={service}"
        return self.docker("ps", "-q", "--no-trunc", "--filter", named, "--filter", of).split()

    def said(self) -> str:
        """How the containers' logs end."""
        return self.compose("logs", "--no-color", "--tail", "30")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        mine = f"label=com.docker.compose.project={self.name}"
        for container in self.docker("ps", "-q", "--filter", "status=paused", "--filter", mine).split():
            self.docker("unpause", container)
        self.compose("down", "-v", "-t", "5", "--remove-orphans")

    # -- the mesh ------------------------------------------------------------------------------------------------------

    def image(self, file: Path, tag: str) -> None:
        """The image of a module's file, as an author makes it."""
        self.command("module", "image", str(file), "--tag", tag, within_s=COMMAND_S)

    def run_flow(self, file: Path, *arguments: str) -> str:
        """Submit a flow's file with the command; the run's id."""
        return str(json.loads(self.command("run", str(file), *arguments, "--json"))["id"])

    def is_open(self, run: str) -> bool:
        """Whether the gateway says that it has not ended."""
        shown = self.show(run)
        return bool(shown) and not shown["ended_at"]

    def value(self, shown: Mapping[str, Any], output: str) -> Any:
        """What a run came to, where that is no table."""
        made = shown["outputs"][output]
        step = next(step for step in shown["steps"] if step["id"] == made["step"])
        return step["outputs"][made["port"]]["value"]

    def step(self, run: str, name: str) -> Any:
        """One step of a run."""
        shown = self.show(run) or {"steps": ()}
        return next((step for step in shown["steps"] if step["id"] == name), {"state": "", "epoch": 0})

    def wait_for(self, run: str, name: str, state: str) -> Any:
        """The step, when it is in that state."""

        def there() -> Any:
            step = self.step(run, name)
            return step if step["state"] == state else None

        return self.until(there, f"{name} of {run} is not {state}")

    def versions(self, module: str) -> list[str]:
        """Those that somebody serves."""
        modules = (self.ask("/api/v1/modules") or {"modules": ()})["modules"]
        return next((one["live_versions"] for one in modules if one["name"] == module), [])

    def container_of(self, instance: str) -> str:
        """The container in which an instance lives: its host is the first part of the container's id."""
        instances = (self.ask("/api/v1/instances") or {"instances": ()})["instances"]
        return str(next(one["host"] for one in instances if one["id"] == instance))
