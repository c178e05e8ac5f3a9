"""Builds what compose/ starts: our image, and where no registry can be reached also those of others."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.real_containers.engine import base_file
from scripts.real_containers.places import Places
from scripts.real_containers.programs import RECIPES, stage
from scripts.real_servers.folders import locked
from scripts.real_servers.tool import need, run

COMPOSE = Path(__file__).parent.parent.parent / "compose"
OURS = "gateway"
"""The service whose image all processes of Plugmesh share."""


def compose_files(places: Places) -> list[str]:
    """The options of `docker compose` that name the files of a mesh here."""
    files = ["mesh.yml"] + (["ci.override.yml"] if base_file(places).exists() else [])
    return [word for name in files for word in ("-f", str(COMPOSE / name))]


def build(places: Places, environment: Mapping[str, str], services: Sequence[str] = ()) -> None:
    """Builds the images of these services, by default of all. Raises Problem with the engine's last words.

    Programs that `scripts/servers` has not installed yet are missing in theirs. Images of others are only built when
    what goes into them has changed: to hand hundreds of megabytes to the engine takes longer than to find that out.
    """
    docker, whole = need("docker", "images are built with it"), {**os.environ, **environment}
    with locked(places.cache / "build.lock"), tempfile.NamedTemporaryFile("w", prefix="plugmesh-secrets-") as secrets:
        secrets.write(subprocess.run([COMPOSE / "new-secrets"], capture_output=True, text=True, check=True).stdout)
        secrets.flush()
        options = [docker, "compose", *compose_files(places), "--env-file", secrets.name, "build"]
        if not base_file(places).exists():
            run([*options, *services], log=places.log("build"), environ=whole)
            return
        stage(places)
        wanted = list(services) or [OURS, *sorted(recipe.name for recipe in RECIPES.iterdir())]
        stamps = {name: _stamp(places, name) for name in wanted if name != OURS}
        old = {name for name, stamp in stamps.items() if _built(places, name) == stamp and _there(docker, name, whole)}
        run([*options, *(name for name in wanted if name not in old)], log=places.log("build"), environ=whole)
        for name, stamp in stamps.items():
            _built_file(places, name).parent.mkdir(exist_ok=True)
            _built_file(places, name).write_text(stamp)


def _stamp(places: Places, name: str) -> str:
    """Changes when the base image or any file that the image is built from does."""
    digest = hashlib.sha256(base_file(places).read_bytes())
    for file in sorted((places.programs / name).rglob("*")):
        found = file.stat()
        digest.update(f"{file} {found.st_size if file.is_file() else 0}".encode())
        if file.is_file() and file.parent == places.programs / name and file.name != "program":
            digest.update(file.read_bytes())
    return digest.hexdigest()


def _built_file(places: Places, name: str) -> Path:
    return places.cache / "built" / name


def _built(places: Places, name: str) -> str:
    file = _built_file(places, name)
    return file.read_text() if file.exists() else ""


def _there(docker: str, name: str, environ: Mapping[str, str]) -> bool:
    asked = [docker, "image", "inspect", f"plugmesh-ci-{name}"]
    return subprocess.run(asked, capture_output=True, env=environ, check=False).returncode == 0
