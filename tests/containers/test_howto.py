"""The commands of the pages about Compose, typed one after the other as a reader would, on a copy of the checkout."""

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.real_containers.engine import base_file
from scripts.real_containers.places import Places
from scripts.real_mesh.mesh import free_port
from tests.docs.blocks import Block, blocks_of

ROOT = Path(__file__).parent.parent.parent
HOWTO = ROOT / "docs" / "howto"
COPIED = (
    "plugmesh",
    "module_sdk",
    "registry",
    "scheduler",
    "gateway",
    "modules",
    "requirements",
    "compose",
    "examples",
)
PATIENCE_S = 900


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a reader has, with nothing left over from others; times are kept, so that the engine knows its layers again."""
    ignored = shutil.ignore_patterns("__pycache__", ".env")
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".dockerignore"):
        shutil.copy2(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def environment(images_of_a_mesh: dict[str, str], checkout: Path) -> Iterator[dict[str, str]]:
    """A project and ports that no mesh of this machine has; it is gone afterwards."""
    project = f"plugmesh-test-{secrets.token_hex(3)}"
    ports = {"MESH_LISTEN": f"127.0.0.1:{free_port()}", "PROMETHEUS_LISTEN": f"127.0.0.1:{free_port()}"}
    path = os.pathsep.join([str(Path(sys.executable).parent), images_of_a_mesh["PATH"]])
    environment = {**images_of_a_mesh, **ports, "COMPOSE_PROJECT_NAME": project, "PATH": path}
    yield environment
    if (checkout / "compose" / ".env").exists():
        for file in ("mesh.yml", "light.yml"):
            command = ["docker", "compose", "-f", file, "down", "-v", "-t", "5", "--remove-orphans"]
            subprocess.run(command, cwd=checkout / "compose", env=environment, capture_output=True, check=False)


def test_the_pages_about_compose_work_command_by_command(checkout: Path, environment: dict[str, str]) -> None:
    large, small = (HOWTO / "deploy-compose.md").read_text().split("## A small mesh")
    modules = (HOWTO / "module-containers.md").read_text()
    lines = [*_lines(blocks_of(large), checkout), "cd ..", *_lines(blocks_of(modules), checkout), "cd compose"]
    script = "\n".join(["set -euo pipefail", *lines, *_lines(blocks_of(small), checkout)])
    port = environment["MESH_LISTEN"].rpartition(":")[2]
    done = subprocess.run(
        ["bash", "-x", "-c", _here(script).replace(":8720/", f":{port}/").replace(":8720\n", f":{port}\n")],
        cwd=checkout, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:]


def _lines(blocks: list[Block], checkout: Path) -> list[str]:
    """The lines that begin with `$`; blocks that name a file are written to it."""
    lines: list[str] = []
    for block in blocks:
        if block.file:
            (checkout / block.file).write_text(block.text)
        lines += [_patiently(line[2:]) for line in block.text.splitlines() if line.startswith("$ ")]
    return lines


def _patiently(command: str) -> str:
    """A reader waits a moment for a module to appear."""
    return f"until {command}; do sleep 0.5; done" if command.startswith("plugmesh modules ") else command


def _here(script: str) -> str:
    """Where no registry can be reached, the images of others are those that were built here."""
    if not base_file(Places.of(os.environ)).exists():
        return script
    for folder in ("", "compose/"):
        script = script.replace(f"-f {folder}mesh.yml", f"-f {folder}mesh.yml -f {folder}ci.override.yml")
    return script
