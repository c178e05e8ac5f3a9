"""Which engine this machine has, and what a program needs in its environment to use it."""

import json
import os
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.real_containers.install import search_path
from scripts.real_containers.places import Places
from scripts.real_servers.process import Process

ANSWERS_WITHIN_S = 20


@dataclass(frozen=True)
class Status:
    """What `status` tells. `environment` is for whoever calls `docker`; `engine` names what answers, `why` what is missing."""

    ready: bool
    engine: str
    why: str
    environment: dict[str, str]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def status(places: Places) -> Status:
    """Looks for the machine's own engine first, then for the one that `start` has started."""
    for environment in ({}, our_environment(places)):
        if found := _answer(environment, places):
            return Status(True, found, "", {**environment, **_base(places)})
    return Status(False, "", _missing(places), {})


def has_own(places: Places) -> bool:
    """Whether the machine's own engine answers, so that nothing has to be installed or started."""
    return bool(_answer({}, places))


def our_environment(places: Places) -> dict[str, str]:
    """Podman's socket speaks Docker's protocol, but has no BuildKit; its other image format knows no health checks."""
    environment = {
        "DOCKER_HOST": f"unix://{places.socket}",
        "DOCKER_BUILDKIT": "0",
        "BUILDAH_FORMAT": "docker",
        "PATH": search_path(places),
    }
    if places.plugins.exists():
        environment["DOCKER_CONFIG"] = str(places.plugins)
    return environment | podman_settings(places)


def podman_settings(places: Places) -> dict[str, str]:
    """What makes a `podman` use the settings and images of our engine."""
    if not places.settings.exists():
        return {}
    return {"CONTAINERS_CONF": str(places.settings), "CONTAINERS_STORAGE_CONF": str(places.storage)}


def base_file(places: Places) -> Path:
    """Says which image `compose/` is built on, where that is not the one which the files there name."""
    return places.cache / "base-image"


def _base(places: Places) -> dict[str, str]:
    """Programs that are built into images, where those of their makers cannot be pulled."""
    if not base_file(places).exists():
        return {}
    return {"BASE_IMAGE": base_file(places).read_text().strip(), "PLUGMESH_PROGRAMS": str(places.programs)}


def _answer(environment: dict[str, str], places: Places) -> str:
    """What the engine says that it is; nothing if there is none, or no Compose to drive it."""
    whole = {**os.environ, **environment}
    docker = shutil.which("docker", path=whole["PATH"])
    if docker is None or (environment and not Process.read(places.run / "service")):
        return ""
    info = _run([docker, "version", "--format", "{{json .Server}}"], whole)
    if not info or not _run([docker, "compose", "version", "--short"], whole):
        return ""
    server = json.loads(info)
    if not server:
        return ""
    named = next((part for part in server.get("Components", ()) if "Engine" in part["Name"]), None)
    return f"{named['Name']} {named['Version']}" if named else f"Docker {server.get('Version')}"


def _run(command: list[str], environment: dict[str, str]) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, timeout=ANSWERS_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _missing(places: Places) -> str:
    podman = shutil.which("podman", path=search_path(places))
    word = "start" if podman and shutil.which("docker", path=search_path(places)) else "install"
    return f"no container engine with Docker Compose answers here: scripts/containers {word}"
